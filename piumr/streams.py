"""Joint, bone and motion channels, derived inside the model so that one input serves all of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

STREAMS = ("joint", "bone", "motion")
"""Names of the streams: where a joint is, where it lies from its parent, how it moves to the next frame."""


class Streams(nn.Module):
    """Stack joint, bone and motion coordinates as channels.

    ``joint`` is the input, ``bone`` a joint minus its parent (the root's is zero; after Shi et al., 2s-AGCN, CVPR
    2019), ``motion`` the next frame minus this one (the last frame's is zero).

    Shapes:
        - input: (N, C, T, V)
        - output: (N, C S, T, V) for S streams, in the order of ``streams``

    Args:
        parents: parent of each of the V joints; the root is its own.
        streams: some of :data:`STREAMS`.
    """

    parents: Tensor

    def __init__(self, parents: Sequence[int], streams: Sequence[str] = STREAMS) -> None:
        super().__init__()
        unknown = set(streams) - set(STREAMS)
        if unknown or not streams:
            raise ValueError(f"Expected `streams` to be some of {', '.join(STREAMS)}, but got {list(streams)}.")
        self.streams = tuple(streams)
        self.register_buffer("parents", torch.tensor(parents), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Channels (N, C S, T, V) of points (N, C, T, V)."""
        parts = []
        for stream in self.streams:
            if stream == "joint":
                parts.append(x)
            elif stream == "bone":
                parts.append(x - x[..., self.parents])
            else:
                parts.append(torch.cat([x[:, :, 1:] - x[:, :, :-1], torch.zeros_like(x[:, :, :1])], dim=2))
        return torch.cat(parts, dim=1)
