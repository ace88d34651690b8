"""Units of work: a video, a span of a long one, or the joining of its spans; and what a worker does with each."""

from __future__ import annotations

import errno
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.archive import MAX_BYTES
from pose_extract.atomic import atomic_write
from pose_extract.discovery import Job
from pose_extract.errors import PoseError
from pose_extract.estimator import describe_estimator
from pose_extract.extraction import extract_span, extract_video, join_spans
from pose_extract.files import fingerprint
from pose_extract.landmarks import landmark_set
from pose_extract.options import Options
from pose_extract.preview import is_current, write_preview
from pose_extract.resume import Outcome, earlier_outcome, is_same, outcome_of, read_record, record_failure
from pose_extract.schema import PoseSequence, read_meta, read_poses, write_poses
from pose_extract.video import Video

SPAN = 300.0
"""Seconds: a longer video is cut at multiples of it, each span a unit of work."""

MAX_SPANS = 1000
"""Most spans of a video, three days and a half: a length beyond it is damage, and the video is done in one piece."""

_PLAUSIBLE_FPS = 240.0
"""Highest rate that a container is believed which states no number of frames."""

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors that will not go away with the next video."""


@dataclass(frozen=True)
class Unit:
    """What one worker does at a time.

    Attributes:
        job: the video.
        span: number of the span, from 0; ``None``: the whole video, or the joining of its spans.
        spans: how many there are; 0 as long as nobody has looked.
    """

    job: Job
    span: int | None = None
    spans: int = 0

    def __str__(self) -> str:
        if self.span is None:
            return "the video" if self.spans == 0 else "its spans"
        first, last = (f"{round(k * SPAN) // 60}:{round(k * SPAN) % 60:02}" for k in (self.span, self.span + 1))
        return f"its span {first} to {last}"

    def part(self, options: Options) -> Path:
        """The file of a finished span; runs with other options have others."""
        return self.job.parts / f"{self.span:04}-{_digest(options)}.part"


@dataclass(frozen=True)
class Cut:
    """What a unit gives that does not end a video: it is ``spans`` spans long, and ``frames`` of one are finished."""

    spans: int
    frames: int = 0


def run_unit(unit: Unit, options: Options, preview: bool, on_frame: Callable[[int], None]) -> Outcome | Cut:
    """Do one unit of work. An exception that is the video's fault becomes a recorded failure.

    Args:
        unit: the work.
        options: how landmarks are estimated.
        preview: draw an overlay video and a strip of frames as well.
        on_frame: called with the number of frames done so far, and now and then in other long work.

    Raises:
        OSError: if the disk is full; nothing half written is left.
    """
    try:
        if unit.span is not None:
            return _run_span(unit, options, on_frame)
        if unit.spans:
            return _join(unit, options, preview, on_frame)
        return _run_video(unit, options, preview, on_frame)
    except Exception as error:  # whatever it is, it is this video's failure and the others go on
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        with suppress(Exception):  # another run on the same folder may have done it, and removed what this one missed
            done = _done_already(unit.job, options)
            if done is not None:
                return done
        return fail(unit, options, _line(error))


def fail(unit: Unit, options: Options, reason: str) -> Outcome:
    """Record a failure for this and later runs. Finished spans stay, for ``--retry-failed``."""
    reason = reason.removeprefix(f"{unit.job.video} ").rstrip(".")
    if unit.spans:
        reason = f"{unit}: {reason}"
    try:
        record_failure(unit.job, describe_estimator(options), reason)
    except OSError as error:  # for example a name that is too long
        if error.errno in DISK_FULL:
            raise
        reason += f" (and this could not be recorded: {_line(error)})"
    return Outcome(unit.job.source, "failed", reason=reason)


def give_up(unit: Unit, options: Options, reason: str) -> Outcome:
    """What becomes of a video under which processes died: a failure, unless all but its preview was done by then."""
    done = _done_already(unit.job, options)
    return fail(unit, options, reason) if done is None else replace(done, earlier=False, reason=f"but then {reason}")


def _line(error: Exception) -> str:
    """What an error says, in one line."""
    text = str(error) if isinstance(error, PoseError) else f"{type(error).__name__}: {error}"
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror.lower()}: {error.filename}" if error.filename else error.strerror.lower()
    return " ".join(text.split())


def _run_video(unit: Unit, options: Options, preview: bool, on_frame: Callable[[int], None]) -> Outcome | Cut:
    job = unit.job
    done = _done_already(job, options, lambda: on_frame(0))
    if done is not None:  # by another run on the same folder, or all but its preview
        if preview and not is_current(job.output):
            return _draw(job, read_poses(job.output), done, options, on_frame)
        return done
    with Video(job.video) as video:
        _require_room(video, options)
        if SPAN < video.duration <= MAX_SPANS * SPAN and video.can_seek():
            return Cut(math.ceil(video.duration / SPAN))
    return _finish(job, extract_video(job.video, options, job.source, on_frame), options, preview, on_frame)


def _require_room(video: Video, options: Options) -> None:
    """Refuse what would become a file that is too large to be read, before hours of work."""
    promised = video.reading.promised or video.duration * min(video.fps, _PLAUSIBLE_FPS)
    frames = min(promised, video.duration * (options.fps or math.inf))
    landmarks = landmark_set(hands=options.landmarks == "holistic").joints
    if video.duration <= MAX_SPANS * SPAN and frames * len(landmarks) * 4 * 4 > MAX_BYTES:
        raise PoseError(
            f"{video.path} has {frames:,.0f} frames in {video.duration / 3600:.1f} hours, more than one file of "
            "keypoints holds: give fewer frames a second (--fps), the body alone (--landmarks body), or cut it"
        )


def _run_span(unit: Unit, options: Options, on_frame: Callable[[int], None]) -> Cut:
    assert unit.span is not None
    start = unit.span * SPAN
    # the last one goes on to wherever the file really ends
    stop = start + SPAN if unit.span + 1 < unit.spans else math.inf
    part = _read_part(unit, options)
    if part is None and _done_already(unit.job, options) is not None:  # by another run on the same folder
        return Cut(unit.spans)
    if part is None:
        found = extract_span(unit.job.video, options, start, stop, unit.job.source, on_frame)
        part = found or _Nothing(describe_estimator(options), fingerprint(unit.job.video))
        _write_part(unit.part(options), part)
    return Cut(unit.spans, 0 if isinstance(part, _Nothing) else len(part))


def _join(unit: Unit, options: Options, preview: bool, on_frame: Callable[[int], None]) -> Outcome:
    parts = [_read_part(Unit(unit.job, k, unit.spans), options) for k in range(unit.spans)]
    if None in parts:
        done = _done_already(unit.job, options)  # another run on the same folder has joined and removed them
        if done is None:
            raise PoseError("a finished span is gone or of another version of the video; run the command again")
        _remove_parts(unit.job, options)
        return done
    found = [part for part in parts if isinstance(part, PoseSequence)]
    if not found:
        raise PoseError("opens but gives no frame: its data are damaged")
    sequence = join_spans(found, unit.job.video, lambda: on_frame(0))
    return _finish(unit.job, sequence, options, preview, on_frame)


def _finish(
    job: Job, sequence: PoseSequence, options: Options, preview: bool, on_frame: Callable[[int], None]
) -> Outcome:
    note = _replaced(job, sequence)
    write_poses(job.output, sequence)
    with suppress(FileNotFoundError):
        job.error_file.unlink()
    _remove_parts(job, options)
    done = replace(outcome_of(job.source, sequence), reason=note)
    return _draw(job, sequence, done, options, on_frame) if preview else done


def _replaced(job: Job, sequence: PoseSequence) -> str | None:
    """What is said where the cache of another video makes way; of a single file only the name is known."""
    try:
        before = read_meta(job.output).get("source")
    except PoseError:
        return None
    if not isinstance(before, dict) or before.get("sha256") in (None, sequence.meta["source"]["sha256"]):
        return None
    return "replaces the keypoints of another video of that name, or of this one before it changed"


def _digest(options: Options) -> str:
    return hashlib.sha256(json.dumps(describe_estimator(options), sort_keys=True).encode()).hexdigest()[:8]


def _remove_parts(job: Job, options: Options) -> None:
    """Remove the finished spans of a video that is done, and nothing else that may lie there."""
    for part in job.parts.glob(f"[0-9]*-{_digest(options)}.part"):
        with suppress(OSError):
            part.unlink()
    with suppress(OSError):
        job.parts.rmdir()


def _draw(
    job: Job, sequence: PoseSequence, done: Outcome, options: Options, on_frame: Callable[[int], None]
) -> Outcome:
    """Write the preview of a video that is done; it stays done if that fails."""
    try:
        with Video(job.video, fps=options.fps, on_skip=lambda: on_frame(0)) as video:
            write_preview(job.output, _counted(video, on_frame), sequence)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        return replace(done, reason=f"no preview: {_line(error)}")
    return done


def _counted(video: Video, on_frame: Callable[[int], None]) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    for frame in video:
        on_frame(0)  # a sign of life; these frames were counted when they were estimated
        yield frame


def _done_already(job: Job, options: Options, on_chunk: Callable[[], None] | None = None) -> Outcome | None:
    return earlier_outcome(job, describe_estimator(options), retry_failed=True, on_chunk=on_chunk)


@dataclass(frozen=True)
class _Nothing:
    """The part of a span that the container promises and that holds no frame."""

    estimator: dict[str, Any]
    source: dict[str, int]


def _write_part(path: Path, part: PoseSequence | _Nothing) -> None:
    if isinstance(part, PoseSequence):
        write_poses(path, part)
        return
    with atomic_write(path) as file:
        file.write(json.dumps(asdict(part)).encode())


def _read_part(unit: Unit, options: Options) -> PoseSequence | _Nothing | None:
    """A span that is finished, of this video and with these options."""
    estimator = describe_estimator(options)
    try:
        part = read_poses(unit.part(options))
    except PoseError:
        record = read_record(unit.part(options))
        if record is None or not is_same(unit.job, record, estimator):
            return None
        return _Nothing(record["estimator"], record["source"])
    return part if is_same(unit.job, part.meta, estimator) else None
