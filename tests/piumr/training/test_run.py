"""A whole run on a container of one's own: declaration, training, evaluation, export, prediction."""

import csv
import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import yaml
from rich.console import Console

from piumr.checkpoint import load_checkpoint
from piumr.data.source import DataConfig
from piumr.errors import PiumrError
from piumr.evaluation import evaluate_runs
from piumr.inference import Recognizer
from piumr.model import ModelConfig
from piumr.training.config import OptimConfig, TrainConfig
from piumr.training.run import claim_folder, train_run
from pose_extract import read_poses

DECLARATION = """
title = "Toy"
citation = "ours"
licence = "none"
source = "made by a test"
format = "npz"
layout = "mediapipe-33"
protocol = "person-folds"
fps = 20
notice = "Only for tests."
[options]
file = "toy.npz"
[person]
column = "subject"
"""

CONFIG = TrainConfig(
    model=ModelConfig(backbone_options={"channels": (12, 16), "depths": (1, 1), "strides": (1, 2)}, frames=16),
    optim=OptimConfig(epochs=30, batch_size=6, warmup_epochs=1, learning_rate=0.01),
)


def write_container(folder, clips):
    np.savez(
        folder / "toy.npz",
        frames=np.where(clips.valid[..., None], clips.points, 0),
        offsets=clips.offsets,
        label=clips.labels,
        subject=np.array(clips.persons),
        class_names=np.array(clips.class_names),
        joint_names=np.array(clips.layout.joints),
        sample_id=np.array(clips.names),
        edges=np.array(clips.layout.edges),
    )
    (folder / "dataset.toml").write_text(DECLARATION)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, toy_set):
    root = tmp_path_factory.mktemp("toy")
    write_container(root, toy_set)
    data = DataConfig(dataset=str(root / "dataset.toml"))
    return train_run(data, CONFIG, "last", root / "run", Console(quiet=True))


def test_the_run_folder_holds_everything(finished):
    names = {path.name for path in finished.folder.iterdir()}
    assert names >= {"config.yaml", "checkpoint.pt", "model.onnx", "metrics.json", "predictions.csv", "curves.png"}
    report = json.loads((finished.folder / "metrics.json").read_text())
    assert report["person_disjoint"] is True
    assert report["test"]["accuracy"] == finished.metrics.accuracy > 0.9
    assert report["test"]["persons"]["worst"] <= report["test"]["persons"]["mean"]
    assert report["versions"]["torch"]
    config = yaml.safe_load((finished.folder / "config.yaml").read_text())
    assert config["optim"]["epochs"] == 30
    assert config["method"] == "tfam"


def test_metrics_follow_from_the_predictions_file(finished):
    rows = list(csv.DictReader((finished.folder / "predictions.csv").open()))
    assert np.mean([row["label"] == row["predicted"] for row in rows]) == pytest.approx(finished.metrics.accuracy)
    assert len(rows) == finished.metrics.clips
    assert len({row["person"] for row in rows}) == finished.metrics.persons.persons


def test_the_exported_model_predicts_the_examples_as_the_evaluation_did(finished):
    rows = list(csv.DictReader((finished.folder / "predictions.csv").open()))
    predicted = {row["clip"]: row for row in rows}
    recognizer = Recognizer(finished.folder / "model.onnx", threads=1)
    examples = sorted((finished.folder / "examples").glob("*.npz"))
    assert len(examples) == 3  # one a class
    for path in examples:
        poses = read_poses(path)
        row = predicted[poses.meta["source"]["path"]]
        prediction = recognizer.predict(poses)[0]
        assert prediction.label == row["predicted"]
        assert max(prediction.probabilities) == pytest.approx(float(row["confidence"]), abs=2e-3)
    card = recognizer.card
    assert card.summary["accuracy"] == finished.metrics.accuracy
    assert (card.trained_on, card.licence, card.notice) == ("Toy", "none", "Only for tests.")
    assert 12 / 20 < card.clip_seconds < 24 / 20


def test_persons_of_the_run_it_started_from_are_no_strangers(finished, tmp_path):
    """Another fold, started from this one: its test persons have trained the network before."""
    data = DataConfig(dataset=str(finished.folder.parent / "dataset.toml"), fold=2)
    config = replace(CONFIG, init=finished.folder, optim=OptimConfig(epochs=1, batch_size=12, warmup_epochs=0))
    run = train_run(data, config, "last", tmp_path / "tuned", Console(quiet=True))
    tested = {row["clip"] for row in csv.DictReader((finished.folder / "predictions.csv").open())}
    assert run.report["person_disjoint"] is False
    assert f"{run.metrics.clips} of {run.metrics.clips} test clips trained this run or run" in run.report["note"]
    inherited = json.loads((run.folder / "run.json").read_text())["inherited"]
    assert len(inherited) == finished.report["train_clips"]
    assert not tested & set(inherited)
    scored = evaluate_runs([run.folder]).scored
    assert scored.facts["person_disjoint"] is False
    assert any("test persons are also in training" in note for note in scored.notes)

    again = train_run(replace(data, fold=1), config, "last", tmp_path / "same", Console(quiet=True))
    assert again.report["person_disjoint"] is True  # the same test persons: still strangers
    assert evaluate_runs([again.folder]).scored.facts["person_disjoint"] is True
    assert evaluate_runs([again.folder], {"fold": 2}).scored.facts["person_disjoint"] is False


