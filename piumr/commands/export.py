"""``piumr-export``: the ONNX model of a trained run."""

from __future__ import annotations

from pathlib import Path

from piumr.checkpoint import load_checkpoint
from piumr.commands.console import check_out, console
from piumr.export import export_onnx


def export(run: Path, out: Path | None = None) -> int:
    """Write the deployed model of a run: one ONNX file with weights, classes, layout and preprocessing.

    Args:
        run: run folder of piumr-train-gcn.
        out: the file to write; model.onnx in the run folder if not given.
    """
    checkpoint = run / "checkpoint.pt"
    net, card = load_checkpoint(checkpoint)
    path = out or run / "model.onnx"
    check_out(path, [checkpoint])
    export_onnx(net, card, path)
    console.print(f"Wrote {path}: {len(card.class_names)} classes, layout {card.layout.name}, {card.frames} frames.")
    return 0
