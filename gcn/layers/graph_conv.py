"""Graph convolution over adjacency subsets that are learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GraphConv(nn.Module):
    r"""Spatial graph convolution with learned adjacency, residual and BatchNorm.

    .. math:: Y = \mathrm{ReLU}\big(\mathrm{BN}(\textstyle\sum_k W_k X A_k) + R(X)\big)

    as in ST-GCN++ (Duan et al., PYSKL, ACM MM 2022): the adjacency starts at the skeleton's and is a free parameter.
    The sum runs over neighbours first and over channels in one 1x1 convolution for all subsets: the order that costs
    less where channels widen.

    Shapes:
        - input: (N, C_in, T, V)
        - output: (N, C_out, T, V)

    Args:
        in_channels: C_in.
        out_channels: C_out.
        adjacency: float (K, V, V), the start of the learned adjacency.
    """

    def __init__(self, in_channels: int, out_channels: int, adjacency: Tensor) -> None:
        super().__init__()
        self.adjacency = nn.Parameter(adjacency.clone())
        self.subsets = adjacency.shape[0]
        self.project = nn.Conv2d(in_channels * self.subsets, out_channels, 1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.residual: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.residual = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C_in, T, V) to (N, C_out, T, V)."""
        N, C, T, V = x.shape
        h = torch.matmul(x.reshape(N, 1, C * T, V), self.adjacency)  # (N, K, C_in T, V)
        h = self.project(h.reshape(N, self.subsets * C, T, V))
        return torch.relu(self.norm(h) + self.residual(x))
