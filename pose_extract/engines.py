"""MediaPipe's two engines as one interface: an image and its time in, the landmarks of one person out.

:class:`BundledEngine` runs the models in MediaPipe's wheel, as its ``solutions`` API does. :class:`TasksEngine` runs
a user's ``.task`` bundle (the lite, full or heavy pose landmarker) and finds the hands as the other one does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import PoseError
from pose_extract.graphs import PEOPLE, body_graph, hands_graph
from pose_extract.options import Options
from pose_extract.people import Choice, seen_in
from pose_extract.quiet import silenced_stderr

MAX_PEOPLE = 4
"""How many people the Tasks engine looks for where one of them has to be chosen."""


@dataclass(frozen=True)
class Found:
    """What an engine found in one image: MediaPipe's lists of landmarks, or ``None``.

    Attributes:
        body: 33 landmarks as shares of width and height.
        world: the same in metres.
        left_hand: 21 landmarks.
        right_hand: 21 landmarks.
        people: how many people were seen; ``None`` where the engine did not look.
    """

    body: Any = None
    world: Any = None
    left_hand: Any = None
    right_hand: Any = None
    people: int | None = None


class Engine(Protocol):
    """What both engines are.

    Attributes:
        chooses: it follows the person that the options name by itself; otherwise it must be shown only them.
    """

    chooses: bool

    def run(self, image: NDArray[np.uint8], seconds: float) -> Found:
        """Landmarks in the next image: RGB, uint8 (height, width, 3), C-contiguous; ``seconds`` must increase."""
        ...

    def close(self) -> None:
        """Free the models: an engine that is not closed leaks about 100 MB."""
        ...


class BundledEngine:
    """The models in MediaPipe's wheel, one tracked person."""

    chooses = False

    def __init__(self, options: Options) -> None:
        self._graph = body_graph(hands=options.landmarks == "holistic", smoothing=options.smoothing)

    def run(self, image: NDArray[np.uint8], seconds: float) -> Found:
        """See :class:`Engine`."""
        found = self._graph.run(image, seconds)
        people = found.pop(PEOPLE, None)
        return Found(**found, people=None if people is None else len(people))

    def close(self) -> None:
        """See :class:`Engine`."""
        self._graph.close()


class TasksEngine:
    """A pose landmarker of MediaPipe Tasks. Without smoothing it looks at every image by itself, untracked.

    Args:
        options: how landmarks are estimated.
        choice: whom to follow; the most prominent person if ``None``, and then nobody counts how many there are.

    Raises:
        PoseError: if the file is no pose landmarker.
    """

    chooses = True

    def __init__(self, options: Options, choice: Choice | None) -> None:
        from mediapipe.tasks.python import BaseOptions
        from mediapipe.tasks.python.vision import PoseLandmarker, PoseLandmarkerOptions, RunningMode

        assert options.model is not None
        self._choice, self._tracked = choice, options.smoothing
        self._before = -1
        wanted = PoseLandmarkerOptions(
            # the bytes and not the path: MediaPipe takes a relative path for one inside its own package
            base_options=BaseOptions(model_asset_buffer=_read_model(options.model)),
            running_mode=RunningMode.VIDEO if self._tracked else RunningMode.IMAGE,
            num_poses=1 if choice is None else MAX_PEOPLE,
        )
        try:
            with silenced_stderr():
                self._landmarker = PoseLandmarker.create_from_options(wanted)
        except (RuntimeError, ValueError) as error:
            raise _no_landmarker(options.model, str(error)) from None
        self._hands = hands_graph() if options.landmarks == "holistic" else None

    def run(self, image: NDArray[np.uint8], seconds: float) -> Found:
        """See :class:`Engine`."""
        from mediapipe import Image, ImageFormat

        picture = Image(image_format=ImageFormat.SRGB, data=image)
        if self._tracked:
            self._before = max(round(seconds * 1000), self._before + 1)  # milliseconds that increase
            result = self._landmarker.detect_for_video(picture, self._before)
        else:
            result = self._landmarker.detect(picture)
        people = None if self._choice is None else len(result.pose_landmarks)
        chosen = self._choose(result.pose_landmarks, image.shape[1], image.shape[0], seconds)
        if chosen is None:
            return Found(people=people)
        body = _list_of(result.pose_landmarks[chosen])
        hands = {} if self._hands is None else self._hands.run(image, seconds, body=body)
        world = _list_of(result.pose_world_landmarks[chosen], metres=True)
        return Found(body, world, **hands, people=people)

    def close(self) -> None:
        """See :class:`Engine`."""
        self._landmarker.close()
        if self._hands is not None:
            self._hands.close()

    def _choose(self, poses: list[Any], width: int, height: int, seconds: float) -> int | None:
        """Which of the poses is the person to follow, if any."""
        if self._choice is None:
            return 0 if poses else None
        people = [seen_in(np.array([(mark.x, mark.y) for mark in pose]), width, height) for pose in poses]
        chosen = self._choice.among(people, seconds)
        return next((i for i, seen in enumerate(people) if seen is chosen), None)


def _list_of(marks: list[Any], metres: bool = False) -> Any:
    """The proto that the graphs exchange."""
    from mediapipe.framework.formats import landmark_pb2

    proto = landmark_pb2.LandmarkList() if metres else landmark_pb2.NormalizedLandmarkList()
    proto.landmark.extend(mark.to_pb2() for mark in marks)
    return proto


def _read_model(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PoseError(f"Expected `model` to be a .task file, but {path} cannot be read: {error.strerror}.") from None


def _no_landmarker(path: Path, reason: str) -> PoseError:
    first = next(iter(reason.splitlines()), "no reason given")[:200]
    return PoseError(f"Expected `model` to be a pose landmarker bundle (.task), but MediaPipe refuses {path}: {first}")
