"""Files of predictions: ours, anybody's, and the form in which MA-52's test predictions are handed in.

A file is a CSV with a header, one line a clip:

- the clip in ``clip`` or ``vid``: its path in the set, with or without suffix, or a file name that only one clip has;
- the scores of all classes, in one column ``score_<class>`` each, or the classes best first: ``predicted``, or
  ``predicted_1``, ``predicted_2``, ...; ``action_pred_1``, ... means the same. A class is a name or an id;
- optionally ``body_pred_1``, the coarse class of a model that predicts it by itself;
- optionally ``label`` and ``person``. Further columns are not read.

``predictions.csv`` of a training run is such a file, and so is ``prediction.csv`` of a submission to MA-52.
"""

from __future__ import annotations

import csv
import io
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import Tensor

from piumr.data.clips import ClipTable
from piumr.data.labels import class_indices, clip_finder, natural
from piumr.errors import PiumrError
from piumr.metrics import best_classes
from pose_extract.atomic import atomic_write
from pose_extract.discovery import SUFFIXES

MAX_BYTES = 1 << 30
"""Largest file of predictions that is read."""

SUBMITTED = 5
"""Actions and bodies that a line of a submission names, best first."""

RANKED = ("predicted_", "action_pred_")


@dataclass(frozen=True)
class Predictions:
    """What files of predictions say, as written, before any clip is looked up.

    Attributes:
        clips: N clips as written, each once.
        scores: float32 (N, K); where the files rank classes, a falling number for each ranked one, 0 for the others.
        depth: How many classes the ranking names; K where there are scores.
        class_names: K names.
        coarse_predicted: int64 (N,) coarse classes that the files themselves give, or None.
        labels: int64 (N,) true classes that the files themselves give, or None.
        persons: N persons that the files themselves give, or None.
    """

    clips: tuple[str, ...]
    scores: Tensor
    depth: int
    class_names: tuple[str, ...]
    coarse_predicted: Tensor | None
    labels: Tensor | None
    persons: tuple[str, ...] | None


def read_predictions(
    files: Sequence[Path], class_names: tuple[str, ...] | None, coarse_names: tuple[str, ...] | None
) -> Predictions:
    """Read one or more files of predictions with the same columns, such as those of all folds.

    Args:
        files: CSV files; see the module's description.
        class_names: The classes; None takes those of the score columns, else those that occur.
        coarse_names: The coarse classes, where the set has any.

    Raises:
        PiumrError: If a file is missing, too large, no CSV, lacks a column, differs in columns from the others, has an
            empty or wrong field, or a clip occurs twice; the message gives file and line.
    """
    columns, rows = _read_rows(files)
    clip = next((name for name in ("clip", "vid") if name in columns), None)
    scored = [name for name in columns if name.startswith("score_")]
    ranked = _ranked(columns)
    if clip is None or not (scored or ranked):
        raise PiumrError(
            f"{files[0]}: expected a column `clip` (or `vid`) and either `score_<class>` for every class or "
            f"`predicted` (or `predicted_1`, ...), but got {', '.join(columns) or 'nothing'}."
        )
    _once([row[clip] for _, row in rows], [where for where, _ in rows])
    labelled = [name for name in columns if name == "label"]
    bodied = [name for name in columns if name == "body_pred_1" and coarse_names is not None]
    _filled(rows, [*([] if scored else ranked), *labelled, *bodied])
    if class_names is None and scored:
        class_names = tuple(name.removeprefix("score_") for name in scored)
    if class_names is None:
        found = {row[name] for _, row in rows for name in [*ranked, *labelled]}
        class_names = tuple(sorted(found, key=natural))
    if len(class_names) < 2:
        raise PiumrError(f"{files[0]}: expected predictions of at least two classes, but got {class_names[0]!r} alone.")
    scores = _scores(rows, scored, class_names) if scored else _from_ranking(rows, ranked, class_names)
    bodies = None
    if coarse_names is not None and bodied:
        bodies = torch.tensor([_index(row["body_pred_1"], coarse_names, where) for where, row in rows])
    return Predictions(
        clips=tuple(row[clip] for _, row in rows),
        scores=scores,
        depth=len(class_names) if scored else len(ranked),
        class_names=class_names,
        coarse_predicted=bodies,
        labels=torch.tensor([_index(row["label"], class_names, where) for where, row in rows]) if labelled else None,
        persons=_persons(rows),
    )


