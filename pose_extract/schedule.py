"""Videos to units of work and back: long ones are cut, what died is tried again, spans are joined."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from pose_extract.discovery import Job
from pose_extract.options import Options
from pose_extract.pool import Died, Pool
from pose_extract.resume import Outcome
from pose_extract.units import Unit, fail

ATTEMPTS = 2
"""How often a unit is tried when its process dies under it."""

TICK = 0.5
"""Seconds between looks at the workers."""


@dataclass(frozen=True)
class Step:
    """Something was finished.

    Attributes:
        job: the video that it belongs to.
        share: share of the video, 0..1, that is finished with it.
        frames: number of its frames.
        outcome: what became of the video, if this ends it.
    """

    job: Job
    share: float
    frames: int
    outcome: Outcome | None = None


def run_jobs(jobs: list[Job], options: Options, pool: Pool) -> Iterator[Step]:
    """Extract every job's video; every one ends with a step that has an outcome.

    An exception is that video's failure, and so is a process that dies or hangs twice under the same unit; the others
    go on.

    Args:
        jobs: what to do, in this order.
        options: how landmarks are estimated.
        pool: where.

    Raises:
        OSError: if the disk is full.
        PoseError: if no unit can be done any more.
    """
    queue: deque[Unit] = deque(Unit(job) for job in jobs)
    attempts: dict[Unit, int] = {}
    progress: dict[str, _Spans] = {}  # of videos that were cut
    running = 0
    while queue or running:
        while queue and running < pool.capacity:
            pool.submit(queue.popleft())
            running += 1
        for unit, result in pool.finished(TICK):
            running -= 1
            if isinstance(result, Died):
                attempts[unit] = attempts.get(unit, 0) + result.began
                if attempts[unit] < ATTEMPTS:
                    queue.appendleft(unit)
                    continue
                result = fail(unit, options, f"{result.reason}, {ATTEMPTS} times")
            spans = progress.get(unit.job.source)
            if isinstance(result, Outcome):
                share = 1.0 if spans is None else 1.0 - spans.finished / spans.count
                frames = result.frames if spans is None else 0
                if spans is not None and spans.failed:  # told already
                    continue
                if spans is not None and result.status == "failed":
                    spans.failed = True
                    queue = deque(other for other in queue if other.job != unit.job)
                yield Step(unit.job, share, frames, result)
            elif spans is None:
                progress[unit.job.source] = _Spans(result.spans)
                queue.extendleft(Unit(unit.job, k, result.spans) for k in reversed(range(result.spans)))
            else:
                spans.finished += result.done
                if not spans.failed:
                    yield Step(unit.job, 1 / spans.count, result.frames)
                    if spans.finished == spans.count:
                        queue.appendleft(Unit(unit.job, None, spans.count))


@dataclass
class _Spans:
    """How far a video that was cut is."""

    count: int
    finished: int = 0
    failed: bool = False
