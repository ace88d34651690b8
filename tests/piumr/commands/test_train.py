"""``piumr-train-gcn`` stopped and taken up, repeated, out of memory and out of time."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from piumr.commands.console import run_command
from piumr.training import checkpointing
from piumr.training.checkpointing import FILE
from piumr.training.folder import is_finished
from piumr.training.module import ActionModule

TINY = (
    "--method=piumr",
    '--model.backbone_options={"channels": [12, 16], "depths": [1, 1], "strides": [1, 2], "dropout": 0.2}',
    "--model.frames=16",
    "--optim.batch_size=12",
)


def train(*arguments):
    with pytest.raises(SystemExit) as left:
        run_command("piumr-train-gcn", "piumr.commands.train", "train", [str(argument) for argument in arguments])
    return left.value.code


def weights(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)["weights"]


def assert_same(one, other):
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    for name in ("predictions.csv", "history.csv"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def report(folder):
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture
def from_step(monkeypatch):
    """Makes the training step do something else from a step on."""
    original = ActionModule.training_step

    def install(step, action):
        def training_step(self, batch, batch_idx):
            if self.global_step >= step:
                action()
            return original(self, batch, batch_idx)

        monkeypatch.setattr(ActionModule, "training_step", training_step)

    yield install
    monkeypatch.undo()


def interrupt():
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def whole(toy_data, tmp_path_factory):
    """A run in one go."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert train("--dataset", toy_data, "--optim.epochs=4", *TINY, "--out", folder) == 0
    return folder


def test_ctrl_c_is_one_line_that_says_how_to_go_on_and_it_does(whole, tmp_path, capfd, monkeypatch, from_step):
    """The run is also one that repeats another from its configuration, bit for bit."""
    options = ("--config", whole / "config.yaml")
    monkeypatch.setattr(checkpointing, "SECONDS", 0.0)
    from_step(2 * 3 + 1, interrupt)
    capfd.readouterr()
    run = tmp_path / "run"
    assert train(*options, "--out", run) == 130
    lines = capfd.readouterr().err.splitlines()
    assert lines[-1] == f"error: interrupted; piumr-train-gcn --resume {run} goes on with it"
    assert not any("Traceback" in line for line in lines)
    assert (run / FILE).is_file()
    assert train(*options, "--out", run) == 2
    assert f"--resume {run}" in capfd.readouterr().err
    from_step(10**9, interrupt)
    assert train("--resume", run) == 0
    assert f"Going on with {run}" in capfd.readouterr().err
    assert_same(whole, run)
    records = [json.loads((folder / "run.json").read_text()) for folder in (whole, run)]
    assert records[0]["data"] == records[1]["data"]
    assert records[0]["split"]["name"] == report(run)["split"]
    assert not (run / FILE).exists()
    before = (run / "metrics.json").read_bytes()
    assert train("--resume", run) == 0
    assert "finished" in capfd.readouterr().err
    assert (run / "metrics.json").read_bytes() == before


def test_a_selected_number_of_epochs_is_not_selected_again(toy_data, tmp_path, capfd, monkeypatch, from_step):
    run = tmp_path / "run"
    original = checkpointing.EpochCheckpoint.on_train_epoch_end

    def kept_then_interrupted(*arguments):  # folds keep no checkpoint: this is the final training
        original(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpointing.EpochCheckpoint, "on_train_epoch_end", kept_then_interrupted)
    options = ("--dataset", toy_data, "--optim.epochs=2", "--select=persons", "--patience=2", *TINY)
    assert train(*options, "--out", run) == 130
    chosen = json.loads((run / "run.json").read_text())["epochs"]
    assert chosen in (1, 2)
    assert "Selecting" in capfd.readouterr().err
    assert train("--resume", run) == 130
    said = capfd.readouterr().err
    assert "Selecting" not in said
    assert f"epoch 1/{chosen}" in said


