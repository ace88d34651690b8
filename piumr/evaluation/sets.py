"""The clips that a run is evaluated on: brought to its layout, its classes found by name, its persons compared."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from piumr.data.cache import load_packed
from piumr.data.clips import ClipTable, SkeletonSet
from piumr.data.declaration import Declaration
from piumr.data.protocols import make_splits
from piumr.data.source import DataConfig, coordinates, load_set
from piumr.data.splits import Split, few, split_clips
from piumr.data.store import ClipStore
from piumr.errors import PiumrError
from piumr.evaluation.runs import NAMES_THE_SET, TrainedRun
from piumr.inference.model_card import ModelCard
from piumr.layouts import Layout
from piumr.layouts.mapping import find_mapping

SHARED = 0.5
"""Share of a run's clips, by name, that make a set the one it was trained on."""


@dataclass(frozen=True, eq=False)
class TestSet:
    """A set as a model takes it.

    Attributes:
        declaration: what is known about it.
        table: its clips.
        store: the same, in the model's layout and number of frames.
        note: what the model misses of it; empty if nothing.
    """

    __test__ = False  # no test case, whatever pytest makes of the name

    declaration: Declaration
    table: ClipTable
    store: ClipStore
    note: str = ""


@dataclass(frozen=True, eq=False)
class Chosen:
    """The clips of a set that a run is tested on.

    Attributes:
        split: what it was trained and what it is tested on.
        protocol: name of the protocol.
        splits: how many splits the protocol has.
        own: the set is the one that the run was trained on.
        notes: sentences.
    """

    split: Split
    protocol: str
    splits: int
    own: bool
    notes: tuple[str, ...]


def load_for(card: ModelCard, config: DataConfig) -> TestSet:
    """Read a set for a model; joints of another layout are found by name.

    Raises:
        PiumrError: if the set is wrong, has other coordinates, or too few of the model's joints.
    """
    declaration, table, store = load_packed(config, card.frames)
    if store.dimensions != card.dimensions:
        raise PiumrError(
            f"Expected a set in {card.coordinates} coordinates, which the model was trained on, but "
            f"{declaration.name} has {coordinates(store.dimensions)} ones."
        )
    if store.layout.joints == card.layout.joints:
        return TestSet(declaration, table, store)
    clips = load_set(config)[1]
    mapped, note = to_layout(clips, card.layout)
    return TestSet(declaration, table, ClipStore.pack(mapped, card.frames), note)


def to_layout(clips: SkeletonSet, layout: Layout) -> tuple[SkeletonSet, str]:
    """A set in another layout, and a note on the joints that it lacks.

    Raises:
        PiumrError: if too few of the joints have a counterpart.
    """
    mapping = find_mapping(clips.layout.joints, layout)
    if mapping is None:
        raise PiumrError(
            f"Expected skeletons whose joints correspond to those of {layout.name} ({len(layout)} joints), which the "
            f"model was trained on, but got {clips.layout.name} ({len(clips.layout)} joints)."
        )
    points, valid = mapping(clips.points, clips.valid)
    lacking = [joint for joint, sources in zip(layout.joints, mapping.sources, strict=True) if not sources]
    note = f"{len(lacking)} of the model's {len(layout)} joints are not in the set: {few(lacking)}." if lacking else ""
    return replace(clips, points=points, valid=valid, layout=layout), note


