"""``piumr-train-gcn``: train, evaluate on persons never seen, export."""

from __future__ import annotations

import inspect
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

from rich.table import Table

from piumr.commands.console import OK, OutOfMemoryError, console, out_of_memory, parse
from piumr.data.augment import Augmentation
from piumr.data.source import DataConfig
from piumr.errors import PiumrError
from piumr.model import ModelConfig
from piumr.training.config import Method, MethodConfig, OptimConfig, Precision, TrainConfig
from piumr.training.devices import check_launch, hush, is_first_process, scratch_folder
from piumr.training.folder import CONFIG, is_finished
from piumr.training.provenance import read_record
from piumr.training.run import Run, Select, train_run

PROGRAM = "piumr-train-gcn"

Config = TypeVar("Config", DataConfig, TrainConfig)


def train(
    dataset: str | None = None,
    data: Path | None = None,
    poses: Path | None = None,
    labels: Path | None = None,
    protocol: str = "",
    fold: int = 1,
    layout: str = "",
    method: Method = "tfam",
    select: Select = "last",
    patience: int = 0,
    out: Path | None = None,
    overwrite: bool = False,
    resume: Path | None = None,
    time_limit: timedelta | None = None,
    seed: int = 0,
    precision: Precision = "auto",
    devices: int = 1,
    num_nodes: int = 1,
    init: Path | None = None,
    freeze: int | Literal["backbone"] = 0,
    init_rate: float = 0.1,
    channels_last: bool = False,
    compile: bool = False,
    model: ModelConfig = ModelConfig(),  # noqa: B008
    optim: OptimConfig = OptimConfig(),  # noqa: B008
    terms: MethodConfig = MethodConfig(),  # noqa: B008
    augmentation: Augmentation = Augmentation(),  # noqa: B008
) -> int:
    """Train a recogniser on skeletons, evaluate it on the protocol's test clips and export it as ONNX.

    Without arguments it trains on the poses in ./poses where that folder exists, else on the built-in synthetic
    persons. Labels of own videos: labels.csv (clip,label[,person]) in the poses folder, or one folder a class.
    Ready configurations: --config cpu_small, ma52, ma52_person_disjoint or synthetic; further options change them.

    Args:
        dataset: name of a shipped data set, or path of a dataset.toml.
        data: folder of the data set's files or lists; the folder of its dataset.toml if not given.
        poses: folder of cached poses, written by piumr-extract; ./poses if not given.
        labels: label file for the poses: labels.csv, or a list with one `name label` a line.
        protocol: which clips train and which test; the data set's default if not given.
        fold: which of the protocol's splits, from 1.
        layout: train on some of the joints only, such as mediapipe-micro; the data set's layout if not given.
        method: erm (plain), tfam (a second look), girl (group-invariant loss), piumr (both), or a rival: mixstyle, dsu,
            groupdro, vrex, jtt, focal.
        select: last: a fixed schedule; persons: as many epochs as serve persons left out of training best.
        patience: with --select persons, epochs without a better validation accuracy that end a fold; 0 for none.
        out: run folder; the first free one of runs/1, runs/2, ... if not given.
        overwrite: replace the files of an earlier run in the run folder.
        resume: run folder of a training that was stopped, to go on with it; its options stay as they were.
        time_limit: end training after so long (h:m:s, counted from the start), then evaluate and export.
        seed: of the initial weights, the batches and the augmentation.
        precision: auto is bf16-mixed on a GPU that has it, else 32-true; faster on a CPU with bf16, too.
        channels_last: keep features channel by channel in memory, for a GPU's tensor cores; slower on a CPU.
        compile: torch.compile the network, which takes a minute or more before the first step.
        devices: GPUs of each machine to train on (on a machine without one: processes), which share every batch.
        num_nodes: machines to train on; start the command on each, as srun and torchrun do.
        init: run folder or checkpoint.pt to start from, of any classes and any layout of as many dimensions.
        freeze: with --init, stages of the backbone, from the first, that stay as they are; backbone for all of them.
        init_rate: learning rate of what was taken over from --init, as a share of --optim.learning_rate.
        model: the network.
        optim: the schedule.
        terms: weights of the method's terms.
        augmentation: what training clips go through.
    """
    options = dict(locals())
    if resume is not None:
        read_record(resume)
        if is_finished(resume):
            console.print(f"The run in {resume} is finished: its figures are in {resume / 'metrics.json'}.")
            return OK
        options = _options_of(resume, options)
    _summarise(_train(options, resume is not None))
    return OK


