"""A folder of videos to a folder of caches: what to do, doing it, and the record of it."""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import TYPE_CHECKING

from pose_extract.atomic import remove_stale
from pose_extract.discovery import find_jobs
from pose_extract.environment import require_extra
from pose_extract.errors import PoseError
from pose_extract.estimator import describe_estimator
from pose_extract.files import fingerprint
from pose_extract.index import rebuild_index
from pose_extract.options import Landmarks, Options
from pose_extract.pool import run_jobs
from pose_extract.resume import Outcome, earlier_outcome, follow_renames

if TYPE_CHECKING:
    from rich.console import Console


@dataclass
class Summary:
    """What a run came to.

    Attributes:
        outcomes: one per video, in order of their paths.
        seconds: wall time of the extraction itself.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    def select(self, status: str, earlier: bool | None = None) -> list[Outcome]:
        """Outcomes with this status; of this run or of earlier ones only, if ``earlier`` says so."""
        return [o for o in self.outcomes if o.status == status and earlier in (None, o.earlier)]

    @property
    def frames(self) -> int:
        """Frames extracted in this run."""
        return sum(outcome.frames for outcome in self.outcomes if not outcome.earlier)


def extract(
    videos: str | Path,
    out: str | Path = "poses",
    landmarks: Landmarks = "holistic",
    workers: int = 0,
    retry_failed: bool = False,
    console: Console | None = None,
) -> Summary:
    """Extract every video under a folder to ``out``, in parallel; what is done already is skipped.

    A run can be killed at any moment and started again. A video that fails is recorded and the others go on. In a
    script, call this under ``if __name__ == "__main__":``: worker processes import the script.

    Args:
        videos: a folder, searched with its subfolders, or one video file.
        out: folder of the caches: ``out/<video's relative path without suffix>.npz``, and ``out/index.jsonl``.
        landmarks: ``holistic`` (body and hands, 75 landmarks) or ``body`` (33 landmarks, 2.5 times faster).
        workers: number of processes; 0: one per CPU core.
        retry_failed: try again what failed before with the same video and options.
        console: where progress is shown; standard error if none is given.

    Returns:
        what became of each video.

    Raises:
        PoseError: if there is no video, an argument is wrong, or something is not installed.
        OSError: if the disk is full; finished files are whole and kept.
        KeyboardInterrupt: after Ctrl-C, when the workers have stopped and the index is written.
    """
    from pose_extract.progress import Progress

    videos, out = Path(videos), Path(out)
    if workers < 0:
        raise PoseError(f"Expected `workers` to be 0 (one per CPU core) or more, but got {workers}.")
    jobs = find_jobs(videos, out)
    require_extra()
    options = Options(landmarks)
    estimator = describe_estimator(options)
    _require_writable(out)
    remove_stale(out)
    follow_renames(jobs)
    outcomes = {job.source: earlier_outcome(job, estimator, retry_failed) for job in jobs}
    # long videos first, so that no worker idles while the last one is still at a long one
    sizes = {job: fingerprint(job.video)["bytes"] for job in jobs if outcomes[job.source] is None}
    todo = sorted(sizes, key=lambda job: -sizes[job])
    started = time.monotonic()
    try:
        if todo:
            frames = RawArray("Q", len(todo))
            results = run_jobs(todo, options, min(workers or _cores(), len(todo)), frames)
            # closing: the workers are gone before the index is built, whatever ends the loop
            with closing(results), Progress(sizes, lambda: sum(frames), len(jobs) - len(todo), console) as progress:
                for job, outcome in results:
                    outcomes[job.source] = outcome
                    progress.advance(job, outcome)
    finally:
        seconds = time.monotonic() - started
        remove_stale(out)  # of workers that were stopped while they wrote
        rebuild_index(out)
    return Summary([outcome for outcome in outcomes.values() if outcome is not None], seconds)


def _require_writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise PoseError(f"Expected `out` to be a folder, but {out} is a file.") from None
    except OSError as error:
        raise PoseError(f"The folder {out} cannot be made: {error.strerror}.") from None
    if not os.access(out, os.W_OK | os.X_OK):
        raise PoseError(f"The folder {out} cannot be written to: permission denied.")


def _cores() -> int:
    return len(os.sched_getaffinity(0))  # the cores this process may use: job schedulers give fewer than there are
