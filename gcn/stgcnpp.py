"""ST-GCN++: learned adjacency and multi-branch temporal convolution.

Duan, Wang, Chen and Lin, "PYSKL: Towards Good Practices for Skeleton Action Recognition", ACM MM 2022. Written from
the paper.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gcn.backbone import Backbone
from gcn.graph import spatial_partition
from gcn.layers import GraphConv, MultiBranchTemporalConv
from gcn.registry import register_backbone


class STGCNBlock(nn.Module):
    """Graph convolution, then temporal convolution, with a residual around both.

    Shapes:
        - input: (N, C_in, T, V)
        - output: (N, C_out, ceil(T / stride), V)
    """

    def __init__(
        self, in_channels: int, out_channels: int, adjacency: Tensor, stride: int = 1, residual: bool = True
    ) -> None:
        super().__init__()
        self.graph = GraphConv(in_channels, out_channels, adjacency)
        self.temporal = MultiBranchTemporalConv(out_channels, stride)
        self.residual: nn.Module | None = None
        if residual and in_channels == out_channels and stride == 1:
            self.residual = nn.Identity()
        elif residual:
            self.residual = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, (stride, 1)), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, C_out, ceil(T / stride), V) of (N, C_in, T, V)."""
        h = self.temporal(self.graph(x))
        return torch.relu(h if self.residual is None else h + self.residual(x))


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
        _check_stages(channels, depths, strides)
        adjacency = spatial_partition(edges, parents)
        stages: list[nn.Module] = []
        width = in_channels
        for out_channels, depth, stride in zip(channels, depths, strides, strict=True):
            blocks = []
            for block in range(depth):
                # the first block maps coordinates to features: nothing to carry around it
                residual = bool(stages or block)
                blocks.append(STGCNBlock(width, out_channels, adjacency, stride if block == 0 else 1, residual))
                width = out_channels
            stages.append(nn.Sequential(*blocks))
        super().__init__(
            # one scale a channel, shared by the joints: a norm of each joint on its own blows up for a person who shows
            # a joint that no training person showed
            nn.BatchNorm2d(in_channels),
            stages,
            stage_channels=channels,
            stage_strides=strides,
            in_channels=in_channels,
            num_joints=len(parents),
            num_classes=num_classes,
            dropout=dropout,
        )


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
