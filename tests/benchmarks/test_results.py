import pytest
from independence.results import Key, append_row, check_settings, key_of, read_rows

from piumr.errors import PiumrError

KEY = Key("v1", False, "utd", "erm", 0, 0)


def row(**changes):
    return {**KEY._asdict(), "settings": {"terms.boundary": 1.0}, **changes}


def test_a_line_torn_by_a_kill_is_skipped_and_does_not_spoil_the_next(tmp_path):
    path = tmp_path / "results.jsonl"
    append_row(path, row(seed=0))
    append_row(path, row(seed=1))
    path.write_bytes(path.read_bytes()[:-20])
    append_row(path, row(seed=2))
    append_row(path, row(seed=3))
    assert [key_of(found).seed for found in read_rows(path)] == [0, 2, 3]


def test_there_are_no_results_before_the_first():
    from pathlib import Path

    assert read_rows(Path("nowhere.jsonl")) == []


def test_one_version_of_an_experiment_has_one_meaning():
    same = {("utd", "erm"): {"terms.boundary": 1.0}}
    other = {("utd", "erm"): {"terms.boundary": 2.0}}
    check_settings([row()], same, "v1", inner=False)
    check_settings([row()], other, "v2", inner=False)
    check_settings([row()], other, "v1", inner=True)
    with pytest.raises(PiumrError, match=r"'v1' of 'erm' on 'utd' .* other terms\.boundary: choose another --version"):
        check_settings([row()], other, "v1", inner=False)
