"""A BatchNorm in evaluation mode is a fixed affine map: folded into a convolution beside it, or what is left of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def norm_affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Scale and shift (C,) that a BatchNorm applies in evaluation mode, in float64."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    return scale, norm.bias.double() - norm.running_mean.double() * scale


def fold_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution that does what ``conv`` and then ``norm`` do."""
    scale, shift = norm_affine(norm)
    bias = shift if conv.bias is None else shift + conv.bias.double() * scale
    return with_weights(conv, conv.weight.double() * scale[:, None, None, None], bias)


def fold_into_next(norm: nn.BatchNorm2d, conv: nn.Conv2d) -> nn.Conv2d:
    """One convolution that does what ``norm`` and then the 1x1 convolution ``conv`` do."""
    scale, shift = norm_affine(norm)
    weight = conv.weight.double()
    bias = weight[:, :, 0, 0] @ shift
    return with_weights(conv, weight * scale[None, :, None, None], bias if conv.bias is None else bias + conv.bias)


def with_weights(conv: nn.Conv2d, weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """A convolution like ``conv`` with other weights; the number of input channels is the weights'."""
    like: nn.Conv2d = torch.nn.utils.skip_init(  # draws no random numbers
        nn.Conv2d,
        weight.shape[1] * conv.groups,
        weight.shape[0],
        conv.kernel_size,
        conv.stride,
        conv.padding,
        conv.dilation,
        conv.groups,
    ).to(conv.weight)
    assert like.bias is not None
    like.weight.copy_(weight)
    like.bias.copy_(bias)
    return like


class ChannelAffine(nn.Module):
    """Scale and shift the channels.

    Shapes:
        - input and output: (N, C, T, V)

    Args:
        scale: (C,).
        shift: (C,).
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale[:, None, None].clone())
        self.register_buffer("shift", shift[:, None, None].clone())

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift (N, C, T, V)."""
        return torch.addcmul(self.shift, x, self.scale)
