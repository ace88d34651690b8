"""Figures of files of predictions, whoever made them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from piumr.data.clips import ClipTable
from piumr.data.declaration import Declaration
from piumr.data.protocols import make_splits
from piumr.errors import PiumrError
from piumr.evaluation.scored import Scored, score
from piumr.predictions import find_clips, read_predictions


def score_alone(files: Sequence[Path]) -> Scored:
    """Score files by the labels in the files themselves.

    Raises:
        PiumrError: if a file is wrong, or there are no labels in them.
    """
    found = read_predictions(files, None, None)
    if found.labels is None:
        raise PiumrError(
            "Expected the true labels: name the set (--dataset), a label file (--labels), or add a column `label`, but "
            f"got none of these for {files[0]}."
        )
    note = f"Labels are those in the files; the classes are the {len(found.class_names)} there."
    clips = ClipTable(
        labels=found.labels.numpy(),
        names=found.clips,
        persons=found.persons,
        splits=None,
        class_names=found.class_names,
    )
    facts = {"dataset": None, "protocol": None, "person_disjoint": None, "missing_clips": None}
    fold = torch.zeros(len(found.clips), dtype=torch.int64)
    return score(clips, found.scores, fold, (), facts, [note], depth=found.depth, bodies=found.coarse_predicted)


def score_declared(
    files: Sequence[Path], declaration: Declaration, table: ClipTable, protocol: str, fold: int | None
) -> Scored:
    """Score files by the labels of a set, on the test clips of its protocol.

    Args:
        files: one or more, such as those of all folds.
        declaration: what is known about the set.
        table: its clips.
        protocol: name of the protocol; empty for the set's default.
        fold: which of its splits, from 1; None for all that have predictions.

    Raises:
        PiumrError: if a file is wrong, contradicts the set, or predicts other clips.
    """
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
    names = tuple(split.name for split in chosen)
    clips, fold_of = table.subset(rows), torch.from_numpy(number[rows])
    return score(clips, found.scores, fold_of, names, facts, notes, depth=found.depth, bodies=found.coarse_predicted)
