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


NORMALISATION = (
    "piumr-1: landmarks of visibility below 0.5 are missing; image coordinates are (x width / height, y); holes are "
    "linear in time, edges held; a joint never seen takes its parent's position; one origin and one unit a clip, the "
    "medians of the layout's first centre and first unit seen in half of the frames; resampled to T frames, linearly"
)
"""What this module computes, as a model file states it. Other results need another number, or a model trained on the
old ones is fed with the new."""

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
    """Fill the holes of a clip, move its origin to the person's centre and make the person's size 1.

    Holes are linear in time with edges held; a joint that is never seen takes its parent's position. The origin is the
    median over time of the first of ``layout.centres`` that is visible in at least half of the frames, the unit the
    median length of the first of ``layout.units`` that is: one origin and one unit a clip, so that motion through space
    and the proportions between frames stay. The mask passes through unchanged.

    Args:
        points: float32 (T, V, C), any content where not valid; or (N, T, V, C), clips of one length at once.
        valid: bool (T, V) or (N, T, V).
        layout: its joints are the V joints.

    Returns:
        points float32 of the same shape, finite, and valid. A clip without any valid joint is all zeros.

    Raises:
        PiumrError: if shapes and layout do not agree or a valid point is not finite and below :data:`LIMIT`.
    """
    _check(points, valid, len(layout), layout.name)
    if points.ndim == 3:
        return normalise(points[None], valid[None], layout)[0][0], valid
    # float64 inside: metres and fractions of an image differ by orders of magnitude from their offsets
    filled = points.astype(np.float64, order="C")  # in C order a reshape is a view that can be filled
    seen: Mask = np.any(valid, axis=1)  # (N, V)
    _fill_in_time(filled, valid, seen)
    filled -= _centre(filled, valid, layout)[:, None, None]
    filled /= _unit(filled, valid, layout)[:, None, None, None]
    unseen = ~seen
    for joint in layout.topological_order():
        clips = unseen[:, joint]
        if clips.any():
            filled[clips, :, joint] = 0 if joint == layout.root else filled[clips, :, layout.parents[joint]]
    filled[~seen.any(axis=1)] = 0
    return filled.astype(np.float32), valid


def resample(points: Points, valid: Mask, frames: int) -> tuple[Points, Mask]:
    """Bring a clip to ``frames`` frames: linear at ``np.linspace(0, T - 1, frames)``, validity of the nearest frame.

    Args:
        points: float32 (..., T, V, C) without holes (see :func:`normalise`), T >= 1; clips of one length at once.
        valid: bool (..., T, V).
        frames: number of frames wanted, at least 1.

    Returns:
        points float32 (..., frames, V, C) and valid bool (..., frames, V).

    Raises:
        PiumrError: if the clip has no frame or ``frames`` is below 1.
    """
    if frames < 1:
        raise PiumrError(f"Expected `frames` to be at least 1, but got {frames}.")
    length = points.shape[-3]
    if length < 1:
        raise PiumrError("Expected a clip of at least one frame, but got an empty one.")
    position = np.linspace(0, length - 1, frames)
    before = np.floor(position).astype(np.int64)
    after = np.minimum(before + 1, length - 1)
    weight = (position - before).astype(np.float32)
    nearest = np.where(weight < 0.5, before, after)
    weight = weight[:, None, None]
    return (
        points.take(before, axis=-3) * (1 - weight) + points.take(after, axis=-3) * weight,
        valid.take(nearest, axis=-2),
    )


def _check(points: Points, valid: Mask, joints: int, layout_name: str) -> None:
    if points.ndim not in (3, 4) or points.shape[-2] != joints:
        raise PiumrError(
            f"Expected `points` of shape (T, {joints}, C) for layout {layout_name}, but got {points.shape}."
        )
    if valid.shape != points.shape[:-1] or valid.dtype != np.bool_:
        raise PiumrError(f"Expected `valid` bool of shape {points.shape[:-1]}, but got {valid.dtype} {valid.shape}.")
    wrong = ~(np.abs(points) < LIMIT) & valid[..., None]  # so written, NaN is wrong as well
    if wrong.any():
        raise PiumrError(f"Expected every valid point to be finite and below {LIMIT:g}, but got {points[wrong][0]:g}.")


