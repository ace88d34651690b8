"""A whole run: data, split, training, evaluation, export, all in one folder."""

from __future__ import annotations

import csv
import json
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from rich.console import Console

import piumr
from piumr.checkpoint import save_checkpoint
from piumr.data.cache import load_packed
from piumr.data.clips import ClipTable
from piumr.data.declaration import Declaration
from piumr.data.formats import PoseCache
from piumr.data.protocols import Split, make_splits
from piumr.data.source import DataConfig, coordinates
from piumr.data.splits import check_training_classes
from piumr.data.store import ClipStore
from piumr.errors import PiumrError
from piumr.evaluation import TestSet, evaluate_runs, load_run
from piumr.evaluation.sets import clips_seen, taught_before
from piumr.export import export_onnx
from piumr.inference.model_card import MAX_SECONDS, ModelCard
from piumr.metrics import Metrics, evaluate
from piumr.predictions import write_predictions
from piumr.report import write_report
from piumr.training.checkpointing import FILE as LAST
from piumr.training.config import TrainConfig
from piumr.training.curves import plot_curves
from piumr.training.devices import leave_the_rest_to_the_first, training_device
from piumr.training.examples import write_examples
from piumr.training.fit import Fit, fit, make_module, make_net, predict
from piumr.training.folder import CONFIG, EVALUATIONS, claim_folder, config_text, remove_files, resolve
from piumr.training.module import parameter_count
from piumr.training.provenance import device_name, fingerprint, git_state, read_record, versions, write_record
from piumr.training.select import inner_folds, select_epochs
from piumr.training.stopping import TimeLimit
from piumr.training.transfer import checkpoint_of, inherit, settle
from pose_extract.atomic import atomic_write, remove_stale

CHECKPOINT = "checkpoint.pt"

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
    *,
    patience: int = 0,
    time_limit: timedelta | None = None,
    resume: bool = False,
) -> Run:
    """Train, evaluate on the protocol's test clips and export; the test clips choose nothing.

    The folder gets ``config.yaml``, ``run.json`` and ``tensorboard/`` at the start, ``last.ckpt`` while it trains,
    ``checkpoint.pt`` as soon as training ends, then ``model.onnx``, ``predictions.csv``, ``history.csv``,
    ``curves.png``, ``examples/`` (test clips as cached poses, for sets that have none), ``metrics.json``, which says
    that all of that is there, and ``report.html``.

    Args:
        data: which clips, labels, protocol and fold.
        config: the training.
        select: how the number of epochs is chosen.
        out: run folder, empty or missing; None takes the first free one of runs/1, runs/2, ...
        console: where progress is told.
        overwrite: replace an earlier run in ``out``.
        patience: with ``select="persons"``, epochs without a better validation accuracy that end a fold; 0 for none.
        time_limit: end training after so long, and evaluate and export what there is.
        resume: go on with the run in ``out``, which was made with the same arguments.

    Raises:
        PiumrError: if the data or the configuration is wrong, and nothing is written then; if the data are not those
            of the run that is to go on; if the loss stops being a number; if time is over before the number of epochs
            is selected.
        OSError: if the disk is full, before training starts.
        KeyboardInterrupt: on Ctrl-C or SIGTERM, with a message that says how to go on.
    """
    limit = None if time_limit is None else TimeLimit(time_limit)
    job = _load(data, config)
    digest = fingerprint(job.clips, job.store)
    parameters = parameter_count(net := make_net(job.store, job.config))
    if config.init is not None:
        console.print(inherit(net, job.store.layout, job.clips.class_names, job.config).note)
    make_module(net, job.store, job.split.train, job.config)  # refuses what cannot be trained, before any file is there
    _card(job, {})
    if select == "persons":
        inner_folds(job.clips, job.split.train, job.config.method)
        known = np.intersect1d(job.inherited, job.split.train)
        if len(known):
            raise PiumrError(
                f"Expected `select` last beside `init`, since {config.init} has learned {len(known)} of the "
                f"{len(job.split.train)} training clips, whose persons would judge it as if they were new."
            )
    record: dict[str, Any]
    if resume:
        assert out is not None
        folder, record = out, read_record(out)
        if record["data"].get("sha256") != digest:
            raise PiumrError(
                f"Expected the clips that the run in {str(folder)!r} was trained on, but they have changed since: "
                f"train again with --config {folder / CONFIG}."
            )
        remove_stale(folder)
        console.print(f"Going on with {folder}.")
    else:
        if config.init is not None and out is not None and checkpoint_of(config.init).resolve().parent == out.resolve():
            raise PiumrError(
                f"Expected `out` to be another folder than that of `init`, which is read again, but got {str(out)!r}."
            )
        folder, record = claim_folder(out, overwrite), _record(job, digest)
        record["epochs"] = None if select == "persons" else config.optim.epochs
        text = config_text(job.data, job.config, select=select, patience=patience)
        (folder / CONFIG).write_text(text, encoding="utf-8")
        write_record(folder, record)
    _describe(job, console)
    started = time.perf_counter()
    try:
        if record["epochs"] is None:
            chosen = select_epochs(job.clips, job.store, job.split.train, job.config, console, patience, limit)
            console.print(f"Selected {chosen} of {config.optim.epochs} epochs; training on all training persons.")
            record["epochs"] = chosen
            write_record(folder, record)
        outcome = fit(
            job.store,
            job.split.train,
            job.config,
            stop_after=record["epochs"],
            progress=console,
            names=job.clips.names,
            classes=job.clips.class_names,
            folder=folder,
            callbacks=[] if limit is None else [limit],
        )
        leave_the_rest_to_the_first(config)
        facts = _facts(job, outcome)
        facts |= {"parameters": parameters, "train_seconds": round(time.perf_counter() - started, 1)}
        return _finish(job, outcome, folder, facts)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; piumr-train-gcn --resume {folder} goes on with it") from None


