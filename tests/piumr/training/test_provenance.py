"""What a run was made from."""

import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch

import piumr
from piumr.data.store import ClipStore
from piumr.errors import PiumrError
from piumr.training.provenance import fingerprint, git_state, read_record, versions, write_record


def test_any_change_of_the_data_changes_the_fingerprint(toy_set):
    table, store = toy_set.table, ClipStore.pack(toy_set, 16)
    same = fingerprint(table, ClipStore.pack(toy_set, 16))
    points, valid, labels = store.points.clone(), store.valid.clone(), store.labels.clone()
    points[5, 0, 3] += 1e-4
    valid[7, 2] = ~valid[7, 2]
    labels[:2] = labels[:2].flip(0)
    others = [
        fingerprint(replace(table, names=("x", *table.names[1:])), store),
        fingerprint(replace(table, class_names=("x", *table.class_names[1:])), store),
        fingerprint(replace(table, persons=None), store),
        fingerprint(table, replace(store, points=points)),
        fingerprint(table, replace(store, valid=valid)),
        fingerprint(table, replace(store, labels=labels)),
    ]
    assert same == fingerprint(table, store)
    assert len({same, *others}) == 7
    assert len(same) == 64


def test_a_record_comes_back_and_is_replaced_whole(tmp_path):
    record = {"data": {"sha256": "ab"}, "epochs": 3, "seed": np.int64(4).item()}
    write_record(tmp_path, record)
    write_record(tmp_path, {**record, "epochs": 5})
    assert read_record(tmp_path) == {"format": 1, **record, "epochs": 5}
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_folders_that_are_no_runs_of_this_version_are_refused_with_the_way_out(tmp_path):
    with pytest.raises(PiumrError, match=r"no run\.json"):
        read_record(tmp_path)
    with pytest.raises(PiumrError, match=r"no run\.json"):
        read_record(tmp_path / "nowhere")
    (tmp_path / "config.yaml").write_text("method: erm\n")
    with pytest.raises(PiumrError, match=r"older version made it; train again with --config .*config.yaml"):
        read_record(tmp_path)
    for text, message in (("{", "damaged"), ('{"format": 0}', "format 1, but got 0"), ("[]", "another version")):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(PiumrError, match=message):
            read_record(tmp_path)


def test_git_state_is_that_of_the_checkout_and_none_elsewhere(tmp_path, monkeypatch):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    package = tmp_path / "checkout" / "piumr"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(piumr, "__file__", str(package / "__init__.py"))
    assert git_state() is None

    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", "-C", package.parent, *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init")
    assert git_state() is None  # no commit yet
    git("add", ".")
    git("commit", "-m", "first")
    assert git_state() == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (package / "__init__.py").write_text("changed = True\n")
    assert git_state()["dirty"] is True


def test_versions_are_those_that_run():
    assert versions()["torch"] == torch.__version__
