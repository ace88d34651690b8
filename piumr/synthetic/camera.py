"""From joints in metres to landmarks as MediaPipe returns them: a pinhole camera, noise, and what it does not see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from piumr.layouts.mediapipe import BODY_JOINTS, HAND_JOINTS
from piumr.synthetic.limbs import Array
from piumr.synthetic.persons import Camera

BODY = len(BODY_JOINTS)
HANDS = {
    "left": slice(BODY, BODY + len(HAND_JOINTS)),
    "right": slice(BODY + len(HAND_JOINTS), BODY + 2 * len(HAND_JOINTS)),
}
WRISTS = {"left": 15, "right": 16}

NOISE_STREAM = 2
JITTER = 0.0005
"""Standard deviation of a landmark from frame to frame, in image heights: 0.65 px at 1296, as measured on MA-52."""
DRIFT = 0.0016
"""Standard deviation of a landmark's slow error at its knots, in image heights; it is drawn anew about every third of a
second, and smaller in between."""
DRIFT_FRAMES = 10
BORDER = 0.02
"""Visibility falls from 1 to 0 over this share of the image around its border."""


@dataclass(frozen=True)
class Flaws:
    """What goes wrong in one clip, before it is scaled: it depends on nothing but seed, person, action and take.

    Attributes:
        jitter: (T, 75, 2) standard normal, independent from frame to frame.
        drift: (T, 75, 2) slow: standard normal every :data:`DRIFT_FRAMES` frames, straight lines in between.
        lost: (T, 2) bool, the left and right hand is not detected.
        doubt: (33,) what a body landmark's visibility lacks to 1.
    """

    jitter: Array
    drift: Array
    lost: NDArray[np.bool_]
    doubt: Array


def sample_flaws(seed: int, person: int, action: int, take: int, frames: int) -> Flaws:
    """Draw the noise and the lost hands of a clip of ``frames`` frames."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(NOISE_STREAM, person, action, take)))
    knots = rng.standard_normal((frames // DRIFT_FRAMES + 2, 75, 2))
    position = np.arange(frames) / DRIFT_FRAMES
    before = position.astype(int)
    weight = (position - before)[:, None, None]
    return Flaws(
        jitter=rng.standard_normal((frames, 75, 2)),
        drift=knots[before] * (1 - weight) + knots[before + 1] * weight,
        lost=np.stack([_runs(rng, frames), _runs(rng, frames)], axis=1),
        doubt=rng.uniform(0, 0.06, BODY),
    )


def project(joints: Array, camera: Camera) -> Array:
    """Image coordinates and depth of points in the person's world.

    Args:
        joints: (..., 3) metres.
        camera: where it stands and what it looks at.

    Returns:
        (..., 3): x / width, y / height, metres along the optical axis.
    """
    yaw, pitch = np.radians(camera.yaw), np.radians(camera.pitch)
    place = np.array([camera.distance * np.sin(yaw), camera.height, camera.distance * np.cos(yaw)])
    heading = yaw + np.radians(camera.pan)
    ahead = -np.array([np.sin(heading) * np.cos(pitch), np.sin(pitch), np.cos(heading) * np.cos(pitch)])
    right = np.array([np.cos(heading), 0.0, -np.sin(heading)])
    seen = (joints - place) @ np.stack([right, np.cross(ahead, right), ahead], axis=1)  # right, down, ahead
    pixels = camera.focal * camera.image_height / seen[..., 2:]
    size = np.array([camera.image_width, camera.image_height])
    return np.concatenate([0.5 + pixels * seen[..., :2] / size, seen[..., 2:]], axis=-1)


def observe(joints: Array, camera: Camera, flaws: Flaws) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Landmarks as the pose cache holds them.

    Args:
        joints: (T, 75, 3) metres.
        camera: the camera.
        flaws: noise and lost hands of the same T frames.

    Returns:
        ``landmarks`` float32 (T, 75, 4): x / width, y / height, z on the scale of x (from the hips; for a hand from
        its wrist), visibility; NaN where not detected. ``valid`` bool (T, 75). A body landmark outside the image is
        returned with a visibility near 0, as MediaPipe does; a hand is lost when its middle is outside.
    """
    image = project(joints, camera)
    noise = JITTER * flaws.jitter + DRIFT * flaws.drift
    xy = image[..., :2] + noise * np.array([camera.image_height / camera.image_width, 1.0])
    z = _relative_depth(image[..., 2]) * camera.focal * camera.image_height / camera.image_width
    inside = 0.5 - np.abs(image[..., :2] - 0.5).max(axis=-1)  # below 0 outside the image
    visibility = np.ones(z.shape)
    visibility[:, :BODY] = np.clip(inside[:, :BODY] / BORDER + 0.5, 0.01, 1) * (1 - flaws.doubt)
    valid = np.ones(z.shape, dtype=np.bool_)
    for lost, hand in zip(flaws.lost.T, HANDS.values(), strict=True):
        valid[:, hand] = ~(lost | (inside[:, hand].mean(axis=1) < 0))[:, None]
    landmarks = np.concatenate([xy, z[..., None], visibility[..., None]], axis=-1)
    return np.where(valid[..., None], landmarks, np.nan).astype(np.float32), valid


def _relative_depth(depth: Array) -> Array:
    """Depth relative to the hips, for a hand to its wrist, as a share of the distance from the camera."""
    hips = depth[:, 23:25].mean(axis=1, keepdims=True)
    origin = np.repeat(hips, depth.shape[1], axis=1)
    for side, hand in HANDS.items():
        origin[:, hand] = depth[:, [WRISTS[side]]]
    return (depth - origin) / hips


def _runs(rng: np.random.Generator, frames: int) -> NDArray[np.bool_]:
    """Frames in which a hand is lost: never found in some clips, else lost in runs of a few frames."""
    lost = np.zeros(frames, dtype=np.bool_)
    never, begins, lengths = rng.random(), rng.random(frames) < 0.015, 1 + rng.geometric(0.2, frames)
    for begin in np.flatnonzero(begins):
        lost[begin : begin + lengths[begin]] = True
    return lost | (never < 0.04)
