"""A folder of cached poses: what ``piumr-extract`` writes, with the labels in ``labels.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from piumr.data.convert.clips import Clip, Collection
from piumr.data.declaration import own_clips
from piumr.data.labels import class_indices, find_labels
from piumr.errors import PiumrError
from piumr.layouts import LAYOUTS, Layout, get_layout
from pose_extract.atomic import atomic_write
from pose_extract.errors import PoseError
from pose_extract.schema import WORLD_POINTS, PoseSequence, read_poses, write_poses

LABELS = "labels.csv"

OWN = ("clip", "label", "person")
"""Its columns that say something else than a further fact."""


def read_cache(folder: Path, label_file: Path | None = None) -> Collection:
    """The clips of a folder, with labels if there are any.

    Args:
        folder: of the caches.
        label_file: says the labels; None looks for ``labels.csv`` and for folders ``label/person/clip``.

    Raises:
        PiumrError: if there is no cache, one is broken, they have different joints, or a label file is wrong.
    """
    names = [path.relative_to(folder).as_posix().removesuffix(".npz") for path in sorted(folder.rglob("*.npz"))]
    if not names:
        raise PiumrError(f"Expected cached poses (.npz) under {folder}, but there are none.")
    labelled = label_file is not None or (folder / LABELS).is_file() or all("/" in name for name in names)
    labels = find_labels(own_clips(), names, {}, folder, folder, label_file) if labelled else {}
    clips: list[Clip] = []
    layout: Layout | None = None
    for name in labels or names:
        try:
            poses = read_poses(folder / f"{name}.npz")
        except PoseError as error:
            raise PiumrError(str(error)) from None
        layout = layout or _layout(poses)
        if tuple(poses.meta["joints"]) != layout.joints:
            raise PiumrError(
                f"Expected the joints of layout {layout.name} in every cache, but got those of {poses.meta['layout']} "
                f"in {folder / name}.npz."
            )
        label = labels.get(name)
        clips.append(
            Clip(
                name,
                np.where(poses.valid[..., None], poses.landmarks, np.float32(np.nan)),
                (poses.meta["width"], poses.meta["height"]),
                poses.timestamps,
                None if label is None else label.text,
                None if label is None else label.person,
                columns={} if label is None else label.columns,
            )
        )
    assert layout is not None
    class_names = class_indices([label.text for label in labels.values()], None)[1] if labels else None
    return Collection(tuple(clips), layout, class_names, ("world coordinates", "the record of extraction"))


def write_cache(collection: Collection, folder: Path, fps: float, source: str) -> list[str]:
    """Write every clip and ``labels.csv``.

    Args:
        collection: of landmarks in pictures.
        folder: a new or an empty one.
        fps: frames per second, for clips without timestamps.
        source: what they come from, for the record in each file.

    Returns:
        What the cache cannot carry or had to be supplied with.

    Raises:
        PiumrError: if clips are in metres, the folder is not empty, or a name is no path within it.
    """
    if collection.metric:
        raise PiumrError(
            "Expected landmarks in pictures, which a pose cache holds, but got joints in metres: convert them to .npz "
            "or .pkl."
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PiumrError(f"Expected `target` to be a new or an empty folder, but got {folder}.")
    paths = [_path(folder, clip.name) for clip in collection.clips]
    if len(set(paths)) != len(paths):
        raise PiumrError("Expected a name for every clip of its own, but got one twice.")
    timed = collection.has("timestamps")
    for clip, path in zip(collection.clips, paths, strict=True):
        write_poses(path, _poses(clip, collection.layout, fps, source))
    columns = [name for name in collection.columns if name not in OWN] if collection.has("label") else []
    if collection.has("label"):
        _write_labels(collection, columns, folder)
    notes = [] if timed else [f"The source has no timestamps: they are frame numbers / {fps:g} (--fps)."]
    lost = ["splits"] if collection.has("split") else []
    lost += [f"column {name}" for name in collection.columns if name not in columns]
    return [*notes, f"The cache carries no {', '.join(lost)}."] if lost else notes


def _layout(poses: PoseSequence) -> Layout:
    known = next((layout for layout in LAYOUTS.values() if layout.joints == tuple(poses.meta["joints"])), None)
    return known or get_layout(poses.meta["layout"])


def _path(folder: Path, name: str) -> Path:
    """Where a clip goes; never outside the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or not name.isprintable() or "\\" in name:
        raise PiumrError(f"Expected the names of clips to be relative paths, but got {name[:80]!r}.")
    return folder / f"{path}.npz"


def _poses(clip: Clip, layout: Layout, fps: float, source: str) -> PoseSequence:
    assert clip.size is not None
    times = np.arange(len(clip.joints)) / fps if clip.timestamps is None else clip.timestamps
    points = WORLD_POINTS if layout.name.startswith("mediapipe-") else 0
    meta = {
        "layout": layout.name,
        "joints": list(layout.joints),
        "edges": [list(edge) for edge in layout.edges],
        "width": clip.size[0],
        "height": clip.size[1],
        "warnings": [f"converted from {source}" + ("" if clip.timestamps is not None else f" at {fps:g} frames/s")],
    }
    world = np.full((len(times), points, 3), np.nan, dtype=np.float32)
    return PoseSequence(clip.joints, world, clip.valid, times.astype(np.float64), meta)


def _write_labels(collection: Collection, columns: Sequence[str], folder: Path) -> None:
    own = OWN if collection.has("person") else OWN[:2]
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*own, *columns])
    for clip in collection.clips:
        if clip.label is not None:
            facts = (clip.name, clip.label, clip.person)[: len(own)]
            rows.writerow([*facts, *(clip.columns[name] for name in columns)])
    with atomic_write(folder / LABELS) as file:
        file.write(text.getvalue().encode("utf-8"))
