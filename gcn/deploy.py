"""The deployed form of a network: the same function in evaluation mode, with fewer and larger operators.

BatchNorm is a fixed affine map once training is over. Next to a convolution it is folded into its weights; layers that
can do more (merge adjacency subsets, residuals, gains) say how in a method ``fuse``.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

from gcn.layers.folding import ChannelAffine, fold_into_next, fold_norm, norm_affine

Net = TypeVar("Net", bound=nn.Module)


def deploy(net: Net) -> Net:
    """A copy of ``net`` for inference alone: equal to it in evaluation mode up to rounding, and without BatchNorm.

    Works on a backbone and on any module around one. The copy has no parameters that ask for gradients and is not
    meant to be trained further.

    Args:
        net: left as it is.
    """
    deployed = copy.deepcopy(net).eval()
    with torch.no_grad():
        deployed = _fuse(deployed)  # type: ignore[assignment]
    return deployed.requires_grad_(False).eval()


def _fuse(module: nn.Module) -> nn.Module:
    if hasattr(module, "fuse"):
        return module.fuse()  # type: ignore[operator]
    if isinstance(module, nn.BatchNorm2d):
        scale, shift = norm_affine(module)
        return ChannelAffine(scale.to(module.weight), shift.to(module.weight))
    if isinstance(module, nn.Sequential):
        return _fuse_chain(list(module))
    for name, child in module.named_children():
        setattr(module, name, _fuse(child))
    return module


def _fuse_chain(layers: list[nn.Module]) -> nn.Module:
    fused: list[nn.Module] = []
    for layer in layers:
        last = fused[-1] if fused else None
        if isinstance(layer, nn.BatchNorm2d) and isinstance(last, nn.Conv2d):
            fused[-1] = fold_norm(last, layer)
        elif isinstance(layer, nn.Conv2d) and isinstance(last, nn.BatchNorm2d) and _pointwise(layer):
            fused[-1] = fold_into_next(last, layer)
        elif not isinstance(layer, nn.Identity | nn.Dropout):
            fused.append(layer)
    fused = [_fuse(layer) for layer in fused]
    return fused[0] if len(fused) == 1 and isinstance(fused[0], nn.Conv2d) else nn.Sequential(*fused)


def _pointwise(conv: nn.Conv2d) -> bool:
    return conv.kernel_size == (1, 1) and conv.padding == (0, 0) and conv.groups == 1
