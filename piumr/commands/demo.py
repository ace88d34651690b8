"""``piumr-demo``: a local page for videos and the webcam."""

from __future__ import annotations

import asyncio
import webbrowser
from pathlib import Path

from piumr.commands.console import OK, console
from piumr.demo.guard import is_loopback
from piumr.demo.server import serve
from piumr.errors import PiumrError
from piumr.inference import DEFAULT_MODEL, Recognizer
from pose_extract.environment import require_extra

NO_MODEL: list[Path] = []
"""The shipped one."""


def demo(model: list[Path] = NO_MODEL, host: str = "127.0.0.1", port: int = 8000, no_browser: bool = False) -> int:
    """Serve a page where a video or the webcam becomes a skeleton and predictions over time.

    It is for this machine: nothing leaves it, and nothing is kept. Ctrl-C ends it.

    Args:
        model: a model.onnx, written by piumr-train-gcn or piumr-export; if not given the shipped one, which knows
            synthetic persons only.
        host: address to listen at. Any other than this machine's own lets others in who can reach it.
        port: port to listen at; 0 takes any that is free.
        no_browser: do not open a browser.
    """
    if not 0 <= port < 2**16:
        raise PiumrError(f"Expected `port` to lie in 0..{2**16 - 1}, but got {port}.")
    if not host:
        raise PiumrError("Expected `host` to be a name or an address, but got an empty one.")
    if len(model) > 1:
        raise PiumrError(f"Expected one `model`, but got {len(model)}.")
    require_extra()
    recognizer = Recognizer(model[0] if model else DEFAULT_MODEL)
    if not is_loopback(host):
        console.print(
            f"warning: listening at {host}: whoever can reach this machine can use the page, without a password and "
            "unencrypted; browsers give the webcam to pages of localhost only.",
            style="yellow",
        )

    def ready(address: str) -> None:
        console.print(f"The page is at {address} (Ctrl-C ends it). Nothing leaves this machine.")
        if not no_browser:
            webbrowser.open(address)

    asyncio.run(serve(recognizer, host, port, ready))
    return OK
