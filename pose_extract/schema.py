"""The pose cache: what one extracted clip is, and its file. NumPy and the standard library only.

A cache file is a NumPy ``.npz`` with ``landmarks``, ``world``, ``valid``, ``timestamps`` and ``meta`` (a JSON text).
Any joint layout is admitted: ``meta`` names its joints and edges. MediaPipe's layouts are in
:mod:`pose_extract.landmarks`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.archive import open_archive
from pose_extract.atomic import atomic_write
from pose_extract.errors import PoseError

SCHEMA = 1
"""Version of the file format; readers refuse newer ones."""

WORLD_POINTS = 33
"""Body points in metres that MediaPipe's layouts carry in ``world``."""

MAX_LANDMARK = 1e4
"""Largest landmark, in image sizes: no estimate is further out; damage, such as 3e38, must not reach a model."""

MAX_PIXELS = 2**20
"""Largest width and height of an image, many times what any camera or codec gives."""

_CHECKED = 4096  # frames whose values are checked at once

_KEYS = ("landmarks", "world", "valid", "timestamps")


@dataclass(frozen=True, eq=False)
class PoseSequence:
    """The keypoints of one person in one clip: T frames, V joints.

    Attributes:
        landmarks: float32 (T, V, 4): x and y as shares of width and height (they may leave 0..1), z in the estimator's
            image scale, visibility 0..1 (1 where the estimator has none). NaN where not detected.
        world: float32 (T, 33, 3) for MediaPipe's layouts: metres, origin mid-hip, NaN where not detected. Other
            layouts may leave it empty: (T, 0, 3).
        valid: bool (T, V): the landmark was detected in that frame.
        timestamps: float64 (T,): seconds from the clip's start, never decreasing.
        meta: plain JSON values. Required: ``layout`` (name), ``joints`` (V unique names), ``edges`` (pairs of joint
            indices), ``width`` and ``height`` (pixels, after rotation). The extractor adds ``source``, ``fps``,
            ``frames_promised``, ``frames_decoded``, ``estimator`` and ``warnings``.

    Raises:
        PoseError: if a shape, a dtype, a value or a required entry of ``meta`` is wrong.
    """

    landmarks: NDArray[np.float32]
    world: NDArray[np.float32]
    valid: NDArray[np.bool_]
    timestamps: NDArray[np.float64]
    meta: dict[str, Any]

    def __post_init__(self) -> None:
        check_meta(self.meta)
        T, V = np.size(self.timestamps), len(self.meta["joints"])
        W = (
            WORLD_POINTS
            if self.meta["layout"].startswith("mediapipe-") or np.ndim(self.world) != 3
            else self.world.shape[1]
        )
        if T == 0:
            raise PoseError("Expected `timestamps` to hold at least one frame, but got none.")
        self._check_array("landmarks", np.float32, (T, V, 4))
        self._check_array("world", np.float32, (T, W, 3))
        self._check_array("valid", np.bool_, (T, V))
        self._check_array("timestamps", np.float64, (T,))
        for first in range(0, T, _CHECKED):  # copies of hours would take more memory than they do themselves
            part = slice(first, first + _CHECKED)
            seen = self.landmarks[part][self.valid[part]]
            wrong = seen[~(np.abs(seen) < MAX_LANDMARK)]  # so written, NaN is wrong as well
            if len(wrong):
                raise PoseError(
                    f"Expected `landmarks` to be finite and below {MAX_LANDMARK:g} wherever `valid` is true, but got "
                    f"{wrong[0]:g}."
                )
        if not np.isfinite(self.timestamps).all() or (np.diff(self.timestamps) < 0).any():
            raise PoseError("Expected `timestamps` to be finite seconds that never decrease.")

    def _check_array(self, key: str, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
        array = np.asarray(getattr(self, key))
        if array.dtype != dtype or array.shape != shape:
            raise PoseError(
                f"Expected `{key}` to be {np.dtype(dtype)} of shape {shape} (frames from `timestamps`, joints from "
                f"`meta`), but got {array.dtype} of shape {array.shape}."
            )

    def __len__(self) -> int:
        """Number of frames T."""
        return len(self.landmarks)

    def shares(self) -> dict[str, float | None]:
        """Share of frames, 0..1, in which the ``body``, the ``left_hand`` and the ``right_hand`` were detected.

        A part counts as detected where any of its joints is; ``None`` where the layout has no such part. Joints whose
        names begin with ``left_hand_`` or ``right_hand_`` are a hand, all others are the body.
        """
        part = np.array([part_of(name) for name in self.meta["joints"]])
        return {
            name: float(self.valid[:, part == name].any(axis=1).mean()) if (part == name).any() else None
            for name in ("body", "left_hand", "right_hand")
        }


def read_poses(path: str | Path) -> PoseSequence:
    """Read a cache file.

    Nothing in the file is executed, and sizes are checked before memory is taken.

    Raises:
        PoseError: if there is no such file, or if it is damaged, not a pose cache, or of a newer format.
    """
    with open_archive(Path(path), (*_KEYS, "meta")) as archive:
        meta = _parse_meta(archive.read("meta"), Path(path))
        arrays = {key: archive.read(key) for key in _KEYS}
    try:
        return PoseSequence(**arrays, meta=meta)
    except PoseError as error:
        raise PoseError(f"{path} is not a valid pose cache: {error}") from None


def read_meta(path: str | Path) -> dict[str, Any]:
    """Read only the ``meta`` of a cache file: a fraction of a millisecond, whatever the clip's length.

    Raises:
        PoseError: as :func:`read_poses`; the arrays are not looked at.
    """
    with open_archive(Path(path), ("meta",)) as archive:
        return _parse_meta(archive.read("meta"), Path(path))


def write_poses(path: str | Path, sequence: PoseSequence) -> None:
    """Write a cache file; ``path`` is whole or untouched at any moment, whatever happens to the process.

    Raises:
        PoseError: if ``meta`` holds something that JSON cannot.
        OSError: if the file cannot be written, for example because the disk is full.
    """
    try:
        text = json.dumps({"schema": SCHEMA, **sequence.meta}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise PoseError(f"Expected `meta` to hold plain JSON values, but got others ({error}).") from None
    with atomic_write(Path(path)) as file:
        np.savez(file, allow_pickle=False, meta=np.array(text), **{key: getattr(sequence, key) for key in _KEYS})


def check_meta(meta: Mapping[str, Any]) -> None:
    """Check the entries of ``meta`` that every consumer relies on.

    Raises:
        PoseError: naming the first entry that is missing or wrong.
    """
    joints = meta.get("joints")
    names = isinstance(joints, list) and joints and all(isinstance(name, str) for name in joints)
    _require(isinstance(meta.get("layout"), str), "layout", "the layout's name")
    _require(bool(names) and len(set(joints or ())) == len(joints or ()), "joints", "a list of unique joint names")
    edges = meta.get("edges")
    _require(
        isinstance(edges, list) and all(_is_edge(edge, len(joints or ())) for edge in edges),
        "edges",
        "a list of pairs of joint indices",
    )
    for key in ("width", "height"):
        _require(type(meta.get(key)) is int and 0 < meta[key] <= MAX_PIXELS, key, "a number of pixels, 1 to 2**20,")


def _require(condition: bool, key: str, expectation: str) -> None:
    if not condition:
        raise PoseError(f"Expected `meta` to hold {expectation} as {key!r}.")


def _is_edge(edge: Any, joints: int) -> bool:
    return isinstance(edge, list) and len(edge) == 2 and all(type(i) is int and 0 <= i < joints for i in edge)


def part_of(joint: str) -> str:
    """The part that a joint belongs to, by its name: ``left_hand``, ``right_hand`` or ``body``."""
    return next((hand for hand in ("left_hand", "right_hand") if joint.startswith(f"{hand}_")), "body")


def _parse_meta(array: NDArray[Any], path: Path) -> dict[str, Any]:
    try:
        meta = json.loads(array.item()) if array.shape == () and array.dtype.kind == "U" else None
    except (ValueError, RecursionError):
        meta = None
    if not isinstance(meta, dict) or type(meta.get("schema")) is not int:
        raise PoseError(f"{path} is not a pose cache: its `meta` is not the JSON text that piumr-extract writes.")
    version = meta.pop("schema")
    if version > SCHEMA:
        raise PoseError(f"{path} has format {version}, newer than this version reads ({SCHEMA}): update piumr.")
    return meta
