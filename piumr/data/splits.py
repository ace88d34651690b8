"""One division of a set into training and test clips, and what can be said about it by looking at the clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from piumr.data.clips import ClipTable
from piumr.errors import PiumrError

SEED = 0
"""Seed of every shuffle of a protocol: a fold is part of the protocol, not of a run."""


@dataclass(frozen=True, eq=False)
class Split:
    """One division of a set into training and test clips.

    Attributes:
        name: name within the protocol, for example "fold 1" or "person 7".
        train: int64 indices of the training clips, ascending.
        test: int64 indices of the test clips, ascending.
        person_disjoint: persons are known and none is on both sides.
        note: what the protocol does not measure, in sentences; empty if nothing need be said.
    """

    name: str
    train: np.ndarray
    test: np.ndarray
    person_disjoint: bool
    note: str = ""


def split_clips(clips: ClipTable, name: str, train: np.ndarray, test: np.ndarray, *notes: str) -> Split:
    """A split from two masks, with what it measures read off the clips themselves.

    Args:
        clips: the set.
        name: of the split.
        train: bool (N,), the clips that train.
        test: bool (N,), the clips that test.
        notes: what else must be said, sentences; empty ones are left out.

    Raises:
        PiumrError: if a side has no clip.
    """
    for side, mask in (("training", train), ("test", test)):
        if not mask.any():
            raise PiumrError(f"Expected clips on both sides of split {name!r}, but got no {side} clip.")
    said = [note for note in notes if note]
    if clips.persons is None:
        shared = None
        said.append("Persons are not known: person independence is not measured.")
    else:
        persons = np.array(clips.persons)
        shared = set(persons[train]) & set(persons[test])
        if shared:
            said.append(f"{len(shared)} of {len(set(persons[test]))} test persons are also in training.")
    untaught = set(clips.labels[test]) - set(clips.labels[train])
    if untaught:
        said.append(f"No training clip shows {few([clips.class_names[c] for c in sorted(untaught)])}.")
    return Split(
        name, np.flatnonzero(train), np.flatnonzero(test), person_disjoint=shared == set(), note=" ".join(said)
    )


def check_training_classes(clips: ClipTable, split: Split) -> None:
    """Refuse a split on whose training clips no classifier can be trained.

    Classes that only test clips show are no error: they count as missed, and the split's note names them.

    Raises:
        PiumrError: if its training clips are all of one class.
    """
    taught = np.unique(clips.labels[split.train])
    if len(taught) < 2:
        raise PiumrError(
            f"Expected training clips of at least two classes in split {split.name!r}, but got only "
            f"{clips.class_names[taught[0]]!r}: choose another --fold or --protocol, or label more clips."
        )


def known_persons(clips: ClipTable) -> np.ndarray:
    """The person of each clip, texts (N,).

    Raises:
        PiumrError: if persons are not known, or there is only one.
    """
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


def file_order(clips: ClipTable) -> np.ndarray:
    """Indices of the clips in the order of their file names, whatever folders they lie in."""
    keys = [(PurePosixPath(name).name, name) for name in clips.names]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__))


def few(names: Sequence[str], limit: int = 5) -> str:
    """Some names in a message, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
