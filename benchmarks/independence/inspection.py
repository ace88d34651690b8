"""What a network makes of clips on its way: features by the clock, aligned and as a spectrum, and the embedding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gcn import downsample_valid
from piumr.model import ActionNet
from piumr.tfam import TFAM, Alignment


@dataclass(frozen=True)
class Features:
    """Features of N clips at TFAM's place, where a network without it is given a fresh one, and at its end.

    Attributes:
        clock: (N, C, T) the features' mean over the joints.
        aligned: (N, C, T) the same on the canonical timeline.
        spectrum: (N, C, bands) its amplitudes.
        pooled: (N, F) the embedding.
        alignment: the plan.
    """

    clock: Tensor
    aligned: Tensor
    spectrum: Tensor
    pooled: Tensor
    alignment: Alignment


@torch.inference_mode()
def inspect(net: ActionNet, points: Tensor, valid: Tensor) -> Features:
    """Features of clips points (N, C, T, V) with valid (N, T, V), of a network in evaluation mode."""
    outputs: list[Tensor] = []
    hooks = [stage.register_forward_hook(lambda _, __, output: outputs.append(output)) for stage in net.backbone.stages]
    try:
        pooled = net(points, valid).embedding
    finally:
        for hook in hooks:
            hook.remove()
    place = net.config.tfam_stage
    for output in outputs[: place + 1]:
        valid = downsample_valid(valid, output.shape[2])
    x = outputs[place]
    tfam = net.tfam
    if tfam is None:
        tfam = TFAM(x.shape[1], x.shape[2], net.backbone.num_classes, **net.config.tfam_options).eval()
    alignment = tfam.align(x, valid)
    aligned = x.shape[2] * alignment.path @ alignment.plan.mT
    return Features(alignment.path, aligned, tfam.frequency(alignment.path, alignment.plan), pooled, alignment)
