"""What may end a training before its schedule does. Never the test clips."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import lightning
from lightning.pytorch.callbacks import EarlyStopping, Timer

from piumr.ranks import said_by_first


class TimeLimit(Timer):
    """Lightning's timer, for all trainings of one command together; at least one batch of each is trained.

    Args:
        limit: from now on.
    """

    def __init__(self, limit: timedelta) -> None:
        super().__init__(limit, verbose=False)
        self._deadline = time.monotonic() + limit.total_seconds()

    @property
    def expired(self) -> bool:
        """Whether the time is over, by the first process's clock; all processes must ask equally often."""
        return said_by_first(time.monotonic() >= self._deadline)

    def on_fit_start(self, trainer: lightning.Trainer, *args: Any, **kwargs: Any) -> None:
        """Start whatever the time: a training without a batch has no weights to evaluate."""

    def time_elapsed(self, stage: str = "train") -> float:
        """Seconds since the limit was set, not since this training began, and without those of an earlier command."""
        assert self._duration is not None
        return time.monotonic() - self._deadline + self._duration

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The limit is this command's: what an earlier one has used does not count."""


def early_stopping(patience: int) -> EarlyStopping:
    """End after ``patience`` epochs in which persons left out of training were recognised no better."""
    return EarlyStopping("validation_accuracy", mode="max", patience=patience, verbose=False)