class _Job(NamedTuple):
    """What there is to train on, and how."""

    declaration: Declaration
    clips: ClipTable
    store: ClipStore
    splits: list[Split]
    data: DataConfig
    config: TrainConfig
    inherited: np.ndarray
    """Indices of the clips that the run it starts from was trained on."""

    @property
    def split(self) -> Split:
        """The split that was chosen."""
        return self.splits[self.data.fold - 1]


def _load(data: DataConfig, config: TrainConfig) -> _Job:
    """The clips on the training device, and all that was left open decided."""
    data, config = resolve(data), settle(config)
    declaration, clips, store = load_packed(data, config.model.frames)
    if len(clips.class_names) < 2:
        raise PiumrError(f"Expected clips of at least two classes, but got only {clips.class_names[0]!r}.")
    default = declaration.protocol or ("random" if clips.persons is None else "person-folds")
    data = replace(data, protocol=data.protocol or default)
    splits = make_splits(clips, declaration.protocols, data.protocol)
    if not 1 <= data.fold <= len(splits):
        raise PiumrError(f"Expected `fold` to lie in 1..{len(splits)}, but got {data.fold}.")
    check_training_classes(clips, splits[data.fold - 1])
    device = training_device(config)
    config = replace(config, augmentation=config.augmentation.for_set(clips))
    seen = np.array([], dtype=np.int64)
    if config.init is not None and _in_a_run(checkpoint_of(config.init)):
        before = load_run(checkpoint_of(config.init).parent)
        seen = clips_seen(before, declaration, clips.table)
        split = splits[data.fold - 1]
        judged = taught_before(clips.table, split, np.union1d(seen, split.train), f"this run or {before.name}")
        splits[data.fold - 1] = replace(split, person_disjoint=judged.person_disjoint, note=judged.note)
    elif config.init is not None:
        note = f"What {config.init} was trained on is not known: it lies in no run folder."
        splits[data.fold - 1] = replace(splits[data.fold - 1], person_disjoint=False, note=note)
    return _Job(declaration, clips, store.to(device), splits, data, config, seen)


def _in_a_run(checkpoint: Path) -> bool:
    return checkpoint.name == CHECKPOINT and (checkpoint.parent / CONFIG).is_file()


def _record(job: _Job, digest: str) -> dict[str, Any]:
    """What ``run.json`` says; see :mod:`piumr.training.provenance`."""
    layout, split = job.store.layout.name, job.split
    return {
        "started": _now(),
        "seed": job.config.seed,
        "data": {"dataset": job.declaration.name, "clips": len(job.clips), "layout": layout, "sha256": digest},
        "split": {
            "protocol": job.data.protocol,
            "name": split.name,
            "train": len(split.train),
            "test": len(split.test),
        },
        "trained": [job.clips.names[index] for index in split.train],
        "inherited": [job.clips.names[index] for index in job.inherited],
        "versions": versions(),
        "git": git_state(),
        "device": device_name(job.store.device),
        "threads": torch.get_num_threads(),
    }


