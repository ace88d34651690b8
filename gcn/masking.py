"""What a mask of detected joints does inside a network: follow the frames, weigh the pooling."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def downsample_valid(valid: Tensor, frames: int) -> Tensor:
    """Bring a mask to the number of frames that strided temporal convolutions leave.

    A frame of the result is valid where any of the frames it stands for was. The stride is the smallest that leaves
    so many frames.

    Args:
        valid: bool (N, T, V).
        frames: ceil(T / s) for a stride s.

    Returns:
        bool (N, frames, V).

    Raises:
        ValueError: if no stride takes T to ``frames``.
    """
    T = valid.shape[1]
    if frames == T:
        return valid
    stride = -(-T // frames)
    if -(-T // stride) != frames:
        raise ValueError(f"Expected `frames` to be ceil({T} / stride) for some stride, but got {frames}.")
    pooled = F.max_pool1d(valid.to(torch.float32).transpose(1, 2), stride, ceil_mode=True)
    return pooled.transpose(1, 2) > 0.5


def masked_mean(x: Tensor, valid: Tensor | None) -> Tensor:
    """Mean over frames and joints of the valid entries; of all entries where a clip has none.

    Args:
        x: (N, C, T, V).
        valid: bool (N, T, V), or None where everything is.

    Returns:
        (N, C).
    """
    if valid is None:
        return x.mean(dim=(2, 3))
    N, _, T, V = x.shape
    weight = valid.to(x.dtype).reshape(N, T * V)
    nothing = weight.sum(dim=1, keepdim=True) == 0
    weight = torch.where(nothing, torch.ones_like(weight), weight)
    return torch.bmm(x.flatten(2), (weight / weight.sum(dim=1, keepdim=True))[:, :, None]).squeeze(2)
