"""Temporal branch of TFAM: transport of a clip's frames onto a canonical timeline. The equations are ours."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from piumr.tfam.motion_time import Mass, arc_length_time, frame_mass, monotone_plan, transport_distance
from piumr.tfam.precision import full, without_autocast


class Alignment(NamedTuple):
    """How the frames of each clip were laid on the canonical timeline (M = T phases).

    Attributes:
        path: (N, C, T) mean of the features over the valid joints of each frame, at least float32.
        plan: (N, M, T) transport plan P; row m sums to 1/M (0 in a clip without a valid frame).
        mass: (N, T) mass b of each frame.
        time: (N, T) arc-length time s of each frame, in 0..1.
        distance: (N,) Wasserstein-1 distance of the mass from the one that follows the motion, in shares of the clip.
    """

    path: Tensor
    plan: Tensor
    mass: Tensor
    time: Tensor
    distance: Tensor


class TemporalBranch(nn.Module):
    r"""Aligns each clip by the path of its features, where learned attention may stretch what tells actions apart.

    .. math::
        b_t &\propto b^0_t \exp(2 \tanh(w \cdot \hat f_t)) \\
        P &= \text{monotone plan}(b), \qquad z_m = M \textstyle\sum_t P_{mt} f_t, \qquad L_W = W_1(b, b^0)

    f_t is the mean feature over the valid joints of frame t, f^ the same less its mean along the path, in units of the
    clip's deviation from it, b^0 the mass that follows the motion (:mod:`piumr.tfam.motion_time`). w starts at zero,
    where the canonical timeline is arc-length time.

    Args:
        channels: C.
        mass: "motion" or "uniform" mass b^0.
        still_share: delta, mass of a frame that does not move.
    """

    def __init__(self, channels: int, mass: Mass = "motion", still_share: float = 0.3) -> None:
        super().__init__()
        self.mass, self.still_share = mass, still_share
        self.attention = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Alignment:
        """Align features (N, C, T, V) whose joints are `valid` (N, T, V), or all."""
        with without_autocast(x):
            path, present = joint_mean(full(x), valid)
            motion = frame_mass(path, present, self.mass, self.still_share)
            mass = motion * (2 * self._interest(path, motion).tanh()).exp()
            total = mass.sum(1, keepdim=True)
            mass = mass / torch.where(total > 0, total, 1.0)
            plan = monotone_plan(mass, x.shape[2])
            return Alignment(path, plan, mass, arc_length_time(mass), transport_distance(mass, motion))

    def _interest(self, path: Tensor, mass: Tensor) -> Tensor:
        """The products of w with f^ (N, T)."""
        centred = path - path @ mass.unsqueeze(2)  # the mean along the path: the same for a slow and a fast execution
        size = (centred.square().sum(1) * mass).sum(1)[:, None]
        return (self.attention.to(path.dtype) @ centred) * torch.rsqrt(size + path.shape[1] * _STILL**2)


_STILL = 1e-3
"""Feature deviation (root mean square over channels) below which a clip is at rest; it keeps gradients bounded."""


def joint_mean(x: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Mean over the valid joints of each frame.

    Args:
        x: (N, C, T, V).
        valid: (N, T, V) bool, or None where all are.

    Returns:
        (N, C, T) means, 0 where a frame has no valid joint, and (N, T) bool, the frames that have one (None for None).
    """
    if valid is None:
        return x.mean(3), None
    weight = valid.to(x.dtype)
    count = weight.sum(2)
    mean = (x * weight.unsqueeze(1)).sum(3) / count.clamp(min=1).unsqueeze(1)
    return mean, count > 0
