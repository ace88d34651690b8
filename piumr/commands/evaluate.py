"""``piumr-evaluate``: figures of predictions, whoever made them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

import piumr
from piumr.bootstrap import Interval, Intervals, bootstrap
from piumr.commands.console import check_out, console
from piumr.data.clips import ClipTable
from piumr.data.declaration import Declaration, load_declaration
from piumr.data.labels import listed_clips
from piumr.data.protocols import make_splits
from piumr.data.source import DataConfig, load_table
from piumr.errors import PiumrError
from piumr.metrics import FoldMetrics, Metrics, evaluate_folds
from piumr.predictions import Predictions, find_clips, read_predictions, write_submission
from pose_extract.atomic import atomic_write

MA52 = "ma52"
TEST_LIST, TEST_CLIPS = "test_list_videos.txt", 5_586
"""List and number of MA-52's test clips, whose labels are withheld."""

FEW = 10
"""Below so many persons the percentile bootstrap is known to give too narrow intervals."""


def evaluate(
    *,
    predictions: list[Path],
    dataset: str | None = None,
    data: Path | None = None,
    poses: Path | None = None,
    labels: Path | None = None,
    protocol: str = "",
    fold: int | None = None,
    out: Path | None = None,
    submission: Path | None = None,
) -> int:
    """Score files of predictions: accuracy, macro F1, F1_mean, figures over persons, with confidence intervals.

    A file is a CSV with the columns clip and score_<class> for every class, or predicted (or predicted_1, predicted_2,
    ... best first); predictions.csv of a run and MA-52's prediction.csv are read as they are. Several files, such as
    those of all folds, are pooled. Labels and persons are the data set's; without --dataset and --labels those in the
    columns label and person.

    Args:
        predictions: one or more files.
        dataset: name of a shipped data set, or path of a dataset.toml.
        data: folder of the data set's files or lists; the folder of its dataset.toml if not given. With --submission,
            the clips are compared with its test_list_videos.txt.
        poses: folder of cached poses, where labels come from its labels.csv or its folders.
        labels: label file: labels.csv, or a list with one `name label` a line.
        protocol: whose test clips are expected; the data set's default if not given.
        fold: which of the protocol's splits, from 1; all that have predictions if not given.
        out: JSON file to write.
        submission: zip to write for MA-52's Codabench page instead of scoring, from a file with scores.
    """
    if not predictions:
        raise PiumrError("Expected at least one file of predictions (--predictions FILE), but got none.")
    for path in (out, submission):
        if path is not None:
            check_out(path, predictions)
    if submission is not None:
        return _submit(predictions, dataset or MA52, data, submission)
    if dataset is None and labels is None and poses is None:
        scored = _score_alone(predictions)
    else:
        config = DataConfig(dataset, data, poses, labels, protocol, 1 if fold is None else fold)
        scored = _score_declared(predictions, *load_table(config), protocol, fold)
    _show(scored)
    if out is not None:
        with atomic_write(out.resolve()) as file:
            file.write((json.dumps(scored.report(predictions), indent=2) + "\n").encode())
    return 0


@dataclass(frozen=True)
class Scored:
    """Figures with what must be known to read them.

    Attributes:
        metrics: the figures.
        intervals: their confidence intervals; None if there is one person, or one clip.
        names: names of the folds, in the order of their figures; empty where no protocol is known.
        facts: what was scored, for the JSON file.
        notes: sentences.
    """

    metrics: FoldMetrics
    intervals: Intervals | None
    names: tuple[str, ...]
    facts: dict[str, Any]
    notes: tuple[str, ...]

    def report(self, files: list[Path]) -> dict[str, Any]:
        """What the JSON file holds."""
        return {
            "predictions": [str(file) for file in files],
            **self.facts,
            **self.metrics.pooled.to_dict(),
            "intervals": None if self.intervals is None else self.intervals.to_dict(),
            "folds": {
                name: {"clips": one.clips, "accuracy": one.accuracy, "macro_f1": one.macro_f1}
                for name, one in zip(self.names, self.metrics.folds, strict=True)
            }
            if self.names
            else {},
            "std_over_folds": self.metrics.std if len(self.names) > 1 else None,
            "notes": list(self.notes),
            "version": piumr.__version__,
        }


