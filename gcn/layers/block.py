"""The block that ST-GCN and its successors share, and stages of such blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Graph convolution, then temporal convolution, with a residual around both.

    Shapes:
        - input: (N, C_in, T, V)
        - output: (N, C_out, ceil(T / stride), V)

    Args:
        graph: (N, C_in, T, V) -> (N, C_out, T, V).
        temporal: (N, C_out, T, V) -> (N, C_out, ceil(T / stride), V).
        in_channels: C_in.
        out_channels: C_out.
        stride: temporal stride.
        residual: add the input, through a 1x1 convolution where the shape changes.
    """

    def __init__(
        self,
        graph: nn.Module,
        temporal: nn.Module,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        residual: bool = True,
    ) -> None:
        super().__init__()
        self.graph = graph
        self.temporal = temporal
        self.residual = shortcut(in_channels, out_channels, stride) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, C_out, ceil(T / stride), V) of (N, C_in, T, V)."""
        h = self.temporal(self.graph(x))
        return torch.relu(h) if self.residual is None else (h + self.residual(x)).relu_()


def shortcut(in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    """What carries (N, C_in, T, V) around a layer to (N, C_out, ceil(T / stride), V)."""
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, (stride, 1)), nn.BatchNorm2d(out_channels))


def build_stages(
    block: Callable[[int, int, int, bool], nn.Module],
    in_channels: int,
    channels: Sequence[int],
    depths: Sequence[int],
    strides: Sequence[int],
) -> list[nn.Module]:
    """Stages of blocks; the first block of a stage takes its stride and its width.

    Args:
        block: makes a block of (C_in, C_out, stride, whether it is the network's first).
        in_channels: C of the first block's input.
        channels: channels of each stage.
        depths: blocks of each stage.
        strides: temporal stride of each stage.

    Raises:
        ValueError: if channels, depths and strides are no equally long lists of numbers in range.
    """
    _check_stages(channels, depths, strides)
    stages: list[nn.Module] = []
    width = in_channels
    for out_channels, depth, stride in zip(channels, depths, strides, strict=True):
        blocks = []
        for index in range(depth):
            blocks.append(block(width, out_channels, 1 if index else stride, not stages and not index))
            width = out_channels
        stages.append(nn.Sequential(*blocks))
    return stages


def _check_stages(channels: Sequence[int], depths: Sequence[int], strides: Sequence[int]) -> None:
    # the limits are far beyond what is of use: they keep a typo from exhausting the memory
    for name, values, most in (("channels", channels, 4096), ("depths", depths, 64), ("strides", strides, 64)):
        if not isinstance(values, list | tuple) or not all(isinstance(n, int) and 1 <= n <= most for n in values):
            raise ValueError(f"Expected `{name}` to be a list of whole numbers in 1..{most}, but got {values!r}.")
    lengths = len(channels), len(depths), len(strides)
    if lengths[0] < 1 or len(set(lengths)) > 1:
        raise ValueError(
            "Expected `channels`, `depths` and `strides` to have one number for each of at least one stage, but got "
            f"{lengths[0]}, {lengths[1]} and {lengths[2]} numbers."
        )
