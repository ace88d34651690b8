"""A few test clips as cached poses, so that inference can be tried at once on sets that have no videos."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from piumr.data.clips import ClipTable
from piumr.data.source import coordinates
from piumr.data.store import ClipStore
from pose_extract.schema import WORLD_POINTS, PoseSequence, write_poses

COUNT = 8
FPS = 30.0
SHOULDERS = 0.15
"""Width of the shoulders, or whatever a clip's unit is, in the square image that an example is placed in."""


def write_examples(clips: ClipTable, store: ClipStore, test: np.ndarray, folder: Path) -> Path | None:
    """Write test clips of different classes to ``folder`` and return it; nothing, and None, for sets in metres.

    Args:
        clips: the set.
        store: the same, packed.
        test: indices of its test clips.
        folder: made if there is something to write.
    """
    if coordinates(store.dimensions) != "image":
        return None
    folder.mkdir(exist_ok=True)
    seen: set[int] = set()
    for index in np.random.default_rng(0).permutation(test):
        label = int(clips.labels[index])
        if label in seen:
            continue
        seen.add(label)
        name = re.sub(r"[^\w.-]+", "_", clips.names[index]).strip("._") or f"clip{index}"
        write_poses(folder / f"{name}.npz", _poses(store, int(index), clips.names[index]))
        if len(seen) == COUNT:
            break
    return folder


def _poses(store: ClipStore, index: int, name: str) -> PoseSequence:
    """A normalised clip as landmarks of a square image, where (x W / H, y) is (x, y), the person in its middle."""
    points, valid = store.clip(index)
    landmarks = np.ones((*valid.shape, 4), dtype=np.float32)
    landmarks[..., :2], landmarks[..., 2] = 0.5 + SHOULDERS * points, 0
    landmarks[~valid] = np.nan
    layout = store.layout
    return PoseSequence(
        landmarks=landmarks,
        world=np.full((len(points), WORLD_POINTS, 3), np.nan, dtype=np.float32),
        valid=valid,
        timestamps=np.arange(len(points)) / FPS,
        meta={
            "layout": layout.name,
            "joints": list(layout.joints),
            "edges": [list(edge) for edge in layout.edges],
            "width": 1000,
            "height": 1000,
            "source": {"path": name},
        },
    )
