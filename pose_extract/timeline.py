"""Under a picture: when each part of the person was seen, how surely, and where in the clip we are. Needs OpenCV."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose_extract.drawing import GAP, Image, confidence_colours, part_masks, write_text
from pose_extract.schema import PoseSequence

_ROW, _BAR, _FOOT, _MARGIN, _LABEL = 16, 10, 24, 6, 78  # pixels
_BACKGROUND = 24


class Timeline:
    """A row for each part over the clip's time, coloured by confidence, red where it was not detected; a legend below.

    A gap shows however short it is: a pixel stands for the worst of the frames that it covers.

    Args:
        sequence: what was detected, and when; at least one frame.
        width: in pixels, 320 or more; the height follows from the parts that the layout has and is even.
    """

    def __init__(self, sequence: PoseSequence, width: int) -> None:
        masks = part_masks(sequence.meta["joints"])
        self.height = timeline_height(sequence)
        self._times = sequence.timestamps - sequence.timestamps[0]
        self._seconds = clip_seconds(sequence)
        self._track = slice(_LABEL, width - _MARGIN)
        self._panel = np.full((self.height, width, 3), _BACKGROUND, np.uint8)
        for row, (part, mask) in enumerate(masks.items()):
            top = _MARGIN // 2 + row * _ROW
            write_text(self._panel, part.replace("_", " "), _MARGIN, top + _BAR)
            self._panel[top + 1 : top + 1 + _BAR, self._track] = self._shades(part, _levels(sequence, mask))
        self._bottom = _MARGIN // 2 + len(masks) * _ROW - 3
        self._draw_legend(width)

    def draw(self, image: Image, index: int) -> None:
        """Draw the rows, with a white line at frame ``index`` and its time, over an image of their size."""
        image[:] = self._panel
        now = self._times[index]
        span = self._track.stop - self._track.start
        x = self._track.start + min(int(now / self._seconds * span), span - 1)
        image[: self._bottom, x - 1 : x + 2] = 0
        image[: self._bottom, x] = 255
        write_text(image, f"{_clock(now)} / {_clock(self._seconds)}", _MARGIN, self.height - 8)

    def _shades(self, part: str, levels: NDArray[np.floating]) -> Image:
        """Colours of the pixels of a row, from a level per frame."""
        bounds = np.linspace(0, self._seconds, self._track.stop - self._track.start + 1)
        first = np.maximum(np.searchsorted(self._times, bounds[:-1], side="right") - 1, 0)
        after = np.maximum(np.searchsorted(self._times, bounds[1:], side="left"), first + 1)
        spans = np.stack([first, after], axis=1).ravel()
        worst = np.minimum.reduceat(np.append(levels, 1), spans)[::2]  # reduceat wants every bound to be an index
        return np.where(worst[:, None] < 0, GAP, confidence_colours(part, worst)).astype(np.uint8)

    def _draw_legend(self, width: int) -> None:
        base, right = self.height - 8, width - _MARGIN
        self._panel[base - 8 : base + 1, right - 64 : right - 55] = GAP
        write_text(self._panel, "missing", right - 51, base)
        write_text(self._panel, "sure", right - 102, base)
        self._panel[base - 8 : base + 1, right - 146 : right - 106] = confidence_colours("body", np.linspace(0, 1, 40))
        write_text(self._panel, "unsure", right - 193, base)


def timeline_height(sequence: PoseSequence) -> int:
    """Pixels that the rows and the legend take."""
    return _ROW * len(part_masks(sequence.meta["joints"])) + _FOOT


def clip_seconds(sequence: PoseSequence) -> float:
    """Seconds from the first frame to the end of the last one, which is taken to stand as long as the others do."""
    times = sequence.timestamps
    return max(float(times[-1] - times[0] + (np.median(np.diff(times)) if len(times) > 1 else 1 / 30)), 1e-3)


def _levels(sequence: PoseSequence, mask: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Mean confidence in each frame of the joints that were seen, (T,); -1 where none was."""
    seen = sequence.valid[:, mask]
    total = np.where(seen, sequence.landmarks[:, mask, 3], 0).sum(axis=1)
    return np.where(seen.any(axis=1), np.clip(total / np.maximum(seen.sum(axis=1), 1), 0, 1), -1)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 100), 6000)
    return f"{minutes}:{rest / 100:05.2f}"
