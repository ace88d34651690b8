"""One run, ensembles and folds against what can be computed by hand from the same networks."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from piumr.checkpoint import load_checkpoint
from piumr.data.cache import load_packed
from piumr.data.source import DataConfig
from piumr.errors import PiumrError
from piumr.evaluation import evaluate_runs, load_run
from piumr.evaluation.sets import TestSet


def by_hand(folder, poses, test):
    """Probabilities of a checkpoint on some clips."""
    net, card = load_checkpoint(folder / "checkpoint.pt")
    store = load_packed(DataConfig(poses=poses), card.frames)[2]
    with torch.inference_mode():
        return net(*store.evaluation(test)).logits.softmax(1)


def test_one_run_on_its_own_test_clips(folds, poses):
    found = evaluate_runs([folds["joint", 2]])
    assert set(found.clips.persons) == {"p1"}
    assert len(found.clips) == 12
    torch.testing.assert_close(found.probabilities, by_hand(folds["joint", 2], poses, found.rows), rtol=1e-4, atol=1e-6)
    predicted = found.probabilities.argmax(1)
    figures = found.to_dict()
    assert figures["accuracy"] == pytest.approx(accuracy_score(found.clips.labels, predicted))
    assert figures["person_disjoint"] is True
    assert figures["protocol"] == "leave-one-person-out"
    assert figures["ensemble"] == 1
    assert figures["parameters"] == figures["runs"][0]["parameters"] > 0
    assert figures["latency_ms"] is None  # without a model.onnx
    assert {name: entry["clips"] for name, entry in figures["classes"].items()} == dict.fromkeys(figures["classes"], 4)
    assert sum(figures["calibration"]["clips"]) == 12
    assert found.members[0].run.history == (
        {"epoch": 1, "loss": 1.5, "accuracy": 0.2},
        {"epoch": 2, "loss": 1.25, "accuracy": 0.4},
        {"epoch": 3, "accuracy": 0.5},
    )


def test_runs_on_the_same_clips_are_averaged(folds):
    pair = [folds["joint", 1], folds["motion", 1]]
    together, *alone = (evaluate_runs(runs) for runs in (pair, pair[:1], pair[1:]))
    mean = (alone[0].probabilities + alone[1].probabilities) / 2
    torch.testing.assert_close(together.probabilities, mean)
    assert not torch.equal(alone[0].probabilities, alone[1].probabilities)
    figures = together.to_dict()
    assert figures["ensemble"] == 2
    assert [run["accuracy"] for run in figures["runs"]] == [one.to_dict()["accuracy"] for one in alone]
    assert [run["streams"] for run in figures["runs"]] == [["joint"], ["motion"]]
    assert figures["parameters"] == sum(run["parameters"] for run in figures["runs"])
    assert figures["accuracy"] == pytest.approx(accuracy_score(together.clips.labels, mean.argmax(1)))


def test_runs_on_other_clips_each_are_pooled(folds, poses):
    found = evaluate_runs([folds["joint", fold] for fold in range(1, 5)])
    table = load_packed(DataConfig(poses=poses), 16)[1]
    assert sorted(found.rows) == list(range(48))
    assert found.clips.names == tuple(table.names[i] for i in found.rows)
    assert found.scored.names == tuple(f"person p{i}" for i in range(4))
    predicted = found.probabilities.argmax(1).numpy()
    assert found.to_dict()["macro_f1"] == pytest.approx(
        f1_score(found.clips.labels, predicted, labels=range(3), average="macro", zero_division=0), abs=1e-6
    )
    for fold in range(1, 5):
        rows = np.flatnonzero(np.array(found.clips.persons) == f"p{fold - 1}")
        expected = by_hand(folds["joint", fold], poses, found.rows[rows])
        torch.testing.assert_close(found.probabilities[rows], expected, rtol=1e-4, atol=1e-6)
    assert found.to_dict()["ensemble"] == 1
    assert not any("splits of" in note for note in found.scored.notes)


def test_ensembles_of_folds_are_both(folds):
    found = evaluate_runs(list(folds.values()))
    streams = [evaluate_runs([folds[stream, fold] for fold in range(1, 5)]) for stream in ("joint", "motion")]
    assert [one.rows.tolist() for one in streams] == [found.rows.tolist()] * 2
    torch.testing.assert_close(found.probabilities, (streams[0].probabilities + streams[1].probabilities) / 2)
    assert found.to_dict()["ensemble"] == 2
    assert len(found.scored.names) == 4


def test_some_of_the_folds_are_said_to_be_some(folds):
    found = evaluate_runs([folds["joint", 1], folds["joint", 3]])
    assert "These are 2 of the 4 splits of leave-one-person-out." in found.scored.notes


def test_test_clips_that_overlap_in_part_are_neither(folds, poses, run_maker, tmp_path):
    other = run_maker(tmp_path / "everything", poses, protocol="all")
    with pytest.raises(
        PiumrError, match=r"the same clips.*or on other clips each.*joint1 and .*everything share 12 of 48"
    ):
        evaluate_runs([folds["joint", 1], other])
    # one protocol for both
    assert evaluate_runs([folds["joint", 1], other], {"protocol": "leave-one-person-out"}).to_dict()["ensemble"] == 2


def test_other_clips_than_its_own_and_what_training_knew_of_them(folds):
    found = evaluate_runs([folds["joint", 1]], {"fold": 2})
    assert set(found.clips.persons) == {"p1"}
    assert found.to_dict()["person_disjoint"] is False
    assert any("12 of 12 test clips trained joint1" in note for note in found.scored.notes)
    assert any("1 of 1 test persons are also in training" in note for note in found.scored.notes)
    found = evaluate_runs([folds["joint", 1]], {"protocol": "all"})
    assert len(found.clips) == 48
    assert any("36 of 48 test clips trained joint1" in note for note in found.scored.notes)
    assert any("3 of 4 test persons are also in training" in note for note in found.scored.notes)
    with pytest.raises(PiumrError, match=r"1\.\.4, but got 9"):
        evaluate_runs([folds["joint", 1]], {"fold": 9})


def test_what_is_in_memory_is_neither_read_nor_predicted_again(folds, monkeypatch):
    expected = evaluate_runs([folds["joint", 1]])
    declaration, table, store = load_packed(load_run(folds["joint", 1]).data, 16)
    monkeypatch.setattr("piumr.evaluation.trials.load_for", None)
    monkeypatch.setattr("piumr.evaluation.trials.predict", None)
    logits = expected.probabilities.log() + 3
    found = evaluate_runs([folds["joint", 1]], loaded=TestSet(declaration, table, store), logits=logits)
    torch.testing.assert_close(found.probabilities, expected.probabilities)
    assert found.clips.names == expected.clips.names
    assert found.scored.metrics == expected.scored.metrics


def test_no_run_and_the_same_twice(folds):
    for runs in ([], [folds["joint", 1]] * 2):
        with pytest.raises(PiumrError, match="each once"):
            evaluate_runs(runs)
