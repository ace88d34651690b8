"""A few test clips as cached poses, so that inference can be tried at once on sets that have no videos."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from piumr.data.clips import SkeletonSet
from piumr.data.source import coordinates
from pose_extract.schema import WORLD_POINTS, PoseSequence, write_poses

COUNT = 8
FPS = 30.0


def write_examples(clips: SkeletonSet, test: np.ndarray, folder: Path) -> Path | None:
    """Write test clips of different classes to ``folder`` and return it; nothing, and None, for sets in metres.

    Args:
        clips: the set.
        test: indices of its test clips.
        folder: made if there is something to write.
    """
    if coordinates(clips) != "image":
        return None
    folder.mkdir(exist_ok=True)
    seen: set[int] = set()
    for index in np.random.default_rng(0).permutation(test):
        label = int(clips.labels[index])
        if label in seen:
            continue
        seen.add(label)
        name = re.sub(r"[^\w.-]+", "_", clips.names[index]).strip("._") or f"clip{index}"
        write_poses(folder / f"{name}.npz", _poses(clips, int(index)))
        if len(seen) == COUNT:
            break
    return folder


def _poses(clips: SkeletonSet, index: int) -> PoseSequence:
    """A clip in model coordinates as landmarks of a square image, where (x W / H, y) is (x, y)."""
    points, valid = clips.clip(index)
    landmarks = np.ones((*valid.shape, 4), dtype=np.float32)
    landmarks[..., :2], landmarks[..., 2] = points, 0
    landmarks[~valid] = np.nan
    layout = clips.layout
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
            "source": {"path": clips.names[index]},
        },
    )
