"""What shapes the landmarks of a video: the same file with the same options gives the same numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, SupportsFloat, get_args

from pose_extract.errors import PoseError

Landmarks = Literal["holistic", "body"]
"""``holistic``: body and both hands. ``body``: the body alone, 2.5 x faster."""

Person = Literal["largest", "left", "right"]
"""Whom to follow where several people are in view: the largest, or the one furthest to the left or right."""

Region = tuple[float, float, float, float]
"""Part of the image to look at: x, y, width, height as shares (0..1) of the image, from its top left corner."""


@dataclass(frozen=True)
class Options:
    """How a video is turned into landmarks.

    Attributes:
        landmarks: ``holistic`` (body and hands, 75 landmarks) or ``body`` (33 landmarks, 2.5 times faster).
        model: a MediaPipe Tasks bundle (``.task``) to use in place of the bundled models.
        person: whom to follow where several people are in view; the most prominent one if ``None``.
        region: the part of the image to look at; all of it if ``None``.
        fps: keep at most this many frames per second; every frame if ``None``.
        smoothing: let the estimator smooth landmarks over time. It filters micro-motion as well as noise.

    Raises:
        PoseError: naming the option that is out of range.
    """

    landmarks: Landmarks = "holistic"
    model: Path | None = None
    person: Person | None = None
    region: Region | None = None
    fps: float | None = None
    smoothing: bool = True

    def __post_init__(self) -> None:
        if self.model is not None and not isinstance(self.model, str | Path):
            raise PoseError(f"Expected `model` to be a path, but got {self.model!r}.")
        object.__setattr__(self, "model", None if self.model is None else Path(self.model))
        object.__setattr__(self, "fps", None if self.fps is None else _number("fps", self.fps))
        if self.region is not None:
            if isinstance(self.region, str) or not isinstance(self.region, Iterable):
                raise PoseError(f"Expected `region` to be four numbers, but got {self.region!r}.")
            object.__setattr__(self, "region", tuple(_number("region", value) for value in self.region))
        if not isinstance(self.smoothing, bool):
            raise PoseError(f"Expected `smoothing` to be true or false, but got {self.smoothing!r}.")
        _require_one_of("landmarks", self.landmarks, get_args(Landmarks))
        if self.person is not None:
            _require_one_of("person", self.person, get_args(Person))
        if self.region is not None and not _is_region(self.region):
            raise PoseError(
                "Expected `region` to be x,y,width,height as shares of the image, inside 0..1, but got "
                f"{','.join(f'{value:g}' for value in self.region)}."
            )
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise PoseError(f"Expected `fps` to be more than 0 and at most 1000, but got {self.fps:g}.")

    def chosen(self) -> dict[str, Any]:
        """The options as plain JSON values, as recorded in a cache; without ``landmarks`` and ``model``."""
        region = None if self.region is None else list(self.region)
        return {"person": self.person, "region": region, "fps": self.fps, "smoothing": self.smoothing}


def _require_one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise PoseError(f"Expected `{name}` to be {' or '.join(choices)}, but got {value!r}.")


def _number(name: str, value: Any) -> float:
    """A plain number, which JSON can hold."""
    if isinstance(value, bool | str) or not isinstance(value, SupportsFloat):
        raise PoseError(f"Expected `{name}` to be made of numbers, but got {value!r}.")
    return float(value)


def _is_region(region: Region) -> bool:
    if len(region) != 4:
        return False
    x, y, width, height = region
    inside = all(0 <= value <= 1 for value in region)  # NaN is not
    return inside and min(width, height) > 0 and max(x + width, y + height) <= 1
