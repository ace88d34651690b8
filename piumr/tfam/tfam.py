"""TFAM: a second look at a network's features, aligned in time and as a spectrum, fused with its decision.

The equations are ours. A skeleton-based reading of PIUmr (arXiv 2509.21261), of which public are the abstract, the
reviews and one figure: a temporal branch with Wasserstein-regularised alignment, a frequency branch with
variance-guided perturbation, and a fusion that is driven by how consistent the two are.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from piumr.errors import PiumrError
from piumr.ranks import mean_over_ranks
from piumr.tfam.frequency import FrequencyBranch
from piumr.tfam.motion_time import Mass
from piumr.tfam.precision import full, without_autocast
from piumr.tfam.temporal import Alignment, TemporalBranch


class Aligned(NamedTuple):
    """What TFAM makes of a batch.

    Attributes:
        logits: (N, K) of both looks together, at least float32.
        transport_cost: Scalar L_W, the mean over clips of the distance by which attention moved the frames' mass.
        inconsistency: Scalar L_C, the mean over clips of the Bhattacharyya distance of the two looks, at least 0.
    """

    logits: Tensor
    transport_cost: Tensor
    inconsistency: Tensor


class TFAM(nn.Module):
    r"""Temporal-Frequency Alignment Module: a network's features (N, C, T, V) and its logits in, joint logits out.

    .. math::
        P &= \text{plan of the temporal branch}, \qquad A = \text{amplitudes of the frequency branch along } P \\
        z^f &= W \, \text{norm}(A) + c, \qquad z = (z^t + z^f) / 2 \\
        L_W &= \text{mean} \, W_1(b, b^0), \qquad L_C = \text{mean} \, (-\log \textstyle\sum_k \sqrt{p^t_k p^f_k})

    z^t are the network's own logits. The mean of logits is the product of two experts, p ~ sqrt(p^t p^f): large only
    for classes on which they agree, and L_C is minus the logarithm of its normaliser. The cross-entropy of p is the
    mean of the two looks' own less that distance, so that with weight w of L_C a plain loss is the mixture
    (1 - w) CE(p) + w (CE(p^t) + CE(p^f)) / 2: both looks together, and each by itself.

    The features may come from any place in the network; in its middle there are more frames, and more to see in their
    spectrum, than at its end. A clip without a valid frame keeps the network's logits and adds nothing to L_W and L_C;
    in training it is one of those whose statistics the norm takes. In evaluation mode the module is deterministic.

    Args:
        channels: C.
        frames: T, fixed.
        num_classes: K.
        bands: Largest number of octaves of the spectrum; 2 are the mean over time and all that is not.
        mass: "motion", where the canonical timeline follows the path of the features, or "uniform", where it follows
            the clock but for what is learned.
        still_share: Mass of a frame that does not move, as a share of the mean frame's.
        perturb_probability: Share of the training clips whose spectrum is perturbed; it did not help on inner folds.
        perturb_scale: Size kappa of the perturbation, in batch standard deviations.
        dropout: Rate before the classifier.

    Shape:
        x (N, C, T, V) float, finite also where not valid; logits (N, K); valid (N, T, V) bool or None.

    Raises:
        PiumrError: If an option is out of range, or an input does not have the shape the module was built for.

    Example:
        >>> tfam = TFAM(channels=16, frames=8, num_classes=3)
        >>> features, logits = torch.randn(2, 16, 8, 33), torch.randn(2, 3)
        >>> tfam(features, logits).logits.shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        channels: int,
        frames: int,
        num_classes: int,
        bands: int = 2,
        mass: Mass = "motion",
        still_share: float = 0.3,
        perturb_probability: float = 0.0,
        perturb_scale: float = 0.5,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        sizes = {"channels": channels, "frames": frames, "num_classes": num_classes, "bands": bands}
        shares = {"perturb_probability": perturb_probability, "dropout": dropout}
        _check_options(sizes, {"still_share": still_share, "perturb_scale": perturb_scale}, shares, mass)
        self.channels, self.frames, self.num_classes = channels, frames, num_classes
        self.temporal = TemporalBranch(channels, mass, still_share)
        self.frequency = FrequencyBranch(frames, bands, perturb_probability, perturb_scale)
        amplitudes = channels * self.frequency.bands
        self.norm: nn.Module = nn.BatchNorm1d(amplitudes)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(amplitudes, num_classes)

    def forward(self, x: Tensor, logits: Tensor, valid: Tensor | None = None) -> Aligned:
        """Look again and decide together; see the class for shapes."""
        self._check(x, logits, valid)
        alignment = self.temporal(x, valid)
        with without_autocast(x):
            amplitudes = self.frequency(alignment.path, alignment.plan)
            normed = self._normed(amplitudes.flatten(1).to(self.classifier.weight.dtype))
            second, first = full(self.classifier(self.dropout(normed))), full(logits)
            clips = None if valid is None else valid.flatten(1).any(1)  # (N,)
            if clips is not None:
                second = torch.where(clips[:, None], second, first)
            both = (first + second) / 2
            apart = (first.logsumexp(1) + second.logsumexp(1)) / 2 - both.logsumexp(1)
            return Aligned(both, self._mean(alignment.distance, clips), self._mean(apart, clips))

    def align(self, x: Tensor, valid: Tensor | None = None) -> Alignment:
        """The temporal branch alone: path, plan, frame mass and arc-length time, for diagnosis."""
        self._check_features(x, valid)
        return self.temporal(x, valid)

    @property
    def gate(self) -> Tensor:
        """(C, bands) factor by which each normed amplitude enters the classifier; 1 at first."""
        assert isinstance(self.norm, _BatchNorm)
        return self.norm.weight.view(self.channels, -1)

    def fuse(self) -> nn.Module:
        """The deployed form: without BatchNorm; called by :func:`gcn.deploy`."""
        if isinstance(self.norm, _BatchNorm):
            assert self.norm.running_var is not None
            assert self.norm.running_mean is not None
            scale = self.norm.weight * torch.rsqrt(self.norm.running_var + self.norm.eps)
            shift = self.norm.bias - scale * self.norm.running_mean
            self.classifier.bias.add_(self.classifier.weight @ shift)
            self.classifier.weight.mul_(scale)
            self.norm = nn.Identity()
        return self

    def _normed(self, rows: Tensor) -> Tensor:
        """The norm; a single clip, which has no statistics, is normed by the running ones."""
        norm = self.norm
        if self.training and len(rows) == 1 and isinstance(norm, nn.BatchNorm1d):
            return nn.functional.batch_norm(rows, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        normed: Tensor = norm(rows)
        return normed

    def _mean(self, values: Tensor, clips: Tensor | None) -> Tensor:
        """Mean of (N,) values over the clips that have a valid frame; 0 where none has. In training, of all ranks."""
        if self.training:
            return mean_over_ranks(values, clips)
        return values.mean() if clips is None else (values * clips).sum() / clips.sum().clamp(min=1)

    def _check(self, x: Tensor, logits: Tensor, valid: Tensor | None) -> None:
        self._check_features(x, valid)
        if logits.shape != (x.shape[0], self.num_classes):
            raise PiumrError(
                f"Expected `logits` to be (N={x.shape[0]}, K={self.num_classes}), but got {tuple(logits.shape)}."
            )

    def _check_features(self, x: Tensor, valid: Tensor | None) -> None:
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise PiumrError(f"Expected `x` to be (N, C={self.channels}, T, V), but got shape {tuple(x.shape)}.")
        if x.shape[2] != self.frames:
            raise PiumrError(
                f"Expected `x` to have T = {self.frames} frames, which TFAM fixes at construction, but got "
                f"T = {x.shape[2]}: resample the clips or build TFAM({self.channels}, frames={x.shape[2]}, ...)."
            )
        if valid is not None and (valid.dtype != torch.bool or valid.shape != (x.shape[0], *x.shape[2:])):
            raise PiumrError(
                f"Expected `valid` to be bool (N, T, V) = {(x.shape[0], *x.shape[2:])}, but got "
                f"{str(valid.dtype).removeprefix('torch.')} {tuple(valid.shape)}."
            )


def _check_options(sizes: dict[str, Any], numbers: dict[str, Any], shares: dict[str, Any], mass: str) -> None:
    """Refuse options that are of another kind or out of range, by name."""
    for name, value in sizes.items():
        least = 2 if name in ("frames", "num_classes") else 1
        if not isinstance(value, int) or value < least:
            raise PiumrError(f"Expected `{name}` to be a whole number of at least {least}, but got {value!r}.")
    for name, number in {**numbers, **shares}.items():
        most = 1 if name in shares else math.inf
        if not isinstance(number, int | float) or not 0 <= number <= most or number == math.inf:
            raise PiumrError(f"Expected `{name}` to be a finite number in 0..{most}, but got {number!r}.")
    if mass not in ("motion", "uniform"):
        raise PiumrError(f"Expected `mass` to be 'motion' or 'uniform', but got {mass!r}.")
