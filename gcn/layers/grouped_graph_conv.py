"""Sum over neighbours with a topology for each group of channels, refined by the clip. Ours."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GroupedAggregation(nn.Module):
    r"""Sums over neighbours; every group of channels has an adjacency of its own.

    .. math::
        Y_g = X_g \big(A_g + \alpha_g \tanh(a_g^\top \bar X_v - b_g^\top \bar X_w)\big)

    Groups with own adjacency are those of decoupled graph convolution (Cheng et al., ECCV 2020), the refinement by the
    features' mean over time is CTR-GCN's (Chen et al., ICCV 2021), here of rank one for each group instead of one
    matrix for each channel. Groups are slices of the channels, so that the sum is one batched product without a copy.
    A starts at the skeleton's subsets in turn and is a free parameter, alpha starts at zero.

    Shapes:
        - input and output: (N, C, T, V)

    Args:
        channels: C, a multiple of the groups.
        adjacency: float (K, V, V).
        groups: G.
    """

    def __init__(self, channels: int, adjacency: Tensor, groups: int) -> None:
        super().__init__()
        self.adjacency = nn.Parameter(adjacency[torch.arange(groups) % len(adjacency)].clone())
        self.gain = nn.Parameter(torch.zeros(groups, 1, 1))
        self.embed = nn.Conv1d(channels, 2 * groups, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Sum (N, C, T, V) over neighbours."""
        N, C, T, V = x.shape
        G = len(self.adjacency)
        a, b = self.embed(x.mean(2)).chunk(2, dim=1)  # (N, G, V)
        adjacency = torch.addcmul(self.adjacency, self.gain, torch.tanh(a[..., :, None] - b[..., None, :]))
        return torch.bmm(x.reshape(N * G, C // G * T, V), adjacency.flatten(0, 1)).reshape(N, C, T, V)
