"""A whole run: data, split, training, evaluation, export, all in one folder."""

from __future__ import annotations

import contextlib
import csv
import errno
import itertools
import json
import os
import platform
import shutil
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import yaml
from rich.console import Console
from torch import Tensor

import piumr
from piumr.checkpoint import save_checkpoint
from piumr.data.cache import load_packed
from piumr.data.clips import ClipTable
from piumr.data.declaration import Declaration
from piumr.data.formats import PoseCache
from piumr.data.protocols import Split, make_splits
from piumr.data.source import DataConfig, coordinates
from piumr.errors import PiumrError
from piumr.export import export_onnx
from piumr.inference.model_card import ModelCard
from piumr.layouts import Layout
from piumr.metrics import Metrics, evaluate
from piumr.training.config import TrainConfig
from piumr.training.curves import plot_curves
from piumr.training.examples import write_examples
from piumr.training.fit import fit, make_net, predict
from piumr.training.module import parameter_count
from piumr.training.select import select_epochs

ROOM = 64 << 20
"""Bytes that must be free on the disk of the run folder."""

WRITTEN = (
    "config.yaml checkpoint.pt model.onnx metrics.json history.csv predictions.csv curves.png examples/*.npz".split()
)
"""What a run writes, and ``overwrite`` removes."""

Select = Literal["last", "persons"]
"""``last`` runs a fixed schedule to its end; ``persons`` asks person folds inside training how long to train."""


@dataclass(frozen=True)
class Run:
    """Outcome of a run.

    Attributes:
        folder: the run folder.
        metrics: figures on the test clips.
        report: what ``metrics.json`` holds.
        try_on: cached poses that the exported model can be tried on, or None for sets in metres.
    """

    folder: Path
    metrics: Metrics
    report: dict[str, Any]
    try_on: Path | None