def choose_clips(run: TrainedRun, declaration: Declaration, table: ClipTable, given: Mapping[str, Any]) -> Chosen:
    """Which clips of a set test a run: those of its own protocol and fold, or of the protocol that the user names.

    Of another set, or a part of its own without any clip that it was trained on, all clips do, if no protocol is named.

    Args:
        run: the run.
        declaration: what is known about the set.
        table: its clips.
        given: options of :class:`DataConfig` that the user gave.

    Raises:
        PiumrError: if the set has no such protocol, or the protocol no such split.
    """
    own = is_own(run, table) or not set(NAMES_THE_SET) & set(given)
    trained = run.data if own else None
    apart = own and run.trained is not None and not len(_named(run.trained | run.inherited, table))
    if (apart or not own) and not {"protocol", "fold"} & set(given):
        everything = np.arange(len(table))
        split = Split("all clips", np.array([], dtype=np.int64), everything, person_disjoint=False)
        return Chosen(split, "all clips", 1, own, (_none_seen(run) if own else _of_another_set(run, declaration),))
    protocol = given.get("protocol") or (trained.protocol if trained else "") or declaration.protocol
    name = protocol or ("random" if table.persons is None else "person-folds")
    splits = make_splits(table, declaration.protocols, protocol)
    same = trained is not None and protocol == (trained.protocol or declaration.protocol)
    fold = given.get("fold", trained.fold if same and trained else 1)
    if not 1 <= fold <= len(splits):
        raise PiumrError(f"Expected `fold` to lie in 1..{len(splits)}, but got {fold}.")
    split = splits[fold - 1]
    if trained is None:
        split = replace(split, train=np.array([], dtype=np.int64), person_disjoint=False, note="")
        return Chosen(split, name, len(splits), own, (_of_another_set(run, declaration),))
    seen, changed = _learned(run, trained, declaration, table), _changed(run, declaration, table)
    notes = [note for note in (declaration.person.note if declaration.person else "", changed) if note]
    if same and fold == trained.fold and not run.inherited and not changed:
        return Chosen(split, name, len(splits), own, (*notes, split.note))
    if not len(seen):
        split = replace(split, train=seen, person_disjoint=False, note=_none_seen(run))
        return Chosen(split, name, len(splits), own, (*notes, split.note))
    compared = taught_before(table, split, seen, run.name)
    return Chosen(compared, name, len(splits), own, (*notes, compared.note))


def clips_seen(run: TrainedRun, declaration: Declaration, table: ClipTable) -> np.ndarray:
    """The clips of a set that a run was trained on, or a run that it started from: int64 indices, ascending.

    By what the run recorded; of a run that recorded nothing by its protocol, and where the set no longer has that, all
    clips that did not test it.
    """
    if run.data is None or not is_own(run, table):
        return _named(run.inherited, table)
    return _learned(run, run.data, declaration, table)


def _learned(run: TrainedRun, data: DataConfig, declaration: Declaration, table: ClipTable) -> np.ndarray:
    """The same of a set that is known to be the run's own."""
    if run.trained is not None:
        return _named(run.trained | run.inherited, table)
    try:
        train = _trained(data, declaration, table)
    except PiumrError:
        train = np.flatnonzero([name not in run.tested for name in table.names])
    return np.union1d(train, _named(run.inherited, table))


def _changed(run: TrainedRun, declaration: Declaration, table: ClipTable) -> str:
    """A sentence where a run's protocol no longer gives the clips that it was trained on; else an empty one."""
    assert run.data is not None
    try:
        train = _trained(run.data, declaration, table)
    except PiumrError:
        if run.trained is None:
            raise
        train = np.array([], dtype=np.int64)
    before = run.card.summary.get("train_clips")
    if run.trained is not None:
        if {table.names[index] for index in train} == run.trained:
            return ""
        there = len(_named(run.trained, table))
        return (
            f"The set, its persons or its protocol have changed since {run.name} was trained: of its "
            f"{len(run.trained)} training clips {there} are there by name, and what is said of it goes by those."
        )
    if before is None or len(train) == before:
        return ""
    return (
        f"The set has changed since {run.name} was trained: {len(train)} training clips now, {before} then. Which "
        "clips it has seen is not certain."
    )


def taught_before(table: ClipTable, split: Split, seen: np.ndarray, run: str) -> Split:
    """A split with what it measures of a network that has seen the clips ``seen``.

    Args:
        table: the set.
        split: its test clips are those that count.
        seen: indices of the clips that the network was trained on.
        run: what the network is called in the note.
    """
    compared = split_clips(table, split.name, _mask(table, seen), _mask(table, split.test))
    known = np.intersect1d(seen, split.test)
    if not len(known):
        return compared
    note = f"{len(known)} of {len(split.test)} test clips trained {run}: its figures say little about new clips."
    return replace(compared, note=f"{note} {compared.note}".rstrip())


def _trained(data: DataConfig, declaration: Declaration, table: ClipTable) -> np.ndarray:
    """Indices of the clips that train by a run's protocol and fold."""
    splits = make_splits(table, declaration.protocols, data.protocol or declaration.protocol)
    return splits[min(data.fold, len(splits)) - 1].train


