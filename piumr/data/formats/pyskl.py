"""The pickles of PYSKL and MMAction2: annotations of clips in two or three dimensions, and named splits.

``{"split": {name: [frame_dir, ...]}, "annotations": [{"frame_dir", "label", "total_frames", "img_shape",
"original_shape", "keypoint" (M, T, V, C), "keypoint_score" (M, T, V)}, ...]}``; the older form is the list alone. They
are read by :func:`piumr.data.formats.safe_pickle.load_pickle`, which executes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeGuard

import numpy as np

from piumr.data.clips import SkeletonSet
from piumr.data.formats.packing import MAX_LABEL, check_plain, pack
from piumr.data.formats.people import most_prominent
from piumr.data.formats.safe_pickle import brief, load_pickle
from piumr.data.labels import class_indices
from piumr.errors import PiumrError
from piumr.layouts import LAYOUTS, Layout
from piumr.preprocessing import LIMIT, Mask, Points

if TYPE_CHECKING:
    from piumr.data.declaration import Declaration


@dataclass(frozen=True, eq=False)
class Annotation:
    """One clip, of its most prominent person.

    Attributes:
        name: ``frame_dir``.
        label: class index, or None where it is not given.
        points: float32 (T, V, 2) in pixels, or (T, V, 3) in the set's unit.
        scores: float32 (T, V), confidence of each joint; 1 where the pickle has none.
        valid: bool (T, V): the score is positive, and the joint finite and not at the origin, where missing ones are.
        shape: (height, width) of the image in pixels, or None where it is not given.
    """

    name: str
    label: int | None
    points: Points
    scores: np.ndarray
    valid: Mask
    shape: tuple[int, int] | None


@dataclass(frozen=True)
class Pyskl:
    """Reader of such pickles.

    Of several people the most prominent one is taken: the highest sum of scores over the clip, without scores most
    joints, and among equals the one who moves most.

    Attributes:
        file: name of the pickle in the data folder, or ...
        pickles: ... of one for each split, by the split's name.
        splits: with ``file``, the splits to take; empty for all, where no clip is in two. Clips in none are left out.
    """

    carries_layout: ClassVar[bool] = False
    takes_labels: ClassVar[bool] = False

    file: str = ""
    pickles: Mapping[str, str] = field(default_factory=dict)
    splits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            PiumrError: if a file is no plain name, or not exactly one of ``file`` and ``pickles`` is given.
        """
        if bool(self.file) == bool(self.pickles) or (self.pickles and self.splits):
            raise PiumrError("expected `file`, with `splits` or without, or `pickles`, but got another combination")
        check_plain("file", [self.file])
        check_plain("pickles", self.pickles.values())

    def read(self, declaration: Declaration, data: Path, poses: Path, labels: Path | None) -> SkeletonSet:
        """Read the pickles; see :class:`piumr.data.formats.Format`."""
        if self.file:
            annotations, by_split = read_pickle(data / self.file)
            split_of = self._split_of(by_split, data / self.file)
            if split_of:
                annotations = [annotation for annotation in annotations if annotation.name in split_of]
            splits = [split_of[annotation.name] for annotation in annotations] if split_of else None
        else:
            annotations, splits = [], []
            for split, name in self.pickles.items():
                found, _ = read_pickle(data / name)
                annotations += found
                splits += [split] * len(found)
        return annotated_set(declaration, annotations, splits)

    def _split_of(self, by_split: Mapping[str, Sequence[str]], path: Path) -> dict[str, str]:
        """The split of each clip in one of the chosen splits."""
        absent = [split for split in self.splits if split not in by_split]
        if absent:
            raise PiumrError(
                f"{path}: expected the splits {', '.join(self.splits)}, but got {', '.join(by_split) or 'none'}."
            )
        split_of: dict[str, str] = {}
        for split in self.splits or by_split:
            for name in by_split[split]:
                if split_of.setdefault(name, split) != split:
                    raise PiumrError(
                        f"{path}: expected every clip in one split, but got {name!r} in {split_of[name]} and {split}; "
                        f"choose among {', '.join(by_split)} in `options.splits`."
                    )
        return split_of


def annotated_set(
    declaration: Declaration, annotations: Sequence[Annotation], splits: Sequence[str] | None
) -> SkeletonSet:
    """A set of annotated clips; image sets in units of the image's height.

    Raises:
        PiumrError: if there is no clip, one has no label or other joints than the declaration, dimensions differ, or a
            two-dimensional one has no image size.
    """
    layout = declaration.layout
    assert layout is not None
    if not annotations:
        raise PiumrError(f"Expected clips of data set {declaration.name}, but got none.")
    for annotation in annotations:
        _check_clip(annotation, layout, annotations[0].points.shape[2])
    indices, class_names = class_indices([str(clip.label) for clip in annotations], declaration.class_names)
    clips = [
        (clip.points if clip.shape is None else clip.points / np.float32(clip.shape[0]), clip.valid)
        if clip.points.shape[2] == 2
        else (clip.points, clip.valid)
        for clip in annotations
    ]
    return pack(declaration, [clip.name for clip in annotations], clips, indices, class_names, splits=splits)


