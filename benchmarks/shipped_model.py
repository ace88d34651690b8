"""Trains the small model that ships in the package, and states how good it is on persons it has never seen.

    python benchmarks/shipped_model.py

One command and no choices: it replaces ``synthetic.onnx`` and ``synthetic.json`` in ``piumr/inference/models``. Sixty
synthetic persons train, doing each action once; ten others are only tested, after training has ended. One thread and a
fixed seed, so the same versions on the same processor give the same weights. About ten minutes of one core.

The model reads the body alone, mediapipe-33, whose joints are in all that piumr-extract writes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch is imported: the weights should not depend on a graphics card

import numpy as np
import torch

import piumr
from piumr.checkpoint import load_checkpoint, save_checkpoint
from piumr.data.clips import SkeletonSet
from piumr.data.declaration import load_declaration
from piumr.data.store import ClipStore
from piumr.export import export_onnx
from piumr.inference import ModelCard, Recognizer
from piumr.inference.shipped import DEFAULT_MODEL, FOLDER
from piumr.layouts import get_layout
from piumr.metrics import Metrics, evaluate
from piumr.model import ActionNet, ModelConfig
from piumr.synthetic.generator import synthetic_set
from piumr.training.config import OptimConfig, TrainConfig
from piumr.training.fit import fit, predict
from piumr.training.module import parameter_count

TRAIN_PERSONS, TEST_PERSONS, TAKES = 60, 10, 1
DATA_SEED = 1
"""Not that of the data set ``synthetic``: all of its persons are new to the model as well."""

LAYOUT = "mediapipe-33"
CONFIG = TrainConfig(
    method="piumr",
    model=ModelConfig(backbone="microgcn-nano", frames=32),
    optim=OptimConfig(epochs=24),
    precision="32-true",
)
MAX_BYTES = 1_500_000


def train(clips: SkeletonSet, store: ClipStore, chosen: np.ndarray) -> ActionNet:
    """The network, trained on the clips ``chosen``."""
    config = replace(CONFIG, augmentation=CONFIG.augmentation.for_set(clips))
    return fit(store, chosen, config).net


def figures(clips: SkeletonSet, test: np.ndarray, logits: torch.Tensor) -> Metrics:
    """Metrics on the test clips."""
    assert clips.persons is not None
    return evaluate(logits, torch.from_numpy(clips.labels[test]), [clips.persons[i] for i in test], clips.coarse)


def summarise(clips: SkeletonSet, test: np.ndarray, net: ActionNet, metrics: Metrics) -> dict[str, Any]:
    """What the card and the JSON file beside the model say: how it was made, and how good it is."""
    assert metrics.persons is not None
    assert metrics.f1_mean is not None
    return {
        "dataset": "synthetic",
        "protocol": f"persons 0..{TRAIN_PERSONS - 1} of seed {DATA_SEED} train, the next {TEST_PERSONS} test",
        "data_seed": DATA_SEED,
        "test_persons": sorted({int(clips.persons[i]) for i in test} if clips.persons else ()),
        "person_disjoint": True,
        "method": CONFIG.method,
        "backbone": CONFIG.model.backbone,
        "epochs": CONFIG.optim.epochs,
        "seed": CONFIG.seed,
        "train_clips": len(clips) - len(test),
        "test_clips": len(test),
        "parameters": parameter_count(net),
        "accuracy": round(metrics.accuracy, 4),
        "top5": None if metrics.top5 is None else round(metrics.top5, 4),
        "macro_f1": round(metrics.macro_f1, 4),
        "body_part_accuracy": round(metrics.f1_mean.body_micro, 4),
        "worst_person": round(metrics.persons.worst, 4),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("torch", "torch-geometric", "lightning", "numpy")},
    }


def check(path: Path, clips: SkeletonSet, test: np.ndarray, expected: float) -> None:
    """Refuse a file that is too large, or does not do what its card says."""
    predictions = Recognizer(path, threads=1).predict_clips(clips.clip(i) for i in test)
    correct = [p.label == clips.class_names[clips.labels[i]] for p, i in zip(predictions, test, strict=True)]
    if abs(float(np.mean(correct)) - expected) > 1.5 / len(test):  # one clip may be a draw
        raise SystemExit(f"Expected the exported model to reach {expected:.4f}, but it reaches {np.mean(correct):.4f}.")
    if path.stat().st_size > MAX_BYTES:
        raise SystemExit(f"Expected at most {MAX_BYTES} bytes, but the model takes {path.stat().st_size}.")


def main() -> None:
    """Train, test, export, write the figures beside the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of synthetic.onnx and synthetic.json")
    parser.add_argument("--checkpoint", type=Path, help="keep the weights here; where the file exists, only export")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    started = time.perf_counter()
    declaration = load_declaration(DEFAULT_MODEL)
    clips = synthetic_set(persons=TRAIN_PERSONS + TEST_PERSONS, takes=TAKES, seed=DATA_SEED)
    clips = clips.in_layout(get_layout(LAYOUT))
    assert clips.persons is not None
    tested = np.array(clips.persons).astype(int) >= TRAIN_PERSONS
    store = ClipStore.pack(clips, CONFIG.model.frames)
    card = ModelCard(
        class_names=clips.class_names,
        layout=clips.layout,
        frames=CONFIG.model.frames,
        coordinates="image",
        coarse=clips.coarse,
        coarse_names=clips.coarse_names,
        version=piumr.__version__,
        trained_on=declaration.title,
        licence=declaration.licence,
        notice=declaration.notice,
    )
    if arguments.checkpoint is not None and arguments.checkpoint.exists():
        net = load_checkpoint(arguments.checkpoint)[0]
    else:
        net = train(clips, store, np.flatnonzero(~tested))
        if arguments.checkpoint is not None:
            save_checkpoint(arguments.checkpoint, net, card)
    test = np.flatnonzero(tested)
    metrics = figures(clips, test, predict(net, store, test))
    summary = summarise(clips, test, net, metrics)
    path = arguments.out / f"{DEFAULT_MODEL}.onnx"
    export_onnx(net, replace(card, summary=summary), path)
    check(path, clips, test, metrics.accuracy)
    stated = {"notice": declaration.notice, "licence": declaration.licence, "bytes": path.stat().st_size, **summary}
    path.with_suffix(".json").write_text(json.dumps(stated, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(stated, indent=2))
    print(f"Wrote {path} in {time.perf_counter() - started:.0f} s.")


if __name__ == "__main__":
    main()
