"""What an experiment changes that no option does: parameters held at a value, other groups, one look that decides."""

from __future__ import annotations

from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from independence.experiments import Experiment
from piumr.data.batches import Batch, ClipBatches
from piumr.data.store import ClipStore
from piumr.model import ActionNet
from piumr.training.fit import predict
from piumr.training.module import ActionModule


def ablate(experiment: Experiment) -> list[Callback]:
    """The callbacks that make an experiment's changes to a training."""
    changes: list[Callback] = [Fix(experiment.fixed)] if experiment.fixed else []
    return [*changes, REGROUPED[experiment.groups]()] if experiment.groups else changes


class Fix(Callback):
    """Holds parameters at a value.

    Args:
        values: beginning of the names of parameters of the network -> the value of all their entries.
    """

    def __init__(self, values: dict[str, float]) -> None:
        self.values = values

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Before the optimiser is made."""
        assert isinstance(pl_module, ActionModule)
        for name, parameter in pl_module.net.named_parameters():
            for prefix, value in self.values.items():
                if name.startswith(prefix):
                    nn.init.constant_(parameter, value)
                    parameter.requires_grad_(False)


class RandomGroups(nn.Module):
    """Groups that mean nothing: each clip in one of G at random, anew each time it is seen."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, style: Tensor, targets: Tensor) -> Tensor:
        """Group (N,) of clips with styles (N, D)."""
        return torch.randint(self.groups, targets.shape, device=targets.device)


class GroupAtRandom(Callback):
    """Random groups in the place of GIRL's."""

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Before training."""
        assert isinstance(pl_module, ActionModule)
        assert pl_module.girl is not None
        pl_module.girl.style_groups = RandomGroups(pl_module.config.terms.groups)  # type: ignore[assignment]


class PersonGroups(nn.Module):
    """The true persons of the batch as groups."""

    persons: Tensor

    def forward(self, style: Tensor, targets: Tensor) -> Tensor:
        """Group (N,) of clips with styles (N, D)."""
        return self.persons


class GroupByPerson(Callback):
    """True persons in the place of GIRL's groups: what pseudo-groups could be at best."""

    def __init__(self) -> None:
        self.groups = PersonGroups()

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Before training."""
        assert isinstance(pl_module, ActionModule)
        assert pl_module.girl is not None
        pl_module.girl.style_groups = self.groups  # type: ignore[assignment]
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, ClipBatches)
        data.with_persons = True

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Tell the groups who is in the batch."""
        assert batch.persons is not None
        self.groups.persons = batch.persons


@torch.inference_mode()
def decide_by(net: ActionNet, store: ClipStore, indices: np.ndarray, look: str) -> Tensor:
    """Logits (N, K) of one look of TFAM, ``network`` or ``spectrum``, or, where empty, of the whole network.

    Both together are the mean of the two, from which the second follows.
    """
    both = predict(net, store, indices)
    if not look:
        return both
    tfam, net.tfam = net.tfam, None
    try:
        first = predict(net, store, indices)
    finally:
        net.tfam = tfam
    return first if look == "network" else 2 * both - first


LOOKS = ("network", "spectrum")
"""What an experiment's ``look`` may be."""

REGROUPED: dict[str, Any] = {"random": GroupAtRandom, "persons": GroupByPerson}
"""What an experiment's ``groups`` may be."""