def read_pickle(path: Path) -> tuple[list[Annotation], dict[str, list[str]]]:
    """The clips of a pickle, and the names of the clips in each split.

    Raises:
        PiumrError: if the file is missing, damaged, holds more than data, or an annotation is not as it should be.
    """
    content = load_pickle(path)
    by_split: dict[str, list[str]] = {}
    if isinstance(content, dict):
        by_split = _splits(content.get("split", {}), path)
        content = content.get("annotations")
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise PiumrError(f"{path}: expected a list of `annotations`, each a dictionary, but got another.")
    # a pickle may refer to one array any number of times, and every clip is a copy
    arrays = [id(entry["keypoint"]) for entry in content if isinstance(entry.get("keypoint"), np.ndarray)]
    if len(set(arrays)) < len(arrays):
        raise PiumrError(f"{path}: expected every clip to have a `keypoint` of its own, but several share one.")
    return [_annotation(entry, f"{path}: annotation {i}") for i, entry in enumerate(content)], by_split


def _splits(value: Any, path: Path) -> dict[str, list[str]]:
    if not isinstance(value, dict) or not all(
        isinstance(split, str) and isinstance(names, list) and _are_texts(names) for split, names in value.items()
    ):
        raise PiumrError(f"{path}: expected `split` to be lists of names by the split's name, but got another.")
    return value


def _annotation(entry: dict[str, Any], where: str) -> Annotation:
    name = entry.get("frame_dir")
    if not isinstance(name, str):
        raise PiumrError(f"{where}: expected `frame_dir` to be a text, but got {type(name).__name__}.")
    points = _numbers(entry.get("keypoint"), "keypoint", "(M, T, V, 2 or 3)", f"{where} ({name[:80]})")
    if points.ndim != 4 or points.shape[3] not in (2, 3) or 0 in points.shape[:3]:
        raise PiumrError(
            f"{where} ({name[:80]}): expected `keypoint` of shape (M, T, V, 2 or 3) with at least one person and one "
            f"frame, but got {points.shape}."
        )
    scores = np.ones(points.shape[:3], dtype=np.float32)
    if entry.get("keypoint_score") is not None:
        scores = _numbers(entry["keypoint_score"], "keypoint_score", "(M, T, V)", f"{where} ({name[:80]})")
    if scores.shape != points.shape[:3]:
        raise PiumrError(
            f"{where} ({name[:80]}): expected `keypoint_score` of shape {points.shape[:3]}, but got {scores.shape}."
        )
    valid = (scores > 0) & (np.abs(points) < LIMIT).all(axis=3) & points.any(axis=3)
    points = np.where(valid[..., None], points, np.float32(0))
    person = most_prominent(list(zip(points, valid, strict=True)), list(scores))
    return Annotation(name, _label(entry, where), points[person], scores[person], valid[person], _shape(entry, where))


def _numbers(value: Any, key: str, shape: str, where: str) -> np.ndarray:
    array = np.asarray(value) if isinstance(value, np.ndarray) else np.empty(0, dtype="U1")
    if array.dtype.kind not in "fiu":
        raise PiumrError(f"{where}: expected `{key}` to be an array of numbers {shape}, but got another.")
    return array.astype(np.float32)


def _label(entry: dict[str, Any], where: str) -> int | None:
    label = entry.get("label")
    if label is None:
        return None
    if not is_class_index(label):
        raise PiumrError(
            f"{where}: expected `label` to be a class index from 0 to {MAX_LABEL}, but got {brief(label)}."
        )
    return int(label)


def is_class_index(label: object) -> TypeGuard[int | np.integer[Any]]:
    """Whether a value from a pickle can be the index of a class."""
    return isinstance(label, int | np.integer) and not isinstance(label, bool) and bool(0 <= label <= MAX_LABEL)


def _shape(entry: dict[str, Any], where: str) -> tuple[int, int] | None:
    shape = entry.get("img_shape")
    if shape is None:
        return None
    sizes = list(shape) if isinstance(shape, tuple | list | np.ndarray) else []
    if len(sizes) != 2 or not all(isinstance(n, int | float | np.number) and 0 < n < LIMIT for n in sizes):
        raise PiumrError(f"{where}: expected `img_shape` to be (height, width) in pixels, but got {brief(shape)}.")
    return int(sizes[0]), int(sizes[1])


def _check_clip(clip: Annotation, layout: Layout, dimensions: int) -> None:
    joints = clip.points.shape[1]
    if joints != len(layout):
        known = ", ".join(other.name for other in LAYOUTS.values() if len(other) == joints) or "no layout"
        raise PiumrError(
            f"Expected clips of the {len(layout)} joints of layout {layout.name}, but got {joints} joints (those of "
            f"{known}) in clip {clip.name!r}."
        )
    if clip.points.shape[2] != dimensions:
        raise PiumrError(f"Expected clips of {dimensions} dimensions, but got {clip.points.shape[2]} in {clip.name!r}.")
    if clip.label is None:
        raise PiumrError(f"Expected a `label` for every clip, but got none for {clip.name!r}.")


def _are_texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
