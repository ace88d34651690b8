"""Focal loss: Lin, Goyal, Girshick, He, Dollar, "Focal Loss for Dense Object Detection", ICCV 2017."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from piumr.errors import PiumrError
from piumr.tfam.precision import full


class FocalLoss(nn.Module):
    r"""Cross-entropy that counts what is already right less, :math:`-(1 - p_y)^\gamma \log p_y`.

    Args:
        gamma: how much less; 0 is cross-entropy.

    Raises:
        PiumrError: if gamma is negative or infinite.
    """

    def __init__(self, gamma: float = 2.0) -> None:
        super().__init__()
        if not 0 <= gamma < math.inf:
            raise PiumrError(f"Expected `gamma` to be finite and not negative, but got {gamma}.")
        self.gamma = gamma

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Loss (N,) of each clip from logits (N, K) and targets (N,) int64."""
        # autocast leaves this in half precision on a CPU, where 1 - p is mostly rounding
        log_true = F.log_softmax(full(logits), dim=1).gather(1, targets.unsqueeze(1)).squeeze(1)
        wrong = (1 - log_true.exp()).clamp(min=_FLOOR)
        return -(wrong**self.gamma) * log_true


_FLOOR = 1e-7
"""Least 1 - p: at 0 the gradient of a power below 1 is infinite."""