def _facts(job: _Job, outcome: Fit) -> dict[str, Any]:
    """What ``metrics.json`` says beside the figures."""
    epochs, split = outcome.epochs, job.split
    stopped = None if outcome.complete else f"the time limit ended it in epoch {len(outcome.history)} of {epochs}"
    return {
        "dataset": job.declaration.name,
        "protocol": job.data.protocol,
        "split": split.name,
        "person_disjoint": split.person_disjoint,
        "note": split.note,
        "method": job.config.method,
        "seed": job.config.seed,
        "epochs": epochs,
        "stopped": stopped,
        "train_clips": len(split.train),
        "test_clips": len(split.test),
        "device": str(job.store.device),
        "finished": _now(),
        "versions": versions(),
    }


def _card(job: _Job, facts: dict[str, Any]) -> ModelCard:
    """What a model trained on the clips will say of itself.

    Raises:
        PiumrError: if the clips' classes can stand on no card.
    """
    clips, store = job.clips, job.store
    unnamed = [index for index, name in enumerate(clips.class_names) if not name]
    if unnamed:
        raise PiumrError(f"Expected every class to have a name, but got an empty one for class {unnamed[0]}.")
    seconds = store.median_frames(job.split.train) / job.declaration.fps if job.declaration.fps else 0.0
    return ModelCard(
        class_names=clips.class_names,
        layout=store.layout,
        frames=job.config.model.frames,
        coordinates=coordinates(store.dimensions),
        coarse=clips.coarse,
        coarse_names=clips.coarse_names,
        summary=facts,
        version=piumr.__version__,
        trained_on=job.declaration.title,
        licence=job.declaration.licence,
        notice=job.declaration.notice,
        clip_seconds=seconds if seconds < MAX_SECONDS else 0.0,  # clips of an hour suit no window
    )


def _finish(job: _Job, outcome: Fit, folder: Path, facts: dict[str, Any]) -> Run:
    """Save, evaluate and export what was trained; ``metrics.json`` comes last and says that all is there."""
    clips, store, test = job.clips, job.store, job.split.test
    card = _card(job, facts)
    remove_files(folder, EVALUATIONS)  # they speak of the network so far, where a run goes on
    save_checkpoint(folder / CHECKPOINT, outcome.net, card)  # whatever happens from here on, the training is safe

    logits = predict(outcome.net, store, test)
    persons = None if clips.persons is None else [clips.persons[i] for i in test]
    metrics = evaluate(logits, torch.from_numpy(clips.labels[test]), persons, clips.coarse)
    card = replace(card, summary={**facts, "accuracy": metrics.accuracy, "macro_f1": metrics.macro_f1})
    report = {**facts, "test": metrics.to_dict()}
    save_checkpoint(folder / CHECKPOINT, outcome.net, card)
    export_onnx(outcome.net, card, folder / "model.onnx")
    _write_history(folder / "history.csv", outcome.history)
    write_predictions(folder / "predictions.csv", clips.subset(test), logits.softmax(dim=1))
    plot_curves(outcome.history, folder / "curves.png")
    try_on: Path | None = job.data.pose_folder
    if not isinstance(job.declaration.format, PoseCache):
        try_on = write_examples(clips, store, test, folder / "examples")
    with atomic_write(folder / "metrics.json") as file:
        file.write(json.dumps(report, indent=2).encode())
    loaded = TestSet(job.declaration, clips, store)
    write_report(folder / "report.html", evaluate_runs([folder], loaded=loaded, logits=logits))
    if outcome.complete:
        (folder / LAST).unlink(missing_ok=True)
    return Run(folder, metrics, report, try_on)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _describe(job: _Job, console: Console) -> None:
    clips, split = job.clips, job.split
    people = "" if clips.persons is None else f", {len(set(clips.persons))} persons"
    size = f"{len(clips)} clips, {len(clips.class_names)} classes{people}"
    console.print(f"{job.declaration.title}: {size}, {job.store.layout.name}")
    which = f" (1 of {len(job.splits)} splits; choose with --fold)" if len(job.splits) > 1 else ""
    console.print(f"Split {split.name}{which}: {len(split.train)} clips train, {len(split.test)} test")
    for note in (job.declaration.person.note if job.declaration.person else "", split.note):
        if note:
            console.print(f"Note: {note}")


def _write_history(path: Path, history: list[dict[str, float]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(history[0]))
        writer.writeheader()
        writer.writerows(history)
