"""Folds by person, and their control with persons mixed; published folds are held against a checksum.

Folds follow StratifiedGroupKFold (scikit-learn) on the clips in the order of their file names, shuffled with seed 0, so
that everybody with the same clips gets the same folds, whatever folders they lie in. Clips that a set's lists name and
that are not there count as well, so that a lost clip changes nobody's folds.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from piumr.data.clips import ClipTable
from piumr.data.labels import natural
from piumr.data.splits import SEED, Split, file_order, known_persons, split_clips
from piumr.errors import PiumrError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PersonFolds:
    """Folds by person, stratified by class: nobody is on both sides, everybody is tested once.

    Attributes:
        folds: number of folds, or "all" for as many as there are persons (leave one person out). A set with fewer
            persons than folds gets one fold per person.
        clips: number of clips of the published folds; 0 if none are published.
        checksum: of the published folds, see :func:`checksum`. Folds of so many clips are held against it; of any other
            number, a note says that they are not the published ones.
    """

    folds: int | Literal["all"] = 5
    clips: int = 0
    checksum: str = ""

    def __post_init__(self) -> None:
        """Check the number of folds.

        Raises:
            PiumrError: if it is below 2, or only one of ``clips`` and ``checksum`` is given.
        """
        if self.folds != "all" and self.folds < 2:
            raise PiumrError(f"expected `folds` to be at least 2, but got {self.folds}")
        if bool(self.clips) != bool(self.checksum):
            raise PiumrError("expected `clips` and `checksum` together, but got one")

    def split(self, clips: ClipTable) -> list[Split]:
        """One split per fold; see :class:`Protocol`."""
        fold, notes = self._published(clips)
        count = int(fold.max()) + 1
        persons = known_persons(clips)
        alone = all(len(set(persons[fold == k])) == 1 for k in range(count))
        names = [f"person {persons[fold == k][0]}" if alone else f"fold {k + 1}" for k in range(count)]
        if not alone:  # one person rarely shows all classes: that is no news
            notes.append(_lacking(clips, fold))
        return [split_clips(clips, name, fold != k, fold == k, *notes) for k, name in enumerate(names)]

    def assign(self, clips: ClipTable) -> np.ndarray:
        """The fold that each clip is tested in, int64 (N,), 0..folds-1.

        Raises:
            PiumrError: if the set has no persons, only one, or too few clips for so many folds.
        """
        persons = known_persons(clips)
        present = sorted(set(persons), key=natural)
        if self.folds != "all" and self.folds < len(present):
            return _stratified_folds(clips, persons, self.folds)
        if self.folds != "all" and self.folds > len(present):
            logger.warning("%d folds by person but %d persons: one fold per person.", self.folds, len(present))
        return np.array([present.index(person) for person in persons], dtype=np.int64)

    def _published(self, clips: ClipTable) -> tuple[np.ndarray, list[str]]:
        """The folds of the clips that are here, and what must be said about them."""
        whole, notes = _with_missing(clips), []
        fold = self.assign(whole)
        if len(set(fold[: len(clips)])) < len(set(fold)):  # so few are here that a fold would be empty
            whole, fold = clips, self.assign(clips)
        if len(whole) > len(clips):
            notes.append(f"{len(whole) - len(clips)} of {len(whole)} listed clips are not here.")
        if self.checksum and len(whole) != self.clips:
            notes.append(f"These are folds of {len(whole)} clips, not the published ones of {self.clips}.")
        elif self.checksum and checksum(whole, fold) != self.checksum:
            raise PiumrError(
                f"Expected the published folds of these {self.clips} clips, but got others: the lists, or the folds of "
                "this version of scikit-learn or NumPy, are different. Use the lists as published and the versions in "
                "constraints.txt, or declare the protocol without `clips` and `checksum` in a dataset.toml of your own."
            )
        return fold[: len(clips)], notes


@dataclass(frozen=True)
class SharedFolds(PersonFolds):
    """The control of :class:`PersonFolds`: the same fold and class sizes, but persons mixed.

    The difference between the two is the person gap.
    """

    def assign(self, clips: ClipTable) -> np.ndarray:
        """As :meth:`PersonFolds.assign`, then shuffled among the clips of each class."""
        fold, order, rng = super().assign(clips), file_order(clips), np.random.default_rng(SEED)
        for label in range(len(clips.class_names)):
            members = order[clips.labels[order] == label]
            fold[members] = rng.permutation(fold[members])
        return fold


def checksum(clips: ClipTable, fold: np.ndarray) -> str:
    """SHA-256 of an assignment of clips to folds; no name goes into it.

    Args:
        clips: the clips, in any order.
        fold: the fold of each, 0..255.
    """
    return hashlib.sha256(fold[file_order(clips)].astype(np.uint8).tobytes()).hexdigest()


def _stratified_folds(clips: ClipTable, persons: np.ndarray, folds: int) -> np.ndarray:
    from sklearn.model_selection import StratifiedGroupKFold

    order = file_order(clips)
    fold = np.empty(len(clips), dtype=np.int64)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=SEED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a class with fewer clips than folds: such folds are legal
            for k, (_, test) in enumerate(splitter.split(order, clips.labels[order], persons[order])):
                fold[order[test]] = k
    except ValueError as error:
        raise PiumrError(
            f"Expected enough clips for {folds} folds by person, but got {len(clips)} clips of "
            f"{len(clips.class_names)} classes; use fewer folds or leave-one-person-out ({error})"
        ) from None
    return fold


def _lacking(clips: ClipTable, fold: np.ndarray) -> str:
    """A note that names the classes which some test fold lacks, with those folds; empty if there are none."""
    counts = np.zeros((len(clips.class_names), fold.max() + 1), dtype=np.int64)
    np.add.at(counts, (clips.labels, fold), 1)
    lacking = [
        f"{name} ({', '.join(str(k + 1) for k in np.flatnonzero(row == 0))})"
        for name, row in zip(clips.class_names, counts, strict=True)
        if row.any() and not row.all()
    ]
    return f"Classes without a clip in some test fold: {', '.join(lacking)}." if lacking else ""


def _with_missing(clips: ClipTable) -> ClipTable:
    """The clips, and behind them those that are listed and not here."""
    lost = clips.missing
    if lost is None:
        return clips
    return replace(
        clips.table,
        labels=np.concatenate([clips.labels, lost.labels]),
        names=clips.names + lost.names,
        persons=None if clips.persons is None or lost.persons is None else clips.persons + lost.persons,
        splits=None,
        columns={},
        missing=None,
    )
