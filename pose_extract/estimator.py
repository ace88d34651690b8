"""One clip's frames in, one person's landmarks out, as arrays.

A tracking engine carries state from frame to frame, so the same clip gives the same numbers, bit for bit, only with
an :class:`Estimator` of its own.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.engines import BundledEngine, Engine, Found, TasksEngine
from pose_extract.errors import PoseError
from pose_extract.files import sha256
from pose_extract.landmarks import BODY, HAND, LandmarkSet, landmark_set
from pose_extract.options import Options
from pose_extract.people import Choice, Follower, seen_in


def describe_estimator(options: Options) -> dict[str, Any]:
    """Name, version and options of an estimator, as recorded in a cache; equal descriptions give equal landmarks.

    Raises:
        PoseError: if ``options.model`` cannot be read.
    """
    recorded = {
        **options.chosen(),
        "landmarks": options.landmarks,
        "model_complexity": 1,
        "tracking": options.model is None or options.smoothing,
        "min_detection_confidence": 0.5,
        "min_tracking_confidence": 0.5,
        "clock": "container",
    }
    if options.fps is not None:
        recorded["sampling"] = "rounded to milliseconds"  # earlier versions left frames out of such containers
    name = {"holistic": "mediapipe-holistic", "body": "mediapipe-pose"}[options.landmarks]
    if options.model is not None:
        name = f"mediapipe-tasks-{'pose-hands' if options.landmarks == 'holistic' else 'pose'}"
        del recorded["model_complexity"]
        recorded["model_sha256"] = _digest(options.model)
    return {"name": name, "version": metadata.version("mediapipe"), "options": recorded}


class Estimator:
    """Follows one person through one clip. Use as a context manager, one object per clip.

    Args:
        options: which landmarks, of whom, and how.

    Attributes:
        landmark_set: layout, joints and edges of what :meth:`estimate` gives.
        people: the most people counted in one frame; ``None`` as long as the engine has counted nobody.
    """

    def __init__(self, options: Options) -> None:
        self.landmark_set: LandmarkSet = landmark_set(hands=options.landmarks == "holistic")
        self.people: int | None = None
        self._region = options.region
        self._choice = None if options.person is None else Choice(options.person)
        self._engine: Engine
        self._engine = BundledEngine(options) if options.model is None else TasksEngine(options, self._choice)
        # a frame without a track is shown to the engine with the chosen person alone in it
        self._follower = None if self._choice is None or self._engine.chooses else Follower(self._choice)
        self._tracking = False

    def __enter__(self) -> Estimator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.close()
        if self._follower is not None:
            self._follower.close()

    @property
    def chosen_anew(self) -> list[float]:
        """Times, seconds, at which the person had been lost and another one may be followed since."""
        return [] if self._choice is None else self._choice.chosen_anew

    def estimate(self, frame: NDArray[np.uint8], seconds: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Landmarks of the next frame.

        Args:
            frame: RGB, uint8 (height, width, 3).
            seconds: its time, later than the frame's before it.

        Returns:
            float32 (V, 4): x, y as shares of width and height, z in units of the width, visibility (1 for hands);
            float32 (33, 3): metres. Both NaN where nothing was found.
        """
        image, left, top = self._crop(frame)
        found = self._look(image, seconds)
        if found.people is not None:
            self.people = max(self.people or 0, found.people)
        points = np.full((len(self.landmark_set.joints), 4), np.nan, dtype=np.float32)
        world = np.full((BODY, 3), np.nan, dtype=np.float32)
        if found.body:
            points[:BODY] = [(p.x, p.y, p.z, p.visibility) for p in found.body.landmark]
            if self._follower is not None and self._choice is not None:
                self._choice.saw(seen_in(points[:BODY], image.shape[1], image.shape[0]), seconds)
        if found.world:
            world[:] = [(p.x, p.y, p.z) for p in found.world.landmark]
        if len(points) > BODY:
            for first, hand in ((BODY, found.left_hand), (BODY + HAND, found.right_hand)):
                if hand:
                    points[first : first + HAND] = [(p.x, p.y, p.z, 1.0) for p in hand.landmark]
        if self._region is not None:  # from shares of the region to shares of the frame
            height, width = (np.float32(image.shape[i] / frame.shape[i]) for i in (0, 1))
            points[:, 0] = points[:, 0] * width + np.float32(left / frame.shape[1])
            points[:, 1] = points[:, 1] * height + np.float32(top / frame.shape[0])
            points[:, 2] *= width
        return points, world

    def _look(self, image: NDArray[np.uint8], seconds: float) -> Found:
        if self._follower is None:
            return self._engine.run(image, seconds)
        if self._tracking:
            found = self._engine.run(image, seconds)
        else:
            view = self._follower.view(image, seconds)
            found = Found() if view is None else self._engine.run(view, seconds)
            self.people = self._follower.most
        self._tracking = bool(found.body)
        return Found(found.body, found.world, found.left_hand, found.right_hand)

    def _crop(self, frame: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int, int]:
        """The region of the frame, at least one pixel, and its left top corner."""
        if self._region is None:
            return frame, 0, 0
        height, width, _ = frame.shape
        x, y, w, h = self._region
        left, top = min(round(x * width), width - 1), min(round(y * height), height - 1)
        right, bottom = max(round((x + w) * width), left + 1), max(round((y + h) * height), top + 1)
        return np.ascontiguousarray(frame[top:bottom, left:right]), left, top


def _digest(model: Path) -> str:
    try:
        stat = model.stat()
        return _digest_of(model, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise PoseError(f"Expected `model` to be a .task file, but {model} cannot be read: {error.strerror}.") from None


@lru_cache(maxsize=4)
def _digest_of(model: Path, size: int, mtime_ns: int) -> str:
    return sha256(model)
