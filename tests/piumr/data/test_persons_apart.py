"""For every protocol of every declaration: persons are apart or it says so; and no name reaches what a model gets."""

import shutil
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from piumr.data.augment import Augmentation
from piumr.data.batches import ClipBatches
from piumr.data.clips import SkeletonSet
from piumr.data.declaration import load_declaration, shipped_datasets
from piumr.data.folds import PersonFolds, SharedFolds
from piumr.data.formats import PoseCache, read_set
from piumr.data.protocols import All, Attribute, Listed, Persons, Random, make_splits
from piumr.data.store import ClipStore
from piumr.errors import PiumrError
from piumr.layouts import get_layout

FOLDERS = {"utd_mhad": "skeletons/utd_mhad", "msr_action3d": "skeletons", "ui_prmd": "skeletons"}
"""Where the shared folder has a set's files, other than ``skeletons``."""

CASES = [(name, protocol) for name in shipped_datasets() for protocol in load_declaration(name).protocols]


def stand_in(declaration):
    """A set as the declaration says, every person with every list, value and class: only a protocol sets them apart."""
    kinds = [plain(kind) for kind in declaration.protocols.values()]
    persons = {p for kind in kinds if isinstance(kind, Persons) for p in kind.train + kind.test}
    persons |= {str(i) for i in range(7)} if not persons else set()
    lists = {name for kind in kinds if isinstance(kind, Listed) for name in kind.train + kind.test} or {""}
    values = {v for kind in kinds if isinstance(kind, Attribute) for v in kind.train + kind.test} or {""}
    classes = declaration.class_names or ("a", "b")
    rows = list(product(sorted(persons), sorted(lists), sorted(values), range(min(len(classes), 6))))
    layout = declaration.layout or get_layout("mediapipe-33")
    points = np.random.default_rng(0).normal(size=(len(rows), len(layout), 2)).astype(np.float32)
    columns = {kind.column: tuple(row[2] for row in rows) for kind in kinds if isinstance(kind, Attribute)}
    return SkeletonSet(
        points=points,
        valid=np.ones(points.shape[:2], dtype=bool),
        offsets=np.arange(len(rows) + 1),
        labels=np.array([row[3] for row in rows]),
        names=tuple(f"{i}/{'_'.join(row[:3])}" for i, row in enumerate(rows)),
        persons=tuple(row[0] for row in rows),
        splits=tuple(row[1] for row in rows) if lists != {""} else None,
        class_names=tuple(classes),
        layout=layout,
        columns=columns,
    )


def plain(kind):
    """The kind without what only the real files satisfy: a pattern on their names, the checksum of their folds."""
    if isinstance(kind, Attribute):
        return replace(kind, pattern="", column=kind.column or "value")
    return replace(kind, clips=0, checksum="") if isinstance(kind, PersonFolds) else kind


@pytest.fixture(scope="module")
def real_set(request):
    """The real files of a declared set, read once; None where they are not here."""
    read = {}

    def get(name):
        if name not in read:
            declaration = load_declaration(name)
            folder = None
            if name == "synthetic":
                declaration = replace(declaration, format=replace(declaration.format, takes=1))
            else:
                folder = request.getfixturevalue("shared_data") / FOLDERS.get(name, "skeletons")
            try:
                read[name] = None if isinstance(declaration.format, PoseCache) else read_set(declaration, folder)
            except PiumrError:
                read[name] = None
        if read[name] is None:
            pytest.skip(f"the files of {name} are not here")
        return read[name]

    return get


def check(clips, splits):
    for split in splits:
        assert len(split.train)
        assert len(split.test)
        train, test = ({clips.persons[i] for i in side} for side in (split.train, split.test))
        assert split.person_disjoint == (not train & test)
        assert split.person_disjoint or "are also in training" in split.note or "wiring" in split.note
        if not split.note.startswith("The test clips are the training clips"):
            assert not set(split.train) & set(split.test)


@pytest.mark.parametrize(("name", "protocol"), CASES)
def test_no_person_is_on_both_sides_or_it_says_so(name, protocol):
    declaration = load_declaration(name)
    clips = stand_in(declaration)
    check(clips, make_splits(clips, {protocol: plain(declaration.protocols[protocol])}, protocol))


@pytest.mark.parametrize(("name", "protocol"), CASES)
def test_the_same_on_real_files(name, protocol, real_set):
    clips = real_set(name)
    if clips.persons is None:
        pytest.skip(f"{name} does not tell persons")
    check(clips, make_splits(clips, load_declaration(name).protocols, protocol))


@pytest.mark.parametrize("name", shipped_datasets())
def test_no_default_protocol_mixes_persons(name):
    declaration = load_declaration(name)
    assert not isinstance(declaration.protocols[declaration.protocol], SharedFolds | Random | All)


@pytest.mark.parametrize("name", shipped_datasets())
def test_neither_names_nor_persons_nor_lists_reach_the_input(name):
    """All that is said about a clip but its label is exchanged for nonsense, and every batch stays as it was."""
    clips = stand_in(load_declaration(name))
    clips = clips.subset(range(min(len(clips), 40)))
    rng = np.random.default_rng(1)
    order = rng.permutation(len(clips))
    nonsense = replace(
        clips,
        names=tuple(clips.names[i] for i in order),
        persons=tuple(f"q{i % 3}" for i in order),
        splits=None,
        columns={},
    )
    for a, b in zip(batches(clips), batches(nonsense), strict=True):
        assert a.persons is b.persons is None  # only rivals that are given persons get them
        for field in ("points", "valid", "labels"):
            assert torch.equal(getattr(a, field), getattr(b, field)), field


def batches(clips):
    """Two epochs of training batches, and the whole clips of validation, as the training step gets them."""
    store = ClipStore.pack(clips, 8)
    everything = np.arange(len(clips))
    data = ClipBatches(store, everything, everything, batch_size=16, augmentation=Augmentation(), seed=3)
    found = [data.training_batch(indices) for _ in range(2) for indices in data.train_dataloader()]
    return [*found, data.validation]


def test_names_of_files_reach_no_tensor(tmp_path, write_cache):
    """The same caches under telling and under meaningless names, labelled by a file."""
    telling, blank = tmp_path / "telling", tmp_path / "blank"
    lines = {telling: ["clip,label,person"], blank: ["clip,label,person"]}
    for i in range(8):
        names = {telling: f"000{i % 4}_0{i % 2}_000{i}", blank: f"{(i * 3) % 8}"}
        write_cache(telling / f"{names[telling]}.npz", frames=5 + i)
        blank.mkdir(exist_ok=True)
        shutil.copy(telling / f"{names[telling]}.npz", blank / f"{names[blank]}.npz")
        for folder, name in names.items():
            lines[folder].append(f"{name},{i % 2},{i % 4}")
    sets = {}
    for folder in lines:
        (folder / "labels.csv").write_text("\n".join(lines[folder]))
        clips = read_set(
            replace(load_declaration("ma52"), layout=get_layout("mediapipe-33"), person=None), poses=folder
        )
        sets[folder] = clips.subset(np.argsort(np.diff(clips.offsets)))  # their lengths tell them apart
    for a, b in zip(batches(sets[telling]), batches(sets[blank]), strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a[:3], b[:3], strict=True))
