"""Frequency branch of TFAM: variance-guided perturbation and a learned gate on the spectrum of every joint.

The perturbation follows ALOFT-E (Guo et al., "ALOFT: A Lightweight MLP-like Architecture with Dynamic Low-frequency
Transform for Domain Generalization", CVPR 2023), there on Fourier amplitudes of images; on a DCT over time, with the
noise shared by the joints of a clip, it is ours.
"""

import math

import torch
from torch import Tensor, nn

from piumr.ranks import std_over_ranks
from piumr.tfam.precision import full, without_autocast


def dct_matrix(frames: int) -> Tensor:
    r"""Orthonormal DCT-II as a matrix.

    .. math:: B_{kt} = \sqrt{(2 - [k = 0]) / T} \, \cos(\pi k (t + 1/2) / T)

    Args:
        frames: T.

    Returns:
        (T, T) float32: B @ x is the spectrum of x over time and B' @ s gives it back.
    """
    index = torch.arange(frames, dtype=torch.float64)
    basis = torch.cos(math.pi / frames * index.unsqueeze(1) * (index + 0.5)) * math.sqrt(2 / frames)
    basis[0] /= math.sqrt(2)
    return basis.float()


def perturb_spectrum(spectrum: Tensor, probability: float = 0.5, scale: float = 0.5) -> Tensor:
    r"""Vary the amplitudes of each clip as much as they vary between the clips of the batch.

    .. math:: S' = \text{sign}(S) \max(|S| + \kappa \, e \, \Sigma, 0)

    Sigma is the population standard deviation of |S| over the (joint) batch per (channel, frequency, joint), without
    gradient; e ~ N(0, 1) per (sample, channel, frequency), shared by the joints as a person's limb lengths are. A
    batch of one varies by nothing and is not perturbed.

    Args:
        spectrum: (N, C, T, V) float.
        probability: Share of the clips that are perturbed.
        scale: kappa.

    Returns:
        (N, C, T, V).
    """
    spread = std_over_ranks(spectrum.abs())
    noise = torch.randn_like(spectrum[..., :1])
    chosen = torch.rand_like(noise[:, :1, :1]) < probability  # (N, 1, 1, 1)
    perturbed = spectrum.sign() * (spectrum.abs() + scale * noise * spread).clamp(min=0)
    return torch.where(chosen, perturbed, spectrum)


class FrequencyBranch(nn.Module):
    r"""Perturbs (in training) and gates the temporal spectrum of features.

    .. math:: z = B' \, (g \odot S'), \qquad S = B X, \qquad g = 2 \, \text{sigmoid}(\theta)

    The gate starts at 1, where the branch is the identity; weight decay pulls it back there, not to silence.

    Args:
        channels: C.
        frames: T.
        probability: Share of the training clips that are perturbed.
        scale: kappa, the size of the perturbation.
    """

    basis: Tensor

    def __init__(self, channels: int, frames: int, probability: float = 0.5, scale: float = 0.5) -> None:
        super().__init__()
        self.probability, self.scale = probability, scale
        self.gate_logits = nn.Parameter(torch.zeros(channels, frames))
        self.register_buffer("basis", dct_matrix(frames), persistent=False)

    @property
    def gate(self) -> Tensor:
        """(C, T) factor of each frequency, between 0 and 2."""
        return 2 * self.gate_logits.sigmoid()

    def forward(self, x: Tensor, fill: Tensor | None = None) -> Tensor:
        """Filter features (N, C, T, V); `fill` (N, T, T) replaces missing frames first. Returns (N, C, T, V)."""
        with without_autocast(x):
            x = full(x)
            basis = self.basis.to(x.dtype)
            forward = basis if fill is None else (basis @ fill.to(x.dtype)).unsqueeze(1)
            spectrum = forward @ x
            if self.training:
                spectrum = perturb_spectrum(spectrum, self.probability, self.scale)
            return basis.T @ (spectrum * self.gate.unsqueeze(2))
