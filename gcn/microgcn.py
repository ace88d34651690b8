"""MicroGCN: a backbone made from what is measured. Ours.

At batch 1 a skeleton network is bound by the number of its operators, not by their arithmetic, and per-subset,
per-branch convolutions multiply that number. So every block is three wide operators: one grouped temporal convolution,
one batched product over the joints (:class:`gcn.layers.GroupedAggregation`), one 1x1 convolution over the channels.
Frames are halved before a stage's work is done, beginning with the first.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gcn.backbone import Backbone
from gcn.graph import spatial_partition
from gcn.layers import GroupedAggregation, GroupedTemporalConv, build_stages, shortcut
from gcn.registry import register_backbone


class MicroBlock(nn.Module):
    """Over time, over joints, over channels, and a residual around the three.

    The temporal convolution and the sum over neighbours work on the same groups of channels.

    Shapes:
        - input: (N, C_in, T, V)
        - output: (N, C_out, ceil(T / stride), V)

    Args:
        in_channels: C_in, a multiple of the groups.
        out_channels: C_out.
        adjacency: float (K, V, V).
        stride: temporal stride.
        groups: groups of channels.
        kernel_size: frames of the temporal convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, adjacency: Tensor, stride: int, groups: int, kernel_size: int
    ) -> None:
        super().__init__()
        self.temporal = nn.Sequential(
            GroupedTemporalConv(in_channels, kernel_size, stride, groups), nn.BatchNorm2d(in_channels)
        )
        self.graph = GroupedAggregation(in_channels, adjacency, groups)
        self.mix = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))
        self.residual = shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, C_out, ceil(T / stride), V) of (N, C_in, T, V)."""
        h = self.mix(self.graph(torch.relu(self.temporal(x))))
        return (h + self.residual(x)).relu_()


class MicroGCN(Backbone):
    """MicroGCN on any skeleton graph.

    Args:
        in_channels: C of the input.
        num_classes: K.
        edges: pairs of joint indices.
        parents: parent of each joint; the root is its own.
        channels: channels of each stage, multiples of the groups.
        depths: blocks of each stage.
        strides: temporal stride of each stage, taken by its first block.
        groups: groups of channels with a topology of their own.
        kernel_size: frames of the temporal convolutions, odd.
        dropout: rate before the classifier.

    Raises:
        ValueError: if channels, depths and strides are no equally long lists of numbers in range, or the channels no
            multiples of the groups, or the kernel is even.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        edges: Sequence[tuple[int, int]],
        parents: Sequence[int],
        *,
        channels: Sequence[int] = (64, 128, 256),
        depths: Sequence[int] = (3, 3, 3),
        strides: Sequence[int] = (2, 2, 2),
        groups: int = 8,
        kernel_size: int = 9,
        dropout: float = 0.2,
    ) -> None:
        if not isinstance(groups, int) or groups < 1:
            raise ValueError(f"Expected `groups` to be a whole number of at least 1, but got {groups!r}.")
        if not isinstance(kernel_size, int) or kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"Expected `kernel_size` to be an odd whole number, but got {kernel_size!r}.")
        adjacency = spatial_partition(edges, parents)

        def block(width: int, out_channels: int, stride: int, first: bool) -> nn.Module:
            width = out_channels if first else width  # the stem has widened the coordinates
            if width % groups or out_channels % groups:
                raise ValueError(f"Expected `channels` to be multiples of {groups} groups, but got {channels!r}.")
            return MicroBlock(width, out_channels, adjacency, stride, groups, kernel_size)

        stages = build_stages(block, in_channels, channels, depths, strides)
        super().__init__(
            # norms share one scale a channel between the joints, see ST-GCN++
            nn.Sequential(
                nn.BatchNorm2d(in_channels),
                nn.Conv2d(in_channels, channels[0], 1, bias=False),
                nn.BatchNorm2d(channels[0]),
                nn.ReLU(),
            ),
            stages,
            stage_channels=channels,
            stage_strides=strides,
            in_channels=in_channels,
            num_joints=len(parents),
            num_classes=num_classes,
            dropout=dropout,
        )


_SIZES: dict[str, dict[str, object]] = {
    "nano": {"channels": (32, 64, 128), "depths": (2, 2, 2)},
    "small": {"channels": (48, 96, 192), "depths": (2, 3, 3)},
    "base": {"channels": (64, 128, 256), "depths": (3, 3, 3)},
}


def _build(
    size: str,
    in_channels: int,
    num_classes: int,
    edges: Sequence[tuple[int, int]],
    parents: Sequence[int],
    overrides: dict[str, object],
) -> MicroGCN:
    return MicroGCN(in_channels, num_classes, edges, parents, **(_SIZES[size] | overrides))  # type: ignore[arg-type]


@register_backbone("microgcn-nano")
def microgcn_nano(
    in_channels: int, num_classes: int, edges: Sequence[tuple[int, int]], parents: Sequence[int], **overrides: object
) -> MicroGCN:
    """MicroGCN for a laptop: 6 blocks, 32 to 128 channels."""
    return _build("nano", in_channels, num_classes, edges, parents, overrides)


@register_backbone("microgcn-small")
def microgcn_small(
    in_channels: int, num_classes: int, edges: Sequence[tuple[int, int]], parents: Sequence[int], **overrides: object
) -> MicroGCN:
    """MicroGCN between the two: 8 blocks, 48 to 192 channels."""
    return _build("small", in_channels, num_classes, edges, parents, overrides)


@register_backbone("microgcn-base")
def microgcn_base(
    in_channels: int, num_classes: int, edges: Sequence[tuple[int, int]], parents: Sequence[int], **overrides: object
) -> MicroGCN:
    """MicroGCN in full: 9 blocks, 64 to 256 channels."""
    return _build("base", in_channels, num_classes, edges, parents, overrides)
