"""Building blocks of the backbones: one operator a file."""

from gcn.layers.graph_conv import GraphConv
from gcn.layers.temporal_conv import MultiBranchTemporalConv

__all__ = ["GraphConv", "MultiBranchTemporalConv"]