def _fill_in_time(points: NDArray[np.float64], valid: Mask, seen: Mask) -> None:
    """Fill holes in place: linear between the nearest valid frames of each joint, held at the edges.

    Joints that are never seen become 0.
    """
    clip, joint = np.nonzero(seen & ~valid.all(axis=1))  # the tracks with holes, K of them
    shown = valid[clip, :, joint]  # (K, T)
    frames = shown.shape[1]
    t = np.arange(frames, dtype=np.int32)
    before = np.maximum.accumulate(np.where(shown, t, -1), axis=1)
    after = np.minimum.accumulate(np.where(shown, t, frames)[:, ::-1], axis=1)[:, ::-1]
    track, hole = np.nonzero(~shown)
    low, high = before[track, hole], after[track, hole]
    low, high = np.where(low < 0, high, low), np.where(high == frames, low, high)
    weight = ((hole - low) / np.maximum(high - low, 1))[:, None]
    joints = valid.shape[2]
    rows = points.reshape(-1, points.shape[3])  # one index is faster than three
    first = (clip * (frames * joints) + joint)[track]
    rows[first + hole * joints] = rows.take(first + low * joints, 0) * (1 - weight) + (
        rows.take(first + high * joints, 0) * weight
    )
    clip, joint = np.nonzero(~seen)
    points[clip, :, joint] = 0


def _centre(filled: NDArray[np.float64], valid: Mask, layout: Layout) -> NDArray[np.float64]:
    """Each clip's origin, (N, C): median over the frames in which the chosen group of joints is visible."""
    groups = [list(group) for group in layout.centres]
    shown: list[Mask] = [np.all(valid[:, :, group], axis=2) for group in groups]
    chosen = _first_visible(shown, valid)
    origin = np.zeros((len(filled), filled.shape[3]))
    for number, group in enumerate(groups):
        clips = np.flatnonzero(chosen == number)
        if len(clips):
            middle = filled[clips][:, :, group].mean(axis=2)
            origin[clips] = _median(middle, shown[number][clips])
    for clip in np.flatnonzero(chosen < 0):  # rare: none of the groups is ever seen
        if valid[clip].any():
            origin[clip] = filled[clip][valid[clip]].mean(axis=0)
    return origin


def _unit(filled: NDArray[np.float64], valid: Mask, layout: Layout) -> NDArray[np.float64]:
    """Each clip's unit, (N,): median length of the chosen pair, else the spread of all valid points, else 1."""
    pairs = [list(pair) for pair in layout.units]
    shown: list[Mask] = [np.all(valid[:, :, pair], axis=2) for pair in pairs]
    chosen = _first_visible(shown, valid)
    unit = np.zeros(len(filled))
    for number, (a, b) in enumerate(pairs):
        clips = np.flatnonzero(chosen == number)
        if len(clips):
            length = np.linalg.norm(filled[clips, :, a] - filled[clips, :, b], axis=-1)
            unit[clips] = _median(length[..., None], shown[number][clips])[:, 0]
    for clip in np.flatnonzero(unit < 1e-6):  # rare
        if valid[clip].any():
            unit[clip] = filled[clip][valid[clip]].std(axis=0).max()
    return np.where(unit > 1e-6, unit, 1.0)


def _first_visible(shown: list[Mask], valid: Mask) -> NDArray[np.int64]:
    """For each clip the first candidate visible in half of the frames, else the one seen most, -1 if none ever is."""
    if not shown:
        return np.full(len(valid), -1)
    counts = np.stack([mask.sum(axis=1) for mask in shown])  # (candidates, N)
    enough = 2 * counts >= valid.shape[1]
    chosen = np.where(enough.any(axis=0), enough.argmax(axis=0), counts.argmax(axis=0))
    return np.where(counts.any(axis=0), chosen, -1)


def _median(values: NDArray[np.float64], shown: Mask) -> NDArray[np.float64]:
    """Median over the frames shown, at least one a clip: values (N, T, C) and shown (N, T) to (N, C)."""
    ranked = np.sort(np.where(shown[..., None], values, np.inf), axis=1)
    count, clip = shown.sum(axis=1), np.arange(len(values))
    return (ranked[clip, (count - 1) // 2] + ranked[clip, count // 2]) / 2
