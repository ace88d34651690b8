"""What is shown live: the picture with the skeleton, below it the best classes with bars, and how late all this is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_extract.drawing import Image, Painter, fit, mark_missing, write_text
from pose_extract.preview import TICKS, video_encoder

BARS = 3
"""Classes that are shown."""

_ROW, _MARGIN, _VALUE = 18, 8, 40  # pixels
_NARROWEST = 320
_BACKGROUND, _TRACK, _BAR = 24, 60, (94, 201, 98)


Show = Callable[[float], bool]
"""Shows the canvas as the picture of a time, seconds; false once somebody has closed it."""


class Board:
    """Draws all that is shown of a moment on one canvas.

    Args:
        picture: the first picture, RGB uint8, even sides; all are shown at its size.
        joints: names of the V joints.
        edges: pairs of joint indices.

    Attributes:
        canvas: RGB uint8, even sides.
    """

    def __init__(self, picture: Image, joints: Sequence[str], edges: Sequence[Sequence[int]]) -> None:
        height, width = picture.shape[:2]
        self._painter = Painter(joints, edges)
        self.canvas: Image = np.zeros((height + _ROW * (BARS + 1) + 2 * _MARGIN, max(width, _NARROWEST), 3), np.uint8)
        left = (self.canvas.shape[1] - width) // 2
        self._label = min(self.canvas.shape[1] // 2 - _MARGIN, 230)
        self._picture, self._panel = self.canvas[:height, left : left + width], self.canvas[height:]

    def draw(
        self, picture: Image, landmarks: NDArray[np.float32], top: Sequence[tuple[str, float]] | None, status: str
    ) -> None:
        """Draw a moment.

        Args:
            picture: RGB uint8; one of another size than the first is fitted into its place.
            landmarks: float32 (V, 4), NaN where not detected.
            top: the best classes and their probabilities, none where nobody was seen; ``None`` before the first answer.
            status: a line, ASCII.
        """
        self._picture[:] = fit(picture, self._picture.shape[1], self._picture.shape[0])
        valid = ~np.isnan(landmarks[:, 0])
        self._painter.draw(self._picture, landmarks, valid)
        if not valid.any():
            mark_missing(self._picture)
        self._panel[:] = _BACKGROUND
        if not top:
            write_text(self._panel, "waiting for a full window" if top is None else "nobody is seen", _MARGIN, 2 * _ROW)
        for row, (label, probability) in enumerate((top or [])[:BARS]):
            self._draw_bar(_MARGIN + row * _ROW, label, probability)
        write_text(self._panel, status, _MARGIN, len(self._panel) - _MARGIN)

    def _draw_bar(self, above: int, label: str, probability: float) -> None:
        base, right = above + _ROW - 6, self._panel.shape[1] - _MARGIN - _VALUE
        left = _MARGIN + self._label
        bar = self._panel[above + 3 : above + _ROW - 3, left:right]
        bar[:] = _TRACK
        bar[:, : round(probability * bar.shape[1])] = _BAR
        write_text(self._panel[:, : left - 4], label.encode("ascii", "replace").decode(), _MARGIN, base)
        write_text(self._panel, f"{probability:4.0%}", right + 6, base)


@contextmanager
def window(canvas: Image) -> Iterator[Show]:
    """The canvas in a window on the screen; q, Esc or its close button end it."""
    import cv2

    title = "piumr-infer (q ends it)"
    os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")  # OpenCV's Qt misses fonts that it does not use

    cv2.namedWindow(title, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)  # without a toolbar

    def show(seconds: float) -> bool:
        cv2.imshow(title, canvas[..., ::-1])
        key = cv2.waitKey(1) & 0xFF
        return key not in (ord("q"), 27) and cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1

    try:
        yield show
    finally:
        with suppress(cv2.error):  # it is closed already
            cv2.destroyWindow(title)


@contextmanager
def overlay(canvas: Image, path: Path) -> Iterator[Show]:
    """The canvas as an H.264 video with the frames' own times, there when the block has ended."""
    last = -1
    with video_encoder(path.resolve(), canvas, TICKS // 30) as encode:  # a link stays a link

        def show(seconds: float) -> bool:
            nonlocal last
            last = max(round(seconds * TICKS), last + 1)
            encode(last)
            return True

        yield show


def has_screen() -> bool:
    """Whether a window can be opened. Tried in another process: without a screen Qt ends the one that tries."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        attempt = [sys.executable, "-c", "import cv2; cv2.namedWindow('piumr'); cv2.waitKey(1)"]
        return subprocess.run(attempt, capture_output=True, timeout=20).returncode == 0
    except subprocess.TimeoutExpired:
        return False
