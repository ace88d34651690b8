"""Frequency branch of TFAM: amplitudes of the features' spectrum in octaves.

They are akin to the first order of the scattering transform (Anden and Mallat, "Deep Scattering Spectrum", IEEE TSP
2014): what happens matters, hardly when, and a warp of time changes them little. The plain mean over time that
classifiers are given is, but for its sign, their lowest band alone. The perturbation follows ALOFT-E
(Guo et al., "ALOFT: A Lightweight MLP-like Architecture with Dynamic Low-frequency Transform for Domain
Generalization", CVPR 2023), there on Fourier amplitudes of images. On the DCT of features along the canonical timeline
both are ours.
"""

import math

import torch
from torch import Tensor, nn

from piumr.ranks import std_over_ranks


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


def octaves(frames: int, most: int) -> Tensor:
    """Which band each frequency of T frames belongs to: 0 | 1 | 2, 3 | 4 to 7 | ..., the last takes all that is left.

    Args:
        frames: T.
        most: largest number of bands.

    Returns:
        (T, bands) float32 of zeros and ones.
    """
    band = torch.tensor([min(k.bit_length(), most - 1) for k in range(frames)])
    return nn.functional.one_hot(band).float()


def perturb_amplitudes(amplitudes: Tensor, probability: float, scale: float) -> Tensor:
    r"""Vary the amplitudes of each clip as much as they vary between the clips of the batch.

    .. math:: A' = \max(A + \kappa \, e \, \Sigma, 0)

    Sigma is the population standard deviation of A over the (joint) batch per (channel, band), without gradient;
    e ~ N(0, 1) per (sample, channel, band). A batch of one varies by nothing and is not perturbed.

    Args:
        amplitudes: (N, C, bands) float, at least 0.
        probability: Share of the clips that are perturbed.
        scale: kappa.

    Returns:
        (N, C, bands).
    """
    spread = std_over_ranks(amplitudes)
    noise = torch.randn_like(amplitudes)
    chosen = torch.rand_like(noise[:, :1, :1]) < probability  # (N, 1, 1)
    perturbed = (amplitudes + scale * noise * spread).clamp(min=0)
    return torch.where(chosen, perturbed, amplitudes)


class FrequencyBranch(nn.Module):
    r"""Amplitudes of a course over time, in octaves of frequency.

    .. math:: A_{cj} = \sqrt{10^{-6} + \textstyle\sum_{k \in \text{octave } j} (B z_c)_k^2}

    Perturbed in training where asked for (:func:`perturb_amplitudes`).

    Args:
        frames: T.
        bands: Largest number of octaves, the mean (frequency 0) among them. With 2 the other holds all else: by
            Parseval, the standard deviation over time times the square root of T.
        probability: Share of the training clips that are perturbed.
        scale: kappa, the size of the perturbation.
    """

    basis: Tensor
    octave: Tensor

    def __init__(self, frames: int, bands: int = 2, probability: float = 0.0, scale: float = 0.5) -> None:
        super().__init__()
        self.probability, self.scale = probability, scale
        self.register_buffer("basis", dct_matrix(frames), persistent=False)
        self.register_buffer("octave", octaves(frames, bands), persistent=False)

    @property
    def bands(self) -> int:
        """Number of octaves."""
        return self.octave.shape[1]

    def forward(self, path: Tensor, plan: Tensor) -> Tensor:
        """Amplitudes (N, C, bands) of the path (N, C, T), laid on the canonical timeline by its plan (N, M, T)."""
        warped = self.basis.to(path.dtype) @ plan * plan.shape[1]  # the DCT of the canonical timeline, on the clock's
        power = (path @ warped.mT).square() @ self.octave.to(path.dtype)
        amplitudes = (power + _FLOOR).sqrt()
        if not self.training or self.probability == 0:
            return amplitudes
        return perturb_amplitudes(amplitudes, self.probability, self.scale)


_FLOOR = 1e-6
"""Power below which a band is at rest; it bounds the gradient of the square root."""
