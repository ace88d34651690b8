"""``checkpoint.pt``: a trained network with all that is needed to rebuild it. Plain types only, no pickled objects."""

from __future__ import annotations

import io
import pickle
import struct
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import piumr
from piumr.errors import PiumrError
from piumr.inference.model_card import ModelCard
from piumr.model import ActionNet, ModelConfig
from pose_extract.atomic import atomic_write

FORMAT = 1

UNREADABLE = (
    *(RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, TypeError, AssertionError),
    *(LookupError, AttributeError, struct.error),
)
"""What torch raises where a file is no checkpoint: its unpickler takes the opcodes of any bytes as they come."""


def save_checkpoint(path: Path, net: ActionNet, card: ModelCard) -> None:
    """Write the network's weights, its configuration and its card, whole or not at all."""
    buffer = io.BytesIO()  # torch reports a full disk as something else
    torch.save(
        {
            "format": FORMAT,
            "model": asdict(net.config),
            "tfam": net.tfam is not None,
            "card": card.to_dict(),
            "weights": {name: tensor.cpu() for name, tensor in net.state_dict().items()},
        },
        buffer,
    )
    with atomic_write(path) as file:
        file.write(buffer.getbuffer())


def load_checkpoint(path: Path) -> tuple[ActionNet, ModelCard]:
    """Rebuild the network of a ``checkpoint.pt``, in evaluation mode on the CPU, and its card.

    Raises:
        PiumrError: if the file is missing, damaged, not ours, or its weights belong to another model.
    """
    if not path.is_file():
        raise PiumrError(f"Expected a trained run with a checkpoint.pt, but there is no file {str(path)!r}.")
    try:
        saved: Any = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE:
        raise PiumrError(f"Expected {str(path)!r} to be a PIUmr checkpoint, but it cannot be read as one.") from None
    if not isinstance(saved, dict) or "format" not in saved:
        raise PiumrError(
            f"Expected {str(path)!r} to be a PIUmr checkpoint (a run's checkpoint.pt), but got another file."
        )
    other = f"{str(path)!r} was written by {_writer(saved)}, this is {piumr.__version__}: train again, or use that one"
    if saved.get("format") != FORMAT:
        raise PiumrError(f"Expected a checkpoint of format {FORMAT}, but got {saved.get('format')!r}: {other}.")
    try:
        card = ModelCard.from_dict(saved["card"])
        config = ModelConfig(**saved["model"])
        net = ActionNet(card.layout, len(card.class_names), card.dimensions, config, tfam=saved["tfam"])
        net.load_state_dict(saved["weights"])
    except KeyError as error:
        raise PiumrError(f"Expected a whole PIUmr checkpoint, but got one that lacks {error}: {other}.") from None
    except (TypeError, RuntimeError) as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[:2])
        raise PiumrError(
            f"Expected the weights in {str(path)!r} to fit the model they name, but got others ({reason}): {other}."
        ) from None
    return net.eval(), card


def _writer(saved: dict[str, Any]) -> str:
    """The version that wrote a checkpoint, as far as it says so."""
    card = saved.get("card")
    version = card.get("version") if isinstance(card, dict) else None
    return f"piumr {str(version)[:20]}" if version else "a version of piumr that it does not name"
