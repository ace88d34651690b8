"""An exponential moving average of the weights, in a few calls a step and without waiting for a GPU."""

from __future__ import annotations

from itertools import chain
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class MovingAverage(WeightAveraging):
    """Lightning's weight averaging with an exponential moving average of weights and running statistics.

    Lightning's own averages integer buffers as well: 0.97 * 75 + 0.03 * 75 is cut off to 74. It also keeps the average
    of a network on a GPU in the machine's memory, and handles each tensor by itself.

    Args:
        decay: share of the mean that a step keeps, 0..1. The first step copies.
    """

    def __init__(self, decay: float) -> None:
        super().__init__()
        self.decay = decay

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Take over the network as it is when training begins."""
        if stage == "fit":
            # the network is moved there after this
            self._average_model = AveragedNetwork(pl_module, self.decay, trainer.strategy.root_device)


class AveragedNetwork(AveragedModel):
    """A network and its exponential moving average; integers (indices, counters) are copied.

    Args:
        model: the network to be averaged. From the first step on its submodules must stay the same, their tensors need
            not; before it they may be replaced, as Lightning does with norms that several GPUs share.
        decay: see :class:`MovingAverage`.
        device: where the average lies and, from the first step on, the network.
    """

    def __init__(self, model: nn.Module, decay: float, device: torch.device) -> None:
        super().__init__(model, device, use_buffers=True)
        self.decay = decay
        self.pairs: list[tuple[nn.Module, nn.Module]] = []
        self.started = False

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """One more step of ``model``, the network that this was made of."""
        if not self.started:  # asked once, also after a resume, and not at every step
            self.started = bool(self.n_averaged > 0)
        if not self.pairs:
            self.pairs = list(zip(self.module.modules(), model.modules(), strict=True))
        mixed: list[tuple[Tensor, Tensor]] = []
        copied: list[tuple[Tensor, Tensor]] = []
        for averaged, module in self.pairs:
            for mean, value in zip(_tensors(averaged), _tensors(module), strict=True):
                (mixed if self.started and mean.is_floating_point() else copied).append((mean, value))
        if mixed:
            means, values = zip(*mixed, strict=True)
            torch._foreach_lerp_(means, values, 1 - self.decay)
        if copied:
            means, values = zip(*copied, strict=True)
            torch._foreach_copy_(means, values)
        self.n_averaged += 1
        self.started = True


def _tensors(module: nn.Module) -> list[Tensor]:
    """Parameters and buffers of a module, not of those inside it."""
    own: Any = chain(module._parameters.values(), module._buffers.values())
    return [tensor for tensor in own if tensor is not None]