def _train(options: dict[str, Any], resume: bool) -> Run:
    """Train by the options of :func:`train`."""
    patience, limit = options["patience"], options["time_limit"]
    if patience < 0:
        raise PiumrError(f"Expected `patience` to be at least 0, but got {patience}.")
    if limit is not None and limit <= timedelta():
        raise PiumrError(f"Expected `time_limit` to be longer than no time, but got {limit}.")
    data, config = _pick(DataConfig, options), _pick(TrainConfig, options)
    if not resume:  # a run of an earlier version may have some
        _refuse_without_effect(config, options["select"], patience)
    select, out, overwrite = options["select"], options["out"], options["overwrite"]
    check_launch(config)
    if not is_first_process(config):
        hush(console)
        out = out if resume else scratch_folder()
    if not resume and data.dataset is None:
        built_in = "the built-in synthetic persons, since there is no folder poses/ here"
        which = built_in if data.is_synthetic else f"the poses in {data.pose_folder}"
        console.print(f"No --dataset given: training on {which}.")
    try:
        return train_run(
            data, config, select, out, console, overwrite, patience=patience, time_limit=limit, resume=resume
        )
    except (MemoryError, RuntimeError) as error:
        if config.compile and _of_the_compiler(error):
            raise PiumrError(
                f"--compile failed, which needs a C++ compiler on a CPU; go without it. ({str(error).splitlines()[0]})"
            ) from None
        if not out_of_memory(error):
            raise
        model = config.model
        raise OutOfMemoryError(
            f"out of memory: lower --optim.batch_size (it is {config.optim.batch_size}) or --model.frames "
            f"({model.frames}), or choose a smaller --model.backbone ({model.backbone}) or --layout"
        ) from None


def _of_the_compiler(error: Exception) -> bool:
    from torch._dynamo.exc import TorchDynamoException  # seconds to import, and loaded already where it compiled

    return isinstance(error, TorchDynamoException)


def _refuse_without_effect(config: TrainConfig, select: str, patience: int) -> None:
    """Refuse options that would change nothing: somebody means something by them."""
    needed = {
        "--patience": (patience and select != "persons", "--select persons"),
        "--init_rate": (config.init is None and config.init_rate != TrainConfig.init_rate, "--init"),
        "--model.tfam_options": (
            # a network to start from brings its own
            bool(config.model.tfam_options) and not config.with_tfam and config.init is None,
            "--method tfam or piumr",
        ),
        "--terms.rival_options": (bool(config.terms.rival_options) and not config.with_rival, "the method of a rival"),
    }
    for name, (given, with_what) in needed.items():
        if given:
            raise PiumrError(f"Expected {name} with {with_what}, but got it without.")


def _options_of(folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The options of a run that is gone on with; of those given beside ``--resume`` only the time limit counts.

    Raises:
        PiumrError: if others are given, or this version does not know the run's.
    """
    defaults = {name: parameter.default for name, parameter in inspect.signature(train).parameters.items()}
    other = [name for name in defaults if name not in ("resume", "time_limit") and given[name] != defaults[name]]
    if other:
        raise PiumrError(
            f"Expected no option but --time_limit beside --resume, but got --{other[0]}: a run goes on with its own "
            f"options. To train with others, give them after --config {folder / CONFIG}."
        )
    try:
        saved = parse(PROGRAM, train, ["--config", str(folder / CONFIG)])
    except SystemExit:
        raise PiumrError(
            f"Expected {str(folder / CONFIG)!r} to hold options of this version of piumr, but it does not (see above)."
        ) from None
    return {**saved, "out": folder, "time_limit": given["time_limit"]}


def _pick(kind: type[Config], options: dict[str, Any]) -> Config:
    """A configuration from those options that are its fields."""
    return kind(**{entry.name: options[entry.name] for entry in fields(kind)})


def _summarise(run: Run) -> None:
    """One screen: the figures, where the files are, what to type next."""
    metrics, report = run.metrics, run.report
    table = Table(
        title=f"{report['dataset']}, {report['protocol']}, {report['split']}: {report['method']}", min_width=60
    )
    table.add_column("on test clips")
    table.add_column("percent", justify="right")
    rows = {"accuracy": metrics.accuracy, "top-5": metrics.top5, "macro F1": metrics.macro_f1}
    if metrics.f1_mean is not None:
        rows["F1_mean"] = metrics.f1_mean.mean
    if metrics.persons is not None:
        persons = metrics.persons
        rows |= {
            f"mean of {persons.persons} persons": persons.mean,
            "std over persons": persons.std,
            "worst person": persons.worst,
        }
    for name, value in rows.items():
        if value is not None:
            table.add_row(name, f"{100 * value:.1f}")
    console.print(table)
    unseen = "none of their persons in training" if report["person_disjoint"] else "person independence is NOT measured"
    console.print(f"{report['test_clips']} test clips, {unseen}. {report['note']}".rstrip())
    folder = run.folder
    if report["stopped"]:
        console.print(f"Not the whole training: {report['stopped']}. Go on with it: {PROGRAM} --resume {folder}")
    console.print(f"Everything is in {folder}: report.html, model.onnx, metrics.json, predictions.csv, checkpoint.pt")
    console.print("Next:")
    console.print(f"  piumr-evaluate {folder}")
    if run.try_on is not None:
        console.print(f"  piumr-infer {folder / 'model.onnx'} {run.try_on}")
    console.print(f"  tensorboard --logdir {folder}")
