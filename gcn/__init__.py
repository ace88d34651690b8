"""Skeleton graphs and graph convolution backbones. Knows nothing of videos, data sets or layouts' names.

Backbones keep one contract (:class:`gcn.Backbone`) and are built by name::

    backbone = gcn.create_backbone("stgcnpp", in_channels=3, num_classes=52, edges=edges, parents=parents)
    logits = backbone(clips, valid)  # (N, C, T, V), (N, T, V) -> (N, 52)
"""

from gcn.backbone import Backbone
from gcn.graph import skeleton_edge_index, spatial_partition
from gcn.masking import downsample_valid, masked_mean
from gcn.registry import create_backbone, list_backbones, register_backbone
from gcn.stgcnpp import STGCNPlusPlus

__all__ = [
    "Backbone",
    "STGCNPlusPlus",
    "create_backbone",
    "downsample_valid",
    "list_backbones",
    "masked_mean",
    "register_backbone",
    "skeleton_edge_index",
    "spatial_partition",
]
