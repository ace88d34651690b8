"""A folder of videos to a folder of caches: what to do, doing it, and the record of it."""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pose_extract.atomic import remove_stale
from pose_extract.contact_sheet import write_contact_sheet
from pose_extract.discovery import Job, find_jobs
from pose_extract.environment import require_extra
from pose_extract.errors import PoseError
from pose_extract.estimator import Estimator, describe_estimator
from pose_extract.files import fingerprint
from pose_extract.index import rebuild_index
from pose_extract.options import Landmarks, Options, Person, Region
from pose_extract.pool import Pool, ProcessPool
from pose_extract.preview import is_current, is_preview, preview_file
from pose_extract.resume import Outcome, earlier_outcome, follow_renames
from pose_extract.schedule import run_jobs

if TYPE_CHECKING:
    from rich.console import Console

Shard = tuple[int, int]
"""Which part of the videos: i, n for the i-th of n."""


@dataclass
class Summary:
    """What a run came to.

    Attributes:
        outcomes: one per video, in order of their paths.
        seconds: wall time of the extraction itself.
        no_page: why there is no new contact sheet, if there is none.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0
    no_page: str | None = None

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
    model: str | Path | None = None,
    person: Person | None = None,
    region: Region | None = None,
    fps: float | None = None,
    smoothing: bool = True,
    preview: bool = False,
    workers: int = 0,
    scheduler: str | None = None,
    shard: Shard | None = None,
    retry_failed: bool = False,
    console: Console | None = None,
) -> Summary:
    """Extract every video under a folder to ``out``, in parallel; what is done already is skipped.

    A run can be killed at any moment and started again. A video that fails is recorded and the others go on. Videos of
    more than five minutes are cut into spans of five minutes that are extracted, tried again and resumed one by one.
    In a script, call this under ``if __name__ == "__main__":``: worker processes import the script.

    Args:
        videos: a folder, searched with its subfolders, or one video file.
        out: folder of the caches: ``out/<video's relative path without suffix>.npz``, and ``out/index.jsonl``.
        landmarks: ``holistic`` (body and hands, 75 landmarks) or ``body`` (33 landmarks, 2.5 times faster).
        model: a MediaPipe Tasks pose landmarker (``.task``: lite, full or heavy) in place of the bundled body model.
        person: whom to follow where several people are in view: ``largest``, ``left`` or ``right``; the most prominent
            one if not given.
        region: part of the image to look at: x, y, width, height as shares (0..1) of the image, from its top left.
        fps: keep at most this many frames per second; every frame if not given.
        smoothing: let the estimator smooth the body over time. It filters micro-motion as well as noise.
        preview: write an overlay video per clip, and ``out/index.html`` to look at all of them.
        workers: number of processes; 0: one per CPU core.
        scheduler: address of a dask scheduler (``tcp://host:8786``) whose workers do the work; all its machines must
            see the same files by the same paths.
        shard: i, n: only the i-th (from 1) of n parts of the videos, for job arrays.
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

    videos, out, model = Path(videos), Path(out), Path(model) if model else None
    if scheduler is not None:  # its workers have folders of their own
        videos, out, model = videos.absolute(), out.absolute(), model.absolute() if model else None
    if not isinstance(workers, int) or workers < 0:
        raise PoseError(f"Expected `workers` to be 0 (one per CPU core) or more, but got {workers!r}.")
    options = Options(landmarks, model, person, region, fps, smoothing)
    jobs = _part(find_jobs(videos, out), shard)
    require_extra()
    estimator = describe_estimator(options)
    if preview:
        _require_room_for_previews(jobs)
    if model is not None:
        Estimator(options).__exit__(None, None, None)  # a wrong one is told once, not with every video
    _require_writable(out)
    remove_stale(out)
    follow_renames(jobs)
    outcomes = {job.source: earlier_outcome(job, estimator, retry_failed) for job in jobs}
    # long videos first, so that no worker idles while the last one is still at a long one
    sizes = {job: fingerprint(job.video)["bytes"] for job in jobs if _is_open(job, outcomes[job.source], preview)}
    todo = sorted(sizes, key=lambda job: -sizes[job])
    started = time.monotonic()
    try:
        if todo:
            pool = _pool(scheduler, workers or _cores(), options, preview)
            skipped = len(jobs) - len(todo)
            # closing: the workers are gone before the index is built, whatever ends the loop
            with closing(pool), Progress(sizes, pool.frames, skipped, console) as progress:
                for step in run_jobs(todo, options, pool):
                    progress.advance(step)
                    if step.outcome is not None:
                        outcomes[step.job.source] = step.outcome
    finally:
        seconds = time.monotonic() - started
        remove_stale(out)  # of workers that were stopped while they wrote
        rebuild_index(out)
        no_page = _write_page(out)
    return Summary([outcome for outcome in outcomes.values() if outcome is not None], seconds, no_page)


def _write_page(out: Path) -> str | None:
    """Write the contact sheet, or say why not."""
    try:
        write_contact_sheet(out)
    except PoseError as error:
        return str(error)
    return None


def _require_room_for_previews(jobs: list[Job]) -> None:
    """A user's own video may be called like a preview."""
    videos = {os.path.realpath(job.video) for job in jobs}
    for job in jobs:
        file = preview_file(job.output)
        if os.path.realpath(file) in videos or (os.path.exists(file) and not is_preview(file)):
            raise PoseError(f"A preview would overwrite {file}, which is not one: move it or give another `out`.")


def _part(jobs: list[Job], shard: Shard | None) -> list[Job]:
    """The jobs of one shard: every n-th, so that neighbours, which are often alike, are spread."""
    if shard is None:
        return jobs
    if not (isinstance(shard, tuple | list) and len(shard) == 2 and all(type(part) is int for part in shard)):
        raise PoseError(f"Expected `shard` to be two whole numbers, i and n, but got {shard!r}.")
    i, n = shard
    if not 1 <= i <= n:
        raise PoseError(f"Expected `shard` to be i/n with 1 <= i <= n, but got {i}/{n}.")
    return jobs[i - 1 :: n]


def _is_open(job: Job, outcome: Outcome | None, preview: bool) -> bool:
    """Whether there is something to do for a video, if only its preview."""
    return outcome is None or (preview and outcome.status != "failed" and not is_current(job.output))


def _pool(scheduler: str | None, workers: int, options: Options, preview: bool) -> Pool:
    if scheduler is None:
        return ProcessPool(workers, options, preview)
    from pose_extract.cluster import ClusterPool

    return ClusterPool(scheduler, options, preview)


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
