"""Rivals that vary the mean and standard deviation of each clip's feature channels, where style is said to lie.

MixStyle: Zhou, Yang, Qiao, Xiang, "Domain Generalization with MixStyle", ICLR 2021. DSU: Li, Dai, Ge, Liu, Shan, Duan,
"Uncertainty Modeling for Out-of-Distribution Generalization", ICLR 2022. Both are written for images (N, C, H, W);
frames and joints take the place of the two image axes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from piumr.errors import PiumrError

_FLOOR = 1e-6
"""Added to a variance before its root, as both papers' codes do."""


def instance_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel of each clip, both (N, C, 1, 1), of features (N, C, T, V)."""
    mean = x.mean((2, 3), keepdim=True)
    return mean, (x.var((2, 3), correction=0, keepdim=True) + _FLOOR).sqrt()


class MixStyle(nn.Module):
    r"""Mixes each clip's channel statistics with those of another clip of the batch.

    .. math::
        x' = \gamma \frac{x - \mu(x)}{\sigma(x)} + \beta, \qquad
        \gamma = \lambda \sigma(x) + (1 - \lambda) \sigma(\tilde x), \quad
        \beta = \lambda \mu(x) + (1 - \lambda) \mu(\tilde x), \qquad \lambda \sim \text{Beta}(\alpha, \alpha)

    The other clips are the batch in a random order; no gradient flows through the statistics. In evaluation mode, and
    in a share 1 - p of the training batches, features pass unchanged.

    Args:
        p: share of the batches that are mixed.
        alpha: of the Beta distribution.

    Shape:
        features (N, C, T, V) in and out.

    Raises:
        PiumrError: if an option is out of range.
    """

    def __init__(self, p: float = 0.5, alpha: float = 0.1) -> None:
        super().__init__()
        if not 0 <= p <= 1 or not 0 < alpha < math.inf:
            raise PiumrError(
                f"Expected `p` within 0..1 and `alpha` to be finite and positive, but got {p} and {alpha}."
            )
        self.p, self.alpha = p, alpha

    def forward(self, x: Tensor) -> Tensor:
        """Mix a batch; see the class for shapes."""
        if not self.training or torch.rand(()) >= self.p:
            return x
        concentration = torch.full((len(x), 1, 1, 1), self.alpha, device=x.device)
        share = torch.distributions.Beta(concentration, concentration).sample().to(x.dtype)
        return mix(x, torch.randperm(len(x), device=x.device), share)


def mix(x: Tensor, order: Tensor, share: Tensor) -> Tensor:
    """Features (N, C, T, V) with statistics of which a share (N, 1, 1, 1) stays and the rest is of clips ``order``."""
    mean, std = (statistic.detach() for statistic in instance_statistics(x))
    mixed_mean, mixed_std = (share * own + (1 - share) * own[order] for own in (mean, std))
    return mixed_std * (x - mean) / std + mixed_mean


class DSU(nn.Module):
    r"""Draws each clip's channel statistics from Gaussians as wide as they vary over the batch.

    .. math::
        x' = \gamma \frac{x - \mu(x)}{\sigma(x)} + \beta, \qquad
        \beta = \mu(x) + \epsilon_\mu \Sigma_\mu, \quad \gamma = \sigma(x) + \epsilon_\sigma \Sigma_\sigma, \qquad
        \epsilon \sim N(0, 1)

    Sigma_mu and Sigma_sigma are the population standard deviations over the batch of mu(x) and sigma(x). In evaluation
    mode, and in a share 1 - p of the training batches, features pass unchanged.

    Args:
        p: share of the batches that are varied.

    Shape:
        features (N, C, T, V) in and out.

    Raises:
        PiumrError: if an option is out of range.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise PiumrError(f"Expected `p` within 0..1, but got {p}.")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Vary a batch; see the class for shapes."""
        if not self.training or torch.rand(()) >= self.p:
            return x
        noise = torch.randn(2, *x.shape[:2], 1, 1, device=x.device, dtype=x.dtype)
        return resample_statistics(x, noise[0], noise[1])


def resample_statistics(x: Tensor, mean_noise: Tensor, std_noise: Tensor) -> Tensor:
    """Features (N, C, T, V) whose statistics have moved by noise (N, C, 1, 1), in the batch's standard deviations."""
    mean, std = instance_statistics(x)
    spread = [(own.var(0, correction=0, keepdim=True) + _FLOOR).sqrt() for own in (mean, std)]
    return (std + std_noise * spread[1]) * (x - mean) / std + mean + mean_noise * spread[0]
