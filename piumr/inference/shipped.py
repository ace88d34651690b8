"""The models that come with the package, by name."""

from __future__ import annotations

import os
from pathlib import Path

from piumr.errors import PiumrError

FOLDER = Path(__file__).parent / "models"

DEFAULT_MODEL = "synthetic"
"""Name of the model that is used where none is given. It knows only the built-in synthetic persons."""


def shipped_models() -> tuple[str, ...]:
    """Names of the shipped models."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.onnx")))


def find_model(model: str | os.PathLike[str]) -> Path:
    """The file that ``model`` names: a path, else the name of a shipped model.

    Raises:
        PiumrError: if there is neither; the message lists the shipped names.
    """
    path, names = Path(model), shipped_models()
    if path.is_file():
        return path
    if os.fspath(model) in names:
        return FOLDER / f"{model}.onnx"
    raise PiumrError(
        f"Expected `model` to be a model.onnx or the name of a shipped model ({', '.join(names)}), but there is no "
        f"file {str(path)!r}."
    )
