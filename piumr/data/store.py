"""A whole set as tensors on the training device, and batches cut from it without a loop over samples.

Clips are normalised once when packed and kept at their own length; a batch gathers and interpolates all its clips at
once, where the tensors lie. MA-52 at 75 joints takes about 0.6 GB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from piumr.data.clips import SkeletonSet
from piumr.layouts import Layout
from piumr.preprocessing import normalise, resample

GROUP = 32
"""Clips that are normalised or resampled at once: as many as stay in a processor's cache."""


@dataclass(frozen=True, eq=False)
class ClipStore:
    """N normalised clips of V joints, packed along time.

    Attributes:
        points: float32 (sum T, C, V), what :func:`piumr.preprocessing.normalise` gives.
        valid: bool (sum T, V).
        offsets: int64 (N + 1,); clip i is frames ``offsets[i]:offsets[i + 1]``.
        labels: int64 (N,).
        persons: int64 (N,), codes of the persons in sorted order, -1 throughout where they are not known; for reports
            and for methods that are given the true persons, never an input of a model.
        layout: the V joints.
        num_classes: number of classes K, of which the labels are indices.
        frames: number of frames T of a batch.
    """

    points: Tensor
    valid: Tensor
    offsets: Tensor
    labels: Tensor
    persons: Tensor
    layout: Layout
    num_classes: int
    frames: int

    @classmethod
    def pack(cls, clips: SkeletonSet, frames: int) -> ClipStore:
        """Normalise every clip of a set and pack it, on the CPU.

        Args:
            clips: the set.
            frames: number of frames T of a batch, at least 1.
        """
        packed = np.empty((len(clips.points), clips.points.shape[2], len(clips.layout)), dtype=np.float32)
        for _, rows in _of_one_length(clips.offsets, np.arange(len(clips))):
            packed[rows] = normalise(clips.points[rows], clips.valid[rows], clips.layout)[0].swapaxes(2, 3)
        persons = np.full(len(clips), -1) if clips.persons is None else np.unique(clips.persons, return_inverse=True)[1]
        return cls(
            points=torch.from_numpy(packed),
            valid=torch.from_numpy(clips.valid.copy()),
            offsets=torch.from_numpy(clips.offsets.copy()),
            labels=torch.from_numpy(clips.labels.copy()),
            persons=torch.from_numpy(persons.astype(np.int64)),
            layout=clips.layout,
            num_classes=len(clips.class_names),
            frames=frames,
        )

    def __len__(self) -> int:
        """Number of clips N."""
        return len(self.labels)

    @property
    def dimensions(self) -> int:
        """Coordinates C of a joint: 2 or 3."""
        return self.points.shape[1]

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.points.device

    def clip(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Points float32 (T, V, C), normalised, and valid bool (T, V) of one clip at its own length."""
        frames = slice(int(self.offsets[index]), int(self.offsets[index + 1]))
        return self.points[frames].cpu().numpy().swapaxes(1, 2), self.valid[frames].cpu().numpy()

    def median_frames(self, indices: np.ndarray) -> float:
        """Median length of the clips at ``indices``."""
        return float(np.median(np.diff(self.offsets.cpu().numpy())[indices]))

    def to(self, device: torch.device | str) -> ClipStore:
        """The same store with its tensors on ``device``."""
        return replace(
            self,
            points=self.points.to(device),
            valid=self.valid.to(device),
            offsets=self.offsets.to(device),
            labels=self.labels.to(device),
            persons=self.persons.to(device),
        )

    def sample(self, indices: Tensor, times: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """A batch of clips, linearly interpolated; validity is that of the nearest frame.

        Args:
            indices: int64 (B,), on the store's device.
            times: float (B, T), where in its clip each frame is read, 0 the first and 1 the last frame (see
                :func:`piumr.data.augment.random_times`). None: evenly over the whole clip, which is what
                :func:`piumr.preprocessing.resample` does.

        Returns:
            points float32 (B, C, T, V) and valid bool (B, T, V).
        """
        first = self.offsets[indices, None]
        last = self.offsets[indices + 1, None] - 1
        position = self._even(last - first) if times is None else times.double() * (last - first)
        before = position.floor().long()
        weight = (position - before).float()
        before = torch.minimum(first + before, last)
        after = torch.minimum(before + 1, last)
        nearest = torch.where(weight < 0.5, before, after)
        batch, frames, channels, joints = *before.shape, *self.points.shape[1:]
        # a frame of one channel is a row of V; the weighted sum of two rows is what embedding_bag makes in one pass
        channel = torch.arange(channels, device=self.device)[:, None, None]
        bags = torch.stack((before, after), dim=-1)[:, None] * channels + channel  # (B, C, T, 2)
        weights = torch.stack((1 - weight, weight), dim=-1)[:, None].expand_as(bags)
        points = F.embedding_bag(
            bags.view(-1, 2), self.points.view(-1, joints), mode="sum", per_sample_weights=weights.reshape(-1, 2)
        )
        valid = self.valid.index_select(0, nearest.flatten())
        return points.view(batch, channels, frames, joints), valid.view(batch, frames, joints)

    def evaluation(self, indices: Sequence[int] | np.ndarray) -> tuple[Tensor, Tensor]:
        """Whole clips through the NumPy code that inference runs; on the store's device.

        Args:
            indices: the clips.

        Returns:
            points float32 (B, C, T, V) and valid bool (B, T, V).
        """
        chosen = np.asarray(indices)
        points, valid, offsets = (tensor.cpu().numpy() for tensor in (self.points, self.valid, self.offsets))
        batch = np.empty((len(chosen), points.shape[1], self.frames, points.shape[2]), dtype=np.float32)
        mask = np.empty((len(chosen), self.frames, points.shape[2]), dtype=bool)
        for places, rows in _of_one_length(offsets, chosen):
            clips, mask[places] = resample(points[rows], valid[rows], self.frames)
            batch[places] = clips.swapaxes(1, 2)
        return torch.from_numpy(batch).to(self.device), torch.from_numpy(mask).to(self.device)

    def _even(self, span: Tensor) -> Tensor:
        """``np.linspace(0, span, frames)`` of each clip, rounded as NumPy rounds it; float64 (B, T)."""
        steps = torch.arange(self.frames, dtype=torch.float64, device=span.device)
        position = steps * (span.double() / max(self.frames - 1, 1))
        return torch.minimum(position, span.double())


def _of_one_length(offsets: np.ndarray, chosen: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Chosen clips in groups of one length: their places in ``chosen`` (n,), and the rows of their frames (n, T)."""
    lengths = np.diff(offsets)[chosen]
    for length in np.unique(lengths):
        places = np.flatnonzero(lengths == length)
        for group in np.split(places, range(GROUP, len(places), GROUP)):
            yield group, offsets[chosen[group], None] + np.arange(length)
