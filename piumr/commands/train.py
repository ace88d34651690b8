"""``piumr-train-gcn``: train, evaluate on persons never seen, export."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from piumr.commands.console import console
from piumr.data.augment import Augmentation
from piumr.data.source import DataConfig
from piumr.model import ModelConfig
from piumr.training.config import Method, MethodConfig, OptimConfig, Precision, TrainConfig
from piumr.training.run import Run, Select, train_run


def train(
    dataset: str | None = None,
    data: Path | None = None,
    poses: Path | None = None,
    labels: Path | None = None,
    protocol: str = "",
    fold: int = 1,
    layout: str = "",
    method: Method = "piumr",
    select: Select = "last",
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    precision: Precision = "auto",
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

    Args:
        dataset: name of a shipped data set, or path of a dataset.toml.
        data: folder of the data set's files or lists; the folder of its dataset.toml if not given.
        poses: folder of cached poses, written by piumr-extract; ./poses if not given.
        labels: label file for the poses: labels.csv, or a list with one `name label` a line.
        protocol: which clips train and which test; the data set's default if not given.
        fold: which of the protocol's splits, from 1.
        layout: train on some of the joints only, such as mediapipe-micro; the data set's layout if not given.
        method: erm (plain), tfam (alignment), girl (group-invariant loss) or piumr (both).
        select: last: a fixed schedule; persons: as many epochs as serve persons left out of training best.
        out: run folder; the first free one of runs/1, runs/2, ... if not given.
        overwrite: replace the files of an earlier run in the run folder.
        seed: of the initial weights, the batches and the augmentation.
        precision: auto is bf16-mixed on a GPU that has it, else 32-true; faster on a CPU with bf16, too.
        channels_last: keep features channel by channel in memory, for a GPU's tensor cores; slower on a CPU.
        compile: torch.compile the network, which takes a minute or more before the first step.
        model: the network.
        optim: the schedule.
        terms: weights of the method's terms.
        augmentation: what training clips go through.
    """
    chosen = DataConfig(dataset, data, poses, labels, protocol, fold, layout)
    if dataset is None:
        built_in = "the built-in synthetic persons, since there is no folder poses/ here"
        which = built_in if chosen.is_synthetic else f"the poses in {chosen.pose_folder}"
        console.print(f"No --dataset given: training on {which}.")
    config = TrainConfig(method, model, optim, terms, augmentation, seed, precision, channels_last, compile)
    _summarise(train_run(chosen, config, select, out, console, overwrite))
    return 0


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
    unseen = "none of them in training" if report["person_disjoint"] else "person independence is NOT measured"
    console.print(f"{report['test_clips']} test clips, {unseen}. {report['note']}".rstrip())
    console.print(
        f"Everything is in {run.folder}: model.onnx, metrics.json, predictions.csv, curves.png, checkpoint.pt"
    )
    if run.try_on is not None:
        console.print(f"Next: piumr-infer {run.folder / 'model.onnx'} {run.try_on}")
