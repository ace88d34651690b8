"""``piumr-convert``: skeletons between our cache, the ``.npz`` container and PYSKL pickles."""

from __future__ import annotations

import math
from pathlib import Path

from piumr.commands.console import check_out, console
from piumr.data.convert import FILES, read_collection, write_collection
from piumr.errors import PiumrError
from piumr.layouts import get_layout


def convert(source: Path, target: Path, layout: str = "", labels: Path | None = None, fps: float = 30.0) -> int:
    """Convert skeletons: a folder of cached poses, an .npz container, or a PYSKL pickle (.pkl), to another of these.

    What the target cannot carry is said in one line each. Pickles are read without executing anything in them.

    Args:
        source: folder of cached poses, .npz file or .pkl file.
        target: .npz file, .pkl file, or a new folder for cached poses.
        layout: the joints, for sources that do not name them, such as pickles: coco-17, openpose-28, ntu-25, ...
        labels: label file for cached poses; labels.csv or the folders in source if not given.
        fps: frames per second, for a cache from a source without timestamps.
    """
    if not source.exists():
        raise PiumrError(f"Expected `source` to be a file or a folder, but there is no {str(source)!r}.")
    if not 0 < fps < math.inf:
        raise PiumrError(f"Expected `fps` to be positive, but got {fps}.")
    if source.is_dir() and target.resolve().is_relative_to(source.resolve()):
        raise PiumrError(f"Expected `target` to be outside of `source`, but {str(target)!r} is in {str(source)!r}.")
    if target.suffix in FILES:
        check_out(target, [source] if source.is_file() else [], "target")
    joints = get_layout(layout) if layout else None
    collection = read_collection(source, joints, labels)
    notes = write_collection(collection, target, fps, str(source))
    frames = sum(len(clip.joints) for clip in collection.clips)
    console.print(f"Wrote {target}: {len(collection.clips)} clips, {frames} frames, layout {collection.layout.name}.")
    for note in notes:
        console.print(note)
    return 0
