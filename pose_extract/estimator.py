"""MediaPipe's Holistic and Pose (the ``solutions`` API) as one interface: a frame in, landmarks out.

A tracking object carries state from frame to frame, so the same clip gives the same numbers, bit for bit, only with
an object of its own; and an object that is not closed leaks about 100 MB.
"""

from __future__ import annotations

from importlib import metadata
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.landmarks import BODY, HAND, LandmarkSet, landmark_set
from pose_extract.options import Options
from pose_extract.quiet import silenced_stderr

ASSUMED_FPS = 30.0
"""The ``solutions`` API advances its clock by 33,333 us per frame, whatever the video's rate."""

_OPTIONS = {
    "model_complexity": 1,  # the only one in the wheel
    "static_image_mode": False,
    "smooth_landmarks": True,
    "min_detection_confidence": 0.5,
    "min_tracking_confidence": 0.5,
}


def describe_estimator(options: Options) -> dict[str, Any]:
    """Name, version and options of an estimator, as recorded in a cache; equal descriptions give equal landmarks."""
    name = {"holistic": "mediapipe-holistic", "body": "mediapipe-pose"}[options.landmarks]
    return {"name": name, "version": metadata.version("mediapipe"), "options": {**_OPTIONS, **options.chosen()}}


class Estimator:
    """Follows the most prominent person through one clip. Use as a context manager, one object per clip.

    Args:
        options: which estimator, and how.

    Attributes:
        landmark_set: layout, joints and edges of what :meth:`estimate` gives.
    """

    def __init__(self, options: Options) -> None:
        from mediapipe.python.solutions.holistic import Holistic
        from mediapipe.python.solutions.pose import Pose

        self.landmark_set: LandmarkSet = landmark_set(hands=options.landmarks == "holistic")
        self._solution = Holistic if options.landmarks == "holistic" else Pose
        self._graph: Any = None

    def __enter__(self) -> Estimator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._graph is not None:
            self._graph.close()

    def estimate(self, frame: NDArray[np.uint8], seconds: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Landmarks of the next frame.

        Args:
            frame: RGB, uint8 (height, width, 3).
            seconds: its time, later than the frame's before it.

        Returns:
            float32 (V, 4): x, y as shares of width and height, z, visibility (1 for hands); float32 (33, 3): metres.
            Both NaN where nothing was found.
        """
        if self._graph is None:
            with silenced_stderr():  # models load in the background, and log, until the first frame is through
                self._graph = self._solution(**_OPTIONS)
                found = self._graph.process(frame)
        else:
            found = self._graph.process(frame)
        points = np.full((len(self.landmark_set.joints), 4), np.nan, dtype=np.float32)
        world = np.full((BODY, 3), np.nan, dtype=np.float32)
        if found.pose_landmarks:
            points[:BODY] = [(p.x, p.y, p.z, p.visibility) for p in found.pose_landmarks.landmark]
        if found.pose_world_landmarks:
            world[:] = [(p.x, p.y, p.z) for p in found.pose_world_landmarks.landmark]
        if len(points) > BODY:
            for first, hand in ((BODY, found.left_hand_landmarks), (BODY + HAND, found.right_hand_landmarks)):
                if hand:
                    points[first : first + HAND] = [(p.x, p.y, p.z, 1.0) for p in hand.landmark]
        return points, world