def find_clips(clips: Sequence[str], table: ClipTable, source: str) -> np.ndarray:
    """The index in the set of each predicted clip, int64 (N,).

    Args:
        clips: Clips as written.
        table: The set.
        source: Where the predictions come from, for messages.

    Raises:
        PiumrError: If a clip is not in the set, or two names mean the same one; counts and the first names are given.
    """
    find, index = clip_finder(table.names), {name: i for i, name in enumerate(table.names)}
    names = [find(clip) for clip in clips]
    unknown = [clip for clip, name in zip(clips, names, strict=True) if name is None]
    if unknown:
        raise PiumrError(
            f"Expected {source} to predict clips of the set, but {len(unknown)} of {len(clips)} are not in it, such as "
            f"{unknown[0]!r}; a clip of the set is {table.names[0]!r}."
        )
    found = np.array([index[name] for name in names if name is not None])
    counts = np.bincount(found, minlength=len(table))
    if counts.max() > 1:
        name = table.names[int(counts.argmax())]
        raise PiumrError(f"Expected one prediction for a clip, but {source} has {counts.max()} for {name!r}.")
    return found


def write_predictions(path: Path, clips: ClipTable, probabilities: Tensor) -> None:
    """Write a file that :func:`read_predictions` reads: clip, person, label, predicted, confidence, all scores.

    Args:
        path: The CSV file.
        clips: The N clips.
        probabilities: (N, K), of the table's classes.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"score_{name}" for name in clips.class_names]
    writer.writerow(["clip", "person", "label", "predicted", "confidence", *columns])
    confidence, predicted = probabilities.max(dim=1)
    for i, name in enumerate(clips.names):
        writer.writerow(
            [
                name,
                "" if clips.persons is None else clips.persons[i],
                clips.class_names[int(clips.labels[i])],
                clips.class_names[int(predicted[i])],
                f"{float(confidence[i]):.4f}",
                *(f"{score:.6g}" for score in probabilities[i].tolist()),
            ]
        )
    with atomic_write(path.resolve()) as file:
        file.write(text.getvalue().encode("utf-8", "surrogateescape"))


def write_submission(path: Path, predictions: Predictions, coarse: Sequence[int]) -> None:
    """Write the zip that MA-52's Codabench page takes: ``prediction.csv``, no folder, best classes first.

    Bodies are ranked by their best action, so that the first is the body of the first action.

    Args:
        path: The zip.
        predictions: Scores of all clips, in the order to write.
        coarse: Body of each class.

    Raises:
        PiumrError: If the predictions are no scores of all classes, or there are fewer than five bodies.
    """
    if predictions.depth < len(coarse):
        raise PiumrError(
            f"Expected the scores of all {len(coarse)} classes (`score_<class>`) for a submission, but got "
            f"{predictions.depth} ranked ones."
        )
    body = torch.as_tensor(coarse)
    bodies = int(body.max()) + 1
    if bodies < SUBMITTED:
        raise PiumrError(f"Expected a set with at least {SUBMITTED} coarse classes for a submission, but got {bodies}.")
    best = torch.stack([predictions.scores[:, body == number].amax(1) for number in range(bodies)], dim=1)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["vid", *(f"{kind}_pred_{rank}" for kind in ("action", "body") for rank in range(1, SUBMITTED + 1))]
    )
    actions, parts = best_classes(predictions.scores, SUBMITTED).tolist(), best_classes(best, SUBMITTED).tolist()
    for clip, action, part in zip(predictions.clips, actions, parts, strict=True):
        writer.writerow([_as_video(clip), *action, *part])
    with atomic_write(path.resolve()) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        # a fixed date: the same predictions are the same file
        archive.writestr(zipfile.ZipInfo("prediction.csv", (1980, 1, 1, 0, 0, 0)), text.getvalue())


def _read_rows(files: Sequence[Path]) -> tuple[list[str], list[tuple[str, dict[str, str]]]]:
    """The columns, and the lines of all files with where they stand."""
    columns: list[str] = []
    rows: list[tuple[str, dict[str, str]]] = []
    for file in files:
        try:
            if file.stat().st_size > MAX_BYTES:
                raise PiumrError(f"{file}: expected at most {MAX_BYTES} bytes, but got {file.stat().st_size}.")
            with file.open(encoding="utf-8-sig", newline="") as text:
                reader = csv.DictReader(text, skipinitialspace=True, restval="")
                found = [name.strip() for name in reader.fieldnames or []]
                if len(set(found)) < len(found):
                    raise PiumrError(f"{file}: expected every column once, but got {', '.join(found)}.")
                if columns and found != columns:
                    raise PiumrError(f"{file}: expected the columns of {files[0]}, but got {', '.join(found)}.")
                columns = reader.fieldnames = found
                for row in reader:
                    where = f"{file}, line {reader.line_num}"
                    if None in row:
                        raise PiumrError(f"{where}: expected {len(columns)} fields, but got more.")
                    rows.append((where, {name: value.strip() for name, value in row.items()}))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise PiumrError(f"{file}: expected a readable UTF-8 csv file, but got: {error}.") from None
    if not rows:
        raise PiumrError(f"{files[0]}: expected predictions, but got none.")
    return columns, rows


def _ranked(columns: Sequence[str]) -> list[str]:
    """The columns that name classes, best first."""
    if "predicted" in columns:
        return ["predicted"]
    for prefix in RANKED:
        found = [f"{prefix}{rank}" for rank in range(1, len(columns) + 1)]
        found = found[: next((i for i, name in enumerate(found) if name not in columns), len(found))]
        if found:
            return found
    return []


def _scores(rows: list[tuple[str, dict[str, str]]], scored: list[str], class_names: tuple[str, ...]) -> Tensor:
    """The scores (N, K), columns in the order of the classes."""
    given = [name.removeprefix("score_") for name in scored]
    try:
        order = class_indices(given, class_names)[0]
    except PiumrError as error:
        raise PiumrError(f"{rows[0][0].split(', line')[0]}: {error}") from None
    if sorted(order) != list(range(len(class_names))):
        raise PiumrError(
            f"{rows[0][0].split(', line')[0]}: expected one column `score_<class>` for each of the {len(class_names)} "
            f"classes, but got {len(scored)} for {len(set(order))}."
        )
    scores = np.empty((len(rows), len(class_names)), dtype=np.float32)
    for i, (where, row) in enumerate(rows):
        for column, index in zip(scored, order, strict=True):
            try:
                value = float(row[column])
            except ValueError:
                value = math.nan
            if not abs(value) <= float(np.finfo(np.float32).max):
                raise PiumrError(f"{where}: expected `{column}` to be a finite number, but got {row[column]!r}.")
            scores[i, index] = value
    return torch.from_numpy(scores)


def _from_ranking(rows: list[tuple[str, dict[str, str]]], ranked: list[str], class_names: tuple[str, ...]) -> Tensor:
    """Scores (N, K) that rank as the columns do."""
    scores = torch.zeros(len(rows), len(class_names))
    for i, (where, row) in enumerate(rows):
        classes = [_index(row[name], class_names, where) for name in ranked]
        if len(set(classes)) < len(classes):
            raise PiumrError(f"{where}: expected {len(ranked)} different classes, but got one twice.")
        scores[i, classes] = torch.arange(len(classes), 0, -1, dtype=torch.float32)
    return scores


def _index(text: str, class_names: tuple[str, ...], where: str) -> int:
    try:
        return class_indices([text], class_names)[0][0]
    except PiumrError as error:
        raise PiumrError(f"{where}: {error}") from None


def _once(clips: Sequence[str], where: Sequence[str]) -> None:
    first: dict[str, str] = {}
    for clip, place in zip(clips, where, strict=True):
        if not clip:
            raise PiumrError(f"{place}: expected a clip, but got nothing.")
        if clip in first:
            raise PiumrError(f"{place}: expected every clip once, but got {clip!r} again, after {first[clip]}.")
        first[clip] = place


def _filled(rows: list[tuple[str, dict[str, str]]], columns: Sequence[str]) -> None:
    """Refuse an empty field where a class is needed: nothing is no class, and what a torn line lacks is no hit."""
    for where, row in rows:
        for name in columns:
            if not row[name]:
                raise PiumrError(f"{where}: expected `{name}` to be a class, but got ''.")


def _persons(rows: list[tuple[str, dict[str, str]]]) -> tuple[str, ...] | None:
    """The column ``person``; None if there is none, or nothing in it, as where a set does not tell."""
    persons = tuple(row.get("person", "") for _, row in rows)
    if not any(persons):
        return None
    if not all(persons):
        where = rows[persons.index("")][0]
        raise PiumrError(f"{where}: expected `person` to be given for every clip or for none, but got ''.")
    return persons


def _as_video(clip: str) -> str:
    """A clip's file name as the lists of MA-52 write it."""
    path = PurePosixPath(clip)
    return path.name if path.suffix.lower() in SUFFIXES else f"{path.name}.mp4"
