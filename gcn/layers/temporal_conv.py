"""Temporal convolution: plain, and in parallel branches of different reach."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gcn.layers.folding import ChannelAffine, fold_norm, norm_affine, with_weights


def temporal_conv(channels: int, stride: int = 1, kernel_size: int = 9) -> nn.Sequential:
    """Convolution over time of (N, C, T, V) to (N, C, ceil(T / stride), V), with BatchNorm, as in ST-GCN."""
    conv = nn.Conv2d(channels, channels, (kernel_size, 1), (stride, 1), (kernel_size // 2, 0))
    return nn.Sequential(conv, nn.BatchNorm2d(channels))


class _Branches(nn.Module):
    """Dilated convolutions, a 3-frame maximum and a plain 1x1 convolution side by side on slices of the channels.

    Every branch has BatchNorm at its end and all but the plain one have BatchNorm and ReLU after their entry. The entry
    convolutions of all branches are one 1x1 convolution, which is exact: they read the same input. So is each row of
    norms; the plain branch has its one after the stride, so that it sees the statistics of the frames that are left.
    """

    def __init__(self, channels: int, stride: int, dilations: tuple[int, ...], kernel_size: int) -> None:
        super().__init__()
        self.stride = stride
        self.widths = branch_widths(channels, len(dilations) + 2)
        self.enter = nn.Conv2d(channels, channels, 1)
        self.enter_norm = nn.BatchNorm2d(channels - self.widths[-1])
        self.convs = branch_convs(self.widths, dilations, stride, kernel_size)
        self.leave_norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, T, V) to (N, C, ceil(T / stride), V)."""
        h = self.enter(x)
        plain = h[:, -self.widths[-1] :, :: self.stride]
        *convolved, pooled = torch.relu(self.enter_norm(h[:, : -self.widths[-1]])).split(self.widths[:-1], dim=1)
        branches = [conv(part) for conv, part in zip(self.convs, convolved, strict=True)]
        return self.leave_norm(torch.cat([*branches, maximum(pooled, self.stride), plain], dim=1))

    def fuse(self) -> nn.Module:
        """The same in evaluation mode without BatchNorm."""
        plain = self.widths[-1]
        scale, shift = norm_affine(self.leave_norm)
        enter = rescale_head(self.enter, *norm_affine(self.enter_norm))
        enter = rescale_tail(enter, scale[-plain:], shift[-plain:])
        return FusedBranches(self.widths, self.stride, enter, self.convs, scale[:-plain], shift[:-plain])


class MultiBranchTemporalConv(_Branches):
    """Multi-branch temporal convolution of ST-GCN++ (Duan et al., PYSKL, ACM MM 2022).

    Dilated 3-frame convolutions, a 3-frame maximum and a plain 1x1 convolution side by side on slices of the
    channels, then BatchNorm, ReLU and a 1x1 convolution over all of them.

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
        super().__init__(channels, stride, dilations, 3)
        self.leave = nn.Conv2d(channels, channels, 1)
        self.norm = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(dropout, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, T, V) to (N, C, ceil(T / stride), V)."""
        return self.dropout(self.norm(self.leave(torch.relu(super().forward(x)))))

    def fuse(self) -> nn.Module:
        """The same in evaluation mode without BatchNorm."""
        return nn.Sequential(super().fuse(), nn.ReLU(inplace=True), fold_norm(self.leave, self.norm))


class MultiScaleTemporalConv(_Branches):
    """Multi-scale temporal convolution of CTR-GCN (Chen et al., ICCV 2021).

    5-frame convolutions of dilation 1 and 2, a 3-frame maximum and a plain 1x1 convolution side by side on slices of
    the channels, each with BatchNorm, and no mixing after them.

    Shapes:
        - input: (N, C, T, V)
        - output: (N, C, ceil(T / stride), V)

    Args:
        channels: C, at least the number of branches.
        stride: temporal stride.
        dilations: dilation of each convolving branch.
        kernel_size: frames of each convolving branch.
    """

    def __init__(
        self, channels: int, stride: int = 1, dilations: tuple[int, ...] = (1, 2), kernel_size: int = 5
    ) -> None:
        super().__init__(channels, stride, dilations, kernel_size)


