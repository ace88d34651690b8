"""ST-GCN: the skeleton's graph with learned importance, and one temporal convolution of nine frames.

Yan, Xiong and Lin, "Spatial Temporal Graph Convolutional Networks for Skeleton-Based Action Recognition", AAAI 2018.
Written from the paper.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from gcn.backbone import Backbone
from gcn.graph import spatial_partition
from gcn.layers import GraphConv, ResidualBlock, build_stages, temporal_conv
from gcn.registry import register_backbone


class STGCN(Backbone):
    """ST-GCN on any skeleton graph, with its spatial partition.

    Args:
        in_channels: C of the input.
        num_classes: K.
        edges: pairs of joint indices.
        parents: parent of each joint; the root is its own.
        channels: channels of each stage.
        depths: blocks of each stage.
        strides: temporal stride of each stage, taken by its first block.
        dropout: rate before the classifier.

    Raises:
        ValueError: if channels, depths and strides are no equally long lists of numbers in range.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        edges: Sequence[tuple[int, int]],
        parents: Sequence[int],
        *,
        channels: Sequence[int] = (64, 128, 256),
        depths: Sequence[int] = (4, 3, 3),
        strides: Sequence[int] = (1, 2, 2),
        dropout: float = 0.0,
    ) -> None:
        adjacency = spatial_partition(edges, parents)

        def block(width: int, out_channels: int, stride: int, first: bool) -> nn.Module:
            graph = GraphConv(width, out_channels, adjacency, learned=False, residual=False)
            return ResidualBlock(graph, temporal_conv(out_channels, stride), width, out_channels, stride, not first)

        super().__init__(
            nn.BatchNorm2d(in_channels),  # shared by the joints, see ST-GCN++
            build_stages(block, in_channels, channels, depths, strides),
            stage_channels=channels,
            stage_strides=strides,
            in_channels=in_channels,
            num_joints=len(parents),
            num_classes=num_classes,
            dropout=dropout,
        )


@register_backbone("stgcn")
def stgcn(
    in_channels: int, num_classes: int, edges: Sequence[tuple[int, int]], parents: Sequence[int], **overrides: object
) -> STGCN:
    """ST-GCN as published: 10 blocks, 64 to 256 channels, 3.1 M parameters."""
    return STGCN(in_channels, num_classes, edges, parents, **overrides)  # type: ignore[arg-type]
