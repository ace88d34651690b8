"""Run folders that are whole, older, damaged or moved."""

import shutil
from pathlib import Path

import pytest
import torch

from piumr.checkpoint import FORMAT
from piumr.data.source import DataConfig
from piumr.errors import PiumrError
from piumr.evaluation import evaluate_runs, load_run


@pytest.fixture
def run(folds, tmp_path):
    return shutil.copytree(folds["joint", 1], tmp_path / "run")


def test_which_clips_a_run_is_evaluated_on(run, poses):
    loaded = load_run(run)
    own = DataConfig(poses=poses, protocol="leave-one-person-out", fold=1)
    assert loaded.choose({}) == own
    assert loaded.choose({"fold": 3}).fold == 3
    assert loaded.choose({"poses": Path("x")}).poses == Path("x")
    assert loaded.choose({"dataset": "utd_mhad", "data": Path("d")}) == DataConfig("utd_mhad", Path("d"))
    (run / "config.yaml").write_text("dataset: utd_mhad\ndata: somewhere\nfold: 2\nlayout: ''\n")
    loaded = load_run(run)
    assert loaded.choose({"data": Path("else")}) == DataConfig("utd_mhad", Path("else"), fold=2)
    assert loaded.choose({"poses": Path("x")}) == DataConfig(poses=Path("x"))  # that set takes no poses
    assert loaded.choose({"dataset": "utd_mhad"}) == loaded.data


def test_a_run_on_the_poses_of_its_folder_does_not_become_one_on_synthetic_persons(run, monkeypatch, tmp_path):
    (run / "config.yaml").write_text("poses: null\ndataset: null\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PiumrError, match=r"no 'poses'.*config.yaml names the clips; if they moved"):
        evaluate_runs([run])


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.yaml", "a: [", "config.yaml: expected the configuration of a run"),
        ("config.yaml", "- a\n", "config.yaml: expected the configuration of a run"),
        ("config.yaml", "dataset: [1]\n", "config.yaml: expected the configuration of a run"),
        ("config.yaml", "fold: x\n", "config.yaml: expected the configuration of a run"),
        ("history.csv", "epoch,loss\n1,x\n", "history.csv: expected numbers"),
        ("history.csv", "loss\n1\n", "history.csv: expected a column `epoch`, but got loss"),
        ("predictions.csv", "", "predictions.csv: expected a column `clip`, but got nothing"),
        ("predictions.csv", "clip\n" + "x" * 200_000, "predictions.csv: expected a csv file"),
        ("checkpoint.pt", "no checkpoint", "cannot be read"),
    ],
)
def test_damaged_files_are_named_in_one_line(run, file, content, message):
    (run / file).write_text(content)
    with pytest.raises(PiumrError, match=message) as error:
        load_run(run)
    assert "\n" not in str(error.value)


def test_a_run_of_another_version_says_so(run):
    saved = torch.load(run / "checkpoint.pt", weights_only=True)
    torch.save({**saved, "format": 0}, run / "checkpoint.pt")
    with pytest.raises(PiumrError, match=f"format {FORMAT}, but got 0"):
        load_run(run)
    del saved["tfam"]
    torch.save(saved, run / "checkpoint.pt")
    with pytest.raises(PiumrError, match="lacks 'tfam'"):
        load_run(run)


def test_what_is_missing_is_done_without_where_it_can_be(run, poses):
    for name in ("history.csv", "predictions.csv"):
        (run / name).unlink()
    found = evaluate_runs([run])
    assert found.to_dict()["person_disjoint"] is True
    assert found.members[0].run.history == ()
    (run / "config.yaml").unlink()
    with pytest.raises(PiumrError, match=r"config.yaml.*there is none: name the clips with --dataset"):
        evaluate_runs([run])
    assert len(evaluate_runs([run], {"poses": poses}).clips) == 48
    (run / "checkpoint.pt").unlink()
    with pytest.raises(PiumrError, match=r"checkpoint\.pt"):
        evaluate_runs([run])
    with pytest.raises(PiumrError, match="is no folder"):
        evaluate_runs([run / "nowhere"])
