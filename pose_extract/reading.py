"""What was read of a video, counted, so that the counts of its spans add up and can be told in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from pose_extract.errors import PoseError

SLACK = 0.05
"""Share of its length by which a video may end early: sound may go on."""


_STEADY = 1.5
"""Longest gap between two frames, in mean gaps, that still counts as a steady rate."""


@dataclass
class Reading:
    """Counts of one pass over a video or over a span of it; spans add up with ``+``.

    Attributes:
        promised: frames that the container promises for the whole file, if it does.
        length: seconds that the container promises where it promises no count, else 0.
        first: time of the first frame, seconds.
        last: time of the last frame, seconds.
        gaps: the shortest and the longest time from one frame to the next, seconds; empty for a single frame.
        decoded: frames decoded.
        discarded: frames that the file itself says are not to be shown (edit lists).
        damaged: frames that the decoder marked as corrupt; they are given all the same.
        undecodable: pieces of data that gave no frame.
        untimed: frames whose time was missing or not later than the one before.
        sizes: widths and heights that occurred, pixels, before rotation.
    """

    promised: int | None = None
    length: float = 0.0
    first: float = 0.0
    last: float = 0.0
    gaps: tuple[float, ...] = ()
    decoded: int = 0
    discarded: int = 0
    damaged: int = 0
    undecodable: int = 0
    untimed: int = 0
    sizes: list[tuple[int, int]] = field(default_factory=list)

    def count(self, damaged: bool, untimed: bool, size: tuple[int, int], seconds: float) -> None:
        """Count one decoded frame."""
        if self.decoded == 0:
            self.first = seconds
        else:
            self.gaps = _range(*self.gaps, seconds - self.last)
        self.last = seconds
        self.decoded += 1
        self.damaged += damaged
        self.untimed += untimed
        if size not in self.sizes:
            self.sizes.append(size)

    def __add__(self, other: Reading) -> Reading:
        sizes = self.sizes + [size for size in other.sizes if size not in self.sizes]
        sums = {
            key: getattr(self, key) + getattr(other, key)
            for key in ("decoded", "discarded", "damaged", "undecodable", "untimed")
        }
        between = [other.first - self.last] if self.decoded and other.first > self.last else []
        first = self.first if self.decoded else other.first
        gaps = _range(*self.gaps, *between, *other.gaps)
        return Reading(self.promised, self.length, first, max(self.last, other.last), gaps, sizes=sizes, **sums)

    def warnings(self) -> list[str]:
        """What a user should know of, a line each; none for a sound video."""
        lines = []
        # a promise may be one too high: seen in AVI
        if self.promised is not None and self.promised - self.decoded - self.discarded > 1:
            lines.append(
                f"{self.promised} frames promised by the container, {self.decoded} decoded: truncated or damaged"
            )
        if self.length - self.last > max(1.0, SLACK * self.length):
            lines.append(
                f"{self.length:.0f} s promised by the container, the last frame is at {self.last:.0f} s: truncated or "
                "damaged"
            )
        if self.damaged:
            lines.append(f"{self.damaged} of {self.decoded} frames are damaged: their landmarks may be wrong")
        if self.undecodable:
            lines.append(f"{self.undecodable} pieces of data could not be decoded")
        if self.untimed:
            lines.append(f"{self.untimed} frames have no usable time; theirs is the one before plus one frame")
        if len(self.sizes) > 1:
            lines.append("the frame size changes within the video; width and height are the first frame's")
        if self.gaps and self.gaps[1] > _STEADY * (self.last - self.first) / (self.decoded - 1):
            shortest, longest = (gap * 1000 for gap in self.gaps)
            lines.append(f"variable frame rate: gaps of {shortest:.0f} to {longest:.0f} ms")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; :meth:`from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> Reading:
        """The counts that :meth:`to_dict` gave.

        Raises:
            PoseError: if ``values`` are not such.
        """
        try:
            sizes = [(int(width), int(height)) for width, height in values["sizes"]]
            return cls(**{**values, "sizes": sizes, "gaps": tuple(map(float, values.get("gaps", ())))})
        except (AttributeError, TypeError, KeyError, ValueError):
            raise PoseError("Expected the counts of a reading, but got something else.") from None


def _range(*values: float) -> tuple[float, ...]:
    return (min(values), max(values)) if values else ()
