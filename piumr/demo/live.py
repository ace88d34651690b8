"""The webcam: pictures from the page in, the pose of each and predictions of the last seconds out. Newest first.

A picture that arrives while another one is looked at takes the place of the one that waits: under load pictures are
dropped and nothing lags. Messages to the page are JSON; a picture is a binary message, its time in milliseconds as a
little-endian float64 and then a JPEG.
"""

from __future__ import annotations

import asyncio
import math
import struct
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web
from numpy.typing import NDArray

from piumr.demo.processes import Camera, Landmarks, open_camera
from piumr.demo.report import compact, describe_poses, encode
from piumr.inference import Recognizer
from piumr.inference.windows import Window, Windows, predict_windows, window_seconds
from piumr.layouts import Layout
from pose_extract.schema import WORLD_POINTS, PoseSequence

MAX_JPEG = 2 * 1024**2
"""Largest message from the page, bytes; the page sends pictures 640 pixels wide, about 40 kB each."""

STRIDE = 0.2
"""Seconds between two predictions."""

RECORDED = 600.0
"""Seconds of poses that are kept for the review after the webcam stops; the last ones."""

MAX_TIME = 1e6
"""Latest time of a picture, seconds: eleven days. The estimator counts microseconds and has an end."""

_TIME = struct.Struct("<d")


@dataclass
class Newest:
    """One place for what waits: a later picture replaces an earlier one, which then counts as dropped."""

    dropped: int = 0
    _waiting: bytes | None = None
    _closed: bool = False
    _change: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, message: bytes) -> None:
        """Take a message, in place of one that still waits."""
        self.dropped += self._waiting is not None
        self._waiting = message
        self._change.set()

    def close(self) -> None:
        """No more will come; what waits is still given."""
        self._closed = True
        self._change.set()

    async def get(self) -> bytes | None:
        """The newest message, waiting for one; None when there will be none."""
        while self._waiting is None and not self._closed:
            self._change.clear()
            await self._change.wait()
        message, self._waiting = self._waiting, None
        return message


