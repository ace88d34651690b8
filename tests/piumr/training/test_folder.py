"""The run folder's configuration, and whether a run in it is finished."""

import json
from pathlib import Path

import pytest

from piumr.data.source import DataConfig
from piumr.errors import PiumrError
from piumr.training.folder import claim_folder, is_finished, resolve


def test_what_was_found_is_named_where_nothing_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels = DataConfig(labels=Path("labels.csv"))
    assert resolve(DataConfig(fold=2)) == DataConfig(dataset="synthetic", fold=2)
    assert resolve(labels).dataset is None  # labels without poses are a mistake that is told later
    (tmp_path / "poses").mkdir()
    assert resolve(DataConfig()) == DataConfig(poses=Path("poses"))
    for named in (DataConfig(dataset="ma52"), DataConfig(poses=Path("other"))):
        assert resolve(named) == named


def test_a_run_is_finished_when_its_figures_are_there_and_it_was_not_cut(tmp_path):
    assert not is_finished(tmp_path)
    for text, finished in (
        (json.dumps({"stopped": None}), True),
        (json.dumps({"stopped": "time"}), False),
        ("{", False),
    ):
        (tmp_path / "metrics.json").write_text(text)
        assert is_finished(tmp_path) is finished


def test_a_folder_with_an_unfinished_run_says_how_to_go_on(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(PiumrError, match=r"--overwrite, or go on with --resume"):
        claim_folder(tmp_path, overwrite=False)