def _named(names: frozenset[str], table: ClipTable) -> np.ndarray:
    """Indices of the clips of these names.

    A clip whose folder has changed is still found, by the last part of its name, where that is one clip's in the set
    and one clip's of those asked for.
    """
    lasts, wanted = Counter(map(_last, table.names)), Counter(map(_last, names))
    alone = {last for last, count in wanted.items() if count == 1 and lasts[last] == 1}
    return np.flatnonzero([name in names or _last(name) in alone for name in table.names])


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def is_own(run: TrainedRun, table: ClipTable) -> bool:
    """Whether a set is the one that the run was trained on, or a part of it.

    Most of the run's clips are in it by name, or clips have names of their own and all are the run's, or most of those
    that it was tested on are in it.
    """
    shared = len(_named(run.known, table))
    if _most(shared, run.known) or any(_NUMBERED.fullmatch(name) for name in table.names):
        return _most(shared, run.known)
    return shared == len(table) or _most(len(_named(run.tested, table)), run.tested)


def _most(count: int, names: frozenset[str]) -> bool:
    return count > 0 and count >= SHARED * len(names)


_NUMBERED = re.compile(r"clip \d+")
"""Names that clips of any container without names have."""


def match_classes(card: ModelCard, table: ClipTable, test: np.ndarray) -> tuple[ClipTable, list[int], str]:
    """The tested clips with the classes that model and set share.

    Names match as they are, else without regard to case, hyphens and underscores.

    Args:
        card: of the model; its coarse classes count where the set has none.
        table: the set.
        test: indices of the test clips.

    Returns:
        The tested clips, with the shared classes in the set's order and the coarse classes of these; where each of
        them is among the model's; and a sentence where the two do not have the same classes, else an empty one.

    Raises:
        PiumrError: if a test clip is of a class that the model does not know, or fewer than two classes are shared.
    """
    known = card.class_names
    places = {name: i for i, name in enumerate(known)}
    loosely = {_plain(name): i for i, name in enumerate(known)}
    found = [places.get(name, loosely.get(_plain(name))) for name in table.class_names]
    tested = np.bincount(table.labels[test], minlength=len(found))
    unknown = [name for name, place, clips in zip(table.class_names, found, tested, strict=True)
               if place is None and clips]  # fmt: skip
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, 1) or [known[0]]
        raise PiumrError(
            f"Expected the set's classes to be among the model's {len(known)}, by name, but {len(unknown)} are not: "
            f"{few(unknown)} (a class of the model is {near[0]!r}); rename them, or leave their clips out of the "
            "labels (--labels)."
        )
    kept = [i for i, place in enumerate(found) if place is not None]
    columns = [place for place in found if place is not None]
    if len(set(columns)) < 2 or len(set(columns)) < len(columns):
        raise PiumrError(
            f"Expected a set with at least two different classes of the model, but got {len(set(columns))} for "
            f"{few([table.class_names[i] for i in kept])}."
        )
    coarse = table.coarse or (card.coarse and tuple(card.coarse[place or 0] for place in found))
    coarse_names = table.coarse_names or card.coarse_names
    # a coarse class of none of the classes cannot occur, and its F1 would count as 0
    numbers = sorted({coarse[i] for i in kept}) if coarse else []
    lookup = np.zeros(len(found), dtype=np.int64)
    lookup[kept] = np.arange(len(kept))
    clips = table.subset(test)
    clips = replace(
        clips,
        labels=lookup[clips.labels],
        class_names=tuple(table.class_names[i] for i in kept),
        coarse=coarse and tuple(numbers.index(coarse[i]) for i in kept),
        coarse_names=coarse_names and tuple(coarse_names[number] for number in numbers),
    )
    if len(kept) == len(known):
        return clips, columns, ""
    return clips, columns, f"The model knows {len(known)} classes; here it chooses among the {len(kept)} of the set."


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _mask(table: ClipTable, indices: np.ndarray) -> np.ndarray:
    mask = np.zeros(len(table), dtype=bool)
    mask[indices] = True
    return mask


def _none_seen(run: TrainedRun) -> str:
    return f"None of the clips that {run.name} was trained on is in the set: which persons it knows is not certain."


def _of_another_set(run: TrainedRun, declaration: Declaration) -> str:
    trained = run.card.summary.get("dataset", "another set")
    return (
        f"{run.name} was trained on {trained} and is tested on {declaration.name}: persons of two sets are taken to be "
        "different, which no name can prove."
    )
