"""A clip in eight small pictures: evenly spaced ones, and the worst moment. Needs OpenCV and SciPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose_extract.drawing import WHITE, Image, Painter, draw_border, fit, mark_missing, part_masks, write_text
from pose_extract.schema import PoseSequence

EVEN = 7
"""Pictures at even distances; the worst moment is one more, if it is not among them."""

AREA = 36_000
"""Pixels of one picture, whatever its shape, so that strips of all clips weigh about the same."""

_WINDOW = 15  # frames: half a second at the usual rate
_SURE = 0.5  # confidence from which a point counts for the crop
_ENOUGH = 10_000  # frames that tell where a person is; an hour of them would take hundreds of megabytes
_MARGIN = 0.12  # of the person's size, on each side
_ASPECT = (0.5, 2.0)  # narrowest and widest picture
_GAP = 4  # pixels between pictures


class Strip:
    """Takes the few frames that it needs while they pass by, cropped to where the person is in the whole clip.

    All pictures show the same part of the image, so that what moves between them is the person.

    Args:
        sequence: the clip, at least one frame.
    """

    def __init__(self, sequence: PoseSequence) -> None:
        self._sequence = sequence
        self._worst = worst_frame(sequence)
        self.frames = sorted({*_evenly_spaced(len(sequence)), self._worst})
        self._box = person_box(sequence)
        self._painter = Painter(sequence.meta["joints"], sequence.meta["edges"])
        masks = part_masks(sequence.meta["joints"])
        self._body = masks.get("body", np.ones(len(sequence.meta["joints"]), bool))
        self._pictures: list[Image] = []

    def offer(self, index: int, frame: Image) -> None:
        """Take frame ``index``, RGB, if it is one of :attr:`frames`."""
        if index not in self.frames:
            return
        left, top, right, bottom = np.round(self._box * (*frame.shape[1::-1], *frame.shape[1::-1])).astype(int)
        crop = frame[top : max(bottom, top + 1), left : max(right, left + 1)]
        picture = fit(crop, *self._picture_size())
        landmarks = self._sequence.landmarks[index].copy()
        landmarks[:, :2] = (landmarks[:, :2] - self._box[:2]) / (self._box[2:] - self._box[:2])
        valid = self._sequence.valid[index]
        self._painter.draw(picture, landmarks, valid)
        if index == self._worst:
            draw_border(picture, WHITE)
        if not valid[self._body].any():
            mark_missing(picture)
        seconds = self._sequence.timestamps[index] - self._sequence.timestamps[0]
        write_text(picture, f"{seconds:.1f} s{' worst' if index == self._worst else ''}", 6, len(picture) - 8)
        self._pictures.append(picture)

    def image(self) -> Image:
        """The pictures taken so far, side by side; at least one."""
        gap = np.full((len(self._pictures[0]), _GAP, 3), 128, np.uint8)
        return np.hstack([part for picture in self._pictures for part in (picture, gap)][:-1])

    def _picture_size(self) -> tuple[int, int]:
        """Width and height in pixels. From the first frame's size, so that all pictures have the same."""
        meta = self._sequence.meta
        left, top, right, bottom = self._box
        aspect = np.clip((right - left) * meta["width"] / ((bottom - top) * meta["height"]), *_ASPECT)
        return round(np.sqrt(AREA * aspect)), round(np.sqrt(AREA / aspect))


def worst_frame(sequence: PoseSequence) -> int:
    """The frame around which, over half a second, the fewest joints were seen and the least surely."""
    from scipy.ndimage import uniform_filter1d

    confidence = np.where(sequence.valid, sequence.landmarks[..., 3], 0).mean(axis=1, dtype=np.float64)
    # rounded, so that of equally bad moments the first is taken and not the one with the luckier rounding
    return int(np.argmin(np.round(uniform_filter1d(confidence, _WINDOW, mode="nearest"), 6)))


def person_box(sequence: PoseSequence) -> NDArray[np.float64]:
    """Where the person is in the clip, but for stray points: left, top, right, bottom as shares of the image, in 0..1.

    The whole image where nobody is seen.
    """
    some = slice(None, None, 1 + len(sequence) // _ENOUGH)
    landmarks = sequence.landmarks[some]
    sure = sequence.valid[some] & (landmarks[..., 3] >= _SURE)
    points = np.clip(landmarks[sure][:, :2].astype(np.float64), 0, 1)
    if not len(points):
        return np.array([0.0, 0.0, 1.0, 1.0])
    low, high = np.percentile(points, [0.5, 99.5], axis=0)
    centre, size = (low + high) / 2, (high - low) * (1 + 2 * _MARGIN)
    pixels = np.array([sequence.meta["width"], sequence.meta["height"]])
    width, height = np.maximum(size * pixels, 0.1 * pixels.min())  # a single point is no picture
    width, height = max(width, height * _ASPECT[0]), max(height, width / _ASPECT[1])
    half = np.array([width, height]) / pixels / 2
    centre = np.clip(centre, np.minimum(half, 0.5), np.maximum(1 - half, 0.5))  # moved inside rather than cut off
    return np.clip([*(centre - half), *(centre + half)], 0, 1)


def _evenly_spaced(count: int) -> list[int]:
    return ((np.arange(EVEN) + 0.5) * count / EVEN).astype(int).tolist()
