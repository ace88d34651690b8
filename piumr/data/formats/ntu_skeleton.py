"""NTU RGB+D's ``.skeleton`` files, one clip each: Kinect v2 bodies of 25 joints, by frame and tracked by an id.

The text, number by number: the frames; for every frame the bodies in it; for every body ten values, of which the first
is its id, the joints, and for every joint twelve, of which the first three are x, y, z in metres and the last is 0
where Kinect did not find it (1: inferred, 2: tracked).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from piumr.data.clips import SkeletonSet
from piumr.data.formats.packing import camera_points, read_files
from piumr.data.formats.people import Track, most_prominent, over_time
from piumr.data.text_files import read_text
from piumr.errors import PiumrError
from piumr.layouts import Layout
from piumr.preprocessing import Mask, Points

if TYPE_CHECKING:
    from piumr.data.declaration import Declaration

MAX_BYTES = 64 << 20
"""Largest file that is read: four times the longest clip with four bodies."""

MAX_FRAMES = 20_000
"""Longest clip: eleven minutes."""

BODY, JOINT = 10, 12
"""Values of a body, and of a joint."""

COLUMNS = (0, 1, 2, 11)
"""Those of a joint that are read: x, y, z and the tracking state."""


@dataclass(frozen=True)
class NtuSkeleton:
    """Reader of a folder of ``.skeleton`` files; the declaration's patterns read their names.

    Of several bodies the most prominent one is taken, the id that shows most joints over all frames, and among equals
    the one that moves most. Frames without it are missing; a clip without any body is missing throughout.
    """

    carries_layout: ClassVar[bool] = False
    takes_labels: ClassVar[bool] = False

    def read(self, declaration: Declaration, data: Path, poses: Path, labels: Path | None) -> SkeletonSet:
        """Read every ``.skeleton`` file under ``data``; see :class:`piumr.data.formats.Format`."""
        layout = declaration.layout
        assert layout is not None
        return read_files(declaration, data, ".skeleton", lambda file: _clip(file, layout))


def _clip(file: Path, layout: Layout) -> tuple[Points, Mask]:
    """The most prominent body of a file."""
    words = read_text(file, MAX_BYTES).split()
    try:
        frames, bodies = _bodies(words, len(layout))
    except (ValueError, IndexError) as error:
        reason = str(error) if isinstance(error, PiumrError) else "it breaks off or holds something else"
        raise PiumrError(f"{file}: expected NTU skeletons of {len(layout)} joints, but got: {reason}.") from None
    if not bodies:
        return np.zeros((frames, len(layout), 3), np.float32), np.zeros((frames, len(layout)), np.bool_)
    people = [camera_points(body.stacked()) for body in bodies]
    chosen = most_prominent(people)
    return over_time(bodies[chosen].times, people[chosen], frames)


def _bodies(words: list[str], joints: int) -> tuple[int, list[Track]]:
    """Number of frames, and every id's points (V, 3), 0 where a joint was not found.

    Raises:
        ValueError, IndexError: if the text is not as it should be.
    """
    frames, place = int(words[0]), 1
    if not 0 < frames <= MAX_FRAMES:
        raise PiumrError(f"{frames} frames")
    bodies: dict[str, Track] = {}
    for t in range(frames):
        count, place = int(words[place]), place + 1
        for _ in range(count):
            found = int(words[place + BODY])
            first, last = place + BODY + 1, place + BODY + 1 + found * JOINT
            if found != joints or last > len(words):
                raise PiumrError(f"a body of {found} joints in frame {t}")
            columns = [words[first + column : last : JOINT] for column in COLUMNS]
            *point, state = np.array(columns, dtype=np.float32)
            track = bodies.setdefault(words[place], Track())
            if not track.times or track.times[-1] != t:  # an id given twice counts once
                track.add(t, np.where(state > 0, point, np.float32(0)).T)
            place = last
    return frames, list(bodies.values())
