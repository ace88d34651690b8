"""Full precision for the few small computations that half precision would spoil.

A plan is made of differences of cumulative sums, and a deviation of differences of near-equal numbers: eight bits of
mantissa are too few for both, whatever the surrounding network runs in.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full(x: Tensor) -> Tensor:
    """`x` in at least float32 (float64 stays float64)."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """A context in which operations on the device of `x` keep their inputs' precision."""
    kind = x.device.type
    # entered only where needed: an autocast region inside a traced graph cannot be exported
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()
