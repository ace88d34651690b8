import logging
from dataclasses import replace

import numpy as np
import pytest

from piumr.data.protocols import GENERIC, KINDS, All, Listed, PersonFolds, Persons, Random, SharedFolds, make_splits
from piumr.errors import PiumrError


def persons_of(clips, indices):
    return {clips.persons[i] for i in indices}


@pytest.mark.parametrize("protocol", [PersonFolds(3), PersonFolds("all"), Persons(("p0", "p1"), ("p2", "p5"))])
def test_no_person_is_on_both_sides(make_set, protocol):
    clips = make_set()
    for split in protocol.split(clips):
        assert split.person_disjoint
        assert split.note == ""
        assert not persons_of(clips, split.train) & persons_of(clips, split.test)


@pytest.mark.parametrize("protocol", [PersonFolds(3), PersonFolds("all"), SharedFolds(3)])
def test_folds_test_every_clip_once(make_set, protocol):
    clips = make_set()
    splits = protocol.split(clips)
    np.testing.assert_array_equal(np.sort(np.concatenate([s.test for s in splits])), np.arange(len(clips)))
    for split in splits:
        np.testing.assert_array_equal(np.sort(np.concatenate([split.train, split.test])), np.arange(len(clips)))


def test_leave_one_person_out_names_its_person(make_set):
    clips = make_set()
    splits = PersonFolds("all").split(clips)
    assert [split.name for split in splits] == [f"person p{i}" for i in range(6)]
    assert all(persons_of(clips, split.test) == {split.name.split()[1]} for split in splits)


def test_persons_of_any_number_of_digits_are_sorted(make_set):
    clips = make_set(count=3)
    long = "1" * 5000  # more digits than int() takes
    clips = replace(clips, persons=tuple({"p0": "10", "p1": "9", "p2": long}[person] for person in clips.persons))
    assert [split.name for split in PersonFolds("all").split(clips)] == ["person 9", "person 10", f"person {long}"]


def test_shared_folds_have_the_same_sizes_with_persons_mixed(make_set):
    clips = make_set(takes=6)
    for mine, theirs in zip(SharedFolds(3).split(clips), PersonFolds(3).split(clips), strict=True):
        np.testing.assert_array_equal(np.bincount(clips.labels[mine.test]), np.bincount(clips.labels[theirs.test]))
        assert not mine.person_disjoint
        assert "also in training" in mine.note


@pytest.mark.parametrize("protocol", [PersonFolds(3), SharedFolds(3), Random()])
def test_folds_do_not_depend_on_the_order_of_the_clips(make_set, protocol):
    clips = make_set()
    order = np.random.default_rng(1).permutation(len(clips))
    shuffled = clips.subset(order)
    for a, b in zip(protocol.split(clips), protocol.split(shuffled), strict=True):
        assert {clips.names[i] for i in a.test} == {shuffled.names[i] for i in b.test}


def test_fewer_persons_than_folds_gives_one_fold_each(make_set, caplog):
    splits = PersonFolds(5).split(make_set(count=3))
    assert [split.name for split in splits] == ["person p0", "person p1", "person p2"]
    assert "one fold per person" in caplog.text


def test_persons_warn_of_those_absent_and_unused(make_set, caplog):
    Persons(("p0", "p9"), ("p1",)).split(make_set(count=3))
    assert "without a clip here: p9" in caplog.text
    assert "neither trains nor tests on: p2" in caplog.text


def test_listed_follows_the_lists_and_says_that_persons_are_shared(make_set):
    clips = make_set()
    clips = make_set(splits=tuple("train" if i % 3 else "val" for i in range(len(clips))))
    (split,) = Listed(("train",), ("val",)).split(clips)
    assert {clips.splits[i] for i in split.train} == {"train"}
    assert {clips.splits[i] for i in split.test} == {"val"}
    assert not split.person_disjoint
    assert split.note == "6 of 6 test persons are also in training."


def test_random_takes_its_share_of_every_class(make_set):
    clips = make_set(count=5, takes=4)
    (split,) = Random(0.25).split(clips)
    assert np.bincount(clips.labels[split.test]).tolist() == [5, 5, 5, 5]
    assert not split.person_disjoint
    (split,) = Random().split(make_set(persons=None))
    assert "not measured" in split.note
    assert not split.person_disjoint


def test_all_is_said_to_be_a_wiring_check(make_set):
    (split,) = All().split(make_set())
    np.testing.assert_array_equal(split.train, split.test)
    assert not split.person_disjoint
    assert "wiring" in split.note


def test_a_class_with_one_clip_warns_and_fails_only_where_it_must_be_split(make_set, caplog):
    clips = make_set()
    keep = [i for i in range(len(clips)) if clips.labels[i] or clips.names[i] == "p0_c0_t0"]
    clips = clips.subset(keep)
    with caplog.at_level(logging.WARNING):
        for name in ("person-folds", "leave-one-person-out", "shared-folds", "all"):
            make_splits(clips, GENERIC, name)
    assert "single clip, which cannot both train and test: class 0" in caplog.text
    with pytest.raises(PiumrError, match=r"at least 2 clips of every class.*class 0.*protocol all"):
        make_splits(clips, GENERIC, "random")


def test_default_is_by_person_where_persons_are_known(make_set):
    assert make_splits(make_set(), GENERIC, "")[0].person_disjoint
    assert make_splits(make_set(persons=None), GENERIC, "")[0].name == "random"


@pytest.mark.parametrize(
    ("changes", "protocol", "message"),
    [
        ({"persons": None}, PersonFolds(), "add a column `person`"),
        ({"persons": None}, Persons(("a",), ("b",)), "persons are known"),
        ({"count": 1}, PersonFolds(), "at least two persons.*p0"),
        ({"count": 1}, SharedFolds(), "at least two persons"),
        ({}, Persons(("p0",), ("p9",)), "no test clip"),
        ({}, Persons(("p9",), ("p0",)), "no training clip"),
        ({}, Listed(("train",), ("val",)), "read without lists"),
    ],
)
def test_sets_that_cannot_be_split_so_are_refused(make_set, changes, protocol, message):
    with pytest.raises(PiumrError, match=message):
        protocol.split(make_set(**changes))


def test_an_unknown_protocol_is_told_those_there_are(make_set):
    with pytest.raises(PiumrError, match=r"person-folds, shared-folds.*but got 'folds'"):
        make_splits(make_set(), GENERIC, "folds")


@pytest.mark.parametrize("build", [lambda: PersonFolds(1), lambda: SharedFolds(0), lambda: Random(1.0)])
def test_impossible_parameters_are_refused(build):
    with pytest.raises(PiumrError):
        build()


def test_every_kind_splits(make_set):
    assert set(KINDS) == {"listed", "persons", "person-folds", "shared-folds", "random", "all"}
    assert all(protocol.split(make_set()) for protocol in GENERIC.values())
