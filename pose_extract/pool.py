"""Jobs over crash-isolated worker processes (pebble)."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Generator, Iterator, MutableSequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from typing import TYPE_CHECKING, Any

from pose_extract.discovery import Job
from pose_extract.errors import PoseError
from pose_extract.options import Options
from pose_extract.resume import Outcome
from pose_extract.worker import fail, run_job, start_worker

if TYPE_CHECKING:
    from pebble import ProcessPool

ATTEMPTS = 2
"""How often a video is tried when its worker process dies under it."""

MAX_BREAKDOWNS = 3
"""How often in a row all workers may die outside a job before the run gives up."""


def run_jobs(
    jobs: list[Job], options: Options, workers: int, frames: MutableSequence[int]
) -> Generator[tuple[Job, Outcome], None, None]:
    """Extract every job's video in one of ``workers`` processes; give each job with its outcome as it ends.

    An exception is that video's failure, and so is a process that dies twice under the same video; the others go on.
    Closing the iterator stops the workers.

    Args:
        jobs: what to do, in this order.
        options: which landmarks, and how.
        workers: number of processes.
        frames: shared memory, a slot per job, for the number of frames done.

    Raises:
        OSError: if the disk is full.
        PoseError: if worker processes cannot be kept alive.
    """
    queue: deque[tuple[int, int]] = deque((slot, 1) for slot in range(len(jobs)))  # job, attempt
    breakdowns = 0
    while queue:
        with _process_pool(workers, frames) as pool:
            running: dict[Future[Outcome], tuple[int, int]] = {}
            broken = False
            while (queue or running) and not broken:
                while queue and len(running) < 2 * workers:  # one in work and one at hand for each
                    slot, attempt = queue.popleft()
                    running[pool.schedule(run_job, args=(slot, jobs[slot], options))] = slot, attempt
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    slot, attempt = running.pop(future)
                    error = future.exception()
                    if isinstance(error, BrokenProcessPool):
                        broken = True
                        queue.appendleft((slot, attempt))
                    elif error is not None and _died(error) and attempt < ATTEMPTS:
                        queue.appendleft((slot, attempt + 1))
                    else:
                        breakdowns = 0
                        yield jobs[slot], _outcome(future, jobs[slot], options)
            queue.extendleft(running.values())
        breakdowns += broken
        if breakdowns == MAX_BREAKDOWNS:
            raise PoseError(
                "The worker processes die as soon as they start. Called from a script, extract() must stand under "
                '`if __name__ == "__main__":`; otherwise look for a lack of memory (fewer --workers).'
            )


@contextmanager
def _process_pool(workers: int, frames: MutableSequence[int]) -> Iterator[ProcessPool]:
    from pebble import ProcessPool

    # spawn: a fork would copy OpenCV's and MediaPipe's threads in an undefined state
    pool = ProcessPool(workers, initializer=start_worker, initargs=(frames,), context=get_context("spawn"))
    # Ctrl-C reaches every process of the terminal. Workers inherit a mask that blocks it, so that none is struck while
    # it starts; the parent alone decides. The tracker comes first because starting it resets the mask.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        _ = pool.active  # starts the workers
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        yield pool
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        pool.stop()
        pool.join()


def _died(error: BaseException) -> bool:
    from pebble import ProcessExpired

    return isinstance(error, ProcessExpired)


def _outcome(future: Future[Outcome], job: Job, options: Options) -> Outcome:
    error: Any = future.exception()
    if error is not None and _died(error):
        return fail(job, options, f"the process that extracted it died, {ATTEMPTS} times ({_cause(error.exitcode)})")
    return future.result()


def _cause(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"exit code {exitcode}"
    name = signal.Signals(-exitcode).name
    return f"{name}: often a lack of memory, try fewer workers" if name == "SIGKILL" else name
