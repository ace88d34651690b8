"""How far a training is: a live display on a terminal, a line every half minute in a log."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import lightning
import rich.progress
from lightning.pytorch.callbacks import Callback
from rich.console import Console, RenderableType
from rich.text import Text

LOG_SECONDS = 30.0
"""Time between lines where the output is no terminal."""

LIVE_SECONDS = 0.5
"""Time between looks at the loss on a terminal; a look may wait for the GPU."""

SHOWN = {
    "accuracy": ("accuracy", 100.0, "{:.1f} %"),
    "validation_accuracy": ("validation", 100.0, "{:.1f} %"),
    "transport_cost": ("L_W", 1.0, "{:.3f}"),
    "inconsistency": ("L_C", 1.0, "{:.3f}"),
    "group_penalty": ("penalty", 1.0, "{:.3f}"),
}
"""What is told of an epoch: its name for people, a factor and a format."""

RISK = "group_risk_"
"""What the names of GIRL's group risks start with in the history."""


class TrainingProgress(Callback):
    """Shows epochs, time left, the loss, and of the last epoch the accuracy, L_W, L_C and the risks of the groups.

    Args:
        console: where to show it.
        rows: the history, one row an epoch, which grows while training runs.
    """

    def __init__(self, console: Console, rows: list[dict[str, float]]) -> None:
        self._console = console
        self._rows = rows
        self._display = _Display(console=console, transient=True, disable=not console.is_terminal, refresh_per_second=4)
        self._started = self._told = self._looked = 0.0
        self._loss = math.nan
        self._first = 0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Begin, where an earlier run stopped if this one goes on. One of several processes tells for all."""
        if not trainer.is_global_zero:
            self._console, self._display.disable = Console(quiet=True), True
        self._started = self._told = time.monotonic()
        self._first = trainer.global_step
        self._task = self._display.add_task(self._where(trainer), total=self._total(trainer), completed=self._first)
        self._display.start()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Move the bar; look at the loss now and then."""
        now = time.monotonic()
        if self._display.disable or now - self._looked < LIVE_SECONDS:
            return
        self._looked = now
        self._loss = float(outputs["loss"] if isinstance(outputs, Mapping) else outputs)
        self._show(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """A line in a log: of the first epoch, of the last, and every half minute between them."""
        if not self._display.disable:
            self._show(trainer)
            return
        now = time.monotonic()
        ends = trainer.current_epoch + 1 == trainer.max_epochs or trainer.should_stop
        if ends or now - self._told >= LOG_SECONDS or trainer.global_step - self._first <= trainer.num_training_batches:
            self._told = now
            loss = self._rows[-1]["loss"] if self._rows else math.nan
            self._console.print(f"{self._where(trainer)}  {describe(loss, self._rows)}  {self._left(trainer)}".rstrip())

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Clear the display."""
        self._display.stop()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Clear the display, so that what went wrong has a line of its own."""
        self._display.stop()

    def _show(self, trainer: lightning.Trainer) -> None:
        self._display.status = describe(self._loss, self._rows)
        self._display.update(
            self._task, completed=trainer.global_step, description=f"{self._where(trainer)}  {self._left(trainer)}"
        )

    def _where(self, trainer: lightning.Trainer) -> str:
        return f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"

    def _left(self, trainer: lightning.Trainer) -> str:
        """Time left at the speed so far; nothing at the end."""
        done, left = trainer.global_step - self._first, self._total(trainer) - trainer.global_step
        if not done or not left or trainer.should_stop:
            return ""
        return f"{timedelta(seconds=round((time.monotonic() - self._started) * left / done))} left"

    def _total(self, trainer: lightning.Trainer) -> int:
        return int((trainer.max_epochs or 1) * trainer.num_training_batches)


def describe(loss: float, rows: list[dict[str, float]]) -> str:
    """One line of figures: the loss, and what the last row of the history says.

    Args:
        loss: of a batch or an epoch.
        rows: the history; may be empty.
    """
    row = rows[-1] if rows else {}
    parts = [f"loss {loss:.3f}"]
    parts += [
        f"{name} {pattern.format(scale * row[key])}" for key, (name, scale, pattern) in SHOWN.items() if key in row
    ]
    risks = [value for key, value in row.items() if key.startswith(RISK)]
    if risks:
        parts.append("risks " + " ".join("-" if math.isnan(risk) else f"{risk:.2f}" for risk in risks))
    return "  ".join(parts)


class _Display(rich.progress.Progress):
    """A bar, and the figures on a line below it."""

    def __init__(self, **options: Any) -> None:
        self.status = ""
        super().__init__(
            rich.progress.TextColumn("{task.description}"), rich.progress.BarColumn(None), expand=True, **options
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        """The two lines."""
        yield self.make_tasks_table(self.tasks)
        yield Text(self.status)
