"""A loss that is no number ends a training at once, and says which clips it came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from piumr.data.batches import Batch, ClipBatches
from piumr.data.splits import few
from piumr.errors import PiumrError
from piumr.training.module import ActionModule


class FiniteLoss(Callback):
    """Checks the loss of every batch, before a further one makes its trace cold.

    On a GPU whether a loss is finite is asked for at once and looked at after the next batch: by then the answer has
    come by itself, and work that was asked for in the meantime goes on.

    Args:
        data: knows which clips a batch is made of.
        names: of all clips; where there are none, clips are named by their number.
    """

    def __init__(self, data: ClipBatches, names: Sequence[str] = ()) -> None:
        self.data = data
        self.names = names
        self._last: _Step | None = None

    @property
    def late(self) -> bool:
        """Whether a loss is looked at after the next batch."""
        return self.data.store.device.type != "cpu"

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Look at this batch or, on a GPU, at the one before.

        Raises:
            PiumrError: if its loss is not finite; the message names the batch and the clips.
        """
        assert isinstance(pl_module, ActionModule)
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        made_of = pl_module.logits, batch.points, self.data.drawn
        step = _Step(loss.detach(), *made_of, trainer.current_epoch, batch_idx, *_ask(loss))
        due = self._last if self.late else step
        self._last = step
        if due is not None:
            self._check(due)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Look at the epoch's last batch.

        Raises:
            PiumrError: as for every other.
        """
        if self._last is not None:
            self._check(self._last)

    def _check(self, step: _Step) -> None:
        if step.answered is not None:
            step.answered.synchronize()
        if step.finite:
            return
        where = (
            f"Expected a finite loss, but got {step.loss.item()} in batch {step.batch + 1} of epoch {step.epoch + 1}"
        )
        broken = ~step.points.flatten(1).isfinite().all(1)
        if broken.any():
            raise PiumrError(f"{where}: the poses of {self._named(step, broken)} hold values that are no numbers.")
        broken = ~step.logits.isfinite().all(1)
        which = "all of its clips" if broken.all() else self._named(step, broken)
        if not broken.any():
            which = "none of its clips alone"
        raise PiumrError(f"{where}; the scores are no numbers for {which}: lower --optim.learning_rate.")

    def _named(self, step: _Step, chosen: Tensor) -> str:
        indices = step.indices[chosen].tolist()
        return few([self.names[i] if self.names else f"clip {i}" for i in indices])


def _ask(loss: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
    """Whether a loss is finite, a bool on the CPU, and when it will be there; None where it is."""
    finite = loss.detach().isfinite().to("cpu", non_blocking=True)
    if loss.device.type != "cuda":
        return finite, None
    answered = torch.cuda.Event()
    answered.record()
    return finite, answered


class _Step(NamedTuple):
    """What is kept of a batch until it is looked at."""

    loss: Tensor
    logits: Tensor
    points: Tensor
    indices: Tensor
    epoch: int
    batch: int
    finite: Tensor
    answered: torch.cuda.Event | None
