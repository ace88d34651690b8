"""Clips in memory: what is known about them, and the skeletons; every reader returns this, everything works on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from piumr.errors import PiumrError
from piumr.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class ClipTable:
    """What is known about N clips besides their points: labels for training, all else for protocols and reports.

    Attributes:
        labels: int64 (N,), 0..K-1, indices of ``class_names``.
        names: N clip ids, for reports only: a name may leak the label and never reaches a model.
        persons: N person ids, or None where the set does not tell.
        splits: N names of the list that each clip came from ("train", "val", ...), where the set has such lists.
        class_names: K names.
        coarse: the coarse class of each class, K indices of ``coarse_names``, where the set has coarse classes.
        coarse_names: names of the coarse classes.
        mirror: mirroring left and right keeps the label.
        columns: further facts by name, N texts each, such as a camera or an age: columns of the label file or arrays of
            the container. Protocols may split by them.
        missing: clips that the set's lists name and that are not here. Folds count them, so that they are the same for
            everybody, whoever lacks a clip.
    """

    labels: np.ndarray
    names: tuple[str, ...]
    persons: tuple[str, ...] | None
    splits: tuple[str, ...] | None
    class_names: tuple[str, ...]
    coarse: tuple[int, ...] | None = None
    coarse_names: tuple[str, ...] | None = None
    mirror: bool = False
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: ClipTable | None = None

    def __post_init__(self) -> None:
        """Check that the entries fit together.

        Raises:
            PiumrError: if a dtype, a shape, a label or a list is wrong.
        """
        self._check_labels()
        self._check_names()

    def _check_labels(self) -> None:
        n, k = len(self), len(self.class_names)
        _require(
            self.labels.dtype == np.int64 and self.labels.shape == (n,),
            f"`labels` to be int64 ({n},)",
            f"{self.labels.dtype} {self.labels.shape}",
        )
        _require(
            bool(((self.labels >= 0) & (self.labels < k)).all()),
            f"labels within 0..{k - 1}, the classes there are",
            f"{self.labels.min()}..{self.labels.max()}",
        )

    def _check_names(self) -> None:
        n, k = len(self), len(self.class_names)
        lists = {"names": self.names, "persons": self.persons, "splits": self.splits}
        for key, entries in {**self.columns, **lists}.items():
            if entries is not None:
                _require(len(entries) == n, f"`{key}` to have one entry for each of the {n} clips", str(len(entries)))
        _require(len(set(self.class_names)) == k, "`class_names` to be unique", "a repeated name")
        _require(
            (self.coarse is None) == (self.coarse_names is None),
            "`coarse` and `coarse_names` to be given together",
            "one",
        )
        if self.coarse is not None and self.coarse_names is not None:
            _require(
                len(self.coarse) == k and set(self.coarse) <= set(range(len(self.coarse_names))),
                f"`coarse` to hold, for each of the {k} classes, an index of `coarse_names`",
                str(self.coarse),
            )

    def __len__(self) -> int:
        """Number of clips N."""
        return len(self.labels)

    @property
    def table(self) -> ClipTable:
        """The same without points."""
        return ClipTable(**{key: getattr(self, key) for key in ClipTable.__dataclass_fields__})

    def subset(self, indices: Sequence[int] | np.ndarray) -> ClipTable:
        """The clips at ``indices``, in that order; classes stay as they are, and nothing counts as missing.

        Raises:
            PiumrError: if ``indices`` is empty.
        """
        return replace(self, **self._entries(np.asarray(indices, dtype=np.int64)))

    def _entries(self, chosen: np.ndarray) -> dict[str, Any]:
        """The entries of some clips."""
        _require(len(chosen) > 0, "at least one clip in a subset", "none")

        def take(entries: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(entries[i] for i in chosen)

        return {
            "labels": self.labels[chosen],
            "names": take(self.names),
            "persons": None if self.persons is None else take(self.persons),
            "splits": None if self.splits is None else take(self.splits),
            "columns": {key: take(entries) for key, entries in self.columns.items()},
            "missing": None,
        }


@dataclass(frozen=True, kw_only=True)
class SkeletonSet(ClipTable):
    """N labelled clips of one layout, one person per clip, packed along time.

    Clip ``i`` is frames ``offsets[i]:offsets[i + 1]``. Arrays are not copied and not meant to be written to.

    Attributes:
        points: float32 (sum T, V, C), model coordinates before normalising: image sets (x W/H, y), metric sets
            x, y, z in metres. Finite everywhere; arbitrary where not valid.
        valid: bool (sum T, V), the joint was seen in that frame.
        offsets: int64 (N + 1,), from 0 to sum T; every clip has at least one frame.
        layout: the V joints.
    """

    points: np.ndarray
    valid: np.ndarray
    offsets: np.ndarray
    layout: Layout

    def __post_init__(self) -> None:
        """Check that the arrays fit together.

        Raises:
            PiumrError: if a dtype, a shape, an offset, a label or a name list is wrong.
        """
        self._check_arrays()
        self._check_offsets()
        super().__post_init__()

    def _check_arrays(self) -> None:
        frames, joints = self.valid.shape if self.valid.ndim == 2 else (-1, -1)
        _require(
            self.points.ndim == 3 and self.points.dtype == np.float32 and self.points.shape[2] in (2, 3),
            "`points` to be float32 (frames, joints, 2 or 3)",
            f"{self.points.dtype} {self.points.shape}",
        )
        _require(
            joints == len(self.layout) == self.points.shape[1],
            f"every array to have the {len(self.layout)} joints of layout {self.layout.name}",
            f"points {self.points.shape} and valid {self.valid.shape}",
        )
        _require(
            self.valid.dtype == np.bool_ and frames == len(self.points),
            f"`valid` to be bool ({len(self.points)}, {joints})",
            f"{self.valid.dtype} {self.valid.shape}",
        )
        _require(bool(np.isfinite(self.points).all()), "`points` to be finite everywhere", "NaN or infinity")

    def _check_offsets(self) -> None:
        _require(
            self.offsets.dtype == np.int64 and self.offsets.ndim == 1 and len(self.offsets) >= 2,
            "`offsets` to be int64 (N + 1,) with at least one clip",
            f"{self.offsets.dtype} {self.offsets.shape}",
        )
        _require(
            self.offsets[0] == 0 and self.offsets[-1] == len(self.points) and bool((np.diff(self.offsets) > 0).all()),
            f"`offsets` to rise from 0 to {len(self.points)} with at least one frame per clip",
            "others",
        )

    def __len__(self) -> int:
        """Number of clips N."""
        return len(self.offsets) - 1

    def clip(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Points (T, V, C) and valid (T, V) of one clip, as views."""
        frames = slice(self.offsets[index], self.offsets[index + 1])
        return self.points[frames], self.valid[frames]

    def in_layout(self, layout: Layout) -> SkeletonSet:
        """The same clips with the joints of another layout, found by name; validity goes with its joint.

        Raises:
            PiumrError: if a joint is not in this set's layout.
        """
        joints = list(layout.indices_in(self.layout.joints))
        return replace(self, points=self.points[:, joints], valid=self.valid[:, joints], layout=layout)

    def subset(self, indices: Sequence[int] | np.ndarray) -> SkeletonSet:
        """As :meth:`ClipTable.subset`, with the clips' points."""
        chosen = np.asarray(indices, dtype=np.int64)
        entries = self._entries(chosen)
        frames = np.concatenate([np.arange(self.offsets[i], self.offsets[i + 1]) for i in chosen])
        return replace(
            self,
            points=self.points[frames],
            valid=self.valid[frames],
            offsets=np.concatenate([[0], np.cumsum(np.diff(self.offsets)[chosen])]),
            **entries,
        )


def _require(condition: bool, expectation: str, got: str) -> None:
    if not condition:
        raise PiumrError(f"Expected {expectation}, but got {got}.")
