"""Skeleton graphs and graph convolution backbones. Knows nothing of videos, data sets or layouts' names.

Backbones keep one contract (:class:`gcn.Backbone`) and are built by name::

    backbone = gcn.create_backbone("stgcnpp", in_channels=3, num_classes=52, edges=edges, parents=parents)
    logits = backbone(clips, valid)  # (N, C, T, V), (N, T, V) -> (N, 52)
    fast = backbone.deploy()  # the same function for inference, BatchNorm folded
"""

from gcn.aagcn import AAGCN
from gcn.backbone import Backbone
from gcn.cost import Cost, network_cost
from gcn.ctrgcn import CTRGCN
from gcn.deploy import deploy
from gcn.graph import skeleton_edge_index, spatial_partition
from gcn.masking import downsample_valid, masked_mean
from gcn.microgcn import MicroGCN
from gcn.registry import create_backbone, list_backbones, register_backbone
from gcn.stgcn import STGCN
from gcn.stgcnpp import STGCNPlusPlus

__all__ = [
    "AAGCN",
    "CTRGCN",
    "STGCN",
    "Backbone",
    "Cost",
    "MicroGCN",
    "STGCNPlusPlus",
    "create_backbone",
    "deploy",
    "downsample_valid",
    "list_backbones",
    "masked_mean",
    "network_cost",
    "register_backbone",
    "skeleton_edge_index",
    "spatial_partition",
]
