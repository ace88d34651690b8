"""Temporal convolution in parallel branches of different reach."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MultiBranchTemporalConv(nn.Module):
    """Multi-branch temporal convolution of ST-GCN++ (Duan et al., PYSKL, ACM MM 2022).

    Dilated 3-frame convolutions, a 3-frame maximum and a plain 1x1 convolution side by side on slices of the
    channels, then BatchNorm, ReLU and a 1x1 convolution over all of them. The entry convolutions of all branches are
    one 1x1 convolution (exact: they read the same input).

    Shapes:
        - input: (N, C, T, V)
        - output: (N, C, ceil(T / stride), V)

    Args:
        channels: C, at least the number of branches.
        stride: temporal stride.
        dilations: dilation of each convolving branch.
        dropout: dropout rate after the last BatchNorm.
    """

    def __init__(
        self, channels: int, stride: int = 1, dilations: tuple[int, ...] = (1, 2, 3, 4), dropout: float = 0.0
    ) -> None:
        super().__init__()
        branches = len(dilations) + 2
        if channels < branches:
            raise ValueError(f"Expected `channels` to be at least {branches}, one a branch, but got {channels}.")
        narrow = channels // branches
        widest = channels - narrow * (branches - 1)  # the first branch takes what does not divide
        self.stride = stride
        self.widths = [widest, *[narrow] * (branches - 1)]
        self.enter = nn.Conv2d(channels, channels, 1)
        self.enter_norm = nn.BatchNorm2d(channels - narrow)  # the 1x1 branch has no norm of its own
        self.convs = nn.ModuleList(
            nn.Conv2d(width, width, (3, 1), (stride, 1), (dilation, 0), (dilation, 1))
            for width, dilation in zip(self.widths, dilations, strict=False)
        )
        self.maximum = nn.MaxPool2d((3, 1), (stride, 1), (1, 0))
        self.leave_norm = nn.BatchNorm2d(channels)
        self.leave = nn.Conv2d(channels, channels, 1)
        self.norm = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(dropout, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, T, V) to (N, C, ceil(T / stride), V)."""
        h = self.enter(x)
        plain = h[:, -self.widths[-1] :, :: self.stride]
        *convolved, pooled = torch.relu(self.enter_norm(h[:, : -self.widths[-1]])).split(self.widths[:-1], dim=1)
        branches = [conv(part) for conv, part in zip(self.convs, convolved, strict=True)]
        h = torch.cat([*branches, self.maximum(pooled), plain], dim=1)
        return self.dropout(self.norm(self.leave(torch.relu(self.leave_norm(h)))))
