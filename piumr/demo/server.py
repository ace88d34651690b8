"""The server: the page's files, a video to a result, the webcam. It keeps nothing once an answer is sent."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import signal
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from aiohttp import web

from piumr.demo.guard import add_headers, guard
from piumr.demo.live import MAX_JPEG, Session
from piumr.demo.pose_process import DISK_FULL, MAX_SECONDS, NO_SPACE
from piumr.demo.processes import extract
from piumr.demo.report import describe_model, describe_poses, describe_skeleton
from piumr.errors import PiumrError
from piumr.inference import Recognizer
from piumr.inference.recordings import landmarks_for
from pose_extract.errors import PoseError
from pose_extract.schema import read_poses

MAX_BYTES = 2 * 1024**3
"""Largest video, bytes."""

MAX_JOBS = 2
"""Videos and webcams at a time: each is a process that keeps a core busy."""

UPLOAD_SECONDS = 60.0
"""An upload that stands still for so long is ended."""

LOOPBACK = "127.0.0.1"

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_NDJSON = {"Content-Type": "application/x-ndjson"}
_log = logging.getLogger(__name__)


class Demo:
    """The handlers of one model.

    Args:
        recognizer: the model.

    Raises:
        PiumrError: if the model takes skeletons that no picture gives.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self._landmarks, self._layout = landmarks_for(recognizer.card)
        self._jobs = 0

    async def about(self, request: web.Request) -> web.Response:
        """``GET /api/model``: what the model knows, how the skeleton is drawn, what the server takes."""
        return web.json_response(
            {
                "model": describe_model(self._recognizer.card),
                "skeleton": describe_skeleton(self._layout),
                "limits": {"bytes": MAX_BYTES, "seconds": MAX_SECONDS},
            }
        )

    async def video(self, request: web.Request) -> web.StreamResponse:
        """``POST /api/video``, the file as body: lines of progress, then a line with ``result`` or ``error``.

        When the page goes away the work ends.
        """
        with self._job() as free, tempfile.TemporaryDirectory(prefix="piumr-demo-") as folder:
            if not free:
                return web.json_response({"error": _BUSY}, status=503)
            video, poses = Path(folder) / "video", Path(folder) / "poses.npz"
            reason = await _receive(request, video)
            if reason is not None:
                return web.json_response({"error": reason}, status=413)
            response = web.StreamResponse(headers=_NDJSON)
            await response.prepare(request)
            async with contextlib.aclosing(self._lines(request, video, poses)) as lines:
                async for line in lines:
                    await response.write(line)
            return response

    async def live(self, request: web.Request) -> web.WebSocketResponse:
        """``GET /api/live``: the socket of :class:`piumr.demo.live.Session`."""
        socket = web.WebSocketResponse(max_msg_size=MAX_JPEG, heartbeat=20, compress=False)
        await socket.prepare(request)
        with self._job() as free:
            try:
                if not free:
                    raise PoseError(_BUSY)
                await Session(socket, self._recognizer, self._landmarks, self._layout).run()
            except ConnectionError:  # the page is gone
                raise
            except Exception as error:
                reason = _reason(request, error)
                if not socket.closed:
                    await socket.send_json({"kind": "error", "error": reason})
        await socket.close()
        return socket

    async def _lines(self, request: web.Request, video: Path, poses: Path) -> AsyncGenerator[bytes, None]:
        """What :meth:`video` tells. Its answer has begun: whatever happens is a line of it, no other answer."""
        try:
            yield _line(frames=0, promised=0)
            async with contextlib.aclosing(extract(video, poses, self._landmarks)) as progress:
                async for frames, promised in progress:
                    yield _line(frames=frames, promised=promised)
            sequence = await asyncio.to_thread(read_poses, poses)
            if not sequence.valid.any():
                raise PoseError("No person was seen in this video, so there is nothing to predict.")
            yield _line(result=await describe_poses(self._recognizer, sequence))
        except Exception as error:
            yield _line(error=_reason(request, error))

    @contextlib.contextmanager
    def _job(self) -> Iterator[bool]:
        """Count a job while it runs; false if there are too many already."""
        if self._jobs >= MAX_JOBS:
            yield False
            return
        self._jobs += 1
        try:
            yield True
        finally:
            self._jobs -= 1


