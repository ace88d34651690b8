"""Batches for training: an order of clip indices from the CPU, everything else on the training device.

Several processes, one a device, share every batch: all draw the same order, and each takes every W-th clip of a batch.
So the number of devices changes neither which clips a batch holds nor how many steps an epoch has, but for a last batch
too small to be shared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from piumr.data.augment import Augmentation
from piumr.data.store import ClipStore
from piumr.errors import PiumrError

EVALUATION_BATCH = 128


class Batch(NamedTuple):
    """One batch of clips, ready for the network.

    Attributes:
        points: float32 (N, C, T, V).
        valid: bool (N, T, V).
        labels: int64 (N,).
    """

    points: Tensor
    valid: Tensor
    labels: Tensor


class BatchOrder(Sampler[list[int]]):
    """Positions of the clips of each batch of an epoch, of which this process takes its share.

    Every clip comes once an epoch. Batches have ``batch_size`` clips over all processes; a rest at the end is a batch
    of its own, but where it would leave a process fewer than two clips, which have no statistics, it joins the last.

    Args:
        clips: number of clips.
        batch_size: clips in a batch, over all processes.
        order: generator of the order, in the same state on all processes.
        noise: generator of the augmentation; it and the global one get a state of their own on every process.
        rank: number of this process, from 0.
        processes: number of processes.

    Raises:
        PiumrError: if a process would get no clip of a batch.
    """

    def __init__(
        self,
        clips: int,
        batch_size: int,
        order: torch.Generator,
        noise: torch.Generator,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        size = min(batch_size, clips)
        if size < processes:
            raise PiumrError(
                f"Expected a batch to hold a clip for each of {processes} devices, but got {size} of {clips} training "
                "clips: raise --optim.batch_size or lower --devices."
            )
        self.sizes = [size] * (clips // size)
        rest = clips % size
        if rest >= 2 * processes:
            self.sizes.append(rest)
        else:
            self.sizes[-1] += rest
        self.order, self.noise = order, noise
        self.rank, self.processes = rank, processes

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.sizes)

    def __iter__(self) -> Iterator[list[int]]:
        """This process's share of each batch, in a new order."""
        for batch in torch.randperm(sum(self.sizes), generator=self.order).split(self.sizes):
            yield batch[self.rank :: self.processes].tolist()

    def set_epoch(self, epoch: int) -> None:
        """Give processes other than the first random numbers of their own; Lightning calls it before each epoch.

        They follow from the first one's and the epoch, so that a training which is taken up goes on as it would have.
        """
        if self.rank > 0:
            source = np.random.SeedSequence((self.order.initial_seed(), epoch, self.rank))
            seed = int(source.generate_state(1, np.uint64)[0] >> np.uint64(1))
            torch.manual_seed(seed)
            self.noise.manual_seed(seed)


class ClipBatches(lightning.LightningDataModule):
    """Training and validation batches of a :class:`~piumr.data.store.ClipStore`.

    A data loader yields indices only; clips are gathered, cropped and augmented as whole batches on the device where
    the store lies.

    Args:
        store: the clips, on the training device.
        train: indices of the training clips.
        validation: indices of validation clips, or None.
        batch_size: clips in a training batch, over all processes.
        augmentation: what training clips go through.
        seed: of the order and of the augmentation.
        processes: number of processes that share each batch.

    Raises:
        PiumrError: if there are fewer clips in a batch than processes.
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
        processes: int = 1,
    ) -> None:
        super().__init__()
        self.store = store
        self.train_indices = train
        self.validation: Batch | None = None
        if validation is not None:
            self.validation = Batch(*store.evaluation(validation), store.labels[torch.as_tensor(validation)])
        self.batch_size = batch_size
        self.processes = processes
        self.augmentation = augmentation
        self.order = torch.Generator().manual_seed(seed)
        self.noise = torch.Generator(store.device).manual_seed(seed)
        self.steps_per_epoch = len(self._batches(0))
        self.drawn = torch.empty(0, dtype=torch.int64)  # the clips of the last training batch

    def state_dict(self) -> dict[str, Any]:
        """States of the generators, for a checkpoint between two epochs."""
        return {"order": self.order.get_state(), "noise": self.noise.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the generators of a checkpoint."""
        self.order.set_state(state_dict["order"])
        self.noise.set_state(state_dict["noise"])

    def train_dataloader(self) -> DataLoader[int]:
        """This process's share of the batches of training indices, in a new order every epoch."""
        indices: Any = torch.as_tensor(self.train_indices)
        # a generator of its own: the loader draws a seed that nothing uses
        return DataLoader(indices, batch_size=None, sampler=self._batches(self._rank), generator=torch.Generator())

    def val_dataloader(self) -> DataLoader[int] | list[Any]:
        """This process's share of the positions in the validation clips; none where there are no validation clips."""
        if self.validation is None:
            return []
        positions = range(len(self.validation.labels))
        if len(positions) >= self.processes:  # else each of them takes all, which leaves every mean as it is
            positions = positions[self._rank :: self.processes]
        share: Any = list(positions)
        # a generator of its own: the loader draws a seed, and validation must not move the training's random numbers
        return DataLoader(share, EVALUATION_BATCH, generator=torch.Generator())

    @property
    def _rank(self) -> int:
        return 0 if self.trainer is None else self.trainer.global_rank

    def _batches(self, rank: int) -> BatchOrder:
        clips = len(self.train_indices)
        return BatchOrder(clips, self.batch_size, self.order, self.noise, rank, self.processes)

    def training_batch(self, indices: Tensor) -> Batch:
        """The clips at ``indices`` (int64 on the store's device), cropped and augmented."""
        self.drawn = indices
        times = self.augmentation.times(len(indices), self.store.frames, self.noise)
        points, valid = self.store.sample(indices, times)
        points, valid = self.augmentation(points, valid, self.store.layout, self.noise)
        return Batch(points, valid, self.store.labels[indices])

    def on_after_batch_transfer(self, batch: Tensor, dataloader_idx: int) -> Batch:
        """Turn indices into clips: augmented ones in training, whole ones in validation."""
        if self.trainer is not None and self.trainer.training:
            return self.training_batch(batch)
        assert self.validation is not None
        return Batch(*(tensor[batch] for tensor in self.validation))
