"""What earlier runs left: done, failed, or still to do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pose_extract.atomic import atomic_write
from pose_extract.discovery import Job
from pose_extract.errors import PoseError
from pose_extract.files import fingerprint, is_unchanged
from pose_extract.preview import preview_file, strip_file
from pose_extract.schema import PoseSequence, read_meta, read_poses

MAX_RECORD = 1024**2
"""Largest failure record that is read, in bytes."""


@dataclass(frozen=True)
class Outcome:
    """What became of one video in a run.

    Attributes:
        source: the video, relative to the folder that was given.
        status: ``done``; ``empty``: done, but nobody is seen in it; ``failed``.
        frames: frames in its cache.
        reason: why it failed, or what is to be said of one that is done: why it has no preview, what it replaces.
        earlier: this is the result of an earlier run; nothing was done now.
    """

    source: str
    status: Literal["done", "empty", "failed"]
    frames: int = 0
    reason: str | None = None
    earlier: bool = False


def outcome_of(source: str, sequence: PoseSequence, earlier: bool = False) -> Outcome:
    """The outcome that a cache stands for."""
    return Outcome(source, "done" if sequence.valid.any() else "empty", len(sequence), earlier=earlier)


def follow_renames(jobs: list[Job]) -> None:
    """Rename what earlier runs left of videos whose cache has another name now.

    ``a.npz`` becomes ``a.mp4.npz`` when an ``a.avi`` has appeared beside ``a.mp4``, and back; without this the video
    would be extracted again and be in the index twice.
    """
    taken = {job.output for job in jobs}
    for job in jobs:
        former = job.former
        if former.output in taken:
            continue
        cache = former.output
        if (
            os.path.exists(cache)
            and not os.path.exists(job.output)
            and _source_path(_meta_or_nothing(cache)) == job.source
        ):
            os.replace(cache, job.output)
            for file in (preview_file, strip_file):
                with suppress(FileNotFoundError):
                    os.replace(file(cache), file(job.output))
        if os.path.exists(former.error_file) and _source_path(read_failure(former.error_file) or {}) == job.source:
            os.replace(former.error_file, job.error_file)
        if os.path.isdir(former.parts) and not os.path.exists(job.parts) and job.source in _sources_of_parts(former):
            os.replace(former.parts, job.parts)


def earlier_outcome(
    job: Job, estimator: dict[str, Any], retry_failed: bool, on_chunk: Callable[[], None] | None = None
) -> Outcome | None:
    """What an earlier run with the same video and the same options came to, or ``None``: it has to be extracted.

    Args:
        job: the video.
        estimator: :func:`pose_extract.estimator.describe_estimator` of this run.
        retry_failed: do not count an earlier failure.
        on_chunk: called now and then where the video has to be hashed.
    """
    if os.path.exists(job.output):  # unlike Path's, it takes a name that is too long for one that is not there
        try:
            sequence = read_poses(job.output)
        except PoseError:  # damaged since, or another program's: extract it again
            pass
        else:
            if is_same(job, sequence.meta, estimator, on_chunk):
                with suppress(OSError):  # of another model, say: the cache is the latest word
                    job.error_file.unlink()
                return outcome_of(job.source, sequence, earlier=True)
    record = None if retry_failed else read_failure(job.error_file)
    if record is not None and is_same(job, record, estimator, on_chunk):
        return Outcome(job.source, "failed", reason=record["reason"], earlier=True)
    return None


def is_same(
    job: Job, recorded: dict[str, Any], estimator: dict[str, Any], on_chunk: Callable[[], None] | None = None
) -> bool:
    """Whether a record (of a cache, a part or a failure) is of the job's video as it is and of this estimator."""
    source = recorded.get("source")
    if recorded.get("estimator") != estimator or not isinstance(source, dict):
        return False
    return is_unchanged(job.video, source, on_chunk)


def read_failure(path: Path) -> dict[str, Any] | None:
    """A failure record, or ``None`` where there is none that can be read."""
    record = read_record(path)
    return record if record is not None and isinstance(record.get("reason"), str) else None


def read_record(path: Path) -> dict[str, Any] | None:
    """A small JSON object from a file, or ``None`` where there is none that can be read."""
    try:
        if path.stat().st_size > MAX_RECORD:
            return None
        record = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def record_failure(job: Job, estimator: dict[str, Any], reason: str) -> None:
    """Write ``<name>.error.json``: reason, attempts with this video and these options, and what they were.

    Raises:
        OSError: if it cannot be written.
    """
    before = read_failure(job.error_file)
    attempts = before.get("attempts", 0) if before is not None and is_same(job, before, estimator) else 0
    record = {
        "reason": reason,
        "attempts": attempts + 1,
        "source": {"path": job.source, **fingerprint(job.video)},
        "estimator": estimator,
    }
    with atomic_write(job.error_file) as file:
        file.write(json.dumps(record, indent=1).encode())


def _meta_or_nothing(path: Path) -> dict[str, Any]:
    try:
        return read_meta(path)
    except PoseError:
        return {}


def _sources_of_parts(job: Job) -> set[str | None]:
    """The videos that finished spans are of, by what the spans say."""
    return {_source_path(_meta_or_nothing(part)) for part in job.parts.glob("[0-9]*.part")}


def _source_path(recorded: dict[str, Any]) -> str | None:
    source = recorded.get("source")
    return source.get("path") if isinstance(source, dict) else None
