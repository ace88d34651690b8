import json
import os
import sys
from collections import Counter

import person_independence
import pytest


def call(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["person_independence.py", *map(str, arguments)])
    code = person_independence.main()
    return code, capsys.readouterr()


def test_a_wrong_override_and_a_missing_set_are_one_line(monkeypatch, capsys, tmp_path):
    out = tmp_path / "results.jsonl"
    code, said = call(monkeypatch, capsys, "--out", out, "--tasks", "utd")
    assert (code, said.err.count("\n")) == (2, 1)
    assert "--data" in said.err
    for words, line in ((["erm", "method=erm"], "new name"), (["mine", "seed=1"], "--first-seed")):
        code, said = call(monkeypatch, capsys, "--out", out, "--set", *words)
        assert code == 2
        assert line in said.err


def test_there_is_no_table_without_results(monkeypatch, capsys, tmp_path):
    code, said = call(monkeypatch, capsys, "--out", tmp_path / "none.jsonl", "--table")
    assert code == 1
    assert "No results of version 'dev'" in said.err


def test_without_tasks_all_are_meant_that_can_be(monkeypatch):
    asked = []
    for words in ([], ["--inner"]):
        monkeypatch.setattr(sys, "argv", ["person_independence.py", "--out", "x", *words])
        asked.append(person_independence._arguments().tasks)
    assert set(asked[0]) - set(asked[1]) == {"utd-loso"}
    assert "population-1" not in asked[0]


def test_a_table_says_what_made_its_trainings():
    rows = [{"code": person_independence.code_digest(), "torch": "2.1", "device": "cpu"}] * 2
    rows.append({"code": "0", "torch": "2.0", "device": "gpu"})
    said = person_independence._provenance(rows)
    assert said == "Trainings: 2 by this code, torch 2.1, cpu; 1 by other code, torch 2.0, gpu"


def test_untouched_are_the_first_folds_of_first_protocols():
    rows = [("utd", 0), ("signs", 0), ("signs", 1), ("utd-loso", 0), ("population-1", 0)]
    untouched = [row for row in rows if person_independence._is_untouched({"task": row[0], "fold": row[1]})]
    assert untouched == [("utd", 0), ("signs", 0)]


def test_rivals_and_ablations_do_not_run_on_a_second_protocol():
    assert not person_independence._belongs("mixstyle", "utd-loso")
    assert not person_independence._belongs("tfam-temporal", "utd-loso")
    assert all(person_independence._belongs(name, "utd-loso") for name in ("erm", "piumr", "linear-svm", "one's own"))
    assert person_independence._belongs("mixstyle", "utd")


@pytest.mark.slow
def test_a_run_goes_on_where_it_was_stopped(monkeypatch, capsys, tmp_path, shared_data):
    out = tmp_path / "results.jsonl"
    monkeypatch.setenv("PIUMR_CACHE", str(tmp_path / "cache"))
    asked = ["--out", out, "--data", shared_data / "skeletons", "--tasks", "msr", "--seeds", "1", "--workers", "2"]
    asked += ["--set", "short", "method=erm", "optim.epochs=1", "--set", "both", "optim.epochs=1"]
    code, said = call(monkeypatch, capsys, *asked)
    assert code == 0
    assert "2 trainings to do" in said.err
    assert "| msr | short | 1 |" in said.out
    code, said = call(monkeypatch, capsys, *asked)
    assert "0 trainings to do" in said.err
    assert {json.loads(line)["experiment"] for line in out.open()} == {"short", "both"}


def test_the_time_left_is_judged_by_the_same_experiment_and_else_by_the_task():
    past = [("utd", "erm", 10), ("utd", "erm", 30), ("utd", "ctrgcn", 800), ("msr", "erm", 5)]
    rows = [{"task": task, "experiment": name, "seconds": seconds} for task, name, seconds in past]
    left = person_independence._seconds_left
    assert left(Counter({("utd", "erm"): 3}), rows) == 60
    assert left(Counter({("utd", "ctrgcn"): 2, ("msr", "erm"): 1}), rows) == 1605
    assert left(Counter({("utd", "girl"): 1, ("signs", "erm"): 4}), rows) == 30


def test_a_killed_worker_takes_its_own_training_with_it():
    with person_independence._workers(1) as pool:
        killed = pool.schedule(os._exit, (9,))
        after = pool.schedule(dict, ({"accuracy": 1.0},))
        assert "exit code 9" in person_independence._result(killed)["error"]
        assert person_independence._result(after) == {"accuracy": 1.0}
