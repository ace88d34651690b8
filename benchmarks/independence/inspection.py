"""What a network makes of clips on its way: features before and after TFAM, and what the classifier is given."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gcn import downsample_valid
from piumr.model import ActionNet


@dataclass(frozen=True)
class Features:
    """Features of N clips.

    Attributes:
        before: (N, C, T, V) what TFAM is given, or what there is at its place in a network without it.
        after: (N, C, T, V) what TFAM gives; ``before`` in a network without it.
        pooled: (N, F) what the classifier is given.
        valid: bool (N, T, V) at TFAM's place.
    """

    before: Tensor
    after: Tensor
    pooled: Tensor
    valid: Tensor


@torch.inference_mode()
def inspect(net: ActionNet, points: Tensor, valid: Tensor) -> Features:
    """Features of clips points (N, C, T, V) with valid (N, T, V), of a network in evaluation mode."""
    outputs: list[Tensor] = []
    aligned: list[Tensor] = []
    hooks = [stage.register_forward_hook(lambda _, __, output: outputs.append(output)) for stage in net.backbone.stages]
    if net.tfam is not None:
        hooks.append(net.tfam.register_forward_hook(lambda _, __, output: aligned.append(output.features)))
    try:
        net(points, valid)
    finally:
        for hook in hooks:
            hook.remove()
    place = net.config.tfam_stage
    valids = []
    for output in outputs:
        valid = downsample_valid(valid, output.shape[2])
        valids.append(valid)
    before = outputs[place]
    after = aligned[0] if aligned else before
    last = after if place == len(outputs) - 1 else outputs[-1]
    return Features(before, after, net.backbone.forward_head(last, valid, pre_logits=True), valids[place])
