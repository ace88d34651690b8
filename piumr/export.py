"""The deployed model: one ONNX file with weights, classes, layout and preprocessing."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from gcn import deploy
from piumr.inference.model_card import METADATA_KEY, ModelCard
from piumr.model import ActionNet
from pose_extract.atomic import atomic_write

OPSET = 18


class _Logits(nn.Module):
    """The network without what only training needs."""

    def __init__(self, net: ActionNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, points: Tensor, valid: Tensor) -> Tensor:
        return self.net(points, valid).logits


def export_onnx(net: ActionNet, card: ModelCard, path: Path) -> None:
    """Write ``net`` as ONNX with its card in the metadata, whole or not at all.

    Inputs ``points`` float32 (N, C, T, V) and ``valid`` bool (N, T, V), output ``logits`` float32 (N, K); N is free.

    Args:
        net: the network; its deployed form (:func:`gcn.deploy`) is exported, itself it stays as it was.
        card: classes, layout and preprocessing.
        path: the file to write.
    """
    # the exporter takes a batch of one for a constant
    example = (
        torch.zeros(2, card.dimensions, card.frames, len(card.layout)),
        torch.ones(2, card.frames, len(card.layout), dtype=torch.bool),
    )
    batch = torch.export.Dim("batch", min=1)
    with _quiet():
        program = torch.onnx.export(
            _Logits(deploy(net).cpu()),
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=["points", "valid"],
            output_names=["logits"],
            dynamic_shapes={"points": {0: batch}, "valid": {0: batch}},
        )
    assert program is not None
    model = program.model_proto
    onnx.helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    onnx.checker.check_model(model)
    with atomic_write(path) as file:
        file.write(model.SerializeToString())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress and version notes from the user, who can do nothing about them."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
