"""Protocols: which clips train and which test, and whether that measures person independence.

Each kind is a small frozen class whose fields are its parameters in ``dataset.toml``; ``split`` gives one
:class:`Split` per fold. Folds follow StratifiedGroupKFold (scikit-learn) on the clips in the order of their names,
shuffled with seed 0, so that everybody with the same clips gets the same folds, whatever the order of the files.
"""

from __future__ import annotations

import logging
import typing
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from piumr.data.clips import SkeletonSet
from piumr.data.labels import natural
from piumr.errors import PiumrError

SEED = 0
"""Seed of every shuffle here: a fold is part of a protocol, not of a run."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Split:
    """One division of a set into training and test clips.

    Attributes:
        name: name within the protocol, for example "fold 1" or "person 7".
        train: int64 indices of the training clips, ascending.
        test: int64 indices of the test clips, ascending.
        person_disjoint: persons are known and none is on both sides.
        note: what the protocol does not measure, one sentence; empty if nothing need be said.
    """

    name: str
    train: np.ndarray
    test: np.ndarray
    person_disjoint: bool
    note: str = ""


class Protocol(typing.Protocol):
    """What every kind has."""

    def split(self, clips: SkeletonSet) -> list[Split]:
        """The protocol's splits of a set.

        Raises:
            PiumrError: if the set cannot be split so; the message says why and what to do.
        """
        ...


@dataclass(frozen=True)
class Listed:
    """Train and test by the lists the set comes with.

    Attributes:
        train: names of the lists whose clips train.
        test: names of the lists whose clips test.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]

    def split(self, clips: SkeletonSet) -> list[Split]:
        """One split, flagged by whether the lists share persons; see :class:`Protocol`."""
        if clips.splits is None:
            raise PiumrError(
                f"Expected clips from the lists {', '.join(self.train + self.test)}, but this set was read without "
                "lists; give the folder that holds them (--data) or use another protocol."
            )
        return [_split(clips, "listed", np.isin(clips.splits, self.train), np.isin(clips.splits, self.test))]


@dataclass(frozen=True)
class Persons:
    """Named persons train, others test.

    Attributes:
        train: person ids that train.
        test: person ids that test.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check the lists.

        Raises:
            PiumrError: if a person is in both.
        """
        both = sorted(set(self.train) & set(self.test))
        if both:
            raise PiumrError(f"expected every person in `train` or in `test`, but got {', '.join(both)} in both")

    def split(self, clips: SkeletonSet) -> list[Split]:
        """One person-disjoint split; see :class:`Protocol`."""
        persons = _persons(clips)
        absent = sorted({*self.train, *self.test} - set(persons))
        unused = sorted(set(persons) - {*self.train, *self.test})
        if absent:
            logger.warning("Persons of the protocol without a clip here: %s.", _few(absent))
        if unused:
            logger.warning("Persons that the protocol neither trains nor tests on: %s.", _few(unused))
        return [_split(clips, "persons", np.isin(persons, self.train), np.isin(persons, self.test))]


@dataclass(frozen=True)
class PersonFolds:
    """Folds by person, stratified by class: nobody is on both sides, everybody is tested once.

    Attributes:
        folds: number of folds, or "all" for as many as there are persons (leave one person out). A set with fewer
            persons than folds gets one fold per person.
    """

    folds: int | Literal["all"] = 5

    def __post_init__(self) -> None:
        """Check the number of folds.

        Raises:
            PiumrError: if it is below 2.
        """
        if self.folds != "all" and self.folds < 2:
            raise PiumrError(f"expected `folds` to be at least 2, but got {self.folds}")

    def split(self, clips: SkeletonSet) -> list[Split]:
        """One person-disjoint split per fold; see :class:`Protocol`."""
        persons, fold = _persons(clips), self.assign(clips)
        alone = len(set(fold)) == len(set(persons))
        names = [f"person {persons[fold == k][0]}" if alone else f"fold {k + 1}" for k in range(fold.max() + 1)]
        return [_split(clips, name, fold != k, fold == k) for k, name in enumerate(names)]

    def assign(self, clips: SkeletonSet) -> np.ndarray:
        """The fold that each clip is tested in, int64 (N,), 0..folds-1.

        Raises:
            PiumrError: if the set has no persons, only one, or too few clips for so many folds.
        """
        persons = _persons(clips)
        present = sorted(set(persons), key=natural)
        if self.folds != "all" and self.folds < len(present):
            return _stratified_folds(clips, persons, self.folds)
        if self.folds != "all" and self.folds > len(present):
            logger.warning("%d folds by person but %d persons: one fold per person.", self.folds, len(present))
        return np.array([present.index(person) for person in persons], dtype=np.int64)


@dataclass(frozen=True)
class SharedFolds:
    """The control of :class:`PersonFolds`: the same fold and class sizes, but persons mixed.

    The difference between the two is the person gap.

    Attributes:
        folds: as there.
    """

    folds: int | Literal["all"] = 5

    def __post_init__(self) -> None:
        """Check the number of folds, as :class:`PersonFolds` does."""
        PersonFolds(self.folds)

    def split(self, clips: SkeletonSet) -> list[Split]:
        """One split per fold, persons on both sides; see :class:`Protocol`."""
        fold = PersonFolds(self.folds).assign(clips)
        order, rng = np.argsort(clips.names, kind="stable"), np.random.default_rng(SEED)
        for label in range(len(clips.class_names)):
            members = order[clips.labels[order] == label]
            fold[members] = rng.permutation(fold[members])
        return [_split(clips, f"fold {k + 1}", fold != k, fold == k) for k in range(fold.max() + 1)]


