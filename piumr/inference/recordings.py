"""Recordings that are read from start to end: cached poses, and videos whose poses are estimated on the way."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from piumr.errors import PiumrError
from piumr.inference.model_card import ModelCard
from piumr.inference.recognizer import Recognizer
from piumr.inference.windows import LATEST, chunks_of
from piumr.layouts import Layout, get_layout
from piumr.layouts.mapping import find_mapping
from pose_extract.schema import PoseSequence, read_poses

if TYPE_CHECKING:
    from pose_extract.landmarks import LandmarkSet
    from pose_extract.options import Landmarks, Options

FRAMES = 64
"""Frames of a video in a chunk: two seconds, so that progress is seen to move."""

_log = logging.getLogger(__name__)


def on_players_clock(poses: PoseSequence) -> PoseSequence:
    """The same poses at the times that a player shows for them: counted from the file's start, as its sound is."""
    starts_at = poses.meta.get("starts_at")
    if type(starts_at) is not float or not 0 < starts_at < LATEST:
        return poses
    return replace(poses, timestamps=poses.timestamps + starts_at)


class Recording:
    """A cache or a video, open for one pass: iterating gives consecutive chunks of its poses, on the player's clock.

    The poses of a video are never all in memory.

    Args:
        path: cached poses (``.npz``) or a video.
        recognizer: the model that they are for.

    Attributes:
        seconds: length as far as it is known, else 0.

    Raises:
        PoseError: if it cannot be read; also while iterating.
        PiumrError: if the model takes skeletons that no video gives.
    """

    def __init__(self, path: Path, recognizer: Recognizer) -> None:
        self._path = path
        self._poses: PoseSequence | None = None
        if path.suffix.lower() == ".npz":
            self._poses = on_players_clock(read_poses(path))
            self.seconds = float(self._poses.timestamps[-1])
            return
        from pose_extract.environment import require_extra
        from pose_extract.video import Video

        self._options = options_for(recognizer)
        require_extra()
        with Video(path) as video:
            self.seconds = video.duration

    def __iter__(self) -> Iterator[PoseSequence]:
        return self._estimate() if self._poses is None else chunks_of(self._poses)

    def _estimate(self) -> Iterator[PoseSequence]:
        from pose_extract.estimator import Estimator
        from pose_extract.video import Video

        ignore_deprecation()
        with Video(self._path) as video, Estimator(self._options) as estimator:
            times: list[float] = []
            points: list[NDArray[np.float32]] = []
            size = (0, 0)
            for seconds, frame in video:
                size = size if any(size) else (frame.shape[1], frame.shape[0])
                times.append(video.starts_at + seconds)
                points.append(estimator.estimate(frame, seconds)[0])
                if len(times) == FRAMES:
                    yield as_poses(estimator.landmark_set, times, points, size)
                    times, points = [], []
            if times:
                yield as_poses(estimator.landmark_set, times, points, size)
            for warning in video.reading.warnings():
                _log.warning("%s: %s", self._path, warning)


def ignore_deprecation() -> None:
    """Keep from users what protobuf 4 says of MediaPipe's calls; nothing that they could do."""
    warnings.filterwarnings("ignore", "SymbolDatabase.GetPrototype", UserWarning)


def options_for(recognizer: Recognizer) -> Options:
    """The landmarks that a model needs; see :func:`landmarks_for`."""
    from pose_extract.options import Options

    return Options(landmarks_for(recognizer.card)[0])


def landmarks_for(card: ModelCard) -> tuple[Landmarks, Layout]:
    """What has to be estimated in a picture for a model: body and hands, or the body, which is faster.

    Raises:
        PiumrError: if the model takes skeletons that no picture gives.
    """
    landmarks: Landmarks = "holistic" if any("hand_" in joint for joint in card.layout.joints) else "body"
    layout = get_layout("mediapipe-75" if landmarks == "holistic" else "mediapipe-33")
    known = card.layout.joints == layout.joints or find_mapping(layout.joints, card.layout) is not None
    if card.coordinates != "image" or not known:
        what = "metric skeletons" if card.coordinates != "image" else f"layout {card.layout.name}"
        raise PiumrError(
            f"Expected a model for poses that are estimated in videos, but this one takes {what}: give piumr-infer "
            "cached poses of that kind."
        )
    return landmarks, layout


def as_poses(
    landmark_set: LandmarkSet, times: Sequence[float], points: Sequence[NDArray[np.float32]], size: tuple[int, int]
) -> PoseSequence:
    """A sequence of what an estimator gave.

    Args:
        landmark_set: the estimator's.
        times: seconds of T frames, never decreasing.
        points: T arrays float32 (V, 4), NaN where not detected.
        size: width and height of the frames, pixels.
    """
    landmarks = np.stack(points)
    return PoseSequence(
        landmarks,
        np.full((len(times), 33, 3), np.nan, np.float32),  # metres are no input of a model of videos
        ~np.isnan(landmarks[..., 0]),
        np.array(times, np.float64),
        {
            "layout": landmark_set.layout,
            "joints": list(landmark_set.joints),
            "edges": [list(edge) for edge in landmark_set.edges],
            "width": size[0],
            "height": size[1],
        },
    )
