r"""Sums over the processes of a distributed training, so that a batch shared among them is one batch.

DistributedDataParallel averages the gradients of W processes. A loss that every process computes from sums over all of
them has the same value everywhere, and its gradient comes out right after that average if each process takes W times
the gradient of its own part:

.. math::
    S = \sum_r s_r, \qquad
    \frac{1}{W} \sum_r \Big( W \, \frac{\partial L}{\partial S} \frac{\partial s_r}{\partial \theta} \Big)
    = \frac{\partial L}{\partial S} \frac{\partial S}{\partial \theta} = \frac{\partial L}{\partial \theta}

So :func:`sum_over_ranks` goes backward without a further exchange. What is computed from its results must be the same
on all processes, and all processes must call it equally often; in one process it does nothing.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def world_size() -> int:
    """Number W of processes of a distributed training that has begun, else 1."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_ranks(*sums: Tensor) -> tuple[Tensor, ...]:
    """Each tensor's sum over all processes; the tensors themselves where there is one.

    Args:
        sums: float tensors of one dtype, each of the same shape on all processes.

    Returns:
        Tensors of the same shapes, equal on all processes; the gradient is W times that of the process's own part.
    """
    if world_size() == 1:
        return sums
    flat = _Sum.apply(torch.cat([value.reshape(-1) for value in sums]))
    parts = flat.split([value.numel() for value in sums])
    return tuple(part.view_as(value) for part, value in zip(parts, sums, strict=True))


def mean_over_ranks(values: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean of (N,) values over the joint batch, to which the processes may bring different numbers of samples.

    Args:
        values: (N,) float.
        weights: (N,) weights of at least 0, such as a mask, or None where all count the same.

    Returns:
        Scalar, equal on all processes; 0 where all weights of all processes are 0.
    """
    if weights is None:
        if world_size() == 1:
            return values.mean()
        total, count = sum_over_ranks(values.sum(), values.new_tensor(len(values)))
    else:
        total, count = sum_over_ranks((values * weights).sum(), weights.to(values.dtype).sum())
    return total / torch.where(count > 0, count, 1)


def std_over_ranks(values: Tensor) -> Tensor:
    """Population standard deviation over the joint batch, without gradient.

    Args:
        values: (N, ...) float.

    Returns:
        (...), equal on all processes.
    """
    values = values.detach()
    if world_size() == 1:
        return values.std(0, correction=0)
    total, count = sum_over_ranks(values.sum(0), values.new_tensor(len(values)))
    (square,) = sum_over_ranks((values - total / count).square().sum(0))
    return (square / count).sqrt()


def copy_buffers_from_first(module: nn.Module) -> None:
    """Give all processes the first one's buffers: BatchNorm's statistics on CPUs, where each has its own."""
    if world_size() > 1:
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0)


def said_by_first(said: bool) -> bool:
    """What the first process says, for all to do the same."""
    if world_size() == 1:
        return said
    words = [said]
    dist.broadcast_object_list(words, src=0)
    return words[0]


class _Sum(torch.autograd.Function):
    """All-reduce by sum; backward W times the gradient, see the module."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor) -> Tensor:
        flat = flat.contiguous().clone()
        dist.all_reduce(flat)
        return flat

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Tensor:
        gradient: Tensor = gradients[0]
        return gradient * world_size()
