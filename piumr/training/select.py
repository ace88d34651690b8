"""How many epochs? Asked of the training persons only: the test persons choose nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from lightning.pytorch.callbacks import Callback
from rich.console import Console

from piumr.data.clips import ClipTable
from piumr.data.folds import PersonFolds
from piumr.data.splits import Split
from piumr.data.store import ClipStore
from piumr.errors import PiumrError
from piumr.training.config import Method, TrainConfig
from piumr.training.fit import fit
from piumr.training.stopping import TimeLimit, early_stopping

FOLDS = 3


def select_epochs(
    clips: ClipTable,
    store: ClipStore,
    train: np.ndarray,
    config: TrainConfig,
    console: Console,
    patience: int = 0,
    limit: TimeLimit | None = None,
) -> int:
    """The number of epochs that serves persons left out of training best.

    Trains on person folds inside the training clips and averages the validation accuracy of each epoch over the folds;
    the result is the epoch with the best running mean of three.

    Args:
        clips: the whole set.
        store: the same, packed.
        train: indices of the training clips.
        config: the schedule, which the final training follows as far as the epoch selected.
        console: where progress is told.
        patience: end a fold after so many epochs without a better validation accuracy, which then counts as lasting;
            0 trains every fold to the end.
        limit: when to give up.

    Raises:
        PiumrError: if there are fewer than two training persons, time is over, or the method trains twice.
    """
    watching: list[Callback] = [] if limit is None else [limit]
    inner = inner_folds(clips, train, config.method)
    curves = []
    for number, split in enumerate(inner):
        console.print(f"Selecting the number of epochs: person fold {number + 1} of {len(inner)}")
        outcome = fit(
            store,
            train[split.train],
            replace(config, seed=(config.seed + number) % 2**32),
            validation=train[split.test],
            progress=console,
            names=clips.names,
            classes=clips.class_names,
            callbacks=[*watching, early_stopping(patience)] if patience else watching,
        )
        if limit is not None and limit.expired:
            raise PiumrError("Expected `time_limit` to leave time for --select persons and a training, but it is over.")
        curves.append([row["validation_accuracy"] for row in outcome.history])
    longest = max(map(len, curves))
    return best_epoch(np.mean([np.pad(curve, (0, longest - len(curve)), mode="edge") for curve in curves], axis=0))


def inner_folds(clips: ClipTable, train: np.ndarray, method: Method) -> list[Split]:
    """Person folds inside the training clips, as positions in ``train``, to select the epochs of a method by.

    Raises:
        PiumrError: if there are fewer than two training persons, or the method trains twice.
    """
    if method == "jtt":
        raise PiumrError(
            "Expected a method that trains once for --select persons, but got 'jtt', whose second training has epochs "
            "of its own length: use --select last."
        )
    if clips.persons is None:
        raise PiumrError("Expected known persons for --select persons, but this set has none: use --select last.")
    trained = clips.subset(train)
    persons = sorted(set(trained.persons or ()))
    if len(persons) < 2:
        raise PiumrError(
            f"Expected at least two training persons for --select persons, but got only {persons[0]!r}: use "
            "--select last."
        )
    return PersonFolds(FOLDS).split(trained)


def best_epoch(accuracy: np.ndarray) -> int:
    """Epoch, from 1, with the best running mean of three of a validation curve; the earliest of equals."""
    padded = np.pad(accuracy, 1, mode="edge")
    return int(np.argmax(np.convolve(padded, np.ones(3) / 3, mode="valid"))) + 1
