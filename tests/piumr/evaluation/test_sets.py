"""Sets that a run was not trained on: classes by name, joints by name, persons that nobody can compare."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from piumr.data.source import DataConfig, load_set
from piumr.errors import PiumrError
from piumr.evaluation import evaluate_runs, load_run, score
from piumr.evaluation.sets import clips_seen, is_own, load_for, match_classes, to_layout
from piumr.layouts import get_layout


@pytest.fixture
def renamed(toy_set):
    """The toy set with names of other clips."""
    return replace(toy_set, names=tuple(f"new/{name}" for name in toy_set.names))


def test_classes_match_by_name_in_any_order_and_spelling(folds, poses, set_writer, renamed, tmp_path):
    spelled = {"left arm": "Left_Arm", "right arm": "RIGHT-ARM", "nod": "nod"}
    labels = [spelled[renamed.class_names[label]] for label in renamed.labels]
    other = set_writer(tmp_path / "poses", renamed, labels)
    found = evaluate_runs([folds["joint", 1]], {"poses": other})
    assert found.clips.class_names == ("Left_Arm", "RIGHT-ARM", "nod")  # in the order of the set
    own = evaluate_runs([folds["joint", 1]], {"protocol": "all"})
    place = {name: i for i, name in enumerate(own.clips.names)}
    rows = [place[name.removeprefix("new/")] for name in found.clips.names]
    columns = [own.clips.class_names.index(name) for name in ("left arm", "right arm", "nod")]
    torch.testing.assert_close(found.probabilities, own.probabilities[rows][:, columns])
    assert found.scored.metrics.pooled.accuracy == own.scored.metrics.pooled.accuracy
    figures = found.to_dict()
    assert (figures["protocol"], figures["person_disjoint"], figures["trained_on"]) == ("all clips", None, "poses")
    assert any("was trained on poses and is tested on poses" in note for note in found.scored.notes)


def test_a_set_of_fewer_classes_and_one_of_unknown_ones(folds, set_writer, renamed, tmp_path):
    arms = renamed.subset(np.flatnonzero(renamed.labels < 2))
    found = evaluate_runs([folds["joint", 1]], {"poses": set_writer(tmp_path / "arms", arms)})
    assert found.clips.class_names == ("left arm", "right arm")
    assert any("knows 3 classes; here it chooses among the 2" in note for note in found.scored.notes)
    torch.testing.assert_close(found.probabilities.sum(1), torch.ones(len(arms)))
    labels = ["nodd" if label == 2 else renamed.class_names[label] for label in renamed.labels]
    with pytest.raises(PiumrError, match=r"among the model's 3, by name, but 1 are not: nodd.*'nod'.*--labels"):
        evaluate_runs([folds["joint", 1]], {"poses": set_writer(tmp_path / "typo", renamed, labels)})


def test_two_names_of_one_class_and_a_single_class_are_refused(folds, renamed):
    card = load_run(folds["joint", 1]).card
    everything = np.arange(len(renamed))
    table = replace(renamed.table, class_names=("nod", "Nod", "left arm"))
    with pytest.raises(PiumrError, match="at least two different classes of the model, but got 2"):
        match_classes(card, table, everything)
    table = replace(renamed.table, class_names=("nod", "x", "y"))
    with pytest.raises(PiumrError, match="but got 1 for nod"):
        match_classes(card, table, np.flatnonzero(renamed.labels == 0))


def test_coarse_classes_are_the_models_where_the_set_has_none(folds, renamed):
    card = replace(load_run(folds["joint", 1]).card, coarse=(1, 0, 1), coarse_names=("a", "b"))
    plain = replace(renamed.table, coarse=None, coarse_names=None)
    clips, columns, _ = match_classes(card, plain, np.arange(len(plain)))
    assert clips.coarse == tuple(card.coarse[i] for i in columns)
    assert match_classes(card, renamed.table, np.arange(len(plain)))[0].coarse == renamed.coarse


@pytest.mark.parametrize(("coarse", "kept"), [((1, 1, 0), ("b",)), ((0, 0, 1), ("a",)), ((2, 1, 0), ("b", "c"))])
def test_coarse_classes_of_no_shared_class_do_not_count(folds, renamed, coarse, kept):
    card = load_run(folds["joint", 1]).card
    card = replace(card, class_names=renamed.class_names, coarse=coarse, coarse_names=("a", "b", "c"))
    arms = replace(renamed.table, class_names=("left arm", "right arm", "x"), coarse=None, coarse_names=None)
    known = np.flatnonzero(renamed.labels < 2)
    of_card = match_classes(card, arms, known)[0]
    of_set = match_classes(card, replace(arms, coarse=coarse, coarse_names=card.coarse_names), known)[0]
    for clips in (of_card, of_set):
        targets, fold = torch.from_numpy(clips.labels), torch.zeros(len(clips), dtype=torch.int64)
        perfect = score(clips, torch.eye(2)[targets], fold, (), {}, ())
        assert perfect.metrics.pooled.f1_mean.mean == 1
        assert perfect.intervals.f1_mean == (1, 1)
        some = torch.eye(2)[torch.where(torch.arange(len(clips)) % 3 == 0, 1 - targets, targets)]
        parts, bodies = score(clips, some, fold, (), {}, ()).metrics.pooled.f1_mean, np.array(clips.coarse)
        true, predicted = clips.labels, some.argmax(1).numpy()
        # its default is the mean over the classes that occur
        assert parts.body_macro == pytest.approx(f1_score(bodies[true], bodies[predicted], average="macro"))
        assert parts.action_macro == pytest.approx(f1_score(true, predicted, average="macro"))
        assert clips.coarse_names == kept
        assert [clips.coarse_names[i] for i in clips.coarse] == ["abc"[i] for i in coarse[:2]]


def test_joints_of_another_layout_are_found_by_name(folds, poses, renamed):
    clips = load_set(DataConfig(poses=poses))[1]
    target = get_layout("mediapipe-33")
    small = clips.in_layout(get_layout("mediapipe-33").subset("most", target.joints[:29]))
    mapped, note = to_layout(small, target)
    np.testing.assert_array_equal(mapped.points[:, :29][small.valid], small.points[small.valid])
    assert not mapped.valid[:, 29:].any()
    assert note.startswith("4 of the model's 33 joints are not in the set: ")
    with pytest.raises(PiumrError, match=r"mediapipe-33 \(33 joints\).*but got few \(13 joints\)"):
        to_layout(clips.in_layout(target.subset("few", target.joints[:13])), target)


def test_a_model_of_few_joints_takes_a_set_of_many(poses, run_maker, set_writer, toy_set, tmp_path):
    run = run_maker(tmp_path / "run", poses)
    joints = get_layout("mediapipe-75")
    wide = replace(
        toy_set,
        names=tuple(f"wide/{name}" for name in toy_set.names),
        points=np.pad(toy_set.points, ((0, 0), (0, 42), (0, 0))),
        valid=np.pad(toy_set.valid, ((0, 0), (0, 42))),
        layout=joints,
    )
    found = evaluate_runs([run], {"poses": set_writer(tmp_path / "wide", wide)})
    own = evaluate_runs([run], {"protocol": "all"})
    assert found.store.layout.name == "mediapipe-33"
    torch.testing.assert_close(found.probabilities, own.probabilities, rtol=1e-4, atol=1e-5)


def test_metres_are_refused_by_a_model_of_images(folds, shared_data):
    card = load_run(folds["joint", 1]).card
    config = DataConfig("utd_mhad", shared_data / "skeletons" / "utd_mhad")
    with pytest.raises(PiumrError, match=r"image coordinates.*utd_mhad has metric ones"):
        load_for(card, config)


def test_a_set_is_the_runs_own_by_its_clips(folds, renamed, toy_set):
    run = load_run(folds["joint", 1])
    assert is_own(run, toy_set.table)
    assert not is_own(run, renamed.table)


def test_there_is_no_fold_0(folds):
    for given in ({"fold": 0}, {"fold": 0, "protocol": "person-folds"}):
        with pytest.raises(PiumrError, match=r"Expected `fold` to lie in 1\.\.4, but got 0\."):
            evaluate_runs([folds["joint", 1]], given)


def test_a_set_that_changed_since_training_is_said_to_have(run_maker, set_writer, toy_set, tmp_path):
    poses = set_writer(tmp_path / "poses", toy_set)
    run = run_maker(tmp_path / "run", poses)
    (poses / "p2" / "c0_t0.npz").unlink()
    (lost,) = [note for note in evaluate_runs([run]).scored.notes if "has changed" in note]
    assert "35 training clips now, 36 then" in lost


@pytest.fixture
def recorded(run_maker, set_writer, toy_set, tmp_path):
    """A run that recorded its training clips, those of p1, p2 and p3, and the folder of its set."""
    poses = set_writer(tmp_path / "poses", toy_set)
    run = run_maker(tmp_path / "run", poses)
    trained = [name for name in toy_set.names if not name.startswith("p0")]
    (run / "run.json").write_text(json.dumps({"trained": trained}))
    return run, poses


def test_a_person_who_is_called_otherwise_now_is_still_one_who_was_trained_on(recorded):
    run, poses = recorded
    assert evaluate_runs([run]).to_dict()["person_disjoint"] is True
    labels = (poses / "labels.csv").read_text()
    (poses / "labels.csv").write_text(labels.replace(",p0\n", ",z\n").replace(",p0\r\n", ",z\r\n"))
    found = evaluate_runs([run])  # the first fold leaves p1 out now
    assert found.to_dict()["person_disjoint"] is False
    assert any("of its 36 training clips 36 are there by name" in note for note in found.scored.notes)
    assert any("12 of 12 test clips trained run" in note for note in found.scored.notes)


def test_a_part_of_the_set_is_not_another_set(recorded, set_writer, toy_set, tmp_path):
    run, _ = recorded
    part = toy_set.subset(np.flatnonzero([name.startswith(("p1", "p2")) for name in toy_set.names]))
    table = set_writer(tmp_path / "part", part)
    found = evaluate_runs([run], {"poses": table, "protocol": "all"}).scored
    assert any("24 of 24 test clips trained run" in note for note in found.notes)


def test_clips_that_lie_in_another_folder_now_are_found_by_the_rest_of_their_names(recorded, toy_set):
    run = load_run(recorded[0])
    flat = replace(toy_set.table, names=tuple(name.replace("/", "-") for name in toy_set.names))
    names = frozenset(name.replace("/", "-") for name in run.trained)
    moved = replace(flat, names=tuple(f"train/{name}" for name in flat.names))
    run = replace(run, trained=names, tested=frozenset(flat.names) - names)
    assert is_own(run, moved)
    declaration = load_set(run.data)[0]
    np.testing.assert_array_equal(clips_seen(run, declaration, moved), clips_seen(run, declaration, flat))
    assert len(clips_seen(run, declaration, moved)) == 36


def test_a_part_without_any_clip_that_was_trained_on(recorded, set_writer, toy_set, tmp_path):
    run, _ = recorded
    part = toy_set.subset(np.flatnonzero([name.startswith("p0") for name in toy_set.names]))
    found = evaluate_runs([run], {"poses": set_writer(tmp_path / "part", part), "protocol": "all"})
    assert len(found.clips.names) == 12
    assert found.to_dict()["person_disjoint"] is False  # it may be a person that it knows, under another name
    assert any("None of the clips that run was trained on is in the set" in note for note in found.scored.notes)


@pytest.mark.parametrize("clips_of_others", [0, 1])
def test_the_held_out_clips_alone_are_all_tested(recorded, set_writer, toy_set, tmp_path, clips_of_others):
    run, _ = recorded
    held_out = np.flatnonzero([name.startswith("p0") for name in toy_set.names])
    part = toy_set.subset(np.append(held_out, np.arange(12, 12 + clips_of_others)))
    part = replace(part, names=tuple(name if name.startswith("p0") else f"new/{name}s" for name in part.names))
    found = evaluate_runs([run], {"poses": set_writer(tmp_path / "part", part)})
    assert set(found.clips.names) == set(part.names)
    assert found.to_dict()["protocol"] == "all clips"
    assert any("None of the clips that run was trained on is in the set" in note for note in found.scored.notes)


def test_an_old_run_without_predictions_goes_by_its_protocol(run_maker, poses, tmp_path):
    run = run_maker(tmp_path / "run", poses)
    (run / "predictions.csv").unlink()
    assert any("12 of 12 test clips trained run" in note for note in evaluate_runs([run], {"fold": 2}).scored.notes)


def test_numbers_are_no_names(recorded, toy_set):
    run = load_run(recorded[0])
    few = replace(toy_set.table.subset(np.arange(12)), names=tuple(f"clip {i}" for i in range(12)))
    run = replace(run, trained=frozenset(f"clip {i}" for i in range(48)), tested=frozenset())
    assert not is_own(run, few)
    assert is_own(replace(run, trained=frozenset(toy_set.names)), toy_set.table.subset(np.arange(12)))
