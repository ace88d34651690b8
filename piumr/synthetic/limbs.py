"""Limbs and hands by closed form: two bones that reach a target, and a hand from the curl of its fingers.

Everything here is the left limb, with x pointing outward; the right one is solved in the mirror (see
:mod:`piumr.synthetic.body`). Arrays run over the T frames of a clip.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# a flat hand in hand lengths: along the middle finger, towards the thumb, out of the palm
KNUCKLES = np.array([(0.14, 0.12, 0.04), (0.48, 0.13, 0), (0.49, 0.03, 0), (0.46, -0.07, 0), (0.42, -0.16, 0)])
PHALANGES = np.array(
    [(0.22, 0.17, 0.14), (0.22, 0.13, 0.11), (0.25, 0.15, 0.11), (0.23, 0.14, 0.11), (0.18, 0.11, 0.10)]
)
STRAIGHT = np.array([(0.76, 0.62, 0.2), (0.99, 0.12, 0), (1, 0.01, 0), (0.99, -0.1, 0), (0.97, -0.22, 0)])
CURLED = np.array([(0.2, -0.54, 0.82), *((0, 0, 1),) * 4])
FLEXION = np.radians([(20.0, 40.0, 60.0), *((75.0, 95.0, 55.0),) * 4])  # of the three joints of a closed finger

STRAIGHT /= np.linalg.norm(STRAIGHT, axis=1, keepdims=True)
CURLED -= (CURLED * STRAIGHT).sum(1, keepdims=True) * STRAIGHT
CURLED /= np.linalg.norm(CURLED, axis=1, keepdims=True)


def rotation(axis: int, degrees: Array | float) -> Array:
    """Right-handed rotation matrices (..., 3, 3) about one axis, angles in degrees."""
    angle = np.radians(degrees)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.zeros((*np.shape(angle), 3, 3))
    matrix[..., axis, axis] = 1.0
    matrix[..., i, i] = matrix[..., j, j] = np.cos(angle)
    matrix[..., j, i] = np.sin(angle)
    matrix[..., i, j] = -matrix[..., j, i]
    return matrix


def hand(curl: Array, length: float) -> Array:
    """The 21 landmarks of a hand, in metres from its wrist.

    Args:
        curl: (T, 5) closing of thumb, index, middle, ring and little finger, 0 straight to 1 a fist.
        length: from the wrist to the tip of the straight middle finger.

    Returns:
        (T, 21, 3) along the hand, towards the thumb, out of the palm.
    """
    bend = np.cumsum(curl[:, :, None] * FLEXION, axis=2)[..., None]  # (T, 5, 3, 1)
    bones = PHALANGES[..., None] * (np.cos(bend) * STRAIGHT[:, None] + np.sin(bend) * CURLED[:, None])
    fingers = KNUCKLES[:, None] + np.concatenate([np.zeros_like(bones[:, :, :1]), np.cumsum(bones, axis=2)], axis=2)
    wrist = np.zeros((len(curl), 1, 3))
    return length * np.concatenate([wrist, fingers.reshape(len(curl), 20, 3)], axis=1)


def two_bones(
    root: Array, target: Array, pole: Array, lengths: tuple[float, float | Array], flexion: tuple[float, float]
) -> tuple[Array, Array, Array]:
    """Bend two bones so that their end is at a target, by the law of cosines.

    Args:
        root: (T, 3) where the first bone begins.
        target: (T, 3) where the second one shall end.
        pole: (T, 3) the direction in which the middle joint points.
        lengths: of the two bones; the second may be (T,).
        flexion: least and largest angle between the bones in degrees, 0 is straight. A target too far or too close for
            it is approached along the line from the root.

    Returns:
        The middle joint (T, 3), the end (T, 3) and the unit normal (T, 3) of the limb's plane.
    """
    first, second = lengths[0], np.asarray(lengths[1])
    furthest, closest = (
        np.sqrt(first**2 + second**2 + 2 * first * second * np.cos(np.radians(angle))) for angle in flexion
    )
    line = target - root
    distance = np.linalg.norm(line, axis=1)
    along = line / distance[:, None]
    reach = np.clip(distance, closest, furthest)
    bent = unit(pole - (pole * along).sum(1, keepdims=True) * along)
    cosine = np.clip((first**2 + reach**2 - second**2) / (2 * first * reach), -1, 1)
    middle = root + first * (cosine[:, None] * along + np.sqrt(1 - cosine**2)[:, None] * bent)
    return middle, root + reach[:, None] * along, np.cross(bent, along)


def align(forward: Array, normal: Array, local: Array) -> Array:
    """Rotations that turn one direction into another and the third local axis as close to a normal as that allows.

    Args:
        forward: (T, 3) world direction that ``local`` is turned into.
        normal: (T, 3) world direction for the third local axis, not parallel to ``forward``.
        local: (T, 3) direction in the limb's own axes, not parallel to the third one.

    Returns:
        (T, 3, 3).
    """
    return _basis(forward, normal) @ np.swapaxes(_basis(local, np.array([0.0, 0.0, 1.0])), -1, -2)


def unit(vectors: Array) -> Array:
    """Vectors (..., 3) scaled to length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _basis(first: Array, third: Array) -> Array:
    first = unit(first)
    third = unit(third - (third * first).sum(-1, keepdims=True) * first)
    return np.stack([first, np.cross(third, first), third], axis=-1)
