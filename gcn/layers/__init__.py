"""Building blocks of the backbones: one operator a file."""

from gcn.layers.adaptive_graph_conv import AdaptiveGraphConv, JointFrameChannelAttention
from gcn.layers.block import ResidualBlock, build_stages, shortcut
from gcn.layers.ctr_graph_conv import CTRGraphConv
from gcn.layers.graph_conv import GraphConv
from gcn.layers.grouped_graph_conv import GroupedAggregation
from gcn.layers.grouped_temporal_conv import GroupedTemporalConv
from gcn.layers.temporal_conv import MultiBranchTemporalConv, MultiScaleTemporalConv, temporal_conv

__all__ = [
    "AdaptiveGraphConv",
    "CTRGraphConv",
    "GraphConv",
    "GroupedAggregation",
    "GroupedTemporalConv",
    "JointFrameChannelAttention",
    "MultiBranchTemporalConv",
    "MultiScaleTemporalConv",
    "ResidualBlock",
    "build_stages",
    "shortcut",
    "temporal_conv",
]
