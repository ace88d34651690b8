"""What readers share: from clips and what a declaration says of their names to a set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from piumr.data.clips import ClipTable, SkeletonSet
from piumr.data.labels import class_indices
from piumr.errors import PiumrError
from piumr.layouts import Layout
from piumr.preprocessing import Mask, Points

if TYPE_CHECKING:
    from piumr.data.declaration import Declaration

MAX_LABEL = 100_000
"""Largest label of a file without class names; a larger one is no class but an id or a hash."""


def read_files(
    declaration: Declaration, data: Path, suffix: str, read: Callable[[Path], tuple[Points, Mask]]
) -> SkeletonSet:
    """A set of one clip a file, whose names say label and person.

    Args:
        declaration: of the set; it has a ``label`` pattern.
        data: folder; files in its folders count as well, and names are their paths without suffix.
        suffix: how the files' names end.
        read: points float32 (T, V, C) and valid bool (T, V) of a file.

    Raises:
        PiumrError: if there is no file, one is broken, or a name does not fit the declaration.
    """
    files = sorted(data.rglob(f"*{suffix}"))
    if not files:
        raise PiumrError(f"Expected {suffix} files under {data}, but there are none; see {declaration.source}.")
    names = [file.relative_to(data).with_suffix("").as_posix() for file in files]
    labels = labels_from_names(declaration, names)  # before the files are read: wrong names are told at once
    return pack(declaration, names, [read(file) for file in files], *labels)


def labels_from_names(declaration: Declaration, names: Sequence[str]) -> tuple[list[int], tuple[str, ...]]:
    """Class of each clip by its name, and the class names; without declared classes the labels found are the classes.

    Raises:
        PiumrError: if the declaration has no ``label`` pattern or a name does not fit it.
    """
    rule, class_names = declaration.label, declaration.class_names
    if rule is None:
        raise PiumrError(f"Expected data set {declaration.name} to declare a `label` pattern.")
    if class_names is None:
        return class_indices([rule.text_from_name(name) for name in names], None)
    return [rule.from_name(name) for name in names], class_names


def pack(
    declaration: Declaration,
    names: Sequence[str],
    clips: Sequence[tuple[Points, Mask]],
    labels: Sequence[int],
    class_names: tuple[str, ...],
    layout: Layout | None = None,
    persons: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    columns: Mapping[str, tuple[str, ...]] | None = None,
    missing: ClipTable | None = None,
) -> SkeletonSet:
    """A set of N clips.

    Args:
        declaration: of the set.
        names: N clip names.
        clips: points float32 (T, V, C) and valid bool (T, V) of each; points that are not valid may be anything.
        labels: N class indices.
        class_names: K names.
        layout: the joints; None for the declared ones.
        persons: N person ids; None reads them from the names where the declaration says how.
        splits: N names of lists, where the set comes with such.
        columns: further facts by name, N texts each, where the labels have such.
        missing: clips that the set's lists name and that are not there.

    Raises:
        PiumrError: if something does not fit; see :class:`piumr.data.clips.SkeletonSet`.
    """
    joints = layout or declaration.layout
    assert joints is not None
    if persons is None and declaration.person is not None and declaration.person.pattern:
        persons = [declaration.person.from_name(name) for name in names]
    points = np.concatenate([points for points, _ in clips])
    valid = np.concatenate([valid for _, valid in clips])
    return SkeletonSet(
        points=np.where(valid[..., None], points, np.float32(0)),
        valid=valid,
        offsets=np.cumsum([0, *(len(points) for points, _ in clips)]),
        labels=np.array(labels, dtype=np.int64),
        names=tuple(names),
        persons=None if persons is None else tuple(persons),
        splits=None if splits is None else tuple(splits),
        class_names=class_names,
        layout=joints,
        coarse=declaration.coarse,
        coarse_names=declaration.coarse_names,
        mirror=declaration.mirror,
        columns=columns or {},
        missing=missing,
    )


def camera_points(points: np.ndarray) -> tuple[Points, Mask]:
    """Points (T, V, 3) of a depth camera in metres, and their mask: what lies exactly in the camera is missing."""
    points = points.astype(np.float32)
    valid = np.isfinite(points).all(axis=2) & points.any(axis=2)
    return np.where(valid[..., None], points, np.float32(0)), valid


def joint_order(declaration: Declaration, joints: Sequence[str]) -> list[int]:
    """Where the declared layout's joints stand among a file's, which may be more.

    Args:
        declaration: of the set.
        joints: names of the file's joints in its order; empty if they are the layout's.

    Raises:
        PiumrError: if a joint is not there, or a name is given twice.
    """
    layout = declaration.layout
    assert layout is not None
    absent = [joint for joint in layout.joints if joint not in joints]
    if joints and (absent or len(set(joints)) != len(joints)):
        raise PiumrError(
            f"Expected `options.joints` of data set {declaration.name} to name the {len(layout)} joints of layout "
            f"{layout.name} in the files' order, but got {f'no {absent[0]}' if absent else 'a name twice'}."
        )
    return [joints.index(joint) for joint in layout.joints] if joints else list(range(len(layout)))


def check_plain(option: str, names: Iterable[str]) -> None:
    """Refuse an option whose values lead out of the data folder.

    Raises:
        PiumrError: if one is no plain file name, or part of one.
    """
    for name in names:
        if Path(name).name != name:
            raise PiumrError(f"expected `{option}` to be the name of a file in the data folder, but got {name!r}")
