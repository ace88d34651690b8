"""``piumr-evaluate``: figures and a report of trained runs, or figures of anybody's predictions."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from piumr.commands.console import check_out, console
from piumr.data.declaration import shipped_datasets
from piumr.data.source import DataConfig, load_table
from piumr.errors import PiumrError
from piumr.evaluation import Evaluation, Scored, evaluate_runs
from piumr.evaluation.files import score_alone, score_declared
from piumr.evaluation.submission import submit_files, submit_runs
from piumr.predictions import write_predictions
from piumr.report import write_report
from pose_extract.atomic import atomic_write

MA52, TEST_CLIPS = "ma52", 5_586
"""The set of the submission, and the number of its test clips, whose labels are withheld."""

MAX_NAME = 120
"""Longest name of a folder of results."""

FIGURES, PREDICTIONS, REPORT = "evaluation.json", "predictions.csv", "report.html"

RUN = ("checkpoint.pt", "run.json")
"""Files of which a run folder has at least one."""


def evaluate(
    runs: list[Path] = [],  # noqa: B006
    *,
    predictions: list[Path] = [],  # noqa: B006
    dataset: str | None = None,
    data: Path | None = None,
    poses: Path | None = None,
    labels: Path | None = None,
    protocol: str = "",
    fold: int | None = None,
    layout: str = "",
    out: Path | None = None,
    submission: Path | None = None,
) -> int:
    """Evaluate trained runs: the figures, most with confidence intervals, and report.html, a page to look at.

    One run is tested on the test clips it was trained with, or on those of another set with matching classes. Several
    runs with the same test clips are an ensemble: their probabilities are averaged. Several runs with test clips of
    their own, such as all folds of a protocol, are pooled.

    With --predictions, files of anybody's predictions are scored instead. A file is a CSV with the columns clip and
    score_<class> for every class, or predicted (or predicted_1, predicted_2, ... best first); predictions.csv of a run
    and MA-52's prediction.csv are read as they are. Several files, such as those of all folds, are pooled. Labels and
    persons are the data set's; without --dataset and --labels those in the columns label and person.

    Args:
        runs: run folders of piumr-train-gcn.
        predictions: one or more files of predictions to score instead of runs.
        dataset: name of a shipped data set, or path of a dataset.toml; the run's own if not given.
        data: folder of the data set's files or lists; the folder of its dataset.toml if not given. With --submission,
            the clips are those of its test_list_videos.txt.
        poses: folder of cached poses, where labels come from its labels.csv or its folders.
        labels: label file: labels.csv, or a list with one `name label` a line. With --submission, the list of the
            clips, in place of test_list_videos.txt.
        protocol: whose test clips are expected; the run's own, or the data set's default, if not given. Of a set that
            the run was not trained on all clips are, if neither this nor --fold is given.
        fold: which of the protocol's splits, from 1; the run's own, or all that have predictions, if not given.
        layout: reduce the set's joints to those of a smaller layout.
        out: with runs the folder of the results, no run folder; without it the run folder, or one inside it where the
            clips are not the run's own or there are several runs. With --predictions a JSON file to write.
        submission: zip to write for MA-52's Codabench page instead of scoring.
    """
    if bool(runs) == bool(predictions):
        both = "both" if runs else "neither"
        raise PiumrError(
            f"Expected run folders (piumr-evaluate RUN) or files of predictions (--predictions FILE), but got {both}."
        )
    named = {"dataset": dataset, "data": data, "poses": poses, "labels": labels}
    options = {**named, "protocol": protocol, "fold": fold, "layout": layout}
    given = {name: value for name, value in options.items() if value not in (None, "")}
    if submission is not None:
        if out is not None:
            raise PiumrError("Expected either `out`, for figures, or `submission`, but got both.")
        check_out(submission, predictions, "submission")
        return _submit(runs, predictions, given, submission)
    if runs:
        return _evaluate_runs(runs, given, out)
    return _score_files(predictions, given, out)


def _evaluate_runs(runs: Sequence[Path], given: dict[str, Any], out: Path | None) -> int:
    folder = _folder(runs, given)
    if out is not None and out.resolve() != folder.resolve():
        _check_results(out)
        folder = out
    evaluation = evaluate_runs(runs, given)
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / FIGURES, evaluation.to_dict())
    write_predictions(folder / PREDICTIONS, evaluation.clips, evaluation.probabilities)
    write_report(folder / REPORT, evaluation)
    _show(evaluation.scored, _costs(evaluation))
    if len(evaluation.members) > 1:
        _show_members(evaluation)
    console.print(f"Everything is in {folder}: {FIGURES}, {PREDICTIONS}, {REPORT}")
    console.print(f"Next: open {folder / REPORT} in a browser")
    return 0


def _check_results(out: Path) -> None:
    """Refuse a place for results in which something else would be lost.

    Raises:
        PiumrError: if ``out`` is a file, a run folder, or holds files but no evaluation.
    """
    if out.exists() and not out.is_dir():
        raise PiumrError(f"Expected `out` to be a folder for the results of runs, but {str(out)!r} is a file.")
    # evaluated once, it holds an evaluation too; its predictions.csv says what the run was tested on
    if any((out / name).is_file() for name in RUN):
        raise PiumrError(f"Expected `out` to be a folder for the results, but {str(out)!r} is a run folder.")
    if out.is_dir() and any(out.iterdir()) and not (out / FIGURES).is_file():
        raise PiumrError(f"Expected `out` to be an empty folder or an earlier evaluation, but {str(out)!r} is neither.")


def _score_files(files: list[Path], given: dict[str, Any], out: Path | None) -> int:
    if out is not None:
        check_out(out, files)
    if {"dataset", "labels", "poses"} & set(given):
        declaration, table = load_table(DataConfig(**{**given, "fold": given.get("fold", 1)}))
        scored = score_declared(files, declaration, table, given.get("protocol", ""), given.get("fold"))
    else:
        _refuse(given, ("data", "protocol", "fold", "layout"), "a set (--dataset, --poses or --labels)")
        scored = score_alone(files)
    _show(scored)
    if out is not None:
        _write_json(out, {"predictions": [str(file) for file in files], **scored.to_dict()})
    return 0


def _submit(runs: Sequence[Path], files: Sequence[Path], given: dict[str, Any], out: Path) -> int:
    _refuse(given, ("protocol", "fold"), "figures: the clips of a submission are those of a list (--data, --labels)")
    if not runs:
        _refuse(given, ("poses", "layout"), "run folders")
    if runs:
        declaration, clips = submit_runs(runs, given, out)
    else:
        dataset, data, labels = given.get("dataset", MA52), given.get("data"), given.get("labels")
        declaration, clips = submit_files(files, dataset, data, labels, out)
    console.print(f"Wrote {out}: prediction.csv with {clips} clips.")
    if declaration.name == MA52 and clips != TEST_CLIPS:
        console.print(f"Note: the test set of MA-52 has {TEST_CLIPS} clips, not {clips}.")
    return 0


def _refuse(given: dict[str, Any], names: Sequence[str], needed: str) -> None:
    """Refuse options that would have no effect."""
    ignored = [f"--{name}" for name in names if name in given]
    if ignored:
        raise PiumrError(f"Expected {' and '.join(ignored)} with {needed}, but got it without.")


def _folder(runs: Sequence[Path], given: dict[str, Any]) -> Path:
    """Where the results go: the run folder for the run's own test clips, else one inside it that says which."""
    if len(runs) == 1 and not given:
        return runs[0]
    others = ["with", *(run.resolve().name for run in runs[1:])] if len(runs) > 1 else []
    which = [f"{name}-{value.name if isinstance(value, Path) else value}" for name, value in given.items()]
    whole = "-".join(["evaluation", *which, *others])
    name = re.sub(r"[^\w.=-]+", "-", whole)
    paths = {key: Path(value).resolve() for key, value in given.items() if _is_path(key, value)}
    if not others and not paths and name == whole and len(name) <= MAX_NAME:
        return runs[0] / name
    # other paths end alike, other names are cut or spelled alike: a digest of the whole keeps the evaluations apart
    digest = hashlib.sha256(repr([{**given, **paths}, *(run.resolve() for run in runs[1:])]).encode()).hexdigest()[:8]
    return runs[0] / f"{name[: MAX_NAME - len(digest) - 1]}-{digest}"


