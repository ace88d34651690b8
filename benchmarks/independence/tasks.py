"""The tasks: a data set, who trains and who tests, what is scored, and the budget that every method gets on it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from piumr.data.cache import load_packed
from piumr.data.clips import ClipTable
from piumr.data.folds import PersonFolds
from piumr.data.protocols import Split, make_splits
from piumr.data.source import DataConfig
from piumr.data.store import ClipStore
from piumr.errors import PiumrError

INNER_FOLDS = 4
"""Person folds inside the training persons, by which everything is tuned."""


@dataclass(frozen=True)
class Task:
    """A data set with its protocol and budget.

    Attributes:
        title: what the table says.
        dataset: name of its declaration.
        folder: where its files lie below the folder of the real sets; None for the generated one.
        protocol: which persons train and which test.
        epochs: length of every training.
        frames: frames T of a clip.
        layout: a smaller layout than the set's own.
        only: a column of the set and its value for the clips that take part; the others are neither trained nor tested.
        split_by: a column of two values by which every class is split in two. The network learns all the halves; scored
            is which half a clip is, its class being known.
        real: the persons are real.
        second: another protocol of a set that is there already, and a costly one. Of the named experiments only our own
            run on it, and nothing is tuned on it: its training persons are test persons of the first.
        development: a set to choose by, whose test persons are in no table of results.
    """

    title: str
    dataset: str
    folder: str | None
    protocol: str
    epochs: int
    frames: int = 32
    layout: str = ""
    only: tuple[str, str] | None = None
    split_by: str = ""
    real: bool = True
    second: bool = False
    development: bool = False


TASKS = {
    "utd": Task("UTD-MHAD, odd persons train, even test", "utd_mhad", "utd_mhad", "odd-even", epochs=60),
    "utd-loso": Task(
        "UTD-MHAD, one person left out", "utd_mhad", "utd_mhad", "leave-one-person-out", epochs=30, second=True
    ),
    "msr": Task(
        "MSR-Action3D, odd persons train, even test",
        "msr_action3d/npz",
        ".",
        "odd-even",
        epochs=60,
        only=("used557", "True"),  # the literature's choice
    ),
    "signs": Task(
        "MediaPipe signs, 5 folds by person",
        "mp_holistic_signs",
        ".",
        "person-folds",
        epochs=12,
        frames=16,
        layout="mediapipe-micro",
    ),
    "prmd": Task(
        "UI-PRMD, correct or not, 5 folds by person",
        "ui_prmd",
        ".",
        "person-folds",
        epochs=10,
        split_by="correct",
    ),
    "synthetic": Task(
        "synthetic persons", "synthetic", None, "unseen-persons", epochs=16, layout="mediapipe-micro", real=False
    ),
}

# six others of whom train, 24 test: many more than inner folds have
TASKS |= {
    f"population-{file.stem}": replace(
        TASKS["synthetic"], title=f"synthetic persons of seed {file.stem}", dataset=str(file), development=True
    )
    for file in sorted(Path(__file__).parents[1].glob("populations/*.toml"))
}


@dataclass(frozen=True, eq=False)
class TaskData:
    """A task's clips.

    Attributes:
        task: the task.
        clips: what is known about them; labels are those that are learned.
        store: the same, packed, on the CPU.
        splits: its folds, or the inner ones.
    """

    task: Task
    clips: ClipTable
    store: ClipStore
    splits: list[Split]

    def decide(self, logits: Tensor, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        """Predicted labels and margins of clips.

        Args:
            logits: (N, K).
            indices: the clips (N,).

        Returns:
            (N,) int64 labels, and (N,) probability of the true label less that of the best other one, among the labels
            that the task lets a clip have.
        """
        labels = torch.from_numpy(self.clips.labels[indices])
        if self.task.split_by:
            movement = torch.arange(logits.shape[1]) // 2
            logits = logits.masked_fill(movement != labels.unsqueeze(1) // 2, -torch.inf)
        probabilities = logits.softmax(1)
        true = probabilities.gather(1, labels.unsqueeze(1)).squeeze(1)
        other = probabilities.scatter(1, labels.unsqueeze(1), -1.0).amax(1)
        return logits.argmax(1), true - other


@functools.cache
def load_task(name: str, data: Path | None, inner: bool = False) -> TaskData:
    """Read a task's clips, packed, from the cache if they are there.

    Args:
        name: key of :data:`TASKS`.
        data: folder of the real sets.
        inner: person folds inside the training persons of the first split; its test persons stay out of it. Of a task
            with several folds these are test persons of the other ones: what is chosen on them is not new to those.

    Raises:
        PiumrError: if the set is not there, or the task has no inner folds.
    """
    task = TASKS[name]
    if inner and (task.second or task.development):
        raise PiumrError(f"Expected a task with test persons that choose nothing for --inner, but got {name!r}.")
    if task.folder is not None and data is None:
        raise PiumrError(f"Expected --data, the folder of the real skeleton sets, for task {name!r}.")
    folder = None if task.folder is None or data is None else data / task.folder
    config = DataConfig(dataset=task.dataset, data=folder, layout=task.layout)
    declaration, clips, store = load_packed(config, task.frames)
    if task.split_by:
        clips, store = _halves(clips, store, task.split_by)
    splits = make_splits(clips, declaration.protocols, task.protocol)
    if task.only is not None:
        kept = np.array(clips.columns[task.only[0]]) == task.only[1]
        splits = [replace(s, train=s.train[kept[s.train]], test=s.test[kept[s.test]]) for s in splits]
    if inner:
        splits = inner_splits(clips, splits[0].train)
    return TaskData(task, clips, store, splits)


def inner_splits(clips: ClipTable, train: np.ndarray) -> list[Split]:
    """Person folds among the clips ``train``, as indices of the whole set."""
    training = clips.subset(train)
    assert training.persons is not None
    folds = PersonFolds(min(INNER_FOLDS, len(set(training.persons)))).split(training)
    return [replace(fold, train=train[fold.train], test=train[fold.test]) for fold in folds]


def _halves(clips: ClipTable, store: ClipStore, column: str) -> tuple[ClipTable, ClipStore]:
    """Every class split in two by a column of two values."""
    values, half = np.unique(np.array(clips.columns[column]), return_inverse=True)
    if len(values) != 2:
        raise PiumrError(f"Expected two values of `{column}`, but got {len(values)}.")
    labels = 2 * clips.labels + half
    names = tuple(f"{name}, {column} {value}" for name in clips.class_names for value in values)
    coarse = None if clips.coarse is None else tuple(clips.coarse[i // 2] for i in range(len(names)))
    clips = replace(clips, labels=labels, class_names=names, coarse=coarse)
    return clips, replace(store, labels=torch.from_numpy(labels), num_classes=len(names))