class FusedBranches(nn.Module):
    """Deployed form of both multi-branch convolutions: the norms are in the convolutions, but for the maximum's.

    Shapes:
        - input: (N, C, T, V)
        - output: (N, C, ceil(T / stride), V)

    Args:
        widths: channels of each branch; the last is the plain one.
        stride: temporal stride.
        enter: 1x1 convolution into all branches.
        convs: convolution of each convolving branch.
        scale: what multiplies the outputs of all branches but the plain one.
        shift: what is then added to them.
    """

    def __init__(
        self,
        widths: list[int],
        stride: int,
        enter: nn.Conv2d,
        convs: nn.ModuleList,
        scale: Tensor,
        shift: Tensor,
    ) -> None:
        super().__init__()
        self.widths, self.stride = widths, stride
        self.enter = enter
        scales, shifts = scale.split(widths[:-1]), shift.split(widths[:-1])
        self.convs = nn.ModuleList(
            rescale_head(conv, factor, term)  # type: ignore[arg-type]
            for conv, factor, term in zip(convs, scales, shifts, strict=False)
        )
        # a maximum does not commute with a negative scale
        self.pooled_affine = ChannelAffine(scales[-1].to(enter.weight), shifts[-1].to(enter.weight))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, T, V) to (N, C, ceil(T / stride), V)."""
        h = self.enter(x)
        plain = h[:, -self.widths[-1] :, :: self.stride]
        *convolved, pooled = h[:, : -self.widths[-1]].relu_().split(self.widths[:-1], dim=1)
        branches = [conv(part) for conv, part in zip(self.convs, convolved, strict=True)]
        return torch.cat([*branches, self.pooled_affine(maximum(pooled, self.stride)), plain], dim=1)


def maximum(x: Tensor, stride: int) -> Tensor:
    """Maximum over three frames of x >= 0, (N, C, T, V) to (N, C, ceil(T / stride), V).

    Element by element this is several times as fast on a CPU as a pooling operator. Beyond the ends is zero, which
    changes no maximum.
    """
    T = x.shape[2]
    x = F.pad(x, (0, 0, 1, 1))
    before, at, after = (x[:, :, shift : shift + T : stride] for shift in range(3))
    return torch.maximum(torch.maximum(before, at), after)


def branch_widths(channels: int, branches: int) -> list[int]:
    """Channels of each branch: equal, but the first takes what does not divide.

    Raises:
        ValueError: if there are fewer channels than branches.
    """
    if channels < branches:
        raise ValueError(f"Expected `channels` to be at least {branches}, one a branch, but got {channels}.")
    narrow = channels // branches
    return [channels - narrow * (branches - 1), *[narrow] * (branches - 1)]


def branch_convs(widths: list[int], dilations: tuple[int, ...], stride: int, kernel_size: int) -> nn.ModuleList:
    """The dilated convolution of each convolving branch; all leave ceil(T / stride) frames."""
    return nn.ModuleList(
        nn.Conv2d(width, width, (kernel_size, 1), (stride, 1), (kernel_size // 2 * dilation, 0), (dilation, 1))
        for width, dilation in zip(widths, dilations, strict=False)
    )


def rescale_head(conv: nn.Conv2d, scale: Tensor, shift: Tensor) -> nn.Conv2d:
    """``conv`` with its first output channels scaled and shifted."""
    rest = conv.out_channels - len(scale)
    return _rescale(conv, torch.cat([scale, scale.new_ones(rest)]), torch.cat([shift, shift.new_zeros(rest)]))


def rescale_tail(conv: nn.Conv2d, scale: Tensor, shift: Tensor) -> nn.Conv2d:
    """``conv`` with its last output channels scaled and shifted."""
    rest = conv.out_channels - len(scale)
    return _rescale(conv, torch.cat([scale.new_ones(rest), scale]), torch.cat([shift.new_zeros(rest), shift]))


def _rescale(conv: nn.Conv2d, scale: Tensor, shift: Tensor) -> nn.Conv2d:
    assert conv.bias is not None
    return with_weights(conv, conv.weight.double() * scale[:, None, None, None], conv.bias.double() * scale + shift)
