"""Clips on their way from one format to another, with all that any of the formats can say of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from piumr.layouts import Layout
from piumr.preprocessing import VISIBILITY


@dataclass(frozen=True, eq=False)
class Clip:
    """One person in one clip.

    Attributes:
        name: its name: a relative path without suffix.
        joints: float32 (T, V, 4): x and y as shares of the picture's width and height, z, visibility; or (T, V, 3):
            x, y, z in metres. NaN where missing.
        size: width and height of the picture in pixels; None for metres.
        timestamps: float64 (T,) seconds, where known.
        label: the class as a text, where known.
        person: who it is, where known.
        split: name of the list it belongs to, where known.
        columns: further facts by name, such as a camera or an age.
    """

    name: str
    joints: np.ndarray
    size: tuple[int, int] | None = None
    timestamps: np.ndarray | None = None
    label: str | None = None
    person: str | None = None
    split: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def valid(self) -> np.ndarray:
        """Which joints are there, bool (T, V)."""
        return np.isfinite(self.joints).all(axis=2)

    @property
    def seen(self) -> np.ndarray:
        """Which joints count as seen, bool (T, V): they are there, and in a picture not below ``VISIBILITY``."""
        return self.valid if self.size is None else self.valid & (self.joints[..., 3] >= VISIBILITY)


@dataclass(frozen=True)
class Collection:
    """Clips of one layout.

    Attributes:
        clips: at least one.
        layout: their joints.
        class_names: the classes in their order, where the format has one.
        lost: what the format they were read from says and no clip can hold, for the record.
    """

    clips: tuple[Clip, ...]
    layout: Layout
    class_names: tuple[str, ...] | None = None
    lost: tuple[str, ...] = ()

    @property
    def metric(self) -> bool:
        """Joints are in metres."""
        return self.clips[0].size is None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the further facts, the same of every clip."""
        return tuple(self.clips[0].columns)

    def has(self, key: str) -> bool:
        """Whether any clip knows its ``timestamps``, ``label``, ``person`` or ``split``."""
        return any(getattr(clip, key) is not None for clip in self.clips)
