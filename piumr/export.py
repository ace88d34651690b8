"""The deployed model: one ONNX file with weights, classes, layout and preprocessing."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from gcn import deploy
from piumr.inference.model_card import METADATA_KEY, ModelCard
from piumr.model import ActionNet
from pose_extract.atomic import atomic_write

OPSET = 18
"""Of the ONNX operators: what ONNX Runtime, OpenVINO and ONNX Runtime Web have all long had."""


class _Deployed(nn.Module):
    """The network without what only training needs: logits, and pooled features."""

    def __init__(self, net: ActionNet) -> None:
        super().__init__()
        self.net = deploy(net).cpu()

    def forward(self, points: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        output = self.net(points, valid)
        return output.logits, output.embedding


def export_onnx(net: ActionNet, card: ModelCard, path: Path) -> None:
    """Write ``net`` as ONNX with its card in the metadata, whole or not at all.

    Inputs ``points`` float32 (N, C, T, V) and ``valid`` bool (N, T, V), outputs ``logits`` float32 (N, K) and
    ``embedding`` float32 (N, F), the pooled features before the backbone's classifier; N is free.

    Args:
        net: the network; its deployed form (:func:`gcn.deploy`) is exported, itself it stays as it was.
        card: classes, layout and preprocessing; what only the network knows is filled in.
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
            _Deployed(net),
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=["points", "valid"],
            output_names=["logits", "embedding"],
            dynamic_shapes={"points": {0: batch}, "valid": {0: batch}},
        )
    assert program is not None
    model = program.model_proto
    _strip(model.graph)
    card = replace(card, embedding=net.backbone.num_features, opset=OPSET)
    onnx.helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    onnx.checker.check_model(model, full_check=True)
    with atomic_write(path.resolve()) as file:  # a link stays a link
        file.write(model.SerializeToString())


def _strip(graph: onnx.GraphProto) -> None:
    """Remove the exporter's notes: a third of a small file, and they tell the paths of the machine."""
    del graph.value_info[:], graph.metadata_props[:]
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        part.doc_string = ""
        del part.metadata_props[:]


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
