"""Frames and their times from a video file, with OpenCV.

What OpenCV says of a file is not to be trusted: the frame count is a promise, a truncated file ends without an error,
and a codec it cannot decode opens and gives no frame. So frames are read until none comes, then compared.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import PoseError
from pose_extract.quiet import silenced_stderr

FALLBACK_FPS = 30.0
"""Rate assumed where a container states none."""


class Video:
    """A video file that is open for one pass over its frames.

    Iterating gives each frame with its time: seconds from the clip's first frame, and RGB, uint8 (height, width, 3),
    rotated as the file's orientation tag says. Afterwards :meth:`timestamps`, :attr:`decoded` and :attr:`warnings`
    describe what was read.

    Args:
        path: the file.

    Raises:
        PoseError: with the reason, if no video can be opened there.
    """

    def __init__(self, path: str | Path) -> None:
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # for decoding errors; read at the first file
        import cv2

        self.path = Path(path)
        _require_content(self.path)
        # FFmpeg by name: any other backend takes "%03d" in a file name for a numbered series of images
        with silenced_stderr():
            self._capture = cv2.VideoCapture(str(self.path.absolute()), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise PoseError(f"{self.path} cannot be opened: {_why_unreadable(self.path)}.")
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # the default differs between OpenCV 4 and 5
        self._position = cv2.CAP_PROP_POS_MSEC
        promised = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.promised: int | None = int(promised) if 0 < promised < 2**31 else None
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self._stated_fps: float | None = float(fps) if 0 < fps <= 1000 else None
        self._codec = _four_letters(int(self._capture.get(cv2.CAP_PROP_FOURCC)))
        self._times: list[float] = []
        self.warnings: list[str] = []

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Give every frame that can be decoded.

        Raises:
            PoseError: if there is none.
        """
        import cv2

        while True:
            found, frame = self._capture.read()
            if not found:
                break
            self._times.append(self._capture.get(self._position) / 1000)
            yield self._times[-1] - self._times[0], cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        if not self._times:
            raise PoseError(
                f"{self.path} opens but gives no frame: OpenCV has no decoder for its codec ({self._codec}) or its "
                "data are damaged; converting it helps in the first case: ffmpeg -i IN -c:v libx264 OUT.mp4"
            )
        # Matroska and AVI have been seen to promise one frame too many
        if self.promised is not None and self.promised - self.decoded > 1:
            self.warnings.append(
                f"{self.promised} frames promised by the container, {self.decoded} decoded: truncated or damaged"
            )

    @property
    def decoded(self) -> int:
        """Frames read so far."""
        return len(self._times)

    @property
    def fps(self) -> float:
        """Frames per second: the container's, else measured from the timestamps."""
        if self._stated_fps:
            return self._stated_fps
        duration = self._times[-1] - self._times[0] if self._times else 0
        return (self.decoded - 1) / duration if duration > 0 else FALLBACK_FPS

    def timestamps(self) -> NDArray[np.float64]:
        """Seconds from the first frame, (T,), strictly increasing.

        The container's own where they are usable (variable rates included), else frame number / fps with a warning.
        """
        times = np.array(self._times, dtype=np.float64)
        times -= times[0]
        if np.isfinite(times).all() and (np.diff(times) > 0).all():
            return times
        self.warnings.append(f"the container's timestamps are unusable; taken as frame number / {self.fps:g} fps")
        return np.arange(self.decoded) / self.fps


def _require_content(path: Path) -> None:
    reason = None
    if path.is_symlink() and not path.exists():
        reason = "the link points to a file that does not exist"
    elif not path.exists():
        reason = "there is no such file"
    elif not path.is_file():
        reason = "it is a folder, not a file" if path.is_dir() else "it is not a regular file"
    elif not os.access(path, os.R_OK):
        reason = "permission denied"
    elif path.stat().st_size == 0:
        reason = "the file is empty (0 bytes)"
    if reason:
        raise PoseError(f"{path} cannot be opened: {reason}.")


def _why_unreadable(path: Path) -> str:
    """Best guess at why OpenCV refused a file that is there and has content."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head[4:8] == b"ftyp":
        if b"moov" not in _mp4_boxes(path):
            return "its index (`moov`) is missing: an unfinished recording or download"
        return "it holds no video stream, or a damaged one"
    if _is_text(head):
        return "it is a text file, not a video"
    return "it is not a video, is damaged, or holds no video stream"


def _is_text(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # incremental: the last character may be cut
    except UnicodeDecodeError:
        return False
    return b"\0" not in head


def _mp4_boxes(path: Path) -> set[bytes]:
    """Names of the top-level boxes of an ISO base media file (ISO/IEC 14496-12, section 4.2)."""
    names: set[bytes] = set()
    with path.open("rb") as file:
        while len(header := file.read(16)) >= 8:
            size, name = int.from_bytes(header[:4]), header[4:8]
            if size == 1:  # the real size follows in 8 bytes
                size = int.from_bytes(header[8:])
            names.add(name)
            if size < 8:  # 0: up to the end of the file; else nonsense
                break
            file.seek(size - len(header), os.SEEK_CUR)
    return names


def _four_letters(code: int) -> str:
    letters = "".join(chr(code >> shift & 0xFF) for shift in (0, 8, 16, 24))
    return letters if letters.isascii() and letters.isprintable() and letters.strip() else "unknown"
