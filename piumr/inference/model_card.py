"""What a ``model.onnx`` says of itself: classes, layout and preprocessing, as one JSON text in its metadata."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from piumr.errors import PiumrError
from piumr.layouts import Layout
from piumr.preprocessing import NORMALISATION

METADATA_KEY = "piumr"
FORMAT = 2

MAX_FRAMES = 4096
"""Longest clip a model takes: beyond it a wrong number would only exhaust the memory."""

Coordinates = Literal["image", "metric"]
"""``image``: (x W/H, y) of landmarks; ``metric``: x, y, z in metres."""


@dataclass(frozen=True)
class ModelCard:
    """Everything inference needs beside the weights.

    Attributes:
        class_names: K unique names, in the order of the logits.
        layout: the V joints, in the order of the input.
        frames: T that a clip is resampled to, 1..4096.
        coordinates: what the C input channels are.
        coarse: the coarse class of each class, K indices of ``coarse_names``, or None.
        coarse_names: names of the coarse classes, or None.
        summary: of the training: data set, protocol, method, figures.
        version: of the package that wrote the file.
        normalisation: what clips went through before training, :data:`piumr.preprocessing.NORMALISATION`.
        trained_on: title of the data set.
        licence: terms of that data set, which may bind what is trained on it.
        notice: what everybody who sees a prediction must be told, or empty.
        embedding: channels F of the output ``embedding``; 0 in a card that is not yet a network's.
        opset: version of the ONNX operators; 0 likewise.
    """

    class_names: tuple[str, ...]
    layout: Layout
    frames: int
    coordinates: Coordinates
    coarse: tuple[int, ...] | None = None
    coarse_names: tuple[str, ...] | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    version: str = ""
    normalisation: str = NORMALISATION
    trained_on: str = ""
    licence: str = ""
    notice: str = ""
    embedding: int = 0
    opset: int = 0

    def __post_init__(self) -> None:
        """Check names, frames and indices.

        Raises:
            PiumrError: if one of them cannot be.
        """
        k = len(self.class_names)
        coarse, coarse_names = self.coarse or (), self.coarse_names or ()
        together = (self.coarse is None) == (self.coarse_names is None)
        for holds, expectation in (
            (k > 0 and all(self.class_names) and len(set(self.class_names)) == k, "unique, non-empty `class_names`"),
            (1 <= self.frames <= MAX_FRAMES, f"`frames` in 1..{MAX_FRAMES}"),
            (self.coordinates in ("image", "metric"), "`coordinates` that are image or metric"),
            (
                together and (self.coarse is None or len(coarse) == k),
                "`coarse` for every class, or none, as it has `coarse_names`",
            ),
            (all(0 <= i < len(coarse_names) for i in coarse), "indices of `coarse_names` in `coarse`"),
            (self.embedding >= 0 and self.opset >= 0, "`embedding` and `opset` of at least 0"),
        ):
            if not holds:
                raise PiumrError(f"Expected a model card with {expectation}, but got another: export the run again.")

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
        try:
            if not isinstance(card, dict) or card.get("format") != FORMAT:
                got = card.get("format") if isinstance(card, dict) else type(card).__name__
                raise PiumrError(
                    f"Expected a model card of format {FORMAT}, but got {got!r}: another version of piumr wrote it; "
                    "export the run again with this one, or train it again."
                )
            coarse, coarse_names = card["coarse"], card["coarse_names"]
            return cls(
                class_names=_names(card["class_names"]),
                layout=Layout.from_dict(card["layout"]),
                frames=_whole(card["frames"]),
                coordinates=card["coordinates"],
                coarse=None if coarse is None else tuple(_whole(i) for i in coarse),
                coarse_names=None if coarse_names is None else _names(coarse_names),
                summary=dict(card["summary"]),
                version=_text(card["version"]),
                normalisation=_text(card["normalisation"]),
                trained_on=_text(card["trained_on"]),
                licence=_text(card["licence"]),
                notice=_text(card["notice"]),
                embedding=_whole(card["embedding"]),
                opset=_whole(card["opset"]),
            )
        except PiumrError:
            raise
        except KeyError as error:
            raise PiumrError(f"Expected a complete model card, but it lacks {error}: export the run again.") from None
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise PiumrError(f"Expected a usable model card, but got a damaged one ({error}).") from None

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
            card = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise PiumrError(f"Expected a model card in JSON, but got a text that is not ({error}).") from None
        return cls.from_dict(card)


def _names(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise TypeError("names that are no list of strings")
    return tuple(names)


def _whole(number: Any) -> int:
    if type(number) is not int:
        raise TypeError(f"a whole number that is {number!r}"[:80])
    return number


def _text(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(f"a text that is {type(text).__name__}")
    return text
