"""AAGCN: adjacency that adapts to data and clip, and attention to joints, frames and channels.

Shi, Zhang, Cheng and Lu, "Skeleton-Based Action Recognition with Multi-Stream Adaptive Graph Convolutional Networks",
IEEE TIP 2020; without attention close to its forerunner 2s-AGCN (CVPR 2019). Written from the papers.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from gcn.backbone import Backbone
from gcn.graph import spatial_partition
from gcn.layers import AdaptiveGraphConv, JointFrameChannelAttention, ResidualBlock, build_stages, temporal_conv
from gcn.registry import register_backbone


class AAGCN(Backbone):
    """AAGCN on any skeleton graph.

    Args:
        in_channels: C of the input.
        num_classes: K.
        edges: pairs of joint indices.
        parents: parent of each joint; the root is its own.
        channels: channels of each stage.
        depths: blocks of each stage.
        strides: temporal stride of each stage, taken by its first block.
        dropout: rate before the classifier.
        attention: weigh joints, frames and channels after each graph convolution.

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
        attention: bool = True,
    ) -> None:
        adjacency = spatial_partition(edges, parents)

        def block(width: int, out_channels: int, stride: int, first: bool) -> nn.Module:
            graph: nn.Module = AdaptiveGraphConv(width, out_channels, adjacency)
            if attention:
                graph = nn.Sequential(graph, JointFrameChannelAttention(out_channels, len(parents)))
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


@register_backbone("aagcn")
def aagcn(
    in_channels: int, num_classes: int, edges: Sequence[tuple[int, int]], parents: Sequence[int], **overrides: object
) -> AAGCN:
    """AAGCN as published: 10 blocks, 64 to 256 channels, 3.8 M parameters."""
    return AAGCN(in_channels, num_classes, edges, parents, **overrides)  # type: ignore[arg-type]
