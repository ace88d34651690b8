"""An evaluation made of thin air: known probabilities over the toy set, and a browser to look at its page."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from piumr.data.store import ClipStore
from piumr.evaluation.latency import Latency
from piumr.evaluation.result import Evaluation, Member
from piumr.evaluation.runs import TrainedRun
from piumr.evaluation.scored import score
from piumr.inference.model_card import ModelCard
from piumr.metrics import class_figures, evaluate, reliability
from piumr.model import ActionNet, ModelConfig

OPTIONS = {"channels": [8, 8], "depths": [1, 1], "strides": [1, 2]}


def make_evaluation(clips, seed=0, frames=16, members=1, notes=(), **changes):
    """Every third prediction is wrong; ``changes`` are of the table of the clips."""
    clips = replace(clips, **changes)
    rng = np.random.default_rng(seed)
    count, classes = len(clips), len(clips.class_names)
    logits = rng.normal(size=(count, classes))
    best = np.where(rng.random(count) < 2 / 3, clips.labels, (clips.labels + 1) % classes)
    logits[np.arange(count), best] += 3
    probabilities = torch.from_numpy(logits).softmax(1).float()
    labels = torch.from_numpy(clips.labels)
    store = ClipStore.pack(clips, frames)
    facts = {
        "dataset": "toy",
        "protocol": "person-folds",
        "person_disjoint": True,
        "trained_on": "toy",
        "ensemble": members,
        "parameters": 123_456,
        "latency_ms": 2.5,
    }
    net = ActionNet(store.layout, classes, 2, ModelConfig(frames=frames, backbone_options=OPTIONS), tfam=False)
    coordinates = "image" if store.dimensions == 2 else "metric"
    card = ModelCard(
        tuple(f"c{i}" for i in range(classes)), store.layout, frames, coordinates, summary={"method": "erm"}
    )
    history = tuple({"epoch": e, "loss": 2 / e, "accuracy": 1 - 1 / e, "group_risk": 1 / e} for e in range(1, 6))
    return Evaluation(
        title="A toy set",
        clips=clips.table,
        probabilities=probabilities,
        scored=score(clips.table, probabilities, torch.zeros(count, dtype=torch.int64), ["fold 1"], facts, list(notes)),
        classes=class_figures(probabilities.argmax(1), labels, classes),
        reliability=reliability(probabilities, labels),
        members=tuple(
            Member(
                TrainedRun(Path("runs") / f"run{i}", net, card, None, frozenset(), history),
                evaluate(probabilities, labels),
                123_456,
                Latency(2.5, 2.4, 2.6, 2, 50),
            )
            for i in range(members)
        ),
        store=store,
        rows=np.arange(count),
        fps=30,
    )


@pytest.fixture(scope="session")
def evaluation_of():
    return make_evaluation
