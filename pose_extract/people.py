"""Whom to follow where several people are in view, and that it stays the same person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_extract.graphs import detector_graph
from pose_extract.options import Person

PATIENCE = 2.0
"""Seconds after which a person who is out of view is no longer waited for: then the rule chooses anew."""

REACH = 1.0
"""How far from where they were last seen a person may reappear, in their own body radii."""


@dataclass(frozen=True)
class Seen:
    """Somebody in an image, in pixels: x and y of the hips' middle, and the radius of the circle around the body."""

    x: float
    y: float
    radius: float


def choose(people: list[Seen], person: Person) -> Seen:
    """The one of ``people`` (at least one) that ``person`` names."""
    if person == "largest":
        return max(people, key=lambda seen: seen.radius)
    return (min if person == "left" else max)(people, key=lambda seen: seen.x)


def nearest(people: list[Seen], last: Seen) -> Seen | None:
    """The one of ``people`` who can be ``last``, seen again: the nearest, unless out of :data:`REACH`."""
    near = min(people, key=lambda seen: np.hypot(seen.x - last.x, seen.y - last.y), default=None)
    if near is None or np.hypot(near.x - last.x, near.y - last.y) > REACH * last.radius:
        return None
    return near


def seen_in(body: NDArray[np.float32], width: int, height: int) -> Seen:
    """Where somebody is whose body was found.

    Args:
        body: (33, at least 2): MediaPipe's body landmarks, as shares of width and height.
        width: of the image, pixels.
        height: of the image, pixels.
    """
    points = body[:, :2] * np.array([width, height], dtype=np.float32)
    hips = points[23:25].mean(axis=0)
    return Seen(float(hips[0]), float(hips[1]), max(float(np.linalg.norm(points - hips, axis=1).max()), 1.0))


class Choice:
    """One person among those in view: chosen by a rule, and the same one from then on.

    Args:
        person: the rule.

    Attributes:
        chosen_anew: times, seconds, at which the person had been lost for good and the rule chose again.
    """

    def __init__(self, person: Person) -> None:
        self._person = person
        self._last: Seen | None = None
        self._last_seconds = 0.0
        self.chosen_anew: list[float] = []

    def among(self, people: list[Seen], seconds: float) -> Seen | None:
        """The one of ``people`` to follow, at a time later than before; ``None`` where they are not there."""
        if not people:
            return None
        if self._last is None:
            chosen: Seen | None = choose(people, self._person)
        else:
            chosen = nearest(people, self._last)
            if chosen is None and seconds - self._last_seconds > PATIENCE:
                chosen = choose(people, self._person)
                self.chosen_anew.append(seconds)
        if chosen is not None:
            self.saw(chosen, seconds)
        return chosen

    def saw(self, person: Seen, seconds: float) -> None:
        """Remember where the person is."""
        self._last, self._last_seconds = person, seconds


class Follower:
    """Shows an estimator only the one person to follow, as long as it does not track anybody.

    MediaPipe's trackers take whoever is most prominent, and once they have somebody they stay with them. So in frames
    without a track everybody is looked for, one is chosen, and the others are painted over.

    Args:
        choice: who that is.

    Attributes:
        most: the most people seen in one frame.
    """

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._detector = detector_graph()
        self.most = 0

    def view(self, frame: NDArray[np.uint8], seconds: float) -> NDArray[np.uint8] | None:
        """The frame with only the person to follow in it; ``None`` where they are not in view.

        Args:
            frame: RGB, uint8 (height, width, 3).
            seconds: its time, later than at the call before.
        """
        people = self._detect(frame, seconds)
        self.most = max(self.most, len(people))
        chosen = self._choice.among(people, seconds)
        return None if chosen is None else _without(frame, chosen, [seen for seen in people if seen is not chosen])

    def close(self) -> None:
        """Free the detector."""
        self._detector.close()

    def _detect(self, frame: NDArray[np.uint8], seconds: float) -> list[Seen]:
        height, width, _ = frame.shape
        people = []
        for detection in self._detector.run(frame, seconds).get("people", []):
            # the detector's first point is the hips' middle, its second one lies on the circle around the body
            hips, rim = detection.location_data.relative_keypoints[:2]
            radius = float(np.hypot((rim.x - hips.x) * width, (rim.y - hips.y) * height))
            people.append(Seen(hips.x * width, hips.y * height, max(radius, 1.0)))
        return people


def _without(frame: NDArray[np.uint8], kept: Seen, others: list[Seen]) -> NDArray[np.uint8]:
    """Paint black what is nearer to any of ``others`` than to ``kept``, along the axis that parts them more."""
    if not others:
        return frame
    view = frame.copy()
    for other in others:
        if abs(other.x - kept.x) >= abs(other.y - kept.y):
            middle = round((other.x + kept.x) / 2)
            view[:, slice(max(middle, 0), None) if other.x > kept.x else slice(0, max(middle, 0))] = 0
        else:
            middle = round((other.y + kept.y) / 2)
            view[slice(max(middle, 0), None) if other.y > kept.y else slice(0, max(middle, 0))] = 0
    return view
