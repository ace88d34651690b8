"""What a worker process does. One video is one unit of work; MediaPipe is imported once per process."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import MutableSequence
from contextlib import suppress
from multiprocessing import connection, parent_process

from pose_extract.discovery import Job
from pose_extract.errors import PoseError
from pose_extract.estimator import describe_estimator
from pose_extract.extraction import extract_video
from pose_extract.options import Options
from pose_extract.resume import Outcome, outcome_of, record_failure
from pose_extract.schema import write_poses

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors that will not go away with the next video."""

_frames: MutableSequence[int] = []


def start_worker(frames: MutableSequence[int]) -> None:
    """Prepare this process.

    Args:
        frames: memory shared with the parent; a job writes the number of its frames done into its own slot, so no
            lock is needed and none can be left behind by a process that dies.
    """
    global _frames
    _frames = frames
    threading.Thread(target=_die_with_parent, daemon=True).start()

    import cv2

    cv2.setNumThreads(1)  # there is a process for each core already


def run_job(slot: int, job: Job, options: Options) -> Outcome:
    """Extract one video to its cache file, or record why that failed.

    Raises:
        OSError: if the disk is full; nothing half written is left.
    """

    def count(done: int) -> None:
        _frames[slot] = done

    try:
        sequence = extract_video(job.video, options, source=job.source, on_frame=count)
        write_poses(job.output, sequence)
    except Exception as error:  # whatever it is, it is this video's failure and the others go on
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        reason = str(error) if isinstance(error, PoseError) else f"{type(error).__name__}: {error}"
        return fail(job, options, reason)
    with suppress(FileNotFoundError):
        job.error_file.unlink()
    return outcome_of(job.source, sequence)


def fail(job: Job, options: Options, reason: str) -> Outcome:
    """Record a failure for this and later runs."""
    reason = " ".join(reason.split()).removeprefix(f"{job.video} ").rstrip(".")
    record_failure(job, describe_estimator(options), reason)
    return Outcome(job.source, "failed", reason=reason)


def _die_with_parent() -> None:
    """End this process when the parent does, however it does: nobody would collect the work."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
