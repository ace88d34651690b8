"""Videos to units of work and back: long ones are cut, what died is tried again, spans are joined."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from pose_extract.discovery import Job
from pose_extract.options import Options
from pose_extract.pool import Died, Pool
from pose_extract.resume import Outcome
from pose_extract.units import Cut, Unit, give_up

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
    schedule = _Schedule(jobs)
    running = 0
    while schedule.queue or running:
        while schedule.queue and running < pool.capacity:
            pool.submit(schedule.queue.popleft())
            running += 1
        for unit, result in pool.finished(TICK):
            running -= 1
            if isinstance(result, Died):
                if schedule.try_again(unit, result):
                    continue
                result = give_up(unit, options, f"{result.reason}, {ATTEMPTS} times")
            step = schedule.take(unit, result)
            if step is not None:
                yield step


class _Schedule:
    """What is left to do, and how far the videos are that were cut."""

    def __init__(self, jobs: list[Job]) -> None:
        self.queue: deque[Unit] = deque(Unit(job) for job in jobs)
        self._attempts: dict[Unit, int] = {}
        self._cut: dict[Job, _Spans] = {}

    def try_again(self, unit: Unit, death: Died) -> bool:
        """Put a unit back whose process died, unless that was its last attempt."""
        self._attempts[unit] = self._attempts.get(unit, 0) + death.began
        if self._attempts[unit] >= ATTEMPTS:
            return False
        self.queue.appendleft(unit)
        return True

    def take(self, unit: Unit, result: Outcome | Cut) -> Step | None:
        """Go on from what a unit gave."""
        spans = self._cut.get(unit.job)
        if spans is None:
            if isinstance(result, Outcome):
                return Step(unit.job, 1.0, result.frames, result)
            self._cut[unit.job] = _Spans(result.spans)
            self.queue.extendleft(Unit(unit.job, k, result.spans) for k in reversed(range(result.spans)))
            return None
        if spans.ended:  # a failure of another span has been told; what still ran is kept for a retry
            return None
        if isinstance(result, Outcome):
            spans.ended = True
            self.queue = deque(other for other in self.queue if other.job != unit.job)
            return Step(unit.job, 1 - spans.finished / spans.count, 0, result)
        spans.finished += 1
        if spans.finished == spans.count:
            self.queue.appendleft(Unit(unit.job, None, spans.count))
        return Step(unit.job, 1 / spans.count, result.frames)


@dataclass
class _Spans:
    """How far a video that was cut is."""

    count: int
    finished: int = 0
    ended: bool = False
