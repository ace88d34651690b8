"""The generic container: one ``.npz`` with arrays of joints, labels and persons. Also the way to bring own skeletons.

Keys: ``frames`` (sum T, V, C) with ``offsets`` (N + 1,), or arrays of clips of equal length (N, T, V, C); ``label``
(N,) from 0; optionally ``subject`` (N,), ``class_names``, ``joint_names``, ``sample_id`` (N,), ``split`` (N,), and for
landmarks in pictures of several sizes ``width`` and ``height`` (N,). Where a declaration has classes, ``class_names``
are the same ones in any order, or their numbers. Nothing is unpickled.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from piumr.data.clips import SkeletonSet
from piumr.data.formats.packing import MAX_LABEL, check_plain
from piumr.errors import PiumrError
from piumr.layouts import LAYOUTS, Layout, same_joints
from piumr.preprocessing import image_points
from pose_extract.archive import DAMAGE, first_line

if TYPE_CHECKING:
    from piumr.data.declaration import Declaration

MAX_BYTES = 8 << 30
"""Largest container that is read, uncompressed."""


@dataclass(frozen=True)
class Npz:
    """Reader of the container.

    Attributes:
        file: name of the container in the data folder.
        joints: the arrays that form the joints, one after the other in the layout's order. A frame in which such an
            array is all zeros is one in which it was not detected; a joint that is not finite is missing as well.
        width: image width. Where it and ``height`` are given, here or as arrays of the container, coordinates are
            x / width, y / height, z (dropped) and visibility, if there is a fourth column, and only their ratio
            matters; else they are metres.
        height: image height.
    """

    carries_layout: ClassVar[bool] = False
    takes_labels: ClassVar[bool] = False

    file: str
    joints: tuple[str, ...] = ("frames",)
    width: float | None = None
    height: float | None = None

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            PiumrError: if ``file`` is no plain name, no array is named, or one of width and height is missing.
        """
        check_plain("file", [self.file])
        if not self.joints:
            raise PiumrError("expected `joints` to name at least one array, but got none")
        if (self.width is None) != (self.height is None):
            raise PiumrError("expected `width` and `height` together, but got one")

    def files(self, data: Path, poses: Path, labels: Path | None) -> list[Path]:
        """The container."""
        return [data / self.file]

    def read(self, declaration: Declaration, data: Path, poses: Path, labels: Path | None) -> SkeletonSet:
        """Read the container; see :class:`piumr.data.formats.Format`."""
        path = data / self.file
        arrays = load_arrays(path)
        for key in ("label", *self.joints):
            if key not in arrays:
                raise PiumrError(f"{path}: expected an array `{key}`, but got {', '.join(arrays)}.")
        parts, offsets = self._parts(arrays, path)
        assert declaration.layout is not None
        _check_layout(arrays.get("joint_names"), parts, declaration.layout, path)
        count = len(offsets) - 1
        if count < 1:
            raise PiumrError(f"{path}: expected at least one clip, but got none.")
        points, valid = self._points(parts, offsets, _sizes(arrays, count, path))
        class_indices, class_names = _classes(declaration, arrays, path)
        names = _texts(arrays, "sample_id", count, path) or tuple(f"clip {i}" for i in range(count))
        try:
            return SkeletonSet(
                points=points,
                valid=valid,
                offsets=offsets,
                labels=class_indices,
                names=names,
                persons=_persons(declaration, arrays, names, path),
                splits=_texts(arrays, "split", count, path),
                class_names=class_names,
                layout=declaration.layout,
                coarse=declaration.coarse,
                coarse_names=declaration.coarse_names,
                mirror=declaration.mirror,
                columns=_columns(arrays, count),
            )
        except PiumrError as error:
            raise PiumrError(f"{path}: {error}") from None

    def _parts(self, arrays: dict[str, np.ndarray], path: Path) -> tuple[list[np.ndarray], np.ndarray]:
        """The arrays of joints as (sum T, V, C), and the clips' offsets."""
        parts = [arrays[key] for key in self.joints]
        for key, part in zip(self.joints, parts, strict=True):
            if part.dtype.kind not in "fiu" or part.ndim not in (3, 4) or not 2 <= part.shape[-1] <= 4:
                raise PiumrError(
                    f"{path}: expected `{key}` to hold numbers of shape (sum T, V, 2 to 4) or (N, T, V, 2 to 4), but "
                    f"got {part.dtype} {part.shape}."
                )
        if len({part.shape[:-2] for part in parts}) > 1:
            raise PiumrError(f"{path}: expected the arrays {', '.join(self.joints)} to have the same frames.")
        if parts[0].ndim == 4:
            clips, frames = parts[0].shape[:2]
            packed = [part.reshape(clips * frames, *part.shape[2:]) for part in parts]
            return packed, np.arange(clips + 1) * frames
        if "offsets" not in arrays:
            raise PiumrError(f"{path}: expected an array `offsets` beside packed frames, but got {', '.join(arrays)}.")
        return parts, _integers(arrays["offsets"], "offsets", path)

    def _points(
        self, parts: list[np.ndarray], offsets: np.ndarray, sizes: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Model coordinates (sum T, V, C) and valid (sum T, V)."""
        detected = [np.any(part, axis=(1, 2), keepdims=True)[..., 0] & np.isfinite(part).all(axis=2) for part in parts]
        valid = np.concatenate(detected, axis=1)
        if self.width is not None and self.height is not None:
            sizes = np.array([[self.width, self.height]])  # one for all
            offsets = np.array([0, len(valid)])
        if sizes is not None:
            landmarks = np.concatenate([_with_visibility(part) for part in parts], axis=1)
            clips = [
                image_points(landmarks[first:last], valid[first:last], width, height)
                for first, last, (width, height) in zip(offsets[:-1], offsets[1:], sizes, strict=True)
            ]
            return np.concatenate([points for points, _ in clips]), np.concatenate([seen for _, seen in clips])
        points = np.concatenate([part[..., :3] for part in parts], axis=1).astype(np.float32)
        return np.where(valid[..., None], points, np.float32(0)), valid


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz`` file, nothing unpickled.

    Raises:
        PiumrError: if the file is missing, no ``.npz``, damaged, or larger than :data:`MAX_BYTES` uncompressed.
    """
    if not path.is_file():
        raise PiumrError(f"Expected the file {path}, but it is not there.")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_BYTES:
            raise PiumrError(f"{path}: expected at most {MAX_BYTES} bytes of arrays, but got {size}.")
        with np.load(path, allow_pickle=False) as container:
            return {key: container[key] for key in container.files}
    except PiumrError:
        raise
    except (OSError, *DAMAGE) as error:
        raise PiumrError(f"{path}: expected a readable .npz file, but got: {first_line(error)}.") from None


def _check_layout(names: np.ndarray | None, parts: list[np.ndarray], layout: Layout, path: Path) -> None:
    """Refuse a container whose joints are not the declared layout's; its names describe the first array."""
    joints = (
        tuple(str(name) for name in np.atleast_1d(names)) if names is not None else layout.joints[: parts[0].shape[1]]
    )
    count = sum(part.shape[1] for part in parts)
    if count == len(layout) and same_joints(joints, layout.joints[: parts[0].shape[1]]):
        return
    known = next((other.name for other in LAYOUTS.values() if same_joints(other.joints, joints)), "an unknown layout")
    raise PiumrError(
        f"{path}: expected the {len(layout)} joints of layout {layout.name} ({', '.join(layout.joints[:3])}, ...), but "
        f"got {count} joints of {known} ({', '.join(joints[:3])}, ...)."
    )


def _with_visibility(part: np.ndarray) -> np.ndarray:
    """Landmarks (sum T, V, 4) from 2, 3 or 4 columns: a missing z is 0, a missing visibility 1."""
    landmarks = np.zeros((*part.shape[:2], 4), dtype=np.float32)
    landmarks[..., 3] = 1
    landmarks[..., : part.shape[2]] = part
    return landmarks


def _integers(array: np.ndarray, key: str, path: Path) -> np.ndarray:
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise PiumrError(f"{path}: expected `{key}` to hold integers in one row, but got {array.dtype} {array.shape}.")
    return array.astype(np.int64)


def _sizes(arrays: dict[str, np.ndarray], count: int, path: Path) -> np.ndarray | None:
    """Width and height of the picture of each clip (N, 2), where the container has them."""
    if "width" not in arrays and "height" not in arrays:
        return None
    sizes = [arrays.get(key, np.empty(0)) for key in ("width", "height")]
    if any(size.shape != (count,) or size.dtype.kind not in "fiu" for size in sizes):
        raise PiumrError(
            f"{path}: expected `width` and `height` to be numbers of shape ({count},), but got shapes "
            f"{sizes[0].shape} and {sizes[1].shape}."
        )
    return np.stack(sizes, axis=1).astype(np.float64)


def _texts(arrays: dict[str, np.ndarray], key: str, count: int, path: Path) -> tuple[str, ...] | None:
    if key not in arrays:
        return None
    if arrays[key].shape != (count,):
        raise PiumrError(f"{path}: expected `{key}` to have shape ({count},), but got {arrays[key].shape}.")
    return tuple(str(value) for value in arrays[key])


def _persons(
    declaration: Declaration, arrays: dict[str, np.ndarray], names: tuple[str, ...], path: Path
) -> tuple[str, ...] | None:
    rule = declaration.person
    if rule is not None and rule.pattern:
        return tuple(rule.from_name(name) for name in names)
    if rule is not None and rule.column not in arrays:
        raise PiumrError(f"{path}: expected an array `{rule.column}` with the persons, but got {', '.join(arrays)}.")
    return _texts(arrays, rule.column if rule is not None else "subject", len(names), path)


def _columns(arrays: dict[str, np.ndarray], count: int) -> dict[str, tuple[str, ...]]:
    """All arrays with one number or text for each clip: a protocol of kind ``attribute`` may split by them."""
    return {
        key: tuple(str(value) for value in array)
        for key, array in arrays.items()
        if array.shape == (count,) and array.dtype.kind in "biuU"
    }


def _classes(declaration: Declaration, arrays: dict[str, np.ndarray], path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class of each clip, int64 (N,), and the class names: the declared ones, else the container's, else numbers."""
    labels = _integers(arrays["label"], "label", path)
    found = tuple(str(name) for name in np.atleast_1d(arrays["class_names"])) if "class_names" in arrays else None
    declared = declaration.class_names
    if declared is not None:
        return labels if found is None else _renumbered(labels, found, declared, path), declared
    if found:
        return labels, found
    largest = int(labels.max(initial=-1))
    if largest > MAX_LABEL:
        raise PiumrError(f"{path}: expected labels up to {MAX_LABEL}, but got {largest}; number the classes from 0.")
    return labels, tuple(str(i) for i in range(largest + 1))


def _renumbered(labels: np.ndarray, found: tuple[str, ...], declared: tuple[str, ...], path: Path) -> np.ndarray:
    """Labels by the declared order of the classes, int64 (N,); the container has them in the order ``found``."""
    numbers = tuple(str(i) for i in range(len(declared)))  # of a container that knows no names
    if found in (declared, numbers):
        return labels
    if sorted(found) != sorted(declared):
        absent = [name for name in declared if name not in found]
        unknown = [name for name in found if name not in declared]
        raise PiumrError(
            f"{path}: expected the {len(declared)} declared classes, but got {len(found)} in `class_names`: "
            f"{absent[:3]} are missing, {unknown[:3]} are not declared; correct them, or leave `class_names` out where "
            "labels are numbered as declared."
        )
    if ((labels < 0) | (labels >= len(found))).any():
        raise PiumrError(f"{path}: expected labels within 0..{len(found) - 1}, but got {labels.min()}..{labels.max()}.")
    return np.array([declared.index(name) for name in found])[labels]
