"""Poses from processes that may crash, hang or be ended at any moment, for an asyncio server."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from piumr.demo.pose_process import FRAME, SEEN
from pose_extract.errors import PoseError

START_SECONDS = 120.0
"""How long a process may take to its first word: MediaPipe may have to come over a slow network first."""

HANG_SECONDS = 60.0
"""A process that says nothing for so long is ended."""

Landmarks = Literal["holistic", "body"]


async def extract(video: Path, poses: Path, landmarks: Landmarks) -> AsyncGenerator[tuple[int, int], None]:
    """Estimate the poses of a video in a process of its own and write the cache ``poses``.

    Yields:
        frames done and frames that the container promises, 0 where it does not, now and then.

    Raises:
        PoseError: if the file is no video that can be read, is too long, or its process dies or hangs.
    """
    async with _process("video", landmarks, str(video), str(poses)) as process:
        assert process.stdout is not None
        patience = START_SECONDS
        while line := await _in_time(process.stdout.readline(), patience):
            patience = HANG_SECONDS
            message: dict[str, Any] = json.loads(line)
            if "error" in message:
                raise PoseError(message["error"])
            yield message["frames"], message["promised"]
        if await process.wait() != 0:
            raise _died(process)


class Camera:
    """Estimates the pose in one picture after another; made by :func:`open_camera`."""

    def __init__(self, process: Process, joints: int) -> None:
        self._process = process
        self._bytes = 4 * 4 * joints

    async def see(self, jpeg: bytes, seconds: float) -> tuple[int, int, NDArray[np.float32]] | None:
        """Landmarks of the next picture.

        Args:
            jpeg: the picture.
            seconds: its time, later than that of the one before.

        Returns:
            its width and height, pixels, and float32 (V, 4) as :meth:`pose_extract.estimator.Estimator.estimate`, NaN
            where nothing was found; None if it is no picture.

        Raises:
            PoseError: if the process dies or hangs.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(FRAME.pack(seconds, len(jpeg)) + jpeg)
            await stdin.drain()
            width, height = SEEN.unpack(await _in_time(stdout.readexactly(SEEN.size), HANG_SECONDS))
            if not width:
                return None
            found = await _in_time(stdout.readexactly(self._bytes), HANG_SECONDS)
        except (asyncio.IncompleteReadError, ConnectionError):
            await self._process.wait()
            raise _died(self._process) from None
        return width, height, np.frombuffer(found, np.float32).reshape(-1, 4)


@asynccontextmanager
async def open_camera(landmarks: Landmarks, joints: int) -> AsyncIterator[Camera]:
    """A :class:`Camera` of ``joints`` landmarks in a process of its own, ready for pictures.

    Raises:
        PoseError: if the process does not start.
    """
    async with _process("camera", landmarks) as process:
        assert process.stdout is not None
        if not await _in_time(process.stdout.readline(), START_SECONDS):
            await process.wait()
            raise _died(process)
        yield Camera(process, joints)


@asynccontextmanager
async def _process(*arguments: str) -> AsyncIterator[Process]:
    """A pose process, ended with the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "piumr.demo.pose_process", *arguments),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        start_new_session=True,  # Ctrl-C is for the server, which ends the others
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _in_time(reading: Any, seconds: float) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            return bytes(await reading)
    except TimeoutError:
        raise PoseError(f"The pose estimator made no progress for {seconds:.0f} s and was ended.") from None


def _died(process: Process) -> PoseError:
    code = process.returncode or 0
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    cause = ", often for a lack of memory" if how == "SIGKILL" else ""
    return PoseError(f"The process that looked at the pictures died ({how}{cause}); the page goes on.")