_BUSY = f"{MAX_JOBS} videos or webcams are being worked on already: try again when one is done."


def create_app(recognizer: Recognizer, host: str = LOOPBACK) -> web.Application:
    """The application, ready to be run by aiohttp, with handlers cancelled when a client goes.

    Args:
        recognizer: the model.
        host: name or address at which it will listen.

    Raises:
        PiumrError: if the model takes skeletons that no picture gives.
    """
    demo = Demo(recognizer)
    app = web.Application(middlewares=[guard(host), _one_line])
    app.on_response_prepare.append(add_headers)
    app.add_routes(
        [
            web.get("/api/model", demo.about),
            web.post("/api/video", demo.video),
            web.get("/api/live", demo.live),
        ]
    )
    for name, handler in _page_files():
        app.router.add_get("/" if name == "index.html" else f"/{name}", handler)
    return app


async def serve(recognizer: Recognizer, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until the process is told to end by SIGINT or SIGTERM.

    Args:
        recognizer: the model.
        host: name or address to listen at.
        port: 0 takes any that is free.
        ready: called with the page's address when it can be opened.

    Raises:
        PiumrError: if the address cannot be had, or the model is of another kind.
    """
    end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    runner = web.AppRunner(
        create_app(recognizer, host), handler_cancellation=True, access_log=None, shutdown_timeout=1.0
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise PiumrError(_cannot_listen(host, port, error)) from None
        address = runner.addresses[0]
        name = f"[{host}]" if ":" in host else host
        ready(f"http://{name}:{address[1]}/")
        await end.wait()
    finally:
        await runner.cleanup()


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Expected `port` to be free, but something listens at {host}:{port} already: choose another, or 0 for any."
        )
    if error.errno == errno.EACCES:
        return f"Expected `port` to be one that you may use, but the system refuses {port}: take one above 1023."
    return f"Expected `host` to be a name or an address of this machine, but got {host!r} ({error.strerror or error})."


async def _receive(request: web.Request, target: Path) -> str | None:
    """Write a request's body to a file; the reason if it cannot be."""
    too_large = f"The file is larger than the {MAX_BYTES / 1024**3:g} GB that this page takes."
    if (request.content_length or 0) > MAX_BYTES:
        return too_large
    received = 0
    try:
        with target.open("wb") as file:
            while True:
                async with asyncio.timeout(UPLOAD_SECONDS):
                    chunk = await request.content.readany()
                if not chunk:
                    break
                received += len(chunk)
                if received > MAX_BYTES:
                    return too_large
                await asyncio.to_thread(file.write, chunk)
    except TimeoutError:
        return f"The upload stood still for {UPLOAD_SECONDS:.0f} s and was ended."
    except OSError as error:
        if error.errno in DISK_FULL:
            return NO_SPACE.format(tempfile.gettempdir())
        raise
    return None if received else "The file is empty (0 bytes)."


def _line(**message: Any) -> bytes:
    return json.dumps(message, allow_nan=False).encode() + b"\n"


def _reason(request: web.Request, error: Exception) -> str:
    """An error as one line for the page; what nobody foresaw is a traceback in the terminal as well."""
    if isinstance(error, PiumrError | PoseError):
        return str(error)
    _log.error("%s %s", request.method, request.path, exc_info=error)
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return NO_SPACE.format(tempfile.gettempdir())
    return f"The server failed ({type(error).__name__}): see its terminal."


@web.middleware
async def _one_line(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """What goes wrong before an answer has begun is one line in the page as well."""
    try:
        return await handler(request)
    except (web.HTTPException, ConnectionError):
        raise
    except Exception as error:
        return web.json_response({"error": _reason(request, error)}, status=500)


def _page_files() -> Iterator[tuple[str, Callable[[web.Request], Awaitable[web.Response]]]]:
    """Name and handler of each file of the page. They are read once; no path of a request reaches the disk."""
    for file in resources.files("piumr.demo").joinpath("page").iterdir():
        suffix = os.path.splitext(file.name)[1]
        if suffix in _TYPES:
            yield file.name, _serve_text(file.read_text(encoding="utf-8"), _TYPES[suffix])


def _serve_text(text: str, content_type: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type=content_type)

    return handler
