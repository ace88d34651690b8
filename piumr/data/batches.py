"""Batches for training: an order of clip indices from Lightning, everything else on the training device."""

from __future__ import annotations

from typing import Any, NamedTuple

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from piumr.data.augment import Augmentation
from piumr.data.store import ClipStore

EVALUATION_BATCH = 128


class Batch(NamedTuple):
    """One batch of clips, ready for the network.

    Attributes:
        points: float32 (N, C, T, V).
        valid: bool (N, T, V).
        labels: int64 (N,).
        persons: int64 (N,) codes of the persons, for methods that are given them; else None.
    """

    points: Tensor
    valid: Tensor
    labels: Tensor
    persons: Tensor | None = None


class ClipBatches(lightning.LightningDataModule):
    """Training and validation batches of a :class:`~piumr.data.store.ClipStore`.

    A data loader shuffles indices only (so that Lightning can shard it); clips are gathered, cropped and augmented as
    whole batches on the device where the store lies.

    Args:
        store: the clips, on the training device.
        train: indices of the training clips.
        validation: indices of validation clips, or None.
        batch_size: clips in a training batch.
        augmentation: what training clips go through.
        seed: of the order and of the augmentation.
        with_persons: training batches say who their persons are.
    """

    def __init__(
        self,
        store: ClipStore,
        train: np.ndarray,
        validation: np.ndarray | None,
        *,
        batch_size: int,
        augmentation: Augmentation,
        seed: int,
        with_persons: bool = False,
    ) -> None:
        super().__init__()
        self.store = store
        self.train_indices = train
        self.validation: Batch | None = None
        if validation is not None:
            self.validation = Batch(*store.evaluation(validation), store.labels[torch.as_tensor(validation)])
        self.batch_size = min(batch_size, len(train))
        # a batch of one clip has no statistics of its own: it is left out, any other rest of an epoch is a batch
        self.rest = len(train) % self.batch_size
        self.augmentation = augmentation
        self.with_persons = with_persons
        self.order = torch.Generator().manual_seed(seed)
        self.noise = torch.Generator(store.device).manual_seed(seed)

    @property
    def steps_per_epoch(self) -> int:
        """Training batches in an epoch."""
        return len(self.train_indices) // self.batch_size + (self.rest > 1)

    def train_dataloader(self) -> DataLoader[int]:
        """Batches of training indices, in a new order every epoch."""
        indices: Any = self.train_indices.tolist()
        return DataLoader(indices, self.batch_size, shuffle=True, drop_last=self.rest == 1, generator=self.order)

    def val_dataloader(self) -> DataLoader[int] | list[Any]:
        """Batches of positions in the validation clips; none where there are no validation clips."""
        if self.validation is None:
            return []
        positions: Any = list(range(len(self.validation.labels)))
        # a generator of its own: the loader draws a seed, and validation must not move the training's random numbers
        return DataLoader(positions, EVALUATION_BATCH, generator=torch.Generator())

    def training_batch(self, indices: Tensor) -> Batch:
        """The clips at ``indices`` (int64 on the store's device), cropped and augmented."""
        times = self.augmentation.times(len(indices), self.store.frames, self.noise)
        points, valid = self.store.sample(indices, times)
        points, valid = self.augmentation(points, valid, self.store.layout, self.noise)
        persons = self.store.persons[indices] if self.with_persons else None
        return Batch(points, valid, self.store.labels[indices], persons)

    def on_after_batch_transfer(self, batch: Tensor, dataloader_idx: int) -> Batch:
        """Turn indices into clips: augmented ones in training, whole ones in validation."""
        if self.trainer is not None and self.trainer.training:
            return self.training_batch(batch)
        assert self.validation is not None
        return Batch(*(tensor[batch] for tensor in self.validation[:3]))
