import logging
from dataclasses import replace

import numpy as np
import pytest

from piumr.data.folds import PersonFolds, SharedFolds, checksum
from piumr.data.protocols import GENERIC, KINDS, All, Attribute, Listed, Persons, Random, make_splits
from piumr.data.splits import check_training_classes
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
        (
            {},
            Persons(("p9",), ("p0",)),
            "names the persons p9, while the clips have p0, p1, .*; use another --protocol",
        ),
        ({}, Listed(("train",), ("val",)), "read without lists"),
        ({"splits": ("train",) * 72}, Listed(("train",), ("val",)), "no test clip: it names the lists val"),
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
    assert set(KINDS) == {"listed", "persons", "attribute", "person-folds", "shared-folds", "random", "all"}
    assert all(protocol.split(make_set()) for protocol in GENERIC.values())


def test_an_attribute_in_names_splits_and_says_that_persons_are_shared(make_set):
    """Cross-view: the same persons in front of other cameras."""
    clips = make_set(takes=3)  # names end in the take
    (split,) = Attribute(("0", "1"), ("2",), pattern=r"_t(?P<value>\d)$").split(clips)
    assert {clips.names[i][-1] for i in split.train} == {"0", "1"}
    assert {clips.names[i][-1] for i in split.test} == {"2"}
    assert not split.person_disjoint
    assert split.note == "6 of 6 test persons are also in training."


def test_adults_to_children_by_a_column_is_person_disjoint(make_set, caplog):
    clips = make_set()
    ages = {"p0": "child", "p3": "child", "p5": "unknown"}
    clips = replace(clips, columns={"age": tuple(ages.get(person, "adult") for person in clips.persons)})
    (split,) = Attribute(("adult",), ("child", "infant"), column="age").split(clips)
    assert persons_of(clips, split.train) == {"p1", "p2", "p4"}
    assert persons_of(clips, split.test) == {"p0", "p3"}
    assert split.person_disjoint
    assert "Values of the protocol without a clip here: infant" in caplog.text
    assert "neither trains nor tests on: unknown" in caplog.text


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        (Attribute(("a",), ("b",), column="view"), "column `view`.*have none.*clip,label,view"),
        (Attribute(("a",), ("b",), pattern=r"_v(?P<value>\d)"), r"clip name 'p\d_c\d_t\d' to match"),
        (Attribute(("0",), ("9",), pattern=r"_t(?P<value>\d)"), "no test clip"),
    ],
)
def test_an_attribute_that_clips_lack_is_refused(make_set, protocol, message):
    with pytest.raises(PiumrError, match=message):
        protocol.split(make_set())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "exactly one of `column` and `pattern`"),
        ({"column": "a", "pattern": "(?P<value>.)"}, "exactly one"),
        ({"pattern": "("}, "regular expression"),
        ({"pattern": "(?P<person>.)"}, r"group \(\?P<value>"),
        ({"column": "a", "test": ("1", "3")}, "1 in both"),
    ],
)
def test_wrong_attributes_are_refused(keys, message):
    with pytest.raises(PiumrError, match=message):
        Attribute(**{"train": ("1", "2"), "test": ("3",), **keys})


def test_another_number_of_folds_by_name(make_set):
    assert len(make_splits(make_set(), GENERIC, "person-folds=3")) == 3
    assert len(make_splits(make_set(), GENERIC, "shared-folds=2")) == 2
    for name in ("person-folds=1", "person-folds=", "person-folds=x", "random=3", "person-folds=99999"):
        with pytest.raises(PiumrError, match="at least 2 folds"):
            make_splits(make_set(), GENERIC, name)


def test_the_folder_of_a_clip_changes_no_fold(make_set):
    clips = make_set()
    moved = replace(clips, names=tuple(f"{'ba'[i % 2]}/{name}" for i, name in enumerate(clips.names)))
    for protocol in (PersonFolds(3), SharedFolds(3)):
        np.testing.assert_array_equal(protocol.assign(clips), protocol.assign(moved))


@pytest.mark.parametrize("kind", [PersonFolds, SharedFolds])
def test_a_clip_that_is_not_here_changes_no_fold(make_set, kind):
    clips = make_set(count=9)
    here, lost = clips.subset(np.arange(10, len(clips))), clips.subset(np.arange(10)).table
    expected = kind(3).split(clips)
    splits = kind(3).split(replace(here, missing=lost))
    for mine, theirs in zip(splits, expected, strict=True):
        assert {here.names[i] for i in mine.test} == {clips.names[i] for i in theirs.test if i >= 10}
        assert "10 of 108 listed clips are not here." in mine.note


def test_few_clips_of_a_list_get_folds_of_their_own(make_set):
    clips = make_set(count=9)
    mine = np.array([person in ("p0", "p1") for person in clips.persons])
    here = replace(clips.subset(np.flatnonzero(mine)), missing=clips.subset(np.flatnonzero(~mine)).table)
    assert [split.name for split in PersonFolds(3).split(here)] == ["person p0", "person p1"]


def test_published_folds_are_held_against_their_checksum(make_set):
    clips = make_set()
    digest = checksum(clips, PersonFolds(3).assign(clips))
    renamed = replace(clips, names=tuple(name.replace("p", "x") for name in clips.names))
    assert checksum(renamed, PersonFolds(3).assign(renamed)) == digest  # of the assignment, not of the names
    published = PersonFolds(3, len(clips), digest)
    assert all(split.note == "" for split in published.split(clips))
    with pytest.raises(PiumrError, match="published folds of these 72 clips"):
        PersonFolds(3, len(clips), "0" * 64).split(clips)
    with pytest.raises(PiumrError, match="published folds"):
        published.split(replace(clips, labels=np.roll(clips.labels, 1)))
    (split, *_) = published.split(clips.subset(np.arange(70)))
    assert "folds of 70 clips, not the published ones of 72" in split.note
    with pytest.raises(PiumrError, match="`clips` and `checksum` together"):
        PersonFolds(3, 72)


def test_classes_that_a_side_lacks_are_named(make_set):
    """Only p0 and p1 show class 2: with three folds, one test fold at least lacks it."""
    clips = make_set()
    keep = [i for i in range(len(clips)) if clips.labels[i] != 2 or clips.persons[i] in ("p0", "p1")]
    clips = clips.subset(keep)
    splits = PersonFolds(3).split(clips)
    lacking = [str(k + 1) for k, split in enumerate(splits) if 2 not in clips.labels[split.test]]
    assert lacking
    for split in splits:
        assert f"Classes without a clip in some test fold: class 2 ({', '.join(lacking)})." in split.note
    only_p0 = clips.subset([i for i in range(len(clips)) if clips.labels[i] != 2 or clips.persons[i] == "p0"])
    notes = {split.name: split.note for split in PersonFolds("all").split(only_p0)}
    assert notes.pop("person p0") == "No training clip shows class 2."
    assert not any(notes.values())


def test_a_training_side_of_one_class_is_refused(make_set):
    clips = make_set()
    lone = clips.subset([i for i in range(len(clips)) if clips.labels[i] == 1 or clips.persons[i] == "p0"])
    splits = {split.name: split for split in PersonFolds("all").split(lone)}
    with pytest.raises(PiumrError, match=r"two classes in split 'person p0', but got only 'class 1': .*--fold"):
        check_training_classes(lone, splits["person p0"])
    check_training_classes(lone, splits["person p1"])
