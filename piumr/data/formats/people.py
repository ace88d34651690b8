"""Several people in a clip: who is who from frame to frame, and which of them the clip is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from piumr.preprocessing import Mask, Points

PATIENCE = 30
"""Frames after which somebody who was not seen is no longer waited for, a second of video: who comes then is new."""


def most_prominent(people: Sequence[tuple[Points, Mask]], scores: Sequence[NDArray[np.floating]] | None = None) -> int:
    """Which person a clip is about: the one of whom most is seen, and among equals the one who moves most.

    Args:
        people: points (T, V, C) and valid (T, V) of each of M >= 1 people.
        scores: confidence (T, V) of each, by which a joint counts; None counts every valid joint as one.

    Returns:
        Index of the person; the first of several that are equal in both.
    """

    def prominence(i: int) -> tuple[float, float]:
        points, valid = people[i]
        seen = float(valid.sum() if scores is None else scores[i][valid].sum(dtype=np.float64))
        both = valid[1:] & valid[:-1]
        return seen, float(np.abs(np.diff(points.astype(np.float64), axis=0))[both].sum())

    return max(range(len(people)), key=prominence)  # max takes the first of equals


@dataclass(frozen=True, eq=False)
class Track:
    """One person in the frames where somebody saw them.

    Attributes:
        times: n frame numbers, ascending.
        joints: n arrays (V, D) of whatever is known of the joints.
    """

    times: list[int] = field(default_factory=list)
    joints: list[NDArray[np.floating]] = field(default_factory=list)

    def add(self, time: int, joints: NDArray[np.floating]) -> None:
        """Add a frame."""
        self.times.append(time)
        self.joints.append(joints)

    def stacked(self) -> NDArray[np.floating]:
        """The joints in the n frames, (n, V, D)."""
        return np.stack(self.joints)


def over_time(times: Sequence[int], clip: tuple[Points, Mask], frames: int) -> tuple[Points, Mask]:
    """A person's n frames at their places among T frames: points (T, V, C) and valid (T, V), missing in the others."""
    points = np.zeros((frames, *clip[0].shape[1:]), dtype=np.float32)
    valid = np.zeros(points.shape[:2], dtype=np.bool_)
    points[list(times)], valid[list(times)] = clip
    return points, valid


def follow(frames: Iterable[NDArray[np.floating]]) -> list[Track]:
    """Put together who is the same person in successive frames of a detector that does not say.

    People are paired with those of the last :data:`PATIENCE` frames by the mean distance of the joints that both show,
    nearest first; somebody further from everyone than a body's size is new.

    Args:
        frames: the people in each frame, (M, V, 3): x, y and confidence, 0 where not seen. M may vary.

    Returns:
        The people, in the order of appearance.
    """
    people: list[Track] = []
    recent: list[Track] = []
    for t, found in enumerate(frames):
        recent = [old for old in recent if t - old.times[-1] <= PATIENCE]
        distance = np.array([[_distance(old.joints[-1], new) for new in found] for old in recent])
        distance = distance.reshape(len(recent), len(found))
        unpaired = set(range(len(found)))
        while np.isfinite(distance).any():
            old, new = (int(i) for i in np.unravel_index(distance.argmin(), distance.shape))
            distance[old] = distance[:, new] = np.inf
            recent[old].add(t, found[new])
            unpaired.discard(new)
        arrived = [Track([t], [found[new]]) for new in sorted(unpaired)]
        people += arrived
        recent += arrived
    return people


def _distance(old: NDArray[np.floating], new: NDArray[np.floating]) -> float:
    """Mean distance of the joints that both show, in sizes of the old body; infinite beyond one."""
    both = (old[:, 2] > 0) & (new[:, 2] > 0)
    if not both.any():
        return np.inf
    size = float(np.ptp(old[old[:, 2] > 0, :2], axis=0).max())
    distance = float(np.linalg.norm(old[both, :2] - new[both, :2], axis=1).mean())
    return distance / size if distance < size else np.inf
