"""Going on after a kill: the whole state of a training in ``last.ckpt``, written after an epoch.

Lightning saves weights, optimiser, schedule, moving average, GIRL's groups and risks (they are buffers) and its own
counters; :class:`~piumr.data.batches.ClipBatches` adds the generators of order and augmentation, and
:class:`RandomState` the global ones. A training that is taken up has, on one CPU thread, the weights of one that was
never stopped, bit for bit.
"""

from __future__ import annotations

import io
import random
import time
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from piumr.checkpoint import UNREADABLE
from piumr.errors import PiumrError
from pose_extract.atomic import atomic_write

NAME = "last"
FILE = f"{NAME}{ModelCheckpoint.FILE_EXTENSION}"

FORMAT = 1
"""Version of what ``last.ckpt`` holds beside Lightning's own; counted up when an older file can no longer be used."""

SECONDS = 5.0
"""Shortest time between two checkpoints: epochs of a small set take less."""


class PlainCheckpointIO(TorchCheckpointIO):
    """Files that appear whole or not at all, and are read without executing anything in them."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write the file under a temporary name and rename it."""
        buffer = io.BytesIO()  # torch reports a full disk as something else
        torch.save({"piumr": FORMAT, **checkpoint}, buffer)
        with atomic_write(Path(path)) as file:
            file.write(buffer.getbuffer())

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        """Tensors and plain values of the file, on the CPU, whatever ``weights_only`` says.

        Raises:
            PiumrError: if it cannot be read so, or an older version wrote it.
        """
        try:
            saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            found = saved.pop("piumr", None)
        except UNREADABLE:
            raise PiumrError(
                f"Expected {str(path)!r} to be the checkpoint of a training, but it cannot be read as one: remove it, "
                "and the training starts from its beginning."
            ) from None
        if found != FORMAT:
            raise PiumrError(
                f"Expected {str(path)!r} to be a checkpoint of format {FORMAT}, but got {found!r}: another version of "
                "piumr wrote it. Remove it, and the training starts from its beginning."
            )
        return saved


class EpochCheckpoint(ModelCheckpoint):
    """Keeps the state after the last whole epoch, but not more often than every :data:`SECONDS`.

    The very last epoch is not kept: what follows it takes less time than writing and reading the file is worth.

    Args:
        folder: where ``last.ckpt`` is written.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, NAME, save_on_train_epoch_end=True, enable_version_counter=False)
        self._saved = time.monotonic()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save where an epoch is whole and the last file is old enough."""
        whole = trainer.is_last_batch and trainer.current_epoch + 1 != trainer.max_epochs
        due = trainer.strategy.broadcast(time.monotonic() - self._saved >= SECONDS)
        if whole and due:
            super().on_train_epoch_end(trainer, pl_module)
            self._saved = time.monotonic()


class RandomState(Callback):
    """Keeps the global random generators in the checkpoint: torch's on CPU and GPU, NumPy's and Python's."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The generators' states now, as tensors and plain values."""
        _, key, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
        return {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "numpy": (torch.from_numpy(np.asarray(key).astype(np.int64)), position, has_gauss, gauss),
            "python": random.getstate(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the states until training starts, since building it draws numbers as well."""
        self._loaded = state_dict

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Set the generators to what they were when the checkpoint was written."""
        if self._loaded is None:
            return
        torch.set_rng_state(self._loaded["torch"])
        if len(self._loaded["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(self._loaded["cuda"])
        key, *rest = self._loaded["numpy"]
        np.random.set_state(("MT19937", key.numpy().astype(np.uint32), *rest))  # noqa: NPY002
        random.setstate(self._loaded["python"])
        self._loaded = None
