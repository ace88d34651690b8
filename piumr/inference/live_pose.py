"""A camera, or a video played as one, and the pose of its newest frame: the work of a process of its own.

A thread takes every frame when it comes and keeps the newest. The estimator takes it when it is free; what was replaced
before it could be taken is dropped and counted, so that the poses never lag behind the camera.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from piumr.errors import PiumrError
from piumr.inference.recordings import ignore_deprecation
from pose_extract import PoseError
from pose_extract.archive import first_line
from pose_extract.landmarks import LandmarkSet
from pose_extract.options import Options

Source = int | Path
"""The number of a camera, or a video file."""

PICTURE = 960, 540
"""Largest width and height of a picture to show, pixels; the pose is estimated on the whole frame."""

ENDING = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
"""Signals that end a live run in order: Ctrl-C, job schedulers, a closed terminal."""

_WARM_UP = 1.0  # seconds by which the estimator's clock is ahead, after a first black frame that loads its models
_PATIENCE = 0.1  # seconds between two looks at whether to stop


@dataclass(frozen=True, eq=False)
class Shot:
    """A frame and its pose.

    Attributes:
        seconds: time since the source's first frame, by the video's own clock or the camera's arrival.
        taken: when the frame came from the camera, or was due in the video; ``time.monotonic``.
        landmarks: float32 (V, 4), NaN where not detected.
        size: width and height of the frame, pixels.
        picture: RGB uint8, at most :data:`PICTURE` with even sides; ``None`` where nobody looks.
        dropped: frames dropped so far.
    """

    seconds: float
    taken: float
    landmarks: NDArray[np.float32]
    size: tuple[int, int]
    picture: NDArray[np.uint8] | None
    dropped: int


class PoseProcess:
    """The process, as a context manager.

    Args:
        source: a camera or a video.
        options: which landmarks.
        pictures: send pictures as well.

    Attributes:
        landmark_set: what the landmarks are.

    Raises:
        PoseError: if the source cannot be opened, or the extra is not installed.
        PiumrError: while iterating, if the process died.
    """

    landmark_set: LandmarkSet

    def __init__(self, source: Source, options: Options, pictures: bool) -> None:
        self._arguments = source, options, pictures

    def __enter__(self) -> PoseProcess:
        # spawn: a fork would copy OpenCV's threads in an undefined state
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_estimate, args=(theirs, *self._arguments), daemon=True)
        # Ctrl-C and `timeout` reach both processes; this one decides. The tracker comes first because starting it
        # resets the mask.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        theirs.close()  # so that its death ends the connection
        try:
            self.landmark_set = self._receive()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()  # its next frame finds nobody and ends it
        self._process.join(2)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def shots(self, stop: threading.Event) -> Iterator[list[Shot]]:
        """All shots that have come since the last turn, until the source ends or ``stop`` is set.

        Raises:
            PiumrError: if the process died.
        """
        while not stop.is_set():
            come: list[Shot] = []
            if not self._connection.poll(_PATIENCE):
                continue
            while self._connection.poll(0):
                shot = self._receive()
                if shot is None:
                    if come:
                        yield come
                    return
                come.append(shot)
            yield come

    def _receive(self) -> Any:
        try:
            message = self._connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join(2)
            raise PiumrError(f"The process that estimates poses died ({_cause(self._process.exitcode)}).") from None
        if isinstance(message, PoseError):
            raise message
        return message


class _Newest:
    """A place for one frame: what comes takes the place of what was not fetched in time."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: tuple[float, float, NDArray[np.uint8]] | None = None
        self._ended = False
        self._error: PoseError | None = None
        self.dropped = 0

    def put(self, seconds: float, taken: float, frame: NDArray[np.uint8]) -> None:
        with self._changed:
            self.dropped += self._frame is not None
            self._frame = seconds, taken, frame
            self._changed.notify()

    def end(self, error: PoseError | None = None) -> None:
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify()

    def take(self) -> tuple[float, float, NDArray[np.uint8]] | None:
        """The newest frame, or ``None`` at the end; waits for one."""
        with self._changed:
            while self._frame is None and not self._ended:
                self._changed.wait()
            frame, self._frame = self._frame, None
            if frame is None and self._error is not None:
                raise self._error
            return frame


def _estimate(ours: Connection, source: Source, options: Options, pictures: bool) -> None:
    """What the process does."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    ignore_deprecation()
    with suppress(BrokenPipeError, ConnectionResetError):  # nobody is interested any more
        try:
            _estimate_all(ours, source, options, pictures)
            ours.send(None)
        except PoseError as error:
            ours.send(error)


def _estimate_all(ours: Connection, source: Source, options: Options, pictures: bool) -> None:
    from pose_extract.environment import require_extra

    require_extra()
    frames = _camera(source) if isinstance(source, int) else _video(source)
    next(frames)  # opens it: what is wrong with it is said before the models load
    from pose_extract.estimator import Estimator

    with Estimator(options) as estimator:
        estimator.estimate(np.zeros((256, 256, 3), np.uint8), 0.0)
        ours.send(estimator.landmark_set)
        newest = _Newest()
        threading.Thread(target=_take, args=(frames, newest), daemon=True).start()
        while (taken := newest.take()) is not None:
            seconds, when, frame = taken
            landmarks, _ = estimator.estimate(frame, seconds + _WARM_UP)
            size = frame.shape[1], frame.shape[0]
            ours.send(Shot(seconds, when, landmarks, size, _picture(frame) if pictures else None, newest.dropped))


def _take(frames: Iterator[tuple[float, float, NDArray[np.uint8]] | None], newest: _Newest) -> None:
    try:
        for frame in frames:
            assert frame is not None
            newest.put(*frame)
        newest.end()
    except PoseError as error:
        newest.end(error)
    except Exception as error:  # whatever a decoder or a camera's driver raises: somebody waits for the end
        newest.end(PoseError(f"The source failed: {first_line(error)}"))


def _video(path: Path) -> Iterator[tuple[float, float, NDArray[np.uint8]] | None]:
    """First ``None``, when it is open, then its frames when they are due."""
    from pose_extract.video import Video

    with Video(path) as video:
        yield None
        start = time.monotonic()
        for seconds, frame in video:
            time.sleep(max(start + seconds - time.monotonic(), 0))
            yield seconds, start + seconds, frame


def _camera(number: int) -> Iterator[tuple[float, float, NDArray[np.uint8]] | None]:
    """First ``None``, when it is open, then its frames as they come."""
    import cv2

    camera = cv2.VideoCapture(number)
    try:
        if not camera.isOpened():
            raise PoseError(
                f"Expected `camera` to be the number of a camera, but camera {number} cannot be opened: none is "
                f"connected there (/dev/video{number}), another program uses it, or it may not be read."
            )
        camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame, not a queue of old ones
        yield None
        start = None
        while True:
            there, frame = camera.read()
            now = time.monotonic()
            if not there:
                raise PoseError(f"Camera {number} gives no more frames: was it unplugged?")
            start = now if start is None else start
            yield now - start, now, np.ascontiguousarray(frame[..., ::-1])
    finally:
        camera.release()


def _picture(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from pose_extract.drawing import fit

    height, width = frame.shape[:2]
    scale = min(PICTURE[0] / width, PICTURE[1] / height, 1)
    return fit(frame, *(2 * max(1, round(side * scale / 2)) for side in (width, height)))


def _cause(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"exit code {exitcode}"
    return signal.Signals(-exitcode).name
