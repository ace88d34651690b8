"""The pickle of PYSKL and MMAction2, of a whole set; see :mod:`piumr.data.formats.pyskl`.

In a pickle a joint is seen if its score is positive, in our formats if its visibility is not below ``VISIBILITY``.
Conversion keeps which joints are seen, and changes those numbers that would say otherwise.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from piumr.data.convert.clips import Clip, Collection
from piumr.data.formats.pyskl import read_pickle
from piumr.errors import PiumrError
from piumr.layouts import Layout
from piumr.preprocessing import VISIBILITY
from pose_extract.atomic import atomic_write

PROTOCOL = 4
"""Of the pickles written: any Python from 3.4 reads it."""


def read_pyskl(path: Path, layout: Layout | None) -> Collection:
    """The clips of a pickle, each with its most prominent person.

    Scores are visibilities, positive ones raised to ``VISIBILITY`` where they are below.

    Args:
        path: of the pickle; nothing in it is executed.
        layout: its joints, which it does not name.

    Raises:
        PiumrError: if it is not as it should be, no layout is given, joints differ from it, dimensions differ, or a
            clip in a picture has no size of it.
    """
    if layout is None:
        raise PiumrError(f"{path}: a PYSKL pickle does not name its joints: name their layout with --layout.")
    annotations, by_split = read_pickle(path)
    if not annotations:
        raise PiumrError(f"{path}: expected clips, but got none.")
    split_of = {name: split for split, names in by_split.items() for name in names}
    overlap = sum(map(len, by_split.values())) > len(split_of)
    clips, raised = [], False
    for entry in annotations:
        if entry.points.shape[1:] != (len(layout), annotations[0].points.shape[2]):
            raise PiumrError(
                f"{path}: expected the {len(layout)} joints of layout {layout.name} in "
                f"{annotations[0].points.shape[2]} dimensions, but got {entry.points.shape[1]} in "
                f"{entry.points.shape[2]} in clip {entry.name[:80]!r}."
            )
        joints, size = entry.points, None
        if entry.points.shape[2] == 2:
            if entry.shape is None:
                raise PiumrError(f"{path}: expected `img_shape` of every clip, but got none of {entry.name[:80]!r}.")
            size = (entry.shape[1], entry.shape[0])
            depth = np.zeros((*entry.points.shape[:2], 1), dtype=np.float32)
            shares = (entry.points / np.array(size, dtype=np.float64)).astype(np.float32)
            visibility = np.maximum(entry.scores, np.float32(VISIBILITY))
            raised |= bool((visibility > entry.scores)[entry.valid].any())
            joints = np.concatenate([shares, depth, visibility[..., None]], axis=2)
        clips.append(
            Clip(
                entry.name,
                np.where(entry.valid[..., None], joints, np.float32(np.nan)),
                size,
                label=None if entry.label is None else str(entry.label),
                split=None if overlap else split_of.get(entry.name),
            )
        )
    labels = [entry.label for entry in annotations if entry.label is not None]
    class_names = tuple(str(i) for i in range(max(labels) + 1)) if labels else None
    lost = {
        "splits, which overlap": overlap,
        f"scores below {VISIBILITY:g}, which are raised to it so that their joints stay seen": raised,
    }
    return Collection(tuple(clips), layout, class_names, tuple(what for what, there in lost.items() if there))


def write_pyskl(collection: Collection, path: Path) -> list[str]:
    """Write a pickle of builtins and NumPy arrays, whole or not at all.

    Scores are the visibilities, and 0 where these are below ``VISIBILITY``.

    Returns:
        What it cannot carry, and whether such visibilities became 0.
    """
    index = {name: i for i, name in enumerate(collection.class_names or ())}
    splits: dict[str, list[str]] = {}
    for clip in collection.clips:
        if clip.split is not None:
            splits.setdefault(clip.split, []).append(clip.name)
    content = {"split": splits, "annotations": [_annotation(clip, index) for clip in collection.clips]}
    with atomic_write(path) as file:
        pickle.dump(content, file, protocol=PROTOCOL)
    numbers = all(name == str(i) for name, i in index.items())
    lost = {
        "joint names": True,
        "z": not collection.metric,
        "timestamps": collection.has("timestamps"),
        "persons": collection.has("person"),
        "class names": not numbers,
        **{f"column {name}": True for name in collection.columns},
    }
    notes = [f"A PYSKL pickle carries no {', '.join(key for key, there in lost.items() if there)}."]
    if any((clip.valid & ~clip.seen).any() for clip in collection.clips):
        notes.append(f"Joints of visibility below {VISIBILITY:g} have score 0, so that they stay unseen.")
    return notes


def _annotation(clip: Clip, index: dict[str, int]) -> dict[str, object]:
    joints = np.nan_to_num(clip.joints)
    entry: dict[str, object] = {"frame_dir": clip.name, "total_frames": len(joints)}
    if clip.label is not None:
        entry["label"] = index[clip.label]
    if clip.size is None:
        return entry | {"keypoint": joints[None]}
    scores = np.where(clip.seen, joints[..., 3], 0).astype(np.float32)
    points = (joints[..., :2] * np.array(clip.size, dtype=np.float64)).astype(np.float32)
    shape = (clip.size[1], clip.size[0])
    return entry | {
        "img_shape": shape,
        "original_shape": shape,
        "keypoint": points[None],
        "keypoint_score": scores[None],
    }
