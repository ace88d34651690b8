"""Temporal branch of TFAM: transport of a clip's frames onto a learned canonical timeline.

The equations are ours; the transport is Cuturi's (2013).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from piumr.tfam.motion_time import Mass, arc_length_time, frame_mass, interpolation_matrix
from piumr.tfam.precision import full, without_autocast
from piumr.tfam.sinkhorn import sinkhorn

_STILL = 1e-3
"""Feature deviation (root mean square over channels) below which a frame has no direction to compare."""


class Alignment(NamedTuple):
    """How the frames of each clip were laid on the canonical timeline (M = T phases).

    Attributes:
        plan: (N, M, T) transport plan P; row m sums to 1/M (0 in a clip without a valid frame).
        mass: (N, T) mass b of each frame.
        time: (N, T) arc-length time s of each frame, in 0..1.
        cost: (N, M, T) transport cost C.
        fill: (N, T, T) matrix that interpolates the missing frames, None where no mask was given.
        features: (N, C, M, V) aligned features z, in the dtype the surrounding network computes in.
    """

    plan: Tensor
    mass: Tensor
    time: Tensor
    cost: Tensor
    fill: Tensor | None
    features: Tensor


def project(plan: Tensor, x: Tensor) -> Tensor:
    """Barycentric projection z_m = M sum over t of P_mt x_t.

    Args:
        plan: (N, M, T).
        x: (N, C, T, V), or (N, C, T).

    Returns:
        (N, C, M, V), or (N, C, M).
    """
    weights = plan * plan.shape[1]
    return x @ weights.mT if x.ndim == 3 else weights.unsqueeze(1) @ x


class TemporalBranch(nn.Module):
    r"""Aligns each clip with learned canonical phases by entropic optimal transport.

    .. math::
        C_{mt} &= 1 - \cos(a_m, f_t) + \lambda \, (2 (u_m - s_t))^2, \qquad u_m = (m - 1/2) / T \\
        P &= \text{sinkhorn}(C, 1/M, b), \qquad z_m = M \textstyle\sum_t P_{mt} X_t

    f_t is the mean feature over the valid joints of frame t, centred over the clip; b and s are its frame mass and
    arc-length time (:mod:`piumr.tfam.motion_time`).

    The design writes cos(a_m, W f_t) with an orthogonal W. Since W keeps lengths, cos(a_m, W f_t) = cos(W' a_m, f_t),
    and W' a_m is as free as a_m: the phases are learned in the features' own coordinates and W is not needed.

    Args:
        channels: C.
        frames: T, which is also the number M of phases.
        eps: Entropy of the transport.
        iterations: Sinkhorn iterations.
        time_weight: lambda, the price of leaving the order of time.
        mass: "motion" or "uniform" frame mass.
    """

    phase_times: Tensor

    def __init__(
        self,
        channels: int,
        frames: int,
        eps: float = 0.1,
        iterations: int = 20,
        time_weight: float = 1.0,
        mass: Mass = "motion",
    ) -> None:
        super().__init__()
        self.eps, self.iterations, self.time_weight, self.mass = eps, iterations, time_weight, mass
        self.phases = nn.Parameter(torch.randn(frames, channels) * channels**-0.5)
        self.register_buffer("phase_times", (torch.arange(frames) + 0.5) / frames, persistent=False)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Alignment:
        """Align features (N, C, T, V) whose joints are `valid` (N, T, V), or all."""
        with without_autocast(x):
            path, present = joint_mean(full(x), valid)
            fill = None if present is None else interpolation_matrix(present, path.dtype)
            mass = frame_mass(path, fill, self.mass)
            time = arc_length_time(mass)
            cost = self._cost(path, mass, time)
            plan = sinkhorn(cost, None, mass, self.eps, self.iterations)
        return Alignment(plan, mass, time, cost, fill, project(plan.to(x.dtype), x))

    def _cost(self, path: Tensor, mass: Tensor, time: Tensor) -> Tensor:
        """(N, M, T) from the path (N, C, T)."""
        # the mean along the path, not along the clock: it is the same for a slow and a fast execution
        path = path - path @ mass.unsqueeze(2)
        # scaled to unit length; the floor keeps the gradient bounded where nothing moves
        path = path * torch.rsqrt(path.square().sum(1, keepdim=True) + path.shape[1] * _STILL**2)
        phases = nn.functional.normalize(self.phases, dim=1)
        late = 2 * (self.phase_times.unsqueeze(1) - time.unsqueeze(1))  # (N, M, T)
        return 1 - phases @ path + self.time_weight * late.square()


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