def test_a_time_limit_ends_cleanly_with_a_model_and_says_how_to_go_on(toy_data, tmp_path, capfd):
    run = tmp_path / "run"
    options = ("--dataset", toy_data, "--optim.epochs=100000", *TINY, "--out", run)
    assert train(*options, "--time-limit", "0:00:01") == 0
    said = capfd.readouterr().err
    assert "of 100000" in said
    assert f"Go on with it: piumr-train-gcn --resume {run}" in said
    assert (run / "model.onnx").is_file()
    assert "time limit" in report(run)["stopped"]
    assert not is_finished(run)


@pytest.mark.parametrize(
    "allocate",
    [lambda: torch.empty(2**50), lambda: np.empty(2**50), lambda: bytearray(2**62)],
    ids=["torch", "numpy", "python"],
)
def test_out_of_memory_says_what_to_lower(toy_data, tmp_path, capfd, from_step, allocate):
    from_step(1, allocate)
    assert train("--dataset", toy_data, *TINY, "--out", tmp_path / "run") == 1
    last = capfd.readouterr().err.splitlines()[-1]
    assert "--optim.batch_size (it is 12)" in last
    assert "--model.frames (16)" in last


def test_what_cannot_be_gone_on_with_is_refused_in_one_line(toy_data, tmp_path, capfd, from_step):
    run, old = tmp_path / "run", tmp_path / "old"
    from_step(0, interrupt)
    assert train("--dataset", toy_data, *TINY, "--out", run) == 130
    old.mkdir()
    (old / "config.yaml").write_text("method: erm\n")
    strange = tmp_path / "strange"
    strange.mkdir()
    for name in ("run.json", "config.yaml"):
        (strange / name).write_bytes((run / name).read_bytes())
    with (strange / "config.yaml").open("a") as file:
        file.write("option_of_tomorrow: 3\n")
    (tmp_path / "empty").mkdir()
    capfd.readouterr()
    for arguments, message in (
        (("--resume", tmp_path / "nowhere"), "no run.json"),
        (("--resume", tmp_path / "empty"), "no run.json"),
        (("--resume", old), "older version"),
        (("--resume", strange), "option_of_tomorrow"),
        (("--resume", run, "--optim.epochs", 3), "--optim"),
        (("--resume", run, "--method", "erm"), "--method"),
        (("--resume", run, "--out", old), "--out"),
        (("--resume", run, "--time-limit", "0:00:00"), "time_limit"),
        (("--resume", run, "--time-limit", "soon"), "h:m:s"),
        (("--dataset", toy_data, "--patience", -1), "patience"),
    ):
        assert train(*arguments) == 2, arguments
        said = capfd.readouterr().err
        assert message in said, arguments
        assert "Traceback" not in said


def test_a_run_whose_clips_have_changed_since_is_not_gone_on_with(toy_data, tmp_path, capfd, from_step):
    run, mine = tmp_path / "run", tmp_path / "mine"
    shutil.copytree(toy_data.parent, mine)
    from_step(0, interrupt)
    assert train("--dataset", mine / "dataset.toml", *TINY, "--out", run) == 130
    arrays = dict(np.load(mine / "toy.npz"))
    arrays["label"][:2] = arrays["label"][:2][::-1]
    np.savez(mine / "toy.npz", **arrays)
    assert train("--resume", run) == 2
    assert "changed" in capfd.readouterr().err