def _is_path(option: str, value: Any) -> bool:
    """Whether an option's value is a path rather than a name or a number."""
    return isinstance(value, Path) or (option == "dataset" and value not in shipped_datasets())


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_write(path.resolve()) as file:
        file.write((json.dumps(content, indent=2) + "\n").encode())


def _show(scored: Scored, costs: Sequence[tuple[str, str]] = ()) -> None:
    """The figures on standard output, what to know about them below."""
    pooled, intervals = scored.metrics.pooled, scored.intervals
    what = [str(scored.facts[key]) for key in ("dataset", "protocol") if scored.facts[key]]
    table = Table(title=", ".join([*what, f"{pooled.clips} clips"]), min_width=60)
    table.add_column("on test clips")
    table.add_column("percent", justify="right")
    table.add_column("95 % interval", justify="right")
    for name, value, interval in scored.headline():
        between = "" if interval is None else f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
        table.add_row(name, f"{100 * value:.1f}", between)
    screen = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    screen.print(table)
    for name, cost in costs:
        screen.print(f"{name}: {cost}.")
    if intervals is not None:
        screen.print(
            f"Intervals: bootstrap over {intervals.units} {intervals.unit}, {intervals.samples} samples, seed "
            f"{intervals.seed}."
        )
    if len(scored.names) > 1:
        spread = ", ".join(f"{name.replace('_', ' ')} {100 * value:.1f}" for name, value in scored.metrics.std.items())
        screen.print(f"Pooled over {len(scored.names)} folds; standard deviation over folds: {spread}.")
    if scored.facts.get("trained_on") and scored.facts["person_disjoint"] is not None:
        apart = "No test person was in training" if scored.facts["person_disjoint"] else "NOT person-independent"
        screen.print(f"{apart}.")
    for note in scored.notes:
        screen.print(f"Note: {note}")


