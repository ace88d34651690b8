"""The set is worth its name: time matters, a single frame does not suffice, and an unknown person is harder."""

import runpy
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from piumr.data.declaration import load_declaration
from piumr.data.protocols import Persons
from piumr.synthetic import synthetic_set

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "synthetic_persons.py"


@pytest.fixture(scope="module")
def benchmark():
    return runpy.run_path(str(BENCHMARK))


@pytest.fixture(scope="module")
def half():
    """Five of the ten persons."""
    takes, seed = load_declaration("synthetic").format.takes, load_declaration("synthetic").format.seed
    return synthetic_set(persons=5, takes=takes, seed=seed)


@pytest.fixture(scope="module")
def splits(benchmark, half):
    return benchmark["paired_splits"](half, Persons(("000", "001", "002"), ("003", "004")))


@pytest.fixture(scope="module")
def scores(benchmark, half, splits):
    return {persons: benchmark["probe"](half, split, trees=40) for persons, split in splits.items()}


def test_the_control_differs_in_the_persons_alone(half, splits):
    unseen, seen = splits["unseen"], splits["seen"]
    assert np.array_equal(unseen.test, seen.test)
    persons = np.array(half.persons)
    assert not set(persons[unseen.train]) & set(persons[unseen.test])
    assert set(persons[seen.test]) <= set(persons[seen.train])
    assert not set(seen.train) & set(seen.test)
    for split in (unseen, seen):
        assert np.bincount(half.labels[split.train]).tolist() == [len(split.train) // 52] * 52
    assert len(unseen.train) == len(seen.train)


def test_the_order_of_time_matters(scores):
    assert scores["unseen"]["ordered"] > scores["unseen"]["shuffled"] + 0.04


def test_a_single_frame_does_not_suffice(scores):
    assert scores["unseen"]["single frame"] < 0.7 * scores["unseen"]["ordered"]
    assert scores["seen"]["single frame"] < scores["seen"]["ordered"] - 0.04


def test_unknown_persons_are_harder(scores):
    assert scores["seen"]["ordered"] > scores["unseen"]["ordered"] + 0.15


def test_it_can_be_learnt(scores):
    assert scores["seen"]["ordered"] > 0.6
