"""Units of work on an existing dask.distributed cluster. All its machines must see the same files by the same paths."""

from __future__ import annotations

import asyncio
import faulthandler
import os
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from typing import Any

from pose_extract.archive import first_line
from pose_extract.environment import require_extra
from pose_extract.errors import PoseError
from pose_extract.memory import give_back
from pose_extract.options import Options
from pose_extract.pool import HANG_SECONDS, START_SECONDS, Died
from pose_extract.resume import Outcome
from pose_extract.units import Cut, Unit, run_unit

CONNECT_SECONDS = 5.0
"""How long to wait for the scheduler."""

_nowhere = open(os.devnull, "w")  # noqa: SIM115 - the watchdog writes to it from outside Python


class ClusterPool:
    """A :class:`pose_extract.pool.Pool` on the workers of a dask scheduler.

    dask restarts workers that die and gives their units to others; what dies with several workers is recorded as a
    failure. Start workers with one thread each (``dask worker ADDRESS --nthreads 1 --nworkers N``).

    Args:
        address: of the scheduler, for example ``tcp://host:8786``.
        options: how landmarks are estimated.
        preview: draw as well.

    Raises:
        PoseError: if dask is not installed, or the scheduler or its workers are not there.
    """

    def __init__(self, address: str, options: Options, preview: bool) -> None:
        try:
            from distributed import Client
            from distributed.core import rpc
        except ModuleNotFoundError as error:
            raise PoseError(f"`scheduler` needs {error.name}: pip install 'piumr[cluster]'") from None

        async def workers() -> int:
            async with rpc(address) as scheduler:
                return len((await scheduler.identity())["workers"])

        try:  # a client that gets no answer is noisy and slow to give up: ask first
            found = asyncio.run(asyncio.wait_for(workers(), CONNECT_SECONDS))
        except Exception as error:  # whatever it is that answers there, it is no scheduler
            raise _no_scheduler(address, str(error) or "no answer") from None
        if not found:
            raise _no_scheduler(address, "it has no workers")
        self._client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        self._arguments = options, preview
        self._executor = self._client.get_executor(pure=False)
        self._running: dict[Future[Outcome | Cut], Unit] = {}

    @property
    def capacity(self) -> int:
        """Two units for each thread that the cluster has now: one in work and one at hand."""
        return max(2 * sum(self._client.nthreads().values()), 1)

    def submit(self, unit: Unit) -> None:
        """See :class:`pose_extract.pool.Pool`."""
        self._running[self._executor.submit(_work, unit, *self._arguments)] = unit

    def finished(self, seconds: float) -> list[tuple[Unit, Outcome | Cut | Died]]:
        """See :class:`pose_extract.pool.Pool`."""
        done = wait(self._running, seconds, FIRST_COMPLETED).done
        return [(self._running.pop(future), _result(future)) for future in done]

    def frames(self) -> int:
        """Not known until a unit is finished: 0."""
        return 0

    def close(self) -> None:
        """See :class:`pose_extract.pool.Pool`; the cluster itself goes on."""
        self._executor.shutdown(wait=False)
        self._client.close()


def _no_scheduler(address: str, reason: str) -> PoseError:
    return PoseError(
        "Expected `scheduler` to be the address of a running dask scheduler with workers, such as tcp://host:8786, but "
        f"{address!r} gives: {' '.join(reason.split())[:200]}"
    )


def _result(future: Future[Any]) -> Outcome | Cut | Died:
    from distributed.scheduler import KilledWorker

    try:
        result: Outcome | Cut = future.result()
    except KilledWorker:
        return Died("its worker died")
    except CancelledError:
        raise PoseError("The scheduler is gone. Finished videos are kept: run the same command again.") from None
    except (OSError, PoseError):
        raise
    except Exception as error:  # a video's own fault is an outcome: this is the workers'
        raise PoseError(
            f"The cluster's workers cannot do the work ({first_line(error)}): install the same piumr[extract,cluster] "
            "on all machines and start the workers again."
        ) from None
    return result


def _work(unit: Unit, options: Options, preview: bool) -> Outcome | Cut:
    """On a worker: a process that finishes no frame for too long ends itself, and dask starts another."""

    def beat(done: int) -> None:
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True, file=_nowhere)

    faulthandler.dump_traceback_later(START_SECONDS + HANG_SECONDS, exit=True, file=_nowhere)
    try:
        require_extra()
        beat(0)
        return run_unit(unit, options, preview, beat)
    finally:
        faulthandler.cancel_dump_traceback_later()
        give_back()
