"""Skeletons from one format to another: a folder of cached poses, an ``.npz`` container, a PYSKL pickle."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from piumr.data.convert.cache import read_cache, write_cache
from piumr.data.convert.clips import Clip, Collection
from piumr.data.convert.container import read_container, write_container
from piumr.data.convert.pyskl import read_pyskl, write_pyskl
from piumr.errors import PiumrError
from piumr.layouts import Layout

PICKLES = (".pkl", ".pickle")

FILES = (".npz", *PICKLES)
"""Suffixes of formats that are a file; the cache is a folder."""


def read_collection(source: Path, layout: Layout | None = None, label_file: Path | None = None) -> Collection:
    """The clips of a folder of cached poses, an ``.npz`` container or a PYSKL pickle.

    Args:
        source: which of them, by its suffix.
        layout: the joints, where the format does not name them.
        label_file: the labels of cached poses; None looks for them in the folder.

    Raises:
        PiumrError: if it is none of them, damaged, or its joints cannot be known.
    """
    if label_file is not None and not source.is_dir():
        raise PiumrError(f"Expected no label file for {source}: it has its own labels.")
    if source.is_dir():
        collection = read_cache(source, label_file)
    elif source.suffix == ".npz":
        collection = read_container(source, layout)
    elif source.suffix in PICKLES:
        collection = read_pyskl(source, layout)
    else:
        raise PiumrError(
            f"Expected `source` to be a folder of cached poses, an .npz container or a PYSKL pickle (.pkl), but got "
            f"{str(source)!r}."
        )
    if layout is not None and collection.layout.joints != layout.joints:
        raise PiumrError(f"Expected {source} in layout {layout.name}, but got {collection.layout.name}.")
    return _whole(collection, source)


def write_collection(collection: Collection, target: Path, fps: float, source: str) -> list[str]:
    """Write clips to a folder of cached poses, an ``.npz`` container or a PYSKL pickle.

    Args:
        collection: the clips.
        target: which of them, by its suffix; without one a folder.
        fps: frames per second, for clips without timestamps where the target needs them.
        source: what the clips come from.

    Returns:
        What the target cannot carry or had to be supplied with, a sentence each.

    Raises:
        PiumrError: if the target cannot hold such clips.
    """
    lost = [f"{target} does not carry {' and '.join(collection.lost)}."] if collection.lost else []
    if target.suffix == ".npz":
        return lost + write_container(collection, target)
    if target.suffix in PICKLES:
        return lost + write_pyskl(collection, target)
    return lost + write_cache(collection, target, fps, source)


def _whole(collection: Collection, source: Path) -> Collection:
    """Clips with names of their own that all say the same things of themselves; anything else is refused."""
    for what, names in (("clip", [clip.name for clip in collection.clips]), ("class", collection.class_names or ())):
        if len(set(names)) < len(names):
            name, times = Counter(names).most_common(1)[0]
            raise PiumrError(f"{source}: expected every {what} once, but got {times} called {name[:80]!r}.")
    for key in ("label", "person", "timestamps"):
        lacking = [clip.name for clip in collection.clips if getattr(clip, key) is None]
        if 0 < len(lacking) < len(collection.clips):
            raise PiumrError(
                f"{source}: expected a {key} for every clip or for none, but got none for {lacking[0][:80]!r}."
            )
    return collection


__all__ = ["FILES", "Clip", "Collection", "read_collection", "write_collection"]