def _score_alone(files: list[Path]) -> Scored:
    """Score by the labels in the files themselves."""
    found = read_predictions(files, None, None)
    if found.labels is None:
        raise PiumrError(
            "Expected the true labels: name the set (--dataset), a label file (--labels), or add a column `label`, but "
            f"got none of these for {files[0]}."
        )
    note = f"Labels are those in the files; the classes are the {len(found.class_names)} there."
    fold = torch.zeros(len(found.clips), dtype=torch.int64)
    facts = {"dataset": None, "protocol": None, "person_disjoint": None, "missing_clips": None}
    return _figures(found, found.labels, found.persons, None, fold, (), facts, [note])


def _score_declared(
    files: list[Path], declaration: Declaration, table: ClipTable, protocol: str, fold: int | None
) -> Scored:
    """Score by the labels of a set, on the test clips of its protocol."""
    found = read_predictions(files, table.class_names, table.coarse_names)
    source = str(files[0]) if len(files) == 1 else f"{len(files)} files"
    rows = find_clips(found.clips, table, source)
    labels = torch.from_numpy(table.labels)[torch.from_numpy(rows)]
    if found.labels is not None and not torch.equal(found.labels, labels):
        row = int((found.labels != labels).nonzero()[0, 0])
        raise PiumrError(
            f"Expected the column `label` of {source} to agree with the set, but clip {found.clips[row]!r} is "
            f"{table.class_names[int(labels[row])]!r} there."
        )
    protocol = protocol or declaration.protocol
    splits = make_splits(table, declaration.protocols, protocol)
    if fold is not None and not 1 <= fold <= len(splits):
        raise PiumrError(f"Expected `fold` to lie in 1..{len(splits)}, but got {fold}.")
    predicted = np.zeros(len(table), dtype=bool)
    predicted[rows] = True
    chosen = [split for split in splits if predicted[split.test].any()] if fold is None else [splits[fold - 1]]
    number = np.full(len(table), -1)
    for k, split in enumerate(chosen):
        number[split.test] = k
    outside = predicted & (number < 0)
    if outside.any():
        raise PiumrError(
            f"Expected {source} to predict test clips of the protocol, but {outside.sum()} of {len(rows)} are none, "
            f"such as {table.names[int(outside.argmax())]!r}; name another with --protocol or --fold."
        )
    missing = int((number >= 0).sum() - len(rows))
    notes = [] if declaration.person is None else [declaration.person.note]
    notes += dict.fromkeys(split.note for split in chosen)
    if missing:
        notes.append(
            f"{missing} of {missing + len(rows)} test clips have no prediction: figures over some clips are no figures "
            "of the protocol (--protocol or --fold names another)."
        )
    facts = {
        "dataset": declaration.name,
        "protocol": protocol or ("random" if table.persons is None else "person-folds"),
        "person_disjoint": all(split.person_disjoint for split in chosen),
        "missing_clips": missing,
    }
    persons = None if table.persons is None else tuple(table.persons[i] for i in rows)
    names = tuple(split.name for split in chosen)
    return _figures(found, labels, persons, table.coarse, torch.from_numpy(number[rows]), names, facts, notes)


def _figures(
    found: Predictions,
    labels: Tensor,
    persons: tuple[str, ...] | None,
    coarse: tuple[int, ...] | None,
    fold: Tensor,
    names: tuple[str, ...],
    facts: dict[str, Any],
    notes: list[str],
) -> Scored:
    bodies = found.coarse_predicted
    metrics = evaluate_folds(found.scores, labels, fold, persons, coarse, bodies)
    intervals = bootstrap(found.scores, labels, persons, coarse, bodies)
    if found.depth < min(5, len(found.class_names)):  # who ranks two classes has no top-5
        metrics = replace(metrics, pooled=replace(metrics.pooled, top5=None))
        intervals = None if intervals is None else replace(intervals, top5=None)
    if bodies is not None and coarse is not None:
        mapped = torch.as_tensor(coarse)[found.scores.argmax(1)]
        notes.append(
            f"The body is the file's own (body_pred_1); in {int((mapped != bodies).sum())} of {len(bodies)} clips it "
            "is not that of the predicted action."
        )
    if persons is None:
        notes.append("Persons are not known: intervals are over clips, too narrow if clips of a person are alike.")
    elif intervals is not None and intervals.units < FEW:
        notes.append(f"The intervals are over {intervals.units} persons only, which makes them too narrow.")
    return Scored(metrics, intervals, names, facts, tuple(note for note in notes if note))