def train_run(
    data: DataConfig,
    config: TrainConfig,
    select: Select,
    out: Path | None,
    console: Console,
    overwrite: bool = False,
) -> Run:
    """Train, evaluate on the protocol's test clips and export; the test clips choose nothing.

    The folder gets ``config.yaml`` at the start, ``checkpoint.pt`` as soon as training ends, then ``model.onnx``,
    ``metrics.json``, ``predictions.csv``, ``history.csv``, ``curves.png`` and ``examples/`` (test clips as cached
    poses, for sets that have none).

    Args:
        data: which clips, labels, protocol and fold.
        config: the training.
        select: how the number of epochs is chosen.
        out: run folder, empty or missing; None takes the first free one of runs/1, runs/2, ...
        console: where progress is told.
        overwrite: replace an earlier run in ``out``.

    Raises:
        PiumrError: if the data or the configuration is wrong; nothing is written then.
        OSError: if the disk is full, before training starts.
    """
    declaration, clips, store = load_packed(data, config.model.frames)
    if len(clips.class_names) < 2:
        raise PiumrError(f"Expected clips of at least two classes, but got only {clips.class_names[0]!r}.")
    splits = make_splits(clips, declaration.protocols, data.protocol or declaration.protocol)
    if not 1 <= data.fold <= len(splits):
        raise PiumrError(f"Expected `fold` to lie in 1..{len(splits)}, but got {data.fold}.")
    split = splits[data.fold - 1]
    config = replace(config, augmentation=config.augmentation.for_set(clips))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    store = store.to(device)
    parameters = parameter_count(make_net(store, config))

    folder = claim_folder(out, overwrite)
    (folder / "config.yaml").write_text(_config_text(data, config, select), encoding="utf-8")
    _describe(declaration, clips, store.layout, split, len(splits), console)
    started = time.perf_counter()
    epochs = config.optim.epochs
    if select == "persons":
        epochs = select_epochs(clips, store, split.train, config, console)
        console.print(f"Selected {epochs} of {config.optim.epochs} epochs; training on all training persons.")
    outcome = fit(store, split.train, config, stop_after=epochs, progress=console.is_terminal)
    facts = {
        "dataset": declaration.name,
        "protocol": data.protocol or declaration.protocol or ("random" if clips.persons is None else "person-folds"),
        "split": split.name,
        "person_disjoint": split.person_disjoint,
        "note": split.note,
        "method": config.method,
        "seed": config.seed,
        "epochs": epochs,
        "train_clips": len(split.train),
        "test_clips": len(split.test),
        "parameters": parameters,
        "train_seconds": round(time.perf_counter() - started, 1),
        "device": str(device),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
    }
    card = ModelCard(
        class_names=clips.class_names,
        layout=store.layout,
        frames=config.model.frames,
        coordinates=coordinates(store.dimensions),
        coarse=clips.coarse,
        coarse_names=clips.coarse_names,
        summary=facts,
        version=piumr.__version__,
        trained_on=declaration.title,
        licence=declaration.licence,
        notice=declaration.notice,
    )
    save_checkpoint(folder / "checkpoint.pt", outcome.net, card)  # whatever happens from here on, the training is safe

    logits = predict(outcome.net, store, split.test)
    persons = None if clips.persons is None else [clips.persons[i] for i in split.test]
    metrics = evaluate(logits, torch.from_numpy(clips.labels[split.test]), persons, clips.coarse)
    card = replace(card, summary={**facts, "accuracy": metrics.accuracy, "macro_f1": metrics.macro_f1})
    report = {**facts, "test": metrics.to_dict()}
    save_checkpoint(folder / "checkpoint.pt", outcome.net, card)
    (folder / "metrics.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    export_onnx(outcome.net, card, folder / "model.onnx")
    _write_history(folder / "history.csv", outcome.history)
    _write_predictions(folder / "predictions.csv", clips, split.test, logits)
    plot_curves(outcome.history, folder / "curves.png")
    try_on: Path | None = data.pose_folder
    if not isinstance(declaration.format, PoseCache):
        try_on = write_examples(clips, store, split.test, folder / "examples")
    return Run(folder, metrics, report, try_on)


def claim_folder(out: Path | None, overwrite: bool) -> Path:
    """Make the run folder: the one asked for, if nothing is lost by it, else the first free one under ``runs/``.

    Raises:
        PiumrError: if ``out`` is a file, or holds files and ``overwrite`` is not set.
        OSError: if it cannot be made, or the disk is full.
    """
    if out is None:
        numbers = itertools.count(1)
        while True:
            folder = Path("runs") / str(next(numbers))
            with contextlib.suppress(FileExistsError):
                folder.mkdir(parents=True)
                break
    else:
        folder = out
        if folder.exists() and not folder.is_dir():
            raise PiumrError(f"Expected `out` to be a folder, but {str(out)!r} is a file.")
        if folder.is_dir() and any(folder.iterdir()) and not overwrite:
            raise PiumrError(f"Expected `out` to be an empty folder, but {str(out)!r} holds files: add --overwrite.")
        folder.mkdir(parents=True, exist_ok=True)
        for pattern in WRITTEN:
            for file in folder.glob(pattern):
                file.unlink()
    if shutil.disk_usage(folder).free < ROOM:  # better now than after hours of training
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    return folder


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that figures depend on."""
    names = ("piumr", "torch", "torch-geometric", "lightning", "numpy", "mediapipe", "onnxruntime")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _config_text(data: DataConfig, config: TrainConfig, select: Select) -> str:
    """The resolved configuration, in the form that ``piumr-train-gcn --config`` reads."""
    values: dict[str, Any] = {**asdict(data), **asdict(config), "select": select}
    return yaml.safe_dump(json.loads(json.dumps(values, default=str)), sort_keys=False)


def _describe(
    declaration: Declaration, clips: ClipTable, layout: Layout, split: Split, splits: int, console: Console
) -> None:
    people = "" if clips.persons is None else f", {len(set(clips.persons))} persons"
    console.print(f"{declaration.title}: {len(clips)} clips, {len(clips.class_names)} classes{people}, {layout.name}")
    which = f" (1 of {splits} splits; choose with --fold)" if splits > 1 else ""
    console.print(f"Split {split.name}{which}: {len(split.train)} clips train, {len(split.test)} test")
    for note in (declaration.person.note if declaration.person else "", split.note):
        if note:
            console.print(f"Note: {note}")


def _write_history(path: Path, history: list[dict[str, float]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(history[0]))
        writer.writeheader()
        writer.writerows(history)


def _write_predictions(path: Path, clips: ClipTable, test: np.ndarray, logits: Tensor) -> None:
    """One line a test clip: name, person, true and predicted class, confidence, the score of every class."""
    scores = logits.softmax(dim=1)
    confidence, predicted = scores.max(dim=1)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        columns = [f"score_{name}" for name in clips.class_names]
        writer.writerow(["clip", "person", "label", "predicted", "confidence", *columns])
        for row, index in enumerate(test):
            writer.writerow(
                [
                    clips.names[index],
                    "" if clips.persons is None else clips.persons[index],
                    clips.class_names[clips.labels[index]],
                    clips.class_names[int(predicted[row])],
                    f"{float(confidence[row]):.4f}",
                    *(f"{score:.6g}" for score in scores[row].tolist()),
                ]
            )
