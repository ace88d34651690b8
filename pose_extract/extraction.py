"""One video to one :class:`PoseSequence`: decode, estimate, describe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pose_extract.environment import require_extra
from pose_extract.estimator import ASSUMED_FPS, Estimator, describe_estimator
from pose_extract.files import fingerprint, sha256
from pose_extract.options import Options
from pose_extract.schema import PoseSequence
from pose_extract.video import Video

DEFAULT = Options()
"""Body and both hands of the most prominent person, every frame."""


def extract_video(
    path: str | Path,
    options: Options = DEFAULT,
    source: str | None = None,
    on_frame: Callable[[int], None] | None = None,
) -> PoseSequence:
    """Estimate the landmarks of the most prominent person in every frame of a video, in this process.

    The same file with the same options gives the same landmarks, bit for bit.

    Args:
        path: a video file.
        options: which landmarks, of whom, how often; :class:`pose_extract.Options`.
        source: the path to record in ``meta``; the file's name if none is given.
        on_frame: called after every frame with the number of frames done.

    Returns:
        the sequence, a frame for each frame that could be decoded; ``valid`` is all false where nobody is seen.

    Raises:
        PoseError: if the file is no video that can be read, an option is wrong, or the extra is not installed.
    """
    require_extra()
    path = Path(path)
    estimator_meta = describe_estimator(options)
    points, world = [], []
    shapes: dict[tuple[int, ...], None] = {}  # in order of appearance
    with Video(path) as video, Estimator(options) as estimator:
        before = fingerprint(path)
        for seconds, frame in video:
            shapes[frame.shape] = None
            found, found_world = estimator.estimate(frame, seconds)
            points.append(found)
            world.append(found_world)
            if on_frame is not None:
                on_frame(len(points))
        timestamps = video.timestamps()
    warnings = [*video.warnings, *_clock_warnings(timestamps)]
    if len(shapes) > 1:
        warnings.append("the frame size changes within the video; width and height are the first frame's")
    height, width, _ = next(iter(shapes))
    stacked = np.stack(points)
    return PoseSequence(
        landmarks=stacked,
        world=np.stack(world),
        valid=~np.isnan(stacked[..., 0]),
        timestamps=timestamps,
        meta={
            "layout": estimator.landmark_set.layout,
            "joints": list(estimator.landmark_set.joints),
            "edges": [list(edge) for edge in estimator.landmark_set.edges],
            "source": {**before, "path": source or path.name, "sha256": sha256(path)},
            "width": width,
            "height": height,
            "fps": video.fps,
            "frames_promised": video.promised,
            "frames_decoded": video.decoded,
            "estimator": estimator_meta,
            "warnings": warnings,
        },
    )


def _clock_warnings(timestamps: np.ndarray[Any, np.dtype[np.float64]]) -> list[str]:
    steps = np.diff(timestamps)
    if not len(steps):
        return []
    warnings = []
    rate = 1 / float(np.mean(steps))
    if abs(rate - ASSUMED_FPS) > 0.1 * ASSUMED_FPS:
        warnings.append(f"{rate:.4g} frames/s, but the estimator's smoothing assumes {ASSUMED_FPS:g}")
    if steps.max() > 1.5 * np.median(steps):
        warnings.append(f"variable frame rate: gaps of {steps.min() * 1000:.0f} to {steps.max() * 1000:.0f} ms")
    return warnings
