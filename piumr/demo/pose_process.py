"""The process that looks at pictures: ``python -m piumr.demo.pose_process``, started by :mod:`piumr.demo.processes`.

``video LANDMARKS VIDEO POSES`` writes the cache ``POSES`` and tells of its progress in JSON lines on standard output.
``camera LANDMARKS`` answers each JPEG on standard input with its landmarks. It ends as soon as its input does, which is
when the server ends, however it does.
"""

from __future__ import annotations

import errno
import json
import os
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

MAX_SECONDS = 600.0
"""Longest video: the page is for looking at clips, `piumr-extract` for hours of film."""

MAX_FRAMES = 60 * int(MAX_SECONDS)
"""Most frames: a container may lie about its length."""

FRAME = struct.Struct("<dI")
"""Before each JPEG: its time, seconds, and its number of bytes."""

SEEN = struct.Struct("<II")
"""Before the float32 landmarks (V, 4) of a JPEG: its width and height, pixels; 0, 0 and no landmarks if it is none."""

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of the errors of a full disk."""

NO_SPACE = "The disk is full: the folder for temporary files is {}."

_EVERY = 0.1  # seconds between two lines of progress
_WARM_UP = 1.0  # seconds by which the estimator's clock is ahead


def main(arguments: list[str]) -> int:
    """Do what the arguments say; 0, or 1 after an ``error`` line."""
    out = _claim_output()
    mode, landmarks, *paths = arguments
    options: dict[str, Any] = {"landmarks": landmarks}
    if mode == "camera":
        return _camera(options, sys.stdin.buffer, out)
    threading.Thread(target=_end_with_input, daemon=True).start()
    return _video(options, Path(paths[0]), Path(paths[1]), out)


def _video(options: dict[str, Any], video: Path, poses: Path, out: BinaryIO) -> int:
    from pose_extract import Options, PoseError, extract_video, write_poses
    from pose_extract.video import Video

    told = 0.0

    def tell(**message: Any) -> None:
        out.write(json.dumps(message).encode() + b"\n")
        out.flush()

    def on_frame(done: int) -> None:
        nonlocal told
        if done > MAX_FRAMES:
            raise PoseError(f"{video} has more than {MAX_FRAMES} frames: cut it, or use piumr-extract.")
        if time.monotonic() - told >= _EVERY:
            told = time.monotonic()
            tell(frames=done, promised=promised)

    try:
        with Video(video) as opened:
            promised = opened.reading.promised or round(opened.duration * opened.fps)
            if opened.duration > MAX_SECONDS:
                raise PoseError(
                    f"{video} is {opened.duration / 60:.0f} minutes long, more than the {MAX_SECONDS / 60:.0f} that "
                    "this page takes: cut it, or use piumr-extract and piumr-infer."
                )
        tell(frames=0, promised=promised)
        write_poses(poses, extract_video(video, Options(**options), source="video", on_frame=on_frame))
    except PoseError as error:
        tell(error=str(error).replace(str(video), "The file"))
        return 1
    except OSError as error:
        reason = error.strerror or type(error).__name__
        full = error.errno in DISK_FULL
        tell(error=NO_SPACE.format(poses.parent.parent) if full else f"The pose estimator failed ({reason}).")
        return 1
    return 0


def _camera(options: dict[str, Any], frames: BinaryIO, out: BinaryIO) -> int:
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(2**22)  # a small file can promise a picture that no memory holds
    import cv2

    from pose_extract import Options
    from pose_extract.estimator import Estimator

    with Estimator(Options(**options)) as estimator:
        estimator.estimate(np.zeros((480, 640, 3), np.uint8), 0.0)  # loads the models
        out.write(b"\n")  # ready
        out.flush()
        while len(header := frames.read(FRAME.size)) == FRAME.size:
            seconds, size = FRAME.unpack(header)
            picture = np.frombuffer(frames.read(size), np.uint8)
            try:
                image = cv2.imdecode(picture, cv2.IMREAD_COLOR_RGB)
            except cv2.error:
                image = None
            if image is None:
                out.write(SEEN.pack(0, 0))
            else:
                found, _ = estimator.estimate(image, seconds + _WARM_UP)
                out.write(SEEN.pack(image.shape[1], image.shape[0]) + found.tobytes())
            out.flush()
    return 0


def _claim_output() -> BinaryIO:
    """Standard output for our messages alone; whatever a library prints goes to standard error."""
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return own


def _end_with_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
