"""One video, or a span of it, to one :class:`PoseSequence`: decode, estimate, describe."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pose_extract.environment import require_extra
from pose_extract.errors import PoseError
from pose_extract.estimator import Estimator, describe_estimator
from pose_extract.files import fingerprint, sha256
from pose_extract.landmarks import BODY
from pose_extract.options import Options
from pose_extract.people import nearest, seen_in
from pose_extract.reading import Reading
from pose_extract.schema import PoseSequence
from pose_extract.video import Video

DEFAULT = Options()
"""Body and both hands of the most prominent person, every frame."""

OVERLAP = 1.0
"""Seconds before a span that are estimated and thrown away: they warm the tracker up."""

READING = "reading"
"""Entry of ``meta`` that only the spans of a video have; :func:`join_spans` turns it into words."""


def extract_video(
    path: str | Path,
    options: Options = DEFAULT,
    source: str | None = None,
    on_frame: Callable[[int], None] | None = None,
) -> PoseSequence:
    """Estimate the landmarks of one person in every frame of a video, in this process.

    The same file with the same options gives the same landmarks, bit for bit.

    Args:
        path: a video file.
        options: which landmarks, of whom, how often; :class:`pose_extract.Options`.
        source: the path to record in ``meta``; the file's name if none is given.
        on_frame: called after every frame with the number of frames done, and with the same number again for every
            frame that is passed over, and while the file is hashed.

    Returns:
        the sequence, a frame for each frame that could be decoded; ``valid`` is all false where nobody is seen.

    Raises:
        PoseError: if the file is no video that can be read, an option is wrong, or the extra is not installed.
    """
    require_extra()
    span = extract_span(path, options, source=source, on_frame=on_frame)
    assert span is not None  # a video without a frame is an error
    return join_spans([span], Path(path), None if on_frame is None else lambda: on_frame(len(span)))


def extract_span(
    path: str | Path,
    options: Options,
    start: float = 0.0,
    stop: float = math.inf,
    source: str | None = None,
    on_frame: Callable[[int], None] | None = None,
) -> PoseSequence | None:
    """The frames of a video from ``start`` up to ``stop``, seconds, to be joined by :func:`join_spans`.

    Args:
        path: see :func:`extract_video`, as for ``options``, ``source`` and ``on_frame``.
        options: there.
        start: where the span begins; up to a second before it is estimated and thrown away.
        stop: where it ends.
        source: there.
        on_frame: there; it is called for the frames before ``start`` as well.

    Returns:
        the span, with times from the video's start, or ``None`` where no frame lies in it.

    Raises:
        PoseError: as :func:`extract_video`.
    """
    path = Path(path)
    estimator_meta = describe_estimator(options)
    points, world, times = [], [], []
    done = 0
    shape: tuple[int, ...] = ()

    def is_alive() -> None:
        if on_frame is not None:
            on_frame(done)

    with Video(path, start, stop, OVERLAP, options.fps, is_alive) as video, Estimator(options) as estimator:
        before = fingerprint(path)
        for seconds, frame in video:
            found, found_world = estimator.estimate(frame, seconds)
            done += 1
            if on_frame is not None:
                on_frame(done)
            if seconds >= start:
                shape = shape or frame.shape
                points.append(found)
                world.append(found_world)
                times.append(seconds)
    if not points:
        return None
    stacked = np.stack(points)
    return PoseSequence(
        landmarks=stacked,
        world=np.stack(world),
        valid=~np.isnan(stacked[..., 0]),
        timestamps=np.array(times),
        meta={
            "layout": estimator.landmark_set.layout,
            "joints": list(estimator.landmark_set.joints),
            "edges": [list(edge) for edge in estimator.landmark_set.edges],
            "source": {**before, "path": source or path.name},
            "width": shape[1],
            "height": shape[0],
            "fps": video.fps,
            "starts_at": video.starts_at,
            "people": estimator.people,
            "estimator": estimator_meta,
            "warnings": [
                f"the person was lost and chosen anew at {seconds:.1f} s" for seconds in estimator.chosen_anew
            ],
            READING: video.reading.to_dict(),
        },
    )


def join_spans(spans: Sequence[PoseSequence], video: Path, on_chunk: Callable[[], None] | None = None) -> PoseSequence:
    """One sequence from the spans of a video, in order: frames, counts and warnings of all.

    Args:
        spans: at least one.
        video: the file they come from; its content is hashed.
        on_chunk: called now and then while it is hashed.

    Raises:
        PoseError: if the file has changed since.
    """
    first = spans[0].meta
    reading = sum((Reading.from_dict(span.meta[READING]) for span in spans[1:]), Reading.from_dict(first[READING]))
    people = max((span.meta["people"] for span in spans if span.meta["people"] is not None), default=None)
    digest = sha256(video, on_chunk)
    if any(fingerprint(video)[key] != first["source"][key] for key in ("bytes", "mtime_ns")):
        raise PoseError(f"{video} was changed while it was read; run the command again.")
    warnings = [*reading.warnings(), *_other_persons(spans)]
    if people is not None and people > 1 and first["estimator"]["options"]["person"] is None:
        warnings.append(f"up to {people} people in view; the most prominent one was followed (--person, --region)")
    meta = {key: value for key, value in first.items() if key != READING}
    return PoseSequence(
        landmarks=np.concatenate([span.landmarks for span in spans]),
        world=np.concatenate([span.world for span in spans]),
        valid=np.concatenate([span.valid for span in spans]),
        timestamps=np.concatenate([span.timestamps for span in spans]),
        meta={
            **meta,
            "source": {**first["source"], "sha256": digest},
            "frames_promised": reading.promised,
            "frames_decoded": reading.decoded,
            "people": people,
            "warnings": [*warnings, *(line for span in spans for line in span.meta["warnings"])],
        },
    )


def _other_persons(spans: Sequence[PoseSequence]) -> list[str]:
    """Where a span goes on with somebody who was not there at the end of the one before: each chooses for itself."""
    warnings = []
    for before, after in itertools.pairwise(spans):
        width, height = after.meta["width"], after.meta["height"]
        ends = [np.flatnonzero(span.valid[:, :BODY].all(axis=1)) for span in (before, after)]
        if len(ends[0]) and len(ends[1]):
            last = seen_in(before.landmarks[ends[0][-1], :BODY], width, height)
            if nearest([seen_in(after.landmarks[ends[1][0], :BODY], width, height)], last) is None:
                seconds = after.timestamps[0]
                warnings.append(f"perhaps another person from {seconds:.0f} s on: each span chooses anew")
    return warnings