def test_selection_by_persons_stops_within_the_schedule(tmp_path, toy_set):
    write_container(tmp_path, toy_set)
    config = TrainConfig("erm", CONFIG.model, OptimConfig(epochs=3, batch_size=12, warmup_epochs=1))
    data = DataConfig(dataset=str(tmp_path / "dataset.toml"))
    run = train_run(data, config, "persons", tmp_path / "run", Console(quiet=True))
    assert 1 <= run.report["epochs"] <= 3


def test_a_fold_that_does_not_exist_is_refused_before_anything_is_written(tmp_path, toy_set):
    write_container(tmp_path, toy_set)
    with pytest.raises(PiumrError, match=r"1\.\.4"):
        train_run(
            DataConfig(dataset=str(tmp_path / "dataset.toml"), fold=9),
            CONFIG,
            "last",
            tmp_path / "run",
            Console(quiet=True),
        )
    assert not (tmp_path / "run").exists()


def test_a_finished_training_is_saved_before_anything_else_can_fail(tmp_path, toy_set, monkeypatch):
    def out_of_memory(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("piumr.training.run.predict", out_of_memory)
    write_container(tmp_path, toy_set)
    config = TrainConfig("erm", CONFIG.model, OptimConfig(epochs=1, batch_size=12, warmup_epochs=0))
    data = DataConfig(dataset=str(tmp_path / "dataset.toml"))
    with pytest.raises(RuntimeError):
        train_run(data, config, "last", tmp_path / "run", Console(quiet=True))
    net, card = load_checkpoint(tmp_path / "run" / "checkpoint.pt")
    assert card.class_names == toy_set.class_names
    assert net.tfam is None


def test_run_folders_are_numbered_and_never_shared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [claim_folder(None, overwrite=False).name for _ in range(3)] == ["1", "2", "3"]


def test_overwriting_removes_what_a_run_wrote_and_nothing_else(tmp_path):
    (tmp_path / "evaluation-fold-2").mkdir()
    for name in ("model.onnx", "evaluation.json", "evaluation-fold-2/predictions.csv", "notes.txt"):
        (tmp_path / name).write_text("old")
    with pytest.raises(PiumrError, match="--overwrite"):
        claim_folder(tmp_path, overwrite=False)
    claim_folder(tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["notes.txt"]


def test_evaluations_go_with_the_network_they_speak_of(tmp_path, toy_set):
    write_container(tmp_path, toy_set)
    config = TrainConfig("erm", CONFIG.model, OptimConfig(epochs=3, batch_size=12, warmup_epochs=0))
    data, run, quiet = DataConfig(dataset=str(tmp_path / "dataset.toml")), tmp_path / "run", Console(quiet=True)
    train_run(data, config, "last", run, quiet, time_limit=timedelta(microseconds=1))
    (run / "evaluation-fold-2").mkdir()
    stale = [run / "evaluation.json", run / "evaluation-fold-2" / "report.html"]
    for file in stale:
        file.write_text("of the network so far")
    train_run(data, config, "last", run, quiet, resume=True)
    assert not any(file.exists() for file in stale)
    assert (run / "report.html").is_file()


def test_the_run_it_starts_from_is_not_overwritten(finished):
    data = DataConfig(dataset=str(finished.folder.parent / "dataset.toml"))
    before = (finished.folder / "checkpoint.pt").read_bytes()
    config = replace(CONFIG, init=finished.folder / "checkpoint.pt")
    with pytest.raises(PiumrError, match="`out` to be another folder than that of `init`"):
        train_run(data, config, "last", finished.folder / ".." / "run", Console(quiet=True), overwrite=True)
    assert (finished.folder / "checkpoint.pt").read_bytes() == before


def test_a_class_without_a_name_is_refused_before_training(tmp_path, toy_set):
    write_container(tmp_path, replace(toy_set, class_names=("", *toy_set.class_names[1:])))
    data = DataConfig(dataset=str(tmp_path / "dataset.toml"))
    with pytest.raises(PiumrError, match="every class to have a name, but got an empty one for class 0"):
        train_run(data, CONFIG, "last", tmp_path / "run", Console(quiet=True))
    assert not (tmp_path / "run").exists()


def test_clips_longer_than_a_card_may_say_can_be_trained_on(tmp_path, toy_set):
    write_container(tmp_path, toy_set)
    (tmp_path / "dataset.toml").write_text(DECLARATION.replace("fps = 20", "fps = 0.001"))
    config = TrainConfig("erm", CONFIG.model, OptimConfig(epochs=1, batch_size=12, warmup_epochs=0))
    data = DataConfig(dataset=str(tmp_path / "dataset.toml"))
    run = train_run(data, config, "last", tmp_path / "run", Console(quiet=True))
    assert load_checkpoint(run.folder / "checkpoint.pt")[1].clip_seconds == 0


def test_one_class_is_refused_before_training(tmp_path, toy_set):
    one = toy_set.subset(np.flatnonzero(toy_set.labels == 0))
    write_container(tmp_path, replace(one, class_names=("only",), coarse=None, coarse_names=None))
    with pytest.raises(PiumrError, match="two classes"):
        train_run(
            DataConfig(dataset=str(tmp_path / "dataset.toml")), CONFIG, "last", tmp_path / "run", Console(quiet=True)
        )
