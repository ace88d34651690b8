"""What a ``model.onnx`` says of itself: classes, layout and preprocessing, as one JSON text in its metadata."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from piumr.errors import PiumrError
from piumr.layouts import Layout

METADATA_KEY = "piumr"
FORMAT = 1

Coordinates = Literal["image", "metric"]
"""``image``: (x W/H, y) of landmarks; ``metric``: x, y, z in metres."""


@dataclass(frozen=True)
class ModelCard:
    """Everything inference needs beside the weights.

    Attributes:
        class_names: K names, in the order of the logits.
        layout: the V joints, in the order of the input.
        frames: T that a clip is resampled to.
        coordinates: what the C input channels are.
        coarse: the coarse class of each class, or None.
        coarse_names: names of the coarse classes, or None.
        summary: of the training: data set, protocol, method, figures.
        version: of the package that wrote the file.
    """

    class_names: tuple[str, ...]
    layout: Layout
    frames: int
    coordinates: Coordinates
    coarse: tuple[int, ...] | None = None
    coarse_names: tuple[str, ...] | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    version: str = ""

    @property
    def dimensions(self) -> int:
        """Number of input channels C."""
        return 2 if self.coordinates == "image" else 3

    def to_dict(self) -> dict[str, Any]:
        """The card as plain types; :meth:`from_dict` reads it back."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, card: dict[str, Any]) -> ModelCard:
        """Build a card from :meth:`to_dict`'s form.

        Raises:
            PiumrError: if it was written by another format of the package or is incomplete.
        """
        if not isinstance(card, dict) or card.get("format") != FORMAT:
            got = card.get("format") if isinstance(card, dict) else type(card).__name__
            raise PiumrError(f"Expected a model card of format {FORMAT}, but got {got!r}: export the run again.")
        try:
            coarse, coarse_names = card["coarse"], card["coarse_names"]
            made = cls(
                class_names=tuple(str(name) for name in card["class_names"]),
                layout=Layout.from_dict(card["layout"]),
                frames=int(card["frames"]),
                coordinates=card["coordinates"],
                coarse=None if coarse is None else tuple(int(i) for i in coarse),
                coarse_names=None if coarse_names is None else tuple(str(name) for name in coarse_names),
                summary=dict(card["summary"]),
                version=str(card["version"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise PiumrError(f"Expected a complete model card, but got an unusable one ({error}).") from None
        if made.frames < 1 or not made.class_names or made.coordinates not in ("image", "metric"):
            raise PiumrError("Expected a model card with frames, classes and coordinates, but got an unusable one.")
        return made

    def to_json(self) -> str:
        """The card as a JSON text."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read :meth:`to_json`'s text.

        Raises:
            PiumrError: if it is no JSON or no card.
        """
        try:
            return cls.from_dict(json.loads(text))
        except json.JSONDecodeError as error:
            raise PiumrError(f"Expected a model card in JSON, but got a text that is not ({error}).") from None
