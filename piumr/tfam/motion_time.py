"""Time measured along the path of the features instead of by the clock.

A slow and a fast execution of one movement trace the same path. Mass laid on frames in proportion to the path covered
around them is therefore the same per piece of path in both, and its cumulative sum is a time that both share. Moving
that mass to a uniform timeline at the least cost is optimal transport in one dimension, which has a closed form. The
masses are ours; the closed form is in Peyre and Cuturi, "Computational Optimal Transport" (2019), remark 2.30.
"""

from typing import Literal

import torch
from torch import Tensor, nn

Mass = Literal["motion", "uniform"]

_ROUNDING = 1e-6
"""Motion below this share of the features' size is rounding: the mass tends to uniform instead of following it."""


def frame_mass(
    features: Tensor, present: Tensor | None = None, kind: Mass = "motion", still_share: float = 0.3
) -> Tensor:
    r"""Mass of each frame, in proportion to the path that the features cover around it.

    .. math::
        b_t = v_t (\delta \bar d + d_t) / \textstyle\sum, \qquad
        d_t = (|f_t - f_{t-1}| + |f_{t+1} - f_t|) / 2

    Steps are between neighbouring frames that are both present, and their mean is d; the first and the last frame have
    a step on one side only. Uniform where nothing moves. (Half of the step on either side, not the whole step before
    the frame: the latter lags the path by half a step, which the two executions of a movement do not share.)

    Args:
        features: (N, C, T) one feature vector for each frame, T >= 2. No gradient flows through the mass.
        present: (N, T) bool, v, or None where all frames are.
        kind: "motion", or "uniform" for equal mass on all present frames.
        still_share: delta, mass of a frame that does not move as a share of the mean frame's.

    Returns:
        (N, T) masses that sum to 1 (0 for a clip without a present frame); 0 on missing frames.
    """
    path = features.detach()
    tiny = torch.finfo(path.dtype).tiny
    here = None if present is None else present.to(path.dtype)
    weight = torch.ones_like(path[:, 0])
    if kind == "motion":
        step = torch.linalg.vector_norm(path[:, :, 1:] - path[:, :, :-1], dim=1)
        if here is None:
            mean = step.mean(1, keepdim=True)
        else:
            both = here[:, 1:] * here[:, :-1]
            step = step * both
            mean = step.sum(1, keepdim=True) / both.sum(1, keepdim=True).clamp(min=1)
        motion = 0.5 * (nn.functional.pad(step, (1, 0)) + nn.functional.pad(step, (0, 1)))
        size = torch.linalg.vector_norm(path, dim=(1, 2)).unsqueeze(1)
        weight = motion + still_share * mean + _ROUNDING * size + tiny
    if here is not None:
        weight = weight * here
    return weight / weight.sum(1, keepdim=True).clamp(min=tiny)


def arc_length_time(mass: Tensor) -> Tensor:
    """Time of each frame along the path, s_t = sum over k < t of b_k, plus b_t / 2.

    Args:
        mass: (N, T), summing to 1.

    Returns:
        (N, T), not falling, between 0 and 1.
    """
    return mass.cumsum(1) - 0.5 * mass


def monotone_plan(mass: Tensor, phases: int) -> Tensor:
    r"""Optimal transport of the frames onto M equal phases, in the order of time.

    .. math:: P_{mt} = \max(0, \; \min(F_t, m / M) - \max(F_{t-1}, (m - 1) / M)), \qquad F_t = \sum_{k \le t} b_k

    It is the one plan that moves nothing past anything else, and so optimal for every convex cost of leaving the order
    of time. Differentiable in the mass.

    Args:
        mass: (N, T), summing to 1, or to 0 in a clip without a frame.
        phases: M.

    Returns:
        (N, M, T) plan P; rows sum to 1/M and columns to the mass (all 0 where there is no mass).
    """
    later = mass.cumsum(1).unsqueeze(1)
    earlier = later - mass.unsqueeze(1)
    edges = torch.arange(phases + 1, device=mass.device, dtype=mass.dtype) / phases
    start, end = edges[:-1].unsqueeze(1), edges[1:].unsqueeze(1)
    return (torch.minimum(later, end) - torch.maximum(earlier, start)).clamp(min=0)


def transport_distance(a: Tensor, b: Tensor) -> Tensor:
    r"""Wasserstein-1 distance of masses on the same T frames, :math:`\frac{1}{T} \sum_t |F^a_t - F^b_t|`.

    Args:
        a: (N, T), summing to 1.
        b: (N, T), summing to 1.

    Returns:
        (N,) in shares of the clip, 0..1.
    """
    return (a - b).cumsum(1).abs().mean(1)
