"""A skeleton on a picture. Needs OpenCV.

The body is coloured by confidence on viridis (blue: unsure, yellow: sure), the left hand is orange, the right hand
sky-blue, both darker where unsure; red is kept for what is missing. Orange and sky-blue are told apart with any kind of
colour vision (Okabe and Ito, 2008), and left is the person's own left.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pose_extract.schema import part_of

Image = NDArray[np.uint8]
"""RGB, uint8 (height, width, 3)."""

Colour = tuple[int, int, int]

GAP: Colour = (235, 45, 60)
"""Colour of what was not detected."""

WHITE: Colour = (255, 255, 255)

_STOPS = {
    # five stops of viridis, the darkest lightened, since it has to be seen on a dark picture
    "body": [(84, 62, 152), (59, 102, 159), (33, 155, 140), (94, 201, 98), (253, 231, 37)],
    "left_hand": [(90, 55, 15), (255, 150, 40)],
    "right_hand": [(20, 60, 100), (86, 190, 255)],
}
_SCALES = {
    part: np.stack([np.interp(np.linspace(0, 1, 256), np.linspace(0, 1, len(s)), c) for c in zip(*s, strict=True)], 1)
    for part, s in _STOPS.items()
}
_SHIFT = 4  # OpenCV draws at 1/16 of a pixel, so that a micro-motion is seen to move

PARTS = tuple(_STOPS)
"""The parts of a person, in the order in which they are drawn."""


def confidence_colours(part: str, confidence: NDArray[np.floating]) -> Image:
    """Colours of confidences 0..1 of any shape, uint8, with an axis of three at the end."""
    return _SCALES[part].astype(np.uint8)[np.round(np.clip(confidence, 0, 1) * 255).astype(np.uint8)]


def part_masks(joints: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Which of the V joints belong to each part, bool (V,), for the parts that the layout has."""
    parts = np.array([part_of(joint) for joint in joints])
    return {part: parts == part for part in PARTS if (parts == part).any()}


class Painter:
    """Draws the skeletons of one layout.

    Args:
        joints: names of the V joints.
        edges: pairs of joint indices.
    """

    def __init__(self, joints: Sequence[str], edges: Sequence[Sequence[int]]) -> None:
        pairs = np.array(edges, dtype=int).reshape(-1, 2)
        self._joints = part_masks(joints)
        # an edge that joins a hand to the body is the body's
        self._edges = {
            part: pairs[(mask[pairs].any(axis=1) if part == "body" else mask[pairs].all(axis=1))]
            for part, mask in self._joints.items()
        }

    def draw(self, image: Image, landmarks: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
        """Draw the joints that are valid and the edges between them; lines are in proportion to the image.

        Args:
            image: RGB, changed in place.
            landmarks: float32 (V, 4): x and y as shares of the image's width and height, z, confidence 0..1.
            valid: bool (V,).
        """
        import cv2

        height, width = image.shape[:2]
        thickness = max(1, round(min(width, height) / 300))
        points = np.where(valid[:, None], landmarks[:, :2], 0) * (width, height) - 0.5  # a pixel's centre is its index
        corners = np.round(points * 2**_SHIFT).astype(np.int32)
        for part, pairs in self._edges.items():
            # fingers are close together, and so is everything in a small picture
            size, rim = (thickness, min(thickness, 2)) if part == "body" else (max(1, thickness - 1), 1)
            seen = pairs[valid[pairs].all(axis=1)]
            # the outline of all lines first, so that it never covers a line that meets it
            cv2.polylines(image, list(corners[seen]), False, (0, 0, 0), size + rim, cv2.LINE_AA, _SHIFT)
            colours = confidence_colours(part, landmarks[seen, 3].min(axis=1)).tolist()
            for (start, end), colour in zip(corners[seen].tolist(), colours, strict=True):
                cv2.line(image, start, end, colour, size, cv2.LINE_AA, _SHIFT)
            dots = np.flatnonzero(self._joints[part] & valid)
            colours = confidence_colours(part, landmarks[dots, 3]).tolist()
            for centre, colour in zip(corners[dots].tolist(), colours, strict=True):
                cv2.circle(image, centre, int((size + 0.5) * 2**_SHIFT), colour, -1, cv2.LINE_AA, _SHIFT)


def fit(image: Image, width: int, height: int) -> Image:
    """The image at another size; a much larger one is halved first as often as that goes, which is fast and smooth."""
    import cv2

    while image.shape[0] >= 2 * height and image.shape[1] >= 2 * width:
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = cv2.resize(image[: 2 * half[1], : 2 * half[0]], half, interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def write_text(image: Image, text: str, left: int, base: int, colour: Colour = WHITE) -> None:
    """Write a small line, ASCII, about 8 pixels high, with a dark outline, from ``left`` on the line ``base``."""
    import cv2

    for shade, thickness in (((0, 0, 0), 3), (colour, 1)):
        cv2.putText(image, text, (left, base), cv2.FONT_HERSHEY_SIMPLEX, 0.4, shade, thickness, cv2.LINE_AA)


def draw_border(image: Image, colour: Colour) -> None:
    """Put a border around a picture, inside it, with a thin dark line within that sets it off from any page."""
    border = _border(image)
    for width, shade in ((border + 2, (0, 0, 0)), (border, colour)):
        for side in (image[:width], image[-width:], image[:, :width], image[:, -width:]):
            side[:] = shade


def mark_missing(image: Image) -> None:
    """Mark a picture as one without a body: a red border and the words."""
    draw_border(image, GAP)
    write_text(image, "no body", _border(image) + 6, _border(image) + 16, GAP)


def _border(image: Image) -> int:
    return max(2, min(image.shape[:2]) // 120)