def _costs(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Calibration, size and latency in words."""
    facts, members = evaluation.scored.facts, evaluation.members
    several = f", {facts['ensemble']} networks together" if facts["ensemble"] > 1 else ""
    costs = [
        ("Expected calibration error", f"{100 * evaluation.reliability.error:.1f} %"),
        ("Parameters", f"{facts['parameters']:,}{several}"),
    ]
    if facts["latency_ms"] is None:
        return [*costs, ("Latency", "not measured, a run has no model.onnx; piumr-export RUN makes it")]
    latency = members[0].latency
    assert latency is not None
    spread = "" if len(members) > 1 else f", quartiles {latency.low:.1f} to {latency.high:.1f}"
    how = f"ONNX Runtime, {latency.threads} threads, median of {latency.repeats}{spread}"
    return [*costs, ("Latency of one clip", f"{facts['latency_ms']:.1f} ms here ({how}){several}")]


def _show_members(evaluation: Evaluation) -> None:
    table = Table(title="the runs by themselves", min_width=60)
    for column in ("run", "streams", "clips", "accuracy", "macro F1"):
        table.add_column(column, justify="left" if column in ("run", "streams") else "right")
    for member in evaluation.members:
        metrics, streams = member.metrics, " + ".join(member.run.net.config.streams)
        figures = (f"{100 * value:.1f}" for value in (metrics.accuracy, metrics.macro_f1))
        table.add_row(member.run.name, streams, str(metrics.clips), *figures)
    Console(highlight=False, markup=False, emoji=False, soft_wrap=True).print(table)
