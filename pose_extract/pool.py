"""Units of work in crash-isolated processes of this machine (pebble), with a watchdog."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import MutableSequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process, resource_tracker
from multiprocessing.sharedctypes import RawArray
from typing import Any, Protocol

from pose_extract.environment import require_extra
from pose_extract.errors import PoseError
from pose_extract.memory import give_back, limit_heaps
from pose_extract.options import Options
from pose_extract.resume import Outcome
from pose_extract.units import Cut, Unit, run_unit

START_SECONDS = 120.0
"""How long the start of a process may take on top: MediaPipe may have to come over a slow network first."""

HANG_SECONDS = 60.0
"""A worker that finishes no frame for so long is ended. Not a time per video: hours of film are fine."""

MAX_BREAKDOWNS = 3
"""How often in a row a worker may die outside a unit before the run gives up."""


@dataclass(frozen=True)
class Died:
    """A unit ended without a result, because its process did.

    Attributes:
        reason: how.
        began: the process had begun with it, so that this counts as an attempt.
    """

    reason: str
    began: bool = True


class Pool(Protocol):
    """Where units are done, here or elsewhere."""

    @property
    def capacity(self) -> int:
        """How many units it takes at a time."""
        ...

    def submit(self, unit: Unit) -> None:
        """Begin with a unit; not more than :attr:`capacity` at a time."""
        ...

    def finished(self, seconds: float) -> list[tuple[Unit, Outcome | Cut | Died]]:
        """The units that ended since the last call; waits ``seconds`` for one if there is none.

        Raises:
            OSError: if the disk is full.
            PoseError: if no unit can be done any more.
        """
        ...

    def frames(self) -> int:
        """Frames done so far in units that are not finished, as far as it is known."""
        ...

    def close(self) -> None:
        """Stop everything, whatever it does."""
        ...


class ProcessPool:
    """A :class:`Pool` of ``workers`` processes. One that dies or hangs takes only its own unit with it.

    Every worker is a pebble pool of its own: processes that share a pool share a lock, and one that is killed while
    it holds the lock would stop them all.

    Args:
        workers: number of processes.
        options: how landmarks are estimated.
        preview: draw as well.
    """

    def __init__(self, workers: int, options: Options, preview: bool) -> None:
        self.capacity = workers
        # a seat per worker in shared memory that needs no lock, so that no dead process can leave one behind
        self._frames, self._beats = RawArray("Q", workers), RawArray("d", workers)
        self._arguments = options, preview
        self._pools: list[Any] = [None] * workers
        self._running: dict[Future[Outcome | Cut], tuple[Unit, int]] = {}
        self._free = list(reversed(range(workers)))
        self._breakdowns = 0

    def submit(self, unit: Unit) -> None:
        """See :class:`Pool`."""
        seat = self._free.pop()
        self._frames[seat], self._beats[seat] = 0, time.monotonic() + START_SECONDS
        if self._pools[seat] is None:
            self._start(seat)
        arguments = seat, unit, *self._arguments
        try:
            future = self._pools[seat].schedule(_work, arguments)
        except RuntimeError:  # its process died while it had nothing to do, which ends a pebble pool for good
            self._stop(seat)
            self._start(seat)
            future = self._pools[seat].schedule(_work, arguments)
        self._running[future] = unit, seat

    def finished(self, seconds: float) -> list[tuple[Unit, Outcome | Cut | Died]]:
        """See :class:`Pool`."""
        ended = []
        for future in wait(self._running, seconds, FIRST_COMPLETED).done:
            unit, seat = self._running.pop(future)
            self._free.append(seat)
            ended.append((unit, self._result(future, seat)))
        now = time.monotonic()
        for future, (unit, seat) in list(self._running.items()):
            if now - self._beats[seat] > HANG_SECONDS and not future.done():
                del self._running[future]
                self._free.append(seat)
                self._stop(seat)
                ended.append((unit, Died(f"no frame was finished for {HANG_SECONDS:.0f} s")))
        return ended

    def frames(self) -> int:
        """See :class:`Pool`."""
        return sum(self._frames[seat] for _, seat in self._running.values())

    def close(self) -> None:
        """See :class:`Pool`."""
        for seat, pool in enumerate(self._pools):
            if pool is not None:
                pool.stop()  # all at once, then wait for each
                self._frames[seat] = 0
        for pool in self._pools:
            if pool is not None:
                pool.join()

    def _result(self, future: Future[Outcome | Cut], seat: int) -> Outcome | Cut | Died:
        from pebble import ProcessExpired

        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            self._stop(seat)
            self._breakdowns += 1
            if self._breakdowns > MAX_BREAKDOWNS * self.capacity:
                raise PoseError(
                    "The worker processes die as soon as they start. Called from a script, extract() must stand under "
                    '`if __name__ == "__main__":`; otherwise look for a lack of memory (fewer --workers).'
                )
            return Died("the process did not start", began=False)
        self._breakdowns = 0
        if isinstance(error, ProcessExpired):
            return Died(f"its process died ({_cause(error.exitcode)})")
        return future.result()

    def _start(self, seat: int) -> None:
        self._pools[seat] = _start_process(self._frames, self._beats)

    def _stop(self, seat: int) -> None:
        self._pools[seat].stop()
        self._pools[seat].join()
        self._pools[seat] = None


def _start_process(frames: MutableSequence[int], beats: MutableSequence[float]) -> Any:
    from pebble import ProcessPool as PebblePool

    # spawn: a fork would copy OpenCV's and MediaPipe's threads in an undefined state
    pool = PebblePool(1, initializer=_prepare, initargs=(frames, beats), context=get_context("spawn"))
    # Ctrl-C reaches every process of the terminal. Workers inherit a mask that blocks it, so that none is struck while
    # it starts; the parent alone decides. The tracker comes first because starting it resets the mask.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        _ = pool.active  # starts the process
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    return pool


_frames: MutableSequence[int] = []
_beats: MutableSequence[float] = []


def _prepare(frames: MutableSequence[int], beats: MutableSequence[float]) -> None:
    """What a worker process does first."""
    global _frames, _beats
    _frames, _beats = frames, beats
    limit_heaps()
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _work(seat: int, unit: Unit, options: Options, preview: bool) -> Outcome | Cut:
    def beat(done: int) -> None:
        _frames[seat] = done or _frames[seat]
        _beats[seat] = time.monotonic()

    require_extra()  # before the first beat, which ends the time that a start is given
    beat(0)
    try:
        return run_unit(unit, options, preview, beat)
    finally:
        give_back()


def _die_with_parent() -> None:
    """End this process when the parent does, however it does: nobody would collect the work."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _cause(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"exit code {exitcode}"
    name = signal.Signals(-exitcode).name
    return f"{name}: often a lack of memory, try fewer workers" if name == "SIGKILL" else name