def _submit(files: list[Path], dataset: str, data: Path | None, out: Path) -> int:
    """Write the submission; its clips have no labels that could be scored, but a list to be compared with."""
    declaration = load_declaration(dataset)
    if declaration.coarse is None:
        raise PiumrError(f"Expected a set with coarse classes for a submission, but {declaration.name} has none.")
    found = read_predictions(files, declaration.class_names, declaration.coarse_names)
    if data is not None and (data / TEST_LIST).is_file():
        listed = listed_clips(replace(declaration, person=None), {}, data, data / TEST_LIST)  # its names tell none
        assert listed is not None
        rows = find_clips(found.clips, listed, str(files[0]))
        if len(rows) < len(listed):
            lacking = listed.names[np.setdiff1d(np.arange(len(listed)), rows)[0]]
            raise PiumrError(
                f"Expected predictions of all {len(listed)} clips in {data / TEST_LIST}, but {len(listed) - len(rows)} "
                f"are missing, such as {lacking!r}."
            )
    write_submission(out, found, declaration.coarse)
    console.print(f"Wrote {out}: prediction.csv with {len(found.clips)} clips.")
    if declaration.name == MA52 and len(found.clips) != TEST_CLIPS:
        console.print(f"Note: the test set of MA-52 has {TEST_CLIPS} clips, not {len(found.clips)}.")
    return 0


def _show(scored: Scored) -> None:
    """The figures on standard output, what to know about them below."""
    pooled, intervals = scored.metrics.pooled, scored.intervals
    what = [str(scored.facts[key]) for key in ("dataset", "protocol") if scored.facts[key]]
    table = Table(title=", ".join([*what, f"{pooled.clips} clips"]), min_width=60)
    table.add_column("on test clips")
    table.add_column("percent", justify="right")
    table.add_column("95 % interval", justify="right")
    for name, value, interval in _rows(pooled, intervals):
        if value is not None:
            between = "" if interval is None else f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
            table.add_row(name, f"{100 * value:.1f}", between)
    screen = Console(highlight=False, markup=False, soft_wrap=True)
    screen.print(table)
    if intervals is not None:
        screen.print(
            f"Intervals: bootstrap over {intervals.units} {intervals.unit}, {intervals.samples} samples, seed "
            f"{intervals.seed}."
        )
    if len(scored.names) > 1:
        spread = ", ".join(f"{name.replace('_', ' ')} {100 * value:.1f}" for name, value in scored.metrics.std.items())
        screen.print(f"Pooled over {len(scored.names)} folds; standard deviation over folds: {spread}.")
    for note in scored.notes:
        screen.print(f"Note: {note}")


def _rows(metrics: Metrics, intervals: Intervals | None) -> list[tuple[str, float | None, Interval | None]]:
    """Name, value and interval of each figure."""
    interval = {
        name: getattr(intervals, name, None) for name in ("accuracy", "top5", "macro_f1", "f1_mean", "person_mean")
    }
    rows: list[tuple[str, float | None, Interval | None]] = [
        ("accuracy", metrics.accuracy, interval["accuracy"]),
        ("top-5", metrics.top5, interval["top5"]),
        ("macro F1", metrics.macro_f1, interval["macro_f1"]),
    ]
    if metrics.f1_mean is not None:
        parts = metrics.f1_mean
        rows += [
            ("F1_mean", parts.mean, interval["f1_mean"]),
            ("  body macro F1", parts.body_macro, None),
            ("  body micro F1", parts.body_micro, None),
            ("  action macro F1", parts.action_macro, None),
            ("  action micro F1", parts.action_micro, None),
        ]
    if metrics.persons is not None:
        persons = metrics.persons
        rows += [
            (f"mean of {persons.persons} persons", persons.mean, interval["person_mean"]),
            ("std over persons", persons.std, None),
            ("worst tenth of persons", persons.worst_decile, None),
            ("worst person", persons.worst, None),
        ]
    return rows
