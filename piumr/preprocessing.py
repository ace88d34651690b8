"""What happens to a pose sequence before any model sees it. NumPy only; training and inference share it.

``image_points`` turns cached landmarks into model coordinates, ``normalise`` fills the holes, centres the clip on its
person and divides by the person's size, ``resample`` brings it to the model's number of frames. Missing landmarks
never become the point (0, 0): their coordinates are interpolated and their ``valid`` flag stays false.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from piumr.errors import PiumrError
from piumr.layouts import Layout

Points = NDArray[np.float32]
Mask = NDArray[np.bool_]

VISIBILITY = 0.5
"""Landmarks below this visibility count as missing: MediaPipe returns all 33 body points, even those out of view."""


LIMIT = 1e12
"""Coordinates must stay below. Divided by the smallest unit, 1e-6, and squared by a model, they still are float32."""


def image_points(landmarks: Points, valid: Mask, width: float, height: float) -> tuple[Points, Mask]:
    """Model coordinates of landmarks normalised by image size: ``(x W / H, y)``, so that a circle is a circle.

    Args:
        landmarks: float32 (T, V, 4): x / width, y / height, z, visibility in 0..1.
        valid: bool (T, V), the landmark was detected.
        width: image width, pixels.
        height: image height, pixels.

    Returns:
        points float32 (T, V, 2) in units of the image height, and valid bool (T, V) without those below
        :data:`VISIBILITY`. Points that are not valid are 0.
    """
    if not (width > 0 and height > 0):
        raise PiumrError(f"Expected `width` and `height` to be positive, but got {width} and {height}.")
    valid = valid & np.isfinite(landmarks).all(axis=-1) & (np.nan_to_num(landmarks[..., 3]) >= VISIBILITY)
    points = landmarks[..., :2] * np.array([width / height, 1.0], dtype=np.float32)
    return np.where(valid[..., None], points, 0).astype(np.float32), valid


def normalise(points: Points, valid: Mask, layout: Layout) -> tuple[Points, Mask]:
    """Fill the holes of one clip, move its origin to the person's centre and make the person's size 1.

    Holes are linear in time with edges held; a joint that is never seen takes its parent's position. The origin is the
    median over time of the first of ``layout.centres`` that is visible in at least half of the frames, the unit the
    median length of the first of ``layout.units`` that is: one origin and one unit a clip, so that motion through space
    and the proportions between frames stay. The mask passes through unchanged.

    Args:
        points: float32 (T, V, C), any content where not valid.
        valid: bool (T, V).
        layout: its joints are the V joints.

    Returns:
        points float32 (T, V, C), finite, and valid. A clip without any valid joint is all zeros.

    Raises:
        PiumrError: if shapes and layout do not agree or a valid point is not finite and below :data:`LIMIT`.
    """
    _check(points, valid, len(layout), layout.name)
    if not valid.any():
        return np.zeros(points.shape, dtype=np.float32), valid
    # float64 inside: metres and fractions of an image differ by orders of magnitude from their offsets
    filled = _fill_in_time(points.astype(np.float64), valid)
    filled = (filled - _centre(filled, valid, layout)) / _unit(filled, valid, layout)
    seen: Mask = np.any(valid, axis=0)
    for joint in layout.topological_order():
        if not seen[joint]:
            filled[:, joint] = 0 if joint == layout.root else filled[:, layout.parents[joint]]
    return filled.astype(np.float32), valid


def resample(points: Points, valid: Mask, frames: int) -> tuple[Points, Mask]:
    """Bring one clip to ``frames`` frames: linear at ``np.linspace(0, T - 1, frames)``, validity of the nearest frame.

    Args:
        points: float32 (T, V, C) without holes (see :func:`normalise`), T >= 1.
        valid: bool (T, V).
        frames: number of frames wanted, at least 1.

    Returns:
        points float32 (frames, V, C) and valid bool (frames, V).

    Raises:
        PiumrError: if the clip has no frame or ``frames`` is below 1.
    """
    if frames < 1:
        raise PiumrError(f"Expected `frames` to be at least 1, but got {frames}.")
    if len(points) < 1:
        raise PiumrError("Expected a clip of at least one frame, but got an empty one.")
    position = np.linspace(0, len(points) - 1, frames)
    before = np.floor(position).astype(np.int64)
    after = np.minimum(before + 1, len(points) - 1)
    weight = (position - before).astype(np.float32)[:, None, None]
    return (
        points[before] * (1 - weight) + points[after] * weight,
        valid[np.where(weight[:, 0, 0] < 0.5, before, after)],
    )


def _check(points: Points, valid: Mask, joints: int, layout_name: str) -> None:
    if points.ndim != 3 or points.shape[1] != joints:
        raise PiumrError(
            f"Expected `points` of shape (T, {joints}, C) for layout {layout_name}, but got {points.shape}."
        )
    if valid.shape != points.shape[:2] or valid.dtype != np.bool_:
        raise PiumrError(f"Expected `valid` bool of shape {points.shape[:2]}, but got {valid.dtype} {valid.shape}.")
    seen = points[valid]
    wrong = seen[~(np.abs(seen) < LIMIT)]  # so written, NaN is wrong as well
    if len(wrong):
        raise PiumrError(f"Expected every valid point to be finite and below {LIMIT:g}, but got {wrong[0]:g}.")


def _fill_in_time(points: NDArray[np.float64], valid: Mask) -> NDArray[np.float64]:
    """Linear between the nearest valid frames of each joint, held at the edges; joints never seen become 0."""
    t = np.arange(len(points))[:, None]
    before = np.maximum.accumulate(np.where(valid, t, -1), axis=0)
    after = np.minimum.accumulate(np.where(valid, t, len(points))[::-1], axis=0)[::-1]
    never: Mask = ~np.any(valid, axis=0)
    low = np.where(before < 0, after, before)
    high = np.where(after == len(points), before, after)
    low, high = np.where(never, 0, low), np.where(never, 0, high)
    weight = ((t - low) / np.maximum(high - low, 1))[..., None]
    # lerp as a + w (b - a) would carry what stands in missing points; multiply after gathering valid ones only
    filled = (
        np.take_along_axis(points, low[..., None], 0) * (1 - weight)
        + np.take_along_axis(points, high[..., None], 0) * weight
    )
    return np.where(never[None, :, None], 0, filled)


def _centre(filled: NDArray[np.float64], valid: Mask, layout: Layout) -> NDArray[np.float64]:
    """The clip's origin, (C,): median over the frames in which the chosen group of joints is visible."""
    groups = [list(group) for group in layout.centres]
    shown: list[Mask] = [np.all(valid[:, group], axis=1) for group in groups]
    chosen = _first_visible(shown)
    if chosen is None:
        return filled[valid].mean(axis=0)
    return np.median(filled[:, groups[chosen]].mean(axis=1)[shown[chosen]], axis=0)


def _unit(filled: NDArray[np.float64], valid: Mask, layout: Layout) -> float:
    """The clip's unit of length: median length of the chosen pair, else the spread of all valid points, else 1."""
    pairs = [list(pair) for pair in layout.units]
    shown: list[Mask] = [np.all(valid[:, pair], axis=1) for pair in pairs]
    chosen = _first_visible(shown)
    length = 0.0
    if chosen is not None:
        a, b = pairs[chosen]
        length = float(np.median(np.linalg.norm(filled[:, a] - filled[:, b], axis=-1)[shown[chosen]]))
    if length < 1e-6:
        length = float(filled[valid].std(axis=0).max())
    return length if length > 1e-6 else 1.0


def _first_visible(shown: list[Mask]) -> int | None:
    """Index of the first candidate visible in half of the frames, else of the one seen most, None if never."""
    counts = [int(mask.sum()) for mask in shown]
    if not counts or max(counts) == 0:
        return None
    return next((i for i, mask in enumerate(shown) if 2 * counts[i] >= len(mask)), int(np.argmax(counts)))