@pytest.mark.slow
def test_killed_twice_it_ends_with_the_weights_of_a_run_that_never_was(toy_data, tmp_path):
    """SIGKILL amid training, in a process of its own; then again, amid what was taken up."""
    code = "import piumr.training.checkpointing as c; c.SECONDS = 0.2\nimport piumr.commands as m; m.train()"
    options = ["--dataset", str(toy_data), "--optim.epochs=60", *TINY]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PIUMR_CACHE": ""}

    def start(*arguments):
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    run, file = tmp_path / "run", tmp_path / "run" / FILE
    arguments = [*options, "--out", run]
    for _ in range(2):
        written = file.stat().st_mtime_ns if file.exists() else 0
        process = start(*arguments)
        try:
            while not file.exists() or file.stat().st_mtime_ns == written:
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.05)
            time.sleep(0.1)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not (run / "metrics.json").exists()
        arguments = ["--resume", run]
    process = start(*arguments)
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert not list(run.glob(".*"))  # what the kill left of a file that was being written
    assert train(*options, "--out", tmp_path / "whole") == 0
    assert_same(tmp_path / "whole", run)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--patience=3",), "--patience with --select persons"),
        (("--init_rate=0.5",), "--init_rate with --init"),
        (("--method=erm", '--model.tfam_options={"bands": 3}'), "--model.tfam_options with --method tfam or piumr"),
        (("--method=erm", '--terms.rival_options={"p": 1}'), "--terms.rival_options with the method of a rival"),
    ],
)
def test_options_without_effect_are_refused(tmp_path, capfd, options, named):
    assert train("--dataset=synthetic", *options, "--out", tmp_path / "run") == 2
    assert f"Expected {named}, but got it without." in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_that_starts_from_another_method_can_be_repeated(toy_data, tmp_path):
    tfam = ("--method=tfam", '--model.tfam_options={"bands": 3}')
    assert train("--dataset", toy_data, "--optim.epochs=1", *TINY, *tfam, "--out", tmp_path / "first") == 0
    plain = ("--method=erm", "--optim.epochs=1", "--optim.batch_size=12", "--init", tmp_path / "first")
    assert train("--dataset", toy_data, *plain, "--out", tmp_path / "second") == 0
    assert train("--config", tmp_path / "second" / "config.yaml", "--out", tmp_path / "again") == 0
    assert_same(tmp_path / "second", tmp_path / "again")


@pytest.mark.slow
def test_without_a_compiler_it_says_so_in_one_line(toy_data, tmp_path):
    environment = {**os.environ, "CXX": str(tmp_path / "none"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-c", "from piumr.commands import train; train()", "--dataset", str(toy_data)]
    command += ["--optim.epochs=1", "--compile", *TINY, "--out", str(tmp_path / "run")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2, done.stderr
    assert "error: --compile failed, which needs a C++ compiler" in done.stderr
    assert "Traceback" not in done.stderr


def test_jtt_tells_the_epochs_that_it_trains(toy_data, tmp_path):
    options = ("--method=jtt", "--optim.epochs=8", '--terms.rival_options={"factor": 10, "share": 0.25}')
    assert train("--dataset", toy_data, *TINY, *options, "--out", tmp_path / "run") == 0
    trained = len((tmp_path / "run" / "history.csv").read_text().splitlines()) - 1
    assert report(tmp_path / "run")["epochs"] == trained < 8


def test_a_start_that_knows_the_training_clips_selects_no_epochs(whole, toy_data, tmp_path, capfd):
    options = ("--dataset", toy_data, "--init", whole, "--optim.epochs=1", "--optim.batch_size=12")
    assert train(*options, "--select=persons", "--out", tmp_path / "run") == 2
    assert "`select` last beside `init`" in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


def test_what_a_bare_checkpoint_was_trained_on_is_not_known(whole, toy_data, tmp_path, capfd):
    shutil.copy(whole / "checkpoint.pt", tmp_path / "other.pt")
    options = ("--dataset", toy_data, "--init", tmp_path / "other.pt", "--optim.epochs=1", "--optim.batch_size=12")
    assert train(*options, "--out", tmp_path / "run") == 0
    assert "was trained on is not known" in " ".join(capfd.readouterr().err.split())
    assert report(tmp_path / "run")["person_disjoint"] is False


def test_a_run_knows_its_training_clips_whatever_became_of_its_predictions(whole, toy_data, tmp_path):
    copy = shutil.copytree(whole, tmp_path / "copy")
    (copy / "predictions.csv").unlink()
    options = ("--dataset", toy_data, "--init", copy, "--fold=2", "--optim.epochs=1", "--optim.batch_size=12")
    assert train(*options, "--out", tmp_path / "run") == 0
    assert report(tmp_path / "run")["person_disjoint"] is False
    assert len(json.loads((tmp_path / "run" / "run.json").read_text())["inherited"]) > 0