class Recording:
    """The poses of the last minutes of one webcam session.

    Args:
        layout: of the landmarks.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._frames: deque[tuple[float, NDArray[np.float32]]] = deque()
        self._size = 0, 0

    def add(self, seconds: float, width: int, height: int, landmarks: NDArray[np.float32]) -> None:
        """One more frame; a camera that changes its size, as a phone that is turned does, begins anew."""
        if (width, height) != self._size:
            self._frames.clear()
            self._size = width, height
        self._frames.append((seconds, landmarks))
        while seconds - self._frames[0][0] > RECORDED:
            self._frames.popleft()

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def latest(self) -> float:
        """Time of the last frame, seconds; below 0 as long as there is none."""
        return self._frames[-1][0] if self._frames else -1.0

    def last(self, seconds: float = math.inf) -> PoseSequence:
        """The poses of the last seconds, all of them by default, counted from the first of those."""
        kept: list[tuple[float, NDArray[np.float32]]] = []
        for frame in reversed(self._frames):
            if self._frames[-1][0] - frame[0] > seconds:
                break
            kept.append(frame)
        kept.reverse()
        landmarks = np.stack([found for _, found in kept])
        times = np.array([at for at, _ in kept])
        return PoseSequence(
            landmarks=landmarks,
            world=np.full((len(kept), WORLD_POINTS, 3), np.nan, dtype=np.float32),
            valid=~np.isnan(landmarks[..., 0]),
            timestamps=times - times[0],
            meta={
                "layout": self._layout.name,
                "joints": list(self._layout.joints),
                "edges": [list(edge) for edge in self._layout.edges],
                "width": self._size[0],
                "height": self._size[1],
                "warnings": [],
            },
        )


class Session:
    """One webcam, from the first picture to the review.

    Args:
        socket: open, to the page.
        recognizer: the model.
        landmarks: what is estimated.
        layout: of ``landmarks``.
    """

    def __init__(
        self, socket: web.WebSocketResponse, recognizer: Recognizer, landmarks: Landmarks, layout: Layout
    ) -> None:
        self._socket, self._recognizer = socket, recognizer
        self._landmarks, self._layout = landmarks, layout
        self._newest, self._recording, self._windows = Newest(), Recording(layout), self._begin()
        self._predicting: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Answer pictures until the page says ``stop`` or goes; after ``stop`` send what :func:`describe_poses` gives.

        Raises:
            PoseError: if the process that estimates dies or hangs.
        """
        listening = asyncio.create_task(self._listen())
        try:
            async with open_camera(self._landmarks, len(self._layout)) as camera:
                await self._send("ready")
                while (message := await self._newest.get()) is not None:
                    await self._answer(camera, message)
            if self._predicting is not None:
                await self._predicting
            if not self._socket.closed:
                await self._review()
        finally:
            listening.cancel()
            await asyncio.wait([listening])
            if self._predicting is not None:
                self._predicting.cancel()

    async def _listen(self) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.BINARY and len(message.data) > _TIME.size:
                self._newest.put(message.data)
            elif message.type is WSMsgType.TEXT and message.data == "stop":
                self._newest.close()  # and listen on: only who reads sees that the page still answers
        self._newest.close()

    async def _answer(self, camera: Camera, message: bytes) -> None:
        (at,) = _TIME.unpack_from(message)
        began = time.perf_counter()
        # a time that does not go on would upset the tracker
        goes_on = self._recording.latest < at / 1000 < MAX_TIME
        seen = await camera.see(message[_TIME.size :], at / 1000) if goes_on else None
        if seen is None:
            await self._send("pose", at=at if math.isfinite(at) else None, points=None, dropped=self._newest.dropped)
            return
        width, height, found = seen
        self._recording.add(at / 1000, width, height, found)
        await self._send(
            "pose",
            at=at,
            width=width,
            height=height,
            points=encode(compact(found, ~np.isnan(found[:, 0]))),
            milliseconds=round(1000 * (time.perf_counter() - began), 1),
            dropped=self._newest.dropped,
        )
        self._predict_now_and_then(at)

    def _begin(self) -> Windows:
        """Windows of the last seconds, the first one when there are so many."""
        seconds = window_seconds(self._recognizer)
        return Windows(seconds, min(STRIDE, seconds))

    def _predict_now_and_then(self, at: float) -> None:
        if len(self._recording) == 1:  # the camera was turned
            self._windows = self._begin()
        frame = self._recognizer.points_of(self._recording.last(0.0))
        complete = list(self._windows.push(np.array([at / 1000]), *frame))
        if self._predicting is not None:
            if not self._predicting.done():
                return
            self._predicting.result()  # raises what it raised
        if complete:
            self._predicting = asyncio.create_task(self._predict(at, complete[-1]))

    async def _predict(self, at: float, window: Window) -> None:
        began = time.perf_counter()
        top = await asyncio.to_thread(self._top, window)
        milliseconds = round(1000 * (time.perf_counter() - began), 1)
        await self._send("prediction", at=at, top=top, milliseconds=milliseconds)

    def _top(self, window: Window) -> list[tuple[str, float]]:
        """The three best classes; none where nobody is seen."""
        timeline = predict_windows(self._recognizer, [window])
        if not timeline.seen[0]:
            return []
        row = timeline.probabilities[0]
        return [(timeline.class_names[i], round(float(row[i]), 4)) for i in np.argsort(-row, kind="stable")[:3]]

    async def _review(self) -> None:
        if not len(self._recording):
            await self._send("error", error="No picture of the webcam came, so there is nothing to show.")
            return
        result = await describe_poses(self._recognizer, self._recording.last())
        await self._send("result", result=result)

    async def _send(self, kind: str, **values: Any) -> None:
        if not self._socket.closed:
            await self._socket.send_json({"kind": kind, **values})
