import numpy as np
import pytest
import torch
from independence.experiments import Experiment
from independence.results import Key
from independence.tasks import TASKS, inner_splits, load_task
from independence.training import FLOOR, Job, run, train_one

from piumr.data.clips import ClipTable
from piumr.data.declaration import load_declaration
from piumr.data.folds import PersonFolds
from piumr.errors import PiumrError


@pytest.fixture(scope="module")
def skeletons(shared_data):
    return shared_data / "skeletons"


def test_inner_folds_stay_inside_the_training_persons():
    people = tuple(person for person in "abcdefg" for _ in range(4))
    clips = ClipTable(
        labels=np.arange(28) % 2,
        names=tuple(f"{person}{i}" for i, person in enumerate(people)),
        persons=people,
        splits=None,
        class_names=("nod", "wave"),
    )
    train = PersonFolds(2).split(clips)[0].train
    persons = np.array(people)
    splits = inner_splits(clips, train)
    assert len(splits) == min(4, len(set(persons[train])))
    for split in splits:
        assert set(split.train) | set(split.test) == set(train)
        assert not set(persons[split.train]) & set(persons[split.test])


def test_msr_has_the_557_clips_of_the_literature(skeletons):
    split = load_task("msr", skeletons).splits[0]
    assert (len(split.train), len(split.test)) == (284, 273)


def test_prmd_is_scored_within_the_known_movement(skeletons):
    data = load_task("prmd", skeletons)
    assert data.store.num_classes == 20
    assert len(data.splits) == 5
    correct = np.array(data.clips.columns["correct"]).astype(int)
    np.testing.assert_array_equal(data.clips.labels % 2, correct)
    np.testing.assert_array_equal(data.store.labels.numpy(), data.clips.labels)
    indices = data.splits[0].test
    logits = torch.randn(len(indices), 20)
    predicted, margin = data.decide(logits, indices)
    labels = torch.from_numpy(data.clips.labels[indices])
    assert torch.equal(predicted // 2, labels // 2)
    pair = logits.view(-1, 10, 2)[torch.arange(len(indices)), labels // 2]
    assert torch.equal(predicted % 2, pair.argmax(1))
    sign = 2 * (labels % 2) - 1  # the margin of two classes is the difference of their probabilities
    torch.testing.assert_close(margin, sign * (pair.softmax(1)[:, 1] - pair.softmax(1)[:, 0]))


def test_the_second_protocol_of_a_set_tunes_nothing(skeletons):
    with pytest.raises(PiumrError, match="choose nothing"):
        load_task("utd-loso", skeletons, inner=True)
    with pytest.raises(PiumrError, match="--data"):
        load_task("utd", None)


def test_populations_are_other_persons_than_those_of_the_results():
    populations = [name for name, task in TASKS.items() if task.development]
    assert populations == ["population-1", "population-2", "population-3"]
    declared = [load_declaration(TASKS[name].dataset) for name in populations]
    seeds = [declaration.format.seed for declaration in (*declared, load_declaration("synthetic"))]
    assert len(set(seeds)) == 4
    for declaration in declared:
        protocol = declaration.protocols["unseen-persons"]
        assert sorted({*protocol.train, *protocol.test}) == [f"{person:03d}" for person in range(30)]
        assert len(protocol.train) == 6
    with pytest.raises(PiumrError, match="choose nothing"):
        load_task("population-1", None, inner=True)


def test_every_task_has_a_budget():
    assert all(task.epochs >= 1 and task.frames >= 2 for task in TASKS.values())


@pytest.mark.slow
def test_a_training_makes_a_whole_row(skeletons):
    short = Experiment("piumr", {"optim.epochs": 2}, fixed={"tfam.norm.": 0.0})
    row = train_one(Job(Key("test", True, "msr", "short", 0, 1), short, skeletons))
    clips = len(load_task("msr", skeletons, inner=True).splits[1].test)
    assert all(len(row[name]) == clips for name in ("predicted", "true", "person", "margin"))
    assert row["accuracy"] == np.mean(np.array(row["predicted"]) == np.array(row["true"]))
    assert row["settings"]["optim.epochs"] == 2
    assert row["settings"]["fixed.tfam.norm."] == 0
    assert row["last"]["epoch"] == 2
    floor = train_one(Job(Key("test", True, "msr", FLOOR, 0, 1), Experiment(FLOOR), skeletons))
    assert floor["accuracy"] > 0.4


def test_a_failed_training_is_told_and_ends_nothing(skeletons):
    wrong = Experiment("piumr", fixed={"nothing": 1.0})
    row = run(Job(Key("test", False, "msr", "wrong", 0, 0), wrong, skeletons))
    assert "'nothing' to fix" in row["error"]