@dataclass(frozen=True)
class Random:
    """A random hold-out, stratified by class. For sets without persons; it does not measure person independence.

    Attributes:
        test_share: share of each class's clips that test, 0 to 1, at least one clip.
    """

    test_share: float = 0.2

    def __post_init__(self) -> None:
        """Check the share.

        Raises:
            PiumrError: if it is not between 0 and 1.
        """
        if not 0 < self.test_share < 1:
            raise PiumrError(f"expected `test_share` to lie between 0 and 1, but got {self.test_share}")

    def split(self, clips: SkeletonSet) -> list[Split]:
        """One split; see :class:`Protocol`. A class with a single clip cannot be split and is an error."""
        single = single_clip_classes(clips)
        if single:
            raise PiumrError(
                f"Expected at least 2 clips of every class for a random hold-out, but got 1 of {_few(single)}; "
                "record more, remove the class, or train on everything (protocol all)."
            )
        test = np.zeros(len(clips), dtype=bool)
        order, rng = np.argsort(clips.names, kind="stable"), np.random.default_rng(SEED)
        for label in np.unique(clips.labels):
            members = order[clips.labels[order] == label]
            count = min(max(round(self.test_share * len(members)), 1), len(members) - 1)
            test[rng.permutation(members)[:count]] = True
        return [_split(clips, "random", ~test, test)]


@dataclass(frozen=True)
class All:
    """Every clip trains and the same clips test: a wiring check."""

    def split(self, clips: SkeletonSet) -> list[Split]:
        """One split; see :class:`Protocol`."""
        everything = np.arange(len(clips))
        note = "The test clips are the training clips: a check of the wiring, no measure of recognition."
        return [Split("all", everything, everything, person_disjoint=False, note=note)]


KINDS: dict[str, type[Protocol]] = {
    "listed": Listed,
    "persons": Persons,
    "person-folds": PersonFolds,
    "shared-folds": SharedFolds,
    "random": Random,
    "all": All,
}
"""The kinds that a declaration can name."""

GENERIC: Mapping[str, Protocol] = {
    "person-folds": PersonFolds(),
    "shared-folds": SharedFolds(),
    "leave-one-person-out": PersonFolds("all"),
    "random": Random(),
    "all": All(),
}
"""Protocols that every set has, declared or not."""


def make_splits(clips: SkeletonSet, protocols: Mapping[str, Protocol], name: str) -> list[Split]:
    """The splits of a set by one of its protocols.

    Warns of classes with a single clip.

    Args:
        clips: the set.
        protocols: the protocols there are, by name: a declaration's.
        name: the one to use; empty for person folds where persons are known, else a random hold-out.

    Raises:
        PiumrError: if there is none of that name, or the set cannot be split so.
    """
    if not name:
        name = "random" if clips.persons is None else "person-folds"
    if name not in protocols:
        raise PiumrError(f"Expected a protocol among {', '.join(protocols)}, but got {name!r}.")
    single = single_clip_classes(clips)
    if single:
        logger.warning("Classes with a single clip, which cannot both train and test: %s.", _few(single))
    return protocols[name].split(clips)


def single_clip_classes(clips: SkeletonSet) -> list[str]:
    """Names of the classes with exactly one clip."""
    counts = np.bincount(clips.labels, minlength=len(clips.class_names))
    return [name for name, count in zip(clips.class_names, counts, strict=True) if count == 1]


def _stratified_folds(clips: SkeletonSet, persons: np.ndarray, folds: int) -> np.ndarray:
    from sklearn.model_selection import StratifiedGroupKFold

    order = np.argsort(clips.names, kind="stable")
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


def _split(clips: SkeletonSet, name: str, train: np.ndarray, test: np.ndarray) -> Split:
    """A split from two masks, with what it measures read off the clips themselves."""
    for side, mask in (("training", train), ("test", test)):
        if not mask.any():
            raise PiumrError(f"Expected clips on both sides of split {name!r}, but got no {side} clip.")
    if clips.persons is None:
        shared, note = None, "Persons are not known: person independence is not measured."
    else:
        persons = np.array(clips.persons)
        shared = set(persons[train]) & set(persons[test])
        note = f"{len(shared)} of {len(set(persons[test]))} test persons are also in training." if shared else ""
    return Split(name, np.flatnonzero(train), np.flatnonzero(test), person_disjoint=shared == set(), note=note)


def _persons(clips: SkeletonSet) -> np.ndarray:
    if clips.persons is None:
        raise PiumrError(
            "Expected a set whose persons are known for a protocol by person, but this one has none; add a column "
            "`person` to the labels (clip,label,person) or use protocol random."
        )
    if len(set(clips.persons)) < 2:
        raise PiumrError(
            f"Expected at least two persons for a protocol by person, but got only {clips.persons[0]!r}; "
            "record another person or use protocol random."
        )
    return np.array(clips.persons)


def _few(names: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
