"""What a network costs: parameters and multiply-accumulates. Neither says how long it takes: measure that."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


class Cost(NamedTuple):
    """Cost of a network.

    Attributes:
        parameters: trainable numbers; 0 in a deployed network.
        macs: multiply-accumulates of all convolutions and matrix products of one forward pass.
    """

    parameters: int
    macs: int


def network_cost(net: nn.Module, *inputs: Tensor) -> Cost:
    """Count a network's parameters, and what it computes for these inputs in evaluation mode.

    Args:
        net: left in the mode it was in.
        *inputs: of one forward pass, such as a clip (1, C, T, V).
    """
    training = net.training
    try:
        with torch.no_grad(), flop_counter() as counter:
            net.eval()(*inputs)
    finally:
        net.train(training)
    parameters = sum(p.numel() for p in net.parameters() if p.requires_grad)
    return Cost(parameters, counter.get_total_flops() // 2)


def flop_counter() -> FlopCounterMode:
    """Torch's counter of floating-point operations, which by itself does not see products that are added in place."""
    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.baddbmm_: _added_products})


def _added_products(added: torch.Size, left: torch.Size, right: torch.Size, **_: object) -> int:
    return 2 * left.numel() * right[2]
