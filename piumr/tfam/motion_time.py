"""Time measured along the path of the features instead of by the clock, and frames that are missing.

A slow and a fast execution of one movement trace the same path. Mass laid on frames in proportion to the path covered
around them is therefore the same per piece of path in both, and its cumulative sum is a time that both
share. The equations are ours.
"""

from typing import Literal

import torch
from torch import Tensor, nn

Mass = Literal["motion", "uniform"]

STILL_SHARE = 0.1
"""Mass of a frame that does not move, as a share of the mean frame's (delta)."""
_ROUNDING = 1e-6
"""Motion below this share of the features' size is rounding: the mass tends to uniform instead of following it."""


def neighbours(present: Tensor) -> tuple[Tensor, Tensor]:
    """The frames between which each frame lies.

    Args:
        present: (N, T) bool.

    Returns:
        Two (N, T) int64 tensors: the last present frame not after t and the first present frame not before t. Where
        there is none on one side both are the one on the other side. For a clip without any present frame both are
        out of range.
    """
    frames = present.shape[1]
    index = torch.arange(frames, device=present.device)
    # comparisons and reductions only: a running maximum has no ONNX operator
    not_after = index <= index.unsqueeze(1)
    candidates = present.unsqueeze(1)
    before = torch.where(candidates & not_after, index, -1).amax(2)
    after = torch.where(candidates & not_after.T, index, frames).amin(2)
    left = torch.where(before >= 0, before, after)
    right = torch.where(after < frames, after, before)
    return left, right


def _select(index: Tensor, dtype: torch.dtype) -> Tensor:
    """(N, T, T) matrix that picks frame `index` (N, T) by a product."""
    return (index.unsqueeze(2) == torch.arange(index.shape[1], device=index.device)).to(dtype)


def interpolation_matrix(present: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Matrix that fills missing frames linearly in time and holds the edges, as `numpy.interp` does.

    Args:
        present: (N, T) bool.
        dtype: Of the matrix.

    Returns:
        A (N, T, T), so that A @ x has no missing frames; the identity where all frames are present, zero for a clip
        without any.
    """
    left, right = neighbours(present)
    index = torch.arange(present.shape[1], device=present.device)
    gap = (right - left).clamp(min=1)
    share = ((index - left).to(dtype) / gap.to(dtype)).unsqueeze(2)
    # where both neighbours are the same frame the two terms add up to it, whatever the share
    return _select(left, dtype) * (1 - share) + _select(right, dtype) * share


def frame_mass(features: Tensor, fill: Tensor | None = None, kind: Mass = "motion") -> Tensor:
    r"""Mass of each frame, in proportion to the path that the features cover around it.

    .. math::
        b_t = v_t (\delta \bar d + d_t) / \textstyle\sum, \qquad
        d_t = (|f_t - f_{t-1}| + |f_{t+1} - f_t|) / 2, \qquad \delta = 0.1

    Steps are between consecutive present frames and their mean is d; the first and the last frame have a step on one
    side only. Uniform where nothing moves. (Half of the step on either side, not the whole step before the frame: the
    latter lags the path by half a step, which the two executions of a movement do not share.)

    Args:
        features: (N, C, T) one feature vector for each frame. No gradient flows through the mass.
        fill: (N, T, T) of :func:`interpolation_matrix`, or None where all frames are present.
        kind: "motion", or "uniform" for equal mass on all present frames.

    Returns:
        (N, T) masses that sum to 1 (0 for a clip without a present frame); 0 on missing frames.
    """
    path = features.detach()
    # a present frame keeps itself
    here = torch.ones_like(path[:, 0]) if fill is None else (fill.sum(1) > 0).to(path.dtype)
    tiny = torch.finfo(path.dtype).tiny
    weight = here
    if kind == "motion":
        path = path if fill is None else path @ fill.mT
        step = torch.linalg.vector_norm(path[:, :, 1:] - path[:, :, :-1], dim=1)
        motion = 0.5 * (nn.functional.pad(step, (1, 0)) + nn.functional.pad(step, (0, 1)))
        if fill is not None:
            # the path through a missing frame belongs to the frames it was filled from: half of a gap to either side
            motion = (motion.unsqueeze(1) @ fill).squeeze(1)
        mean = step.sum(1, keepdim=True) / (here.sum(1, keepdim=True) - 1).clamp(min=1)
        size = torch.linalg.vector_norm(path, dim=(1, 2)).unsqueeze(1)
        weight = (motion + STILL_SHARE * mean + _ROUNDING * size + tiny) * here
    return weight / weight.sum(1, keepdim=True).clamp(min=tiny)


def arc_length_time(mass: Tensor) -> Tensor:
    """Time of each frame along the path, s_t = sum over k < t of b_k, plus b_t / 2.

    Args:
        mass: (N, T), summing to 1.

    Returns:
        (N, T), not falling, between 0 and 1.
    """
    return mass.cumsum(1) - 0.5 * mass
