"""The set is worth its name: time matters, a single frame does not suffice, and an unknown person is harder."""

import runpy
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

from piumr.data.declaration import load_declaration
from piumr.data.protocols import make_splits
from piumr.synthetic import synthetic_set

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "synthetic_persons.py"


@pytest.fixture(scope="module")
def scores():
    """The benchmark's probe on half of the set: 9 persons instead of 18."""
    probe = runpy.run_path(str(BENCHMARK))["probe"]
    declaration = load_declaration("synthetic")
    clips = synthetic_set(persons=9, takes=declaration.format.takes, seed=declaration.format.seed)
    unseen = make_splits(clips, declaration.protocols, "person-folds")[0]
    seen = make_splits(clips, declaration.protocols, "seen-persons")[0]
    return {"unseen": probe(clips, unseen, trees=40), "seen": probe(clips, seen, trees=40)}


@pytest.mark.parametrize("persons", ["unseen", "seen"])
def test_the_order_of_time_matters(scores, persons):
    assert scores[persons]["ordered"] > scores[persons]["shuffled"] + 0.04


@pytest.mark.parametrize("persons", ["unseen", "seen"])
def test_a_single_frame_does_not_suffice(scores, persons):
    assert scores[persons]["ordered"] > scores[persons]["single frame"] + 0.12


def test_unknown_persons_are_harder(scores):
    assert scores["seen"]["ordered"] > scores["unseen"]["ordered"] + 0.08


def test_it_can_be_learnt(scores):
    assert scores["seen"]["ordered"] > 0.5
