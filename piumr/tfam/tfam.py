"""TFAM: consistency-driven fusion of the temporal and the frequency branch. The equations are ours.

A skeleton-based reading of PIUmr (arXiv 2509.21261), of which public are the abstract, the reviews and one figure: a
temporal branch with Wasserstein-regularised alignment, a frequency branch with variance-guided perturbation, and a
fusion that is driven by how consistent the two are.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from piumr.errors import PiumrError
from piumr.ranks import mean_over_ranks
from piumr.tfam.frequency import FrequencyBranch
from piumr.tfam.motion_time import Mass
from piumr.tfam.precision import full, without_autocast
from piumr.tfam.temporal import Alignment, TemporalBranch, project


class Aligned(NamedTuple):
    """What TFAM makes of a batch.

    Attributes:
        features: (N, C, T, V), dtype of the input.
        transport_cost: Scalar L_W, the mean over clips of <P, C>.
        inconsistency: Scalar L_C, the mean over clips of 1 - r, in 0..2.
    """

    features: Tensor
    transport_cost: Tensor
    inconsistency: Tensor


class TFAM(nn.Module):
    r"""Temporal-Frequency Alignment Module: wraps any features (N, C, T, V) and returns them aligned.

    .. math::
        r &= \text{mean}_m \cos(\bar z^t_m, \; M \textstyle\sum_t P_{mt} \bar z^f_t) \\
        \alpha &= \text{sigmoid}(w \cdot [\text{pool} z^t, \text{pool} z^f, r]) \\
        Y &= X + \alpha P_t(z^t) + (1 - \alpha) P_f(z^f), \qquad L_C = \text{mean}(1 - r)

    Bars are means over the joints, both laid on the canonical timeline and centred over it for r; pool is the mean and
    the standard deviation over that timeline. P_t and P_f are 1x1 convolutions with BatchNorm whose scale starts at
    zero, so that Y = X at initialisation for any X. A clip without a valid frame passes through unchanged, always,
    and adds nothing to either loss. In evaluation mode the module is deterministic.

    Args:
        channels: C.
        frames: T, fixed: the canonical timeline has as many phases.
        eps: Entropy of the transport.
        iterations: Sinkhorn iterations.
        time_weight: Price lambda of leaving the order of time.
        mass: "motion", where mass follows the path of the features, or "uniform", where it follows the clock.
        perturb_probability: Share of the training clips whose spectrum is perturbed.
        perturb_scale: Size kappa of the perturbation, in batch standard deviations.

    Shape:
        x (N, C, T, V) float, finite also where not valid; valid (N, T, V) bool or None; output (N, C, T, V).

    Raises:
        PiumrError: If an option is out of range, or an input does not have the shape the module was built for.

    Example:
        >>> tfam = TFAM(channels=16, frames=8)
        >>> x = torch.randn(2, 16, 8, 33)
        >>> torch.equal(tfam(x).features, x)  # the identity until it is trained
        True
    """

    def __init__(
        self,
        channels: int,
        frames: int,
        eps: float = 0.1,
        iterations: int = 20,
        time_weight: float = 1.0,
        mass: Mass = "motion",
        perturb_probability: float = 0.5,
        perturb_scale: float = 0.5,
    ) -> None:
        super().__init__()
        for name, value in (("channels", channels), ("frames", frames), ("iterations", iterations)):
            if not isinstance(value, int):
                raise PiumrError(f"Expected `{name}` to be a whole number, but got {value!r}.")
        for name, number in (
            ("eps", eps),
            ("time_weight", time_weight),
            ("perturb_probability", perturb_probability),
            ("perturb_scale", perturb_scale),
        ):
            if not isinstance(number, int | float) or not 0 <= number < math.inf:
                raise PiumrError(f"Expected `{name}` to be a finite number of at least 0, but got {number!r}.")
        if channels < 1 or frames < 2:
            raise PiumrError(
                f"Expected `channels` to be at least 1 and `frames` at least 2, but got {channels} and {frames}."
            )
        if eps <= 0 or iterations < 1:
            raise PiumrError(
                f"Expected `eps` to be positive and `iterations` at least 1, but got {eps} and {iterations}."
            )
        if mass not in ("motion", "uniform"):
            raise PiumrError(f"Expected `mass` to be 'motion' or 'uniform', but got {mass!r}.")
        if not 0 <= perturb_probability <= 1:
            raise PiumrError(f"Expected `perturb_probability` to be in 0..1, but got {perturb_probability}.")
        self.channels, self.frames = channels, frames
        self.temporal = TemporalBranch(channels, frames, eps, iterations, time_weight, mass)
        self.frequency = FrequencyBranch(channels, frames, perturb_probability, perturb_scale)
        self.project_temporal = _zero_projection(channels)
        self.project_frequency = _zero_projection(channels)
        self.weigh = nn.Linear(4 * channels + 1, 1)
        nn.init.zeros_(self.weigh.weight)
        nn.init.zeros_(self.weigh.bias)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Aligned:
        """Align features; see the class for shapes."""
        self._check(x, valid)
        alignment = self.temporal(x, valid)
        zf = self.frequency(x, alignment.fill)
        with without_autocast(x):
            consistency, alpha = self._consistency(full(x).mean(3), zf.mean(3), alignment.plan)
            clips = None if valid is None else valid.flatten(1).any(1)  # (N,)
            transport_cost = self._mean((alignment.plan * alignment.cost).sum((1, 2)), clips)
            inconsistency = self._mean(1 - consistency, clips)
        temporal = self.project_temporal(alignment.features)
        frequency = self.project_frequency(zf.to(x.dtype))
        change = torch.lerp(frequency, temporal, alpha.to(frequency.dtype)[:, None, None, None])
        if clips is not None:
            change = change * clips[:, None, None, None]  # a trained shift must not reach a clip without frames
        return Aligned((x + change).to(x.dtype), transport_cost, inconsistency)

    def align(self, x: Tensor, valid: Tensor | None = None) -> Alignment:
        """The temporal branch alone: plan, frame mass, arc-length time, cost and aligned features, for diagnosis."""
        self._check(x, valid)
        return self.temporal(x, valid)

    def _consistency(self, x: Tensor, zf: Tensor, plan: Tensor) -> tuple[Tensor, Tensor]:
        """Agreement r (N,) of the branches and weight alpha (N,) of the temporal one, from joint means (N, C, T)."""
        both = project(plan, torch.cat((x, zf), 1))  # (N, 2 C, M): projecting and averaging over joints commute
        mean = both.mean(2, keepdim=True)
        centred = both - mean
        zt, zf = centred.chunk(2, 1)
        consistency = _cosine(zt, zf).mean(1)
        std = (centred.square().mean(2) + _FLOOR).sqrt()
        summary = torch.cat((mean.squeeze(2), std, consistency.unsqueeze(1)), 1)
        return consistency, self.weigh(summary.to(self.weigh.weight.dtype)).squeeze(1).sigmoid()

    def _mean(self, values: Tensor, clips: Tensor | None) -> Tensor:
        """Mean of (N,) values over the clips that have a valid frame; 0 where none has. In training, of all ranks."""
        if self.training:
            return mean_over_ranks(values, clips)
        return values.mean() if clips is None else (values * clips).sum() / clips.sum().clamp(min=1)

    def _check(self, x: Tensor, valid: Tensor | None) -> None:
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise PiumrError(f"Expected `x` to be (N, C={self.channels}, T, V), but got shape {tuple(x.shape)}.")
        if x.shape[2] != self.frames:
            raise PiumrError(
                f"Expected `x` to have T = {self.frames} frames, which TFAM fixes at construction, but got "
                f"T = {x.shape[2]}: resample the clips or build TFAM(channels={self.channels}, frames={x.shape[2]})."
            )
        if valid is not None and (valid.dtype != torch.bool or valid.shape != (x.shape[0], *x.shape[2:])):
            raise PiumrError(
                f"Expected `valid` to be bool (N, T, V) = {(x.shape[0], *x.shape[2:])}, but got "
                f"{str(valid.dtype).removeprefix('torch.')} {tuple(valid.shape)}."
            )


_FLOOR = 1e-6
"""Squared size below which a centred joint mean is at rest: two branches at rest agree, and gradients stay bounded."""


def _zero_projection(channels: int) -> nn.Sequential:
    """1x1 convolution and BatchNorm that give zero until trained."""
    norm = nn.BatchNorm2d(channels)
    nn.init.zeros_(norm.weight)
    return nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False), norm)


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine over dim 1 of vectors to which one small constant coordinate is appended: 1 where both vanish."""
    floor = a.shape[1] * _FLOOR
    dot = (a * b).sum(1) + floor
    return dot * torch.rsqrt((a.square().sum(1) + floor) * (b.square().sum(1) + floor))
