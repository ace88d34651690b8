"""The ready configurations: each parses, says what it says, and those for a CPU train."""

import csv
import json
import math

import pytest
import yaml

from piumr.commands.console import parse, run_command
from piumr.commands.ready_configs import configs_folder, find_config, ready_configs
from piumr.commands.train import train
from piumr.data.declaration import load_declaration
from piumr.data.protocols import GENERIC
from piumr.errors import PiumrError
from piumr.model import ModelConfig
from piumr.training.config import OptimConfig


def flat(values, prefix=""):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def printed(capfd, *arguments):
    with pytest.raises(SystemExit) as left:
        run_command("piumr-train-gcn", "piumr.commands.train", "train", [*arguments, "--print_config"])
    assert not left.value.code
    return dict(flat(yaml.safe_load(capfd.readouterr().out)))


def train_by(*arguments):
    with pytest.raises(SystemExit) as left:
        run_command("piumr-train-gcn", "piumr.commands.train", "train", [str(argument) for argument in arguments])
    return left.value.code


def test_four_are_shipped():
    assert ready_configs() == ("cpu_small", "ma52", "ma52_person_disjoint", "synthetic")


@pytest.mark.parametrize("name", ready_configs())
def test_every_value_arrives_and_the_rest_is_the_default(name, capfd):
    file = dict(flat(yaml.safe_load((configs_folder() / f"{name}.yaml").read_text())))
    resolved, default = printed(capfd, "--config", name), printed(capfd)
    assert file.keys() <= resolved.keys() == default.keys()
    assert resolved == default | file
    if resolved["dataset"]:
        declaration = load_declaration(resolved["dataset"])
        assert resolved["protocol"] in {*declaration.protocols, *GENERIC}


def test_the_two_of_ma52_differ_in_their_protocol_only():
    one, other = (parse("train", train, ["--config", name]) for name in ("ma52", "ma52_person_disjoint"))
    assert one.pop("protocol") == "official"
    assert other.pop("protocol") == "person-disjoint"
    assert one == other


def test_the_command_line_and_a_partial_file_of_the_users_change_single_values(tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text("method: erm\noptim:\n  learning_rate: 0.01\nmodel:\n  streams: [joint]\n")
    monkeypatch.chdir(tmp_path)
    values = parse(
        "train", train, ["--config", "cpu_small", "--config=mine.yaml", "--optim.epochs", "7", "--overwrite"]
    )
    assert values["optim"] == OptimConfig(epochs=7, batch_size=16, learning_rate=0.01, warmup_epochs=2)
    assert values["model"] == ModelConfig(streams=("joint",))
    assert values["method"] == "erm"
    assert values["overwrite"] is True
    assert values["patience"] == 0


def test_options_are_spelled_with_dashes_as_well():
    values = parse("train", train, ["--time-limit", "1:30:00", "--optim.batch-size=8"])
    assert values["time_limit"].total_seconds() == 5400
    assert values["optim"].batch_size == 8


def test_a_file_of_that_name_comes_first_and_a_wrong_name_lists_the_ready_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PiumrError, match="cpu_small, ma52, ma52_person_disjoint, synthetic"):
        find_config("cpu_tiny")
    (tmp_path / "synthetic").write_text("method: erm\n")
    assert find_config("synthetic") == "synthetic"
    assert parse("train", train, ["--config", "synthetic"])["method"] == "erm"


@pytest.mark.parametrize("option", [("--config", "{}"), ("--config={}",)])
def test_the_path_of_a_configuration_may_hold_an_equals_sign(tmp_path, monkeypatch, option):
    (tmp_path / "runs" / "lr=0.1").mkdir(parents=True)
    (tmp_path / "runs" / "lr=0.1" / "config.yaml").write_text("method: erm\nseed: 5\n")
    monkeypatch.chdir(tmp_path)
    values = parse("train", train, [part.format("runs/lr=0.1/config.yaml") for part in option])
    assert (values["method"], values["seed"]) == ("erm", 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optim:\n  epoch: 3\n", "epoch"),
        ("optim:\n  epochs: many\n", "epochs"),
        ("method: magic\n", "erm"),
        ("optim: [1\n", "parsing config"),
    ],
)
def test_a_wrong_key_or_value_is_one_clear_line(tmp_path, capfd, text, message):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(SystemExit) as left:
        run_command("piumr-train-gcn", "piumr.commands.train", "train", ["--config", str(tmp_path / "mine.yaml")])
    assert left.value.code == 2
    said = capfd.readouterr().err
    assert message in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_the_small_one_learns_from_clips_of_ones_own(toy_data, tmp_path):
    run = tmp_path / "run"
    assert train_by("--config", "cpu_small", "--dataset", toy_data, "--out", run) == 0
    report = json.loads((run / "metrics.json").read_text())
    assert report["test"]["accuracy"] > 0.5  # of three classes


@pytest.mark.slow
def test_the_synthetic_one_trains(tmp_path):
    run = tmp_path / "run"
    few = ("--optim.epochs=2", "--optim.batch_size=64", "--model.frames=8", "--time-limit=0:00:10")
    assert train_by("--config", "synthetic", *few, "--out", run) == 0
    report = json.loads((run / "metrics.json").read_text())
    assert (report["dataset"], report["protocol"], report["train_clips"]) == ("synthetic", "unseen-persons", 1248)
    rows = list(csv.DictReader((run / "history.csv").open()))
    assert all(math.isfinite(float(row["loss"])) for row in rows)
