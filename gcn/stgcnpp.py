"""ST-GCN++: learned adjacency and multi-branch temporal convolution.

Duan, Wang, Chen and Lin, "PYSKL: Towards Good Practices for Skeleton Action Recognition", ACM MM 2022. Written from
the paper.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from gcn.backbone import Backbone
from gcn.graph import spatial_partition
from gcn.layers import GraphConv, MultiBranchTemporalConv, ResidualBlock, build_stages
from gcn.registry import register_backbone


class STGCNPlusPlus(Backbone):
    """ST-GCN++ on any skeleton graph.

    The published network has stages of 4, 3 and 3 blocks with 64, 128 and 256 channels; the second and third stage
    halve the frames.

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
            graph = GraphConv(width, out_channels, adjacency)
            temporal = MultiBranchTemporalConv(out_channels, stride)
            # the first block maps coordinates to features: nothing to carry around it
            return ResidualBlock(graph, temporal, width, out_channels, stride, not first)

        super().__init__(
            # one scale a channel, shared by the joints: a norm of each joint on its own blows up for a person who shows
            # a joint that no training person showed
            nn.BatchNorm2d(in_channels),
            build_stages(block, in_channels, channels, depths, strides),
            stage_channels=channels,
            stage_strides=strides,
            in_channels=in_channels,
            num_joints=len(parents),
            num_classes=num_classes,
            dropout=dropout,
        )


@register_backbone("stgcnpp")
def stgcnpp(
    in_channels: int, num_classes: int, edges: Sequence[tuple[int, int]], parents: Sequence[int], **overrides: object
) -> STGCNPlusPlus:
    """ST-GCN++ as published: 10 blocks, 64 to 256 channels, 1.4 M parameters."""
    return STGCNPlusPlus(in_channels, num_classes, edges, parents, **overrides)  # type: ignore[arg-type]


@register_backbone("stgcnpp-small")
def stgcnpp_small(
    in_channels: int, num_classes: int, edges: Sequence[tuple[int, int]], parents: Sequence[int], **overrides: object
) -> STGCNPlusPlus:
    """ST-GCN++ for a laptop: 3 blocks, 32 to 128 channels, every stage halves the frames (ours)."""
    sizes: dict[str, object] = {"channels": (32, 64, 128), "depths": (1, 1, 1), "strides": (2, 2, 2), "dropout": 0.2}
    return STGCNPlusPlus(in_channels, num_classes, edges, parents, **(sizes | overrides))  # type: ignore[arg-type]
