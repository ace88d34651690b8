"""Protocols: which clips train and which test, and whether that measures person independence.

Each kind is a small frozen class whose fields are its parameters in ``dataset.toml``; ``split`` gives one
:class:`Split` per fold. Folds by person are in :mod:`piumr.data.folds`.
"""

from __future__ import annotations

import logging
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from piumr.data.clips import ClipTable
from piumr.data.folds import PersonFolds, SharedFolds
from piumr.data.splits import SEED, Split, few, file_order, known_persons, split_clips
from piumr.errors import PiumrError

logger = logging.getLogger(__name__)


class Protocol(typing.Protocol):
    """What every kind has."""

    def split(self, clips: ClipTable) -> list[Split]:
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

    def split(self, clips: ClipTable) -> list[Split]:
        """One split, flagged by whether the lists share persons; see :class:`Protocol`."""
        if clips.splits is None:
            raise PiumrError(
                f"Expected clips from the lists {', '.join(self.train + self.test)}, but this set was read without "
                "lists; give the folder that holds them (--data) or use another protocol."
            )
        _check_sides("lists", clips.splits, self.train, self.test)
        return [split_clips(clips, "listed", np.isin(clips.splits, self.train), np.isin(clips.splits, self.test))]


@dataclass(frozen=True)
class Persons:
    """Named persons train, others test: odd and even numbers, adults and children.

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

    def split(self, clips: ClipTable) -> list[Split]:
        """One person-disjoint split; see :class:`Protocol`."""
        persons = known_persons(clips)
        _check_sides("persons", persons, self.train, self.test)
        _warn_of_others("Persons", persons, self.train + self.test)
        return [split_clips(clips, "persons", np.isin(persons, self.train), np.isin(persons, self.test))]


@dataclass(frozen=True)
class Attribute:
    """Clips with some values of an attribute train, those with others test: cameras, age groups, adults to children.

    Exactly one of ``column`` and ``pattern`` says where the attribute is. Whether the two sides share persons is read
    off the clips: they do in a cross-view protocol, they do not if the attribute belongs to the person.

    Attributes:
        train: values that train.
        test: values that test.
        column: a column of the label file, or an array of the container.
        pattern: regular expression with a group named ``value``, searched in the clip's name.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    column: str = ""
    pattern: str = ""

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises:
            PiumrError: if a value is on both sides, both or neither of column and pattern are given, or the pattern is
                no expression with a group ``value``.
        """
        both = sorted(set(self.train) & set(self.test))
        if both:
            raise PiumrError(f"expected every value in `train` or in `test`, but got {', '.join(both)} in both")
        if bool(self.column) == bool(self.pattern):
            raise PiumrError("expected exactly one of `column` and `pattern`")
        try:
            named = "value" in re.compile(self.pattern).groupindex
        except re.error as error:
            raise PiumrError(
                f"expected `pattern` to be a regular expression, but got {self.pattern!r} ({error})"
            ) from None
        if self.pattern and not named:
            raise PiumrError(f"expected `pattern` to have a group (?P<value>...), but got {self.pattern!r}")

    def split(self, clips: ClipTable) -> list[Split]:
        """One split, flagged by whether its sides share persons; see :class:`Protocol`."""
        values = self._values(clips)
        _check_sides("values", values, self.train, self.test)
        _warn_of_others("Values", values, self.train + self.test)
        return [split_clips(clips, "attribute", np.isin(values, self.train), np.isin(values, self.test))]

    def _values(self, clips: ClipTable) -> np.ndarray:
        if self.column:
            if self.column not in clips.columns:
                raise PiumrError(
                    f"Expected a column `{self.column}` for this protocol, but the clips have "
                    f"{', '.join(clips.columns) or 'none'}; add it to the labels (clip,label,{self.column}) or use "
                    "another protocol."
                )
            return np.array(clips.columns[self.column])
        found = [re.search(self.pattern, name) for name in clips.names]
        for name, match in zip(clips.names, found, strict=True):
            if match is None or match["value"] is None:
                raise PiumrError(f"Expected clip name {name!r} to match {self.pattern!r}, but it does not.")
        return np.array([match["value"] for match in found if match is not None])


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

    def split(self, clips: ClipTable) -> list[Split]:
        """One split; see :class:`Protocol`. A class with a single clip cannot be split and is an error."""
        single = single_clip_classes(clips)
        if single:
            raise PiumrError(
                f"Expected at least 2 clips of every class for a random hold-out, but got 1 of {few(single)}; "
                "record more, remove the class, or train on everything (protocol all)."
            )
        test = np.zeros(len(clips), dtype=bool)
        order, rng = file_order(clips), np.random.default_rng(SEED)
        for label in np.unique(clips.labels):
            members = order[clips.labels[order] == label]
            count = min(max(round(self.test_share * len(members)), 1), len(members) - 1)
            test[rng.permutation(members)[:count]] = True
        return [split_clips(clips, "random", ~test, test)]


@dataclass(frozen=True)
class All:
    """Every clip trains and the same clips test: a wiring check."""

    def split(self, clips: ClipTable) -> list[Split]:
        """One split; see :class:`Protocol`."""
        everything = np.arange(len(clips))
        note = "The test clips are the training clips: a check of the wiring, no measure of recognition."
        return [Split("all", everything, everything, person_disjoint=False, note=note)]


KINDS: dict[str, type[Protocol]] = {
    "listed": Listed,
    "persons": Persons,
    "attribute": Attribute,
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


def make_splits(clips: ClipTable, protocols: Mapping[str, Protocol], name: str) -> list[Split]:
    """The splits of a set by one of its protocols.

    Warns of classes with a single clip.

    Args:
        clips: the set.
        protocols: the protocols there are, by name: a declaration's.
        name: the one to use; empty for person folds where persons are known, else a random hold-out. Folds may be
            asked for in another number: ``person-folds=10``.

    Raises:
        PiumrError: if there is none of that name, or the set cannot be split so.
    """
    if not name:
        name = "random" if clips.persons is None else "person-folds"
    protocol = _find(protocols, name)
    single = single_clip_classes(clips)
    if single:
        logger.warning("Classes with a single clip, which cannot both train and test: %s.", few(single))
    return protocol.split(clips)


def single_clip_classes(clips: ClipTable) -> list[str]:
    """Names of the classes with exactly one clip."""
    counts = np.bincount(clips.labels, minlength=len(clips.class_names))
    return [name for name, count in zip(clips.class_names, counts, strict=True) if count == 1]


def _find(protocols: Mapping[str, Protocol], name: str) -> Protocol:
    """The protocol of a name, or, for ``name=number``, that one with so many folds."""
    base, equals, number = name.partition("=")
    protocol = protocols.get(base)
    if protocol is None:
        raise PiumrError(f"Expected a protocol among {', '.join(protocols)}, but got {name!r}.")
    if not equals:
        return protocol
    if not isinstance(protocol, PersonFolds) or not number.isdecimal() or len(number) > 4 or int(number) < 2:
        raise PiumrError(f"Expected a protocol with at least 2 folds, as in person-folds=10, but got {name!r}.")
    return replace(protocol, folds=int(number), clips=0, checksum="")


def _check_sides(what: str, found: Sequence[str] | np.ndarray, train: tuple[str, ...], test: tuple[str, ...]) -> None:
    """Refuse a protocol that names nothing which a clip has.

    Raises:
        PiumrError: with what it names and what the clips have.
    """
    for side, named in (("training", train), ("test", test)):
        if not set(named) & set(found):
            raise PiumrError(
                f"Expected clips on both sides of the protocol, but got no {side} clip: it names the {what} "
                f"{few(named) or 'none'}, while the clips have {few(sorted(set(found)))}; use another --protocol."
            )


def _warn_of_others(what: str, found: np.ndarray, declared: tuple[str, ...]) -> None:
    """Warn of persons or values that a protocol names and no clip has, and the other way round."""
    absent, unused = sorted(set(declared) - set(found)), sorted(set(found) - set(declared))
    if absent:
        logger.warning("%s of the protocol without a clip here: %s.", what, few(absent))
    if unused:
        logger.warning("%s that the protocol neither trains nor tests on: %s.", what, few(unused))
