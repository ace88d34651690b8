"""MA-52's protocols on its real list files: no video is needed for them."""

from dataclasses import replace

import numpy as np
import pytest

from piumr.data.clips import SkeletonSet
from piumr.data.declaration import load_declaration
from piumr.data.folds import checksum
from piumr.data.labels import class_indices, find_labels, persons_of
from piumr.data.protocols import make_splits
from piumr.errors import PiumrError
from piumr.layouts import get_layout


@pytest.fixture(scope="module")
def declaration():
    return load_declaration("ma52")


@pytest.fixture(scope="module")
def clips(declaration, shared_data, tmp_path_factory):
    folder = shared_data / "ma52_annotations"
    if not folder.is_dir():
        pytest.skip("the list files of MA-52 are not present")
    lists = declaration.format.lists
    names = [line.split(".")[0] for file in lists.values() for line in (folder / file).read_text().splitlines()]
    labels = find_labels(declaration, names, lists, folder, tmp_path_factory.mktemp("poses"), None)
    indices, class_names = class_indices([label.text for label in labels.values()], declaration.class_names)
    n, layout = len(labels), get_layout("mediapipe-33")
    return SkeletonSet(
        points=np.zeros((n, 33, 2), dtype=np.float32),
        valid=np.zeros((n, 33), dtype=bool),
        offsets=np.arange(n + 1),
        labels=np.array(indices),
        names=tuple(labels),
        persons=persons_of(declaration, labels),
        splits=tuple(label.split for label in labels.values()),
        class_names=class_names,
        layout=layout,
    )


def test_the_declaration_has_the_52_classes_of_the_label_file(declaration, shared_data):
    lines = (shared_data / "ma52_annotations" / "label_name.txt").read_text().splitlines()
    assert list(declaration.class_names) == [line.split("\t")[1].strip() for line in lines]
    sizes = np.bincount(declaration.coarse)
    assert dict(zip(declaration.coarse_names, sizes.tolist(), strict=True)) == {
        "body": 5,
        "head": 6,
        "upper limb": 13,
        "lower limb": 8,
        "body-hand": 6,
        "head-hand": 10,
        "leg-hand": 4,
    }


def test_the_coarse_class_is_field_2_of_the_names(clips, declaration):
    """Independent of our table: the set's authors put the body class into the names."""
    field = np.array([int(name.split("_")[1]) for name in clips.names])
    np.testing.assert_array_equal(np.array(declaration.coarse)[clips.labels], field)


def test_counts(clips):
    assert len(clips) == 16_836
    assert len(set(clips.persons)) == 186
    assert set(clips.labels) == set(range(52))


def test_official_split_shares_its_persons(clips, declaration):
    (split,) = make_splits(clips, declaration.protocols, "official")
    assert (len(split.train), len(split.test)) == (11_250, 5_586)
    assert not split.person_disjoint
    assert split.note == "186 of 186 test persons are also in training."


def test_folds_are_the_published_ones_and_a_changed_list_is_told(clips, declaration):
    for name in ("person-disjoint", "person-shared"):
        published = declaration.protocols[name]
        assert published.clips == len(clips)
        assert checksum(clips, published.assign(clips)) == published.checksum
        relabelled = np.array(clips.labels)
        relabelled[:500] = 0
        with pytest.raises(PiumrError, match="published folds of these 16836 clips"):
            published.split(replace(clips, labels=relabelled))


def test_clips_that_were_not_extracted_change_nobodys_folds(clips, declaration):
    here = np.flatnonzero(np.random.default_rng(0).random(len(clips)) < 0.99)
    lost = np.setdiff1d(np.arange(len(clips)), here)
    mine = replace(clips.table.subset(here), missing=clips.table.subset(lost))
    for name in ("person-disjoint", "person-shared"):
        whole = make_splits(clips, declaration.protocols, name)
        for split, theirs in zip(make_splits(mine, declaration.protocols, name), whole, strict=True):
            assert set(here[split.test]) == set(theirs.test) - set(lost)
            assert f"{len(lost)} of 16836 listed clips are not here." in split.note


def test_person_disjoint_and_its_control(clips, declaration):
    splits = make_splits(clips, declaration.protocols, declaration.protocol)
    control = make_splits(clips, declaration.protocols, "person-shared")
    assert len(splits) == len(control) == 5
    assert sum(len(split.test) for split in splits) == 16_836
    for split, shared in zip(splits, control, strict=True):
        assert split.person_disjoint
        assert not {clips.persons[i] for i in split.train} & {clips.persons[i] for i in split.test}
        assert set(clips.labels[split.train]) == set(range(52))
        assert set(clips.labels[split.test]) == set(range(52))  # no class that a test fold lacks, so nothing to name
        assert split.note == ""
        assert not shared.person_disjoint
        np.testing.assert_array_equal(
            np.bincount(clips.labels[split.test], minlength=52), np.bincount(clips.labels[shared.test], minlength=52)
        )
