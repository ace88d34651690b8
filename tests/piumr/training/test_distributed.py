"""The command on two devices, here two processes on the CPU: as a user starts it, and as torchrun does."""

import csv
import json
import os
import subprocess
import sys

import pytest

from piumr.errors import PiumrError
from piumr.model import ModelConfig
from piumr.training.config import OptimConfig, TrainConfig
from piumr.training.devices import check_launch, is_first_process, trainer_options, training_device
from piumr.training.fit import fit

SCRIPT = "from piumr.commands import train\ntrain()\n"
UNEVEN = """
import json, os
import numpy as np, torch
from piumr.data.store import ClipStore
from piumr.layouts import get_layout
from piumr.model import ModelConfig
from piumr.training.config import OptimConfig, TrainConfig
from piumr.training.fit import fit

layout, n = get_layout("coco-17"), 14
points = torch.randn(10 * n, 2, 17, generator=torch.Generator().manual_seed(0))
valid, offsets, labels = torch.ones(10 * n, 17, dtype=torch.bool), 10 * torch.arange(n + 1), torch.arange(n) % 3
store = ClipStore(points, valid, offsets, labels, torch.zeros(n, dtype=torch.int64), layout, 3, 8)
model = ModelConfig(backbone_options={"channels": [8, 8], "depths": [1, 1], "strides": [1, 2]}, frames=8)
config = TrainConfig(method="erm", devices=2, model=model, optim=OptimConfig(epochs=1, batch_size=8))
history = fit(store, np.arange(9), config, validation=np.arange(9, n)).history
if os.environ.get("LOCAL_RANK", "0") == "0":
    print(json.dumps(history[0]))
"""
SET = (
    'title = "few"\ncitation = ""\nlicence = ""\nsource = ""\nformat = "synthetic"\nprotocol = "person-folds"\n'
    "[options]\npersons = 3\ntakes = 1\n"
)
TINY = (
    "--method=piumr",
    "--dataset=dataset.toml",
    "--layout=mediapipe-micro",
    "--devices=2",
    '--model.backbone_options={"channels": [8, 8], "depths": [1, 1], "strides": [2, 2]}',
    "--model.frames=8",
    "--optim.epochs=2",
    "--optim.batch_size=30",
)


@pytest.fixture
def folder(tmp_path):
    """A folder with the command as a script, and a small set."""
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "dataset.toml").write_text(SET)
    return tmp_path


def start(folder, *arguments):
    """A command's exit code and what it printed, on standard error and on standard output."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    return done.returncode, done.stderr, done.stdout


@pytest.mark.slow
def test_two_devices_make_one_run(folder):
    code, printed, _ = start(folder, "train.py", *TINY, "--select=persons")
    assert code == 0, printed
    assert [path.name for path in (folder / "runs").iterdir()] == ["1"]
    report = json.loads((folder / "runs/1/metrics.json").read_text())
    assert report["test"]["clips"] == report["test_clips"] == 52
    history = list(csv.DictReader((folder / "runs/1/history.csv").open()))
    assert len(history) == report["epochs"]
    rows = list(csv.DictReader((folder / "runs/1/predictions.csv").open()))
    assert len({row["clip"] for row in rows}) == len(rows) == 52
    assert printed.count("Everything is in runs/1") == 1
    assert "Traceback" not in printed
    # an accuracy over all training clips, each counted once, is a whole number of them
    for row in history:
        hits = float(row["accuracy"]) * report["train_clips"]
        assert hits == pytest.approx(round(hits), abs=1e-3)


@pytest.mark.slow
def test_clips_that_cannot_be_shared_evenly_count_once_in_what_is_logged(folder):
    """Nine clips train in batches of 8 and 1, five validate."""
    (folder / "uneven.py").write_text(UNEVEN)
    code, printed, said = start(folder, "uneven.py")
    assert code == 0, printed
    logged = json.loads(said)
    for name, clips in (("accuracy", 9), ("validation_accuracy", 5)):
        assert logged[name] <= 1
        assert logged[name] * clips == pytest.approx(round(logged[name] * clips), abs=1e-4)


@pytest.mark.slow
def test_all_processes_know_that_time_is_over(folder):
    code, printed, _ = start(folder, "train.py", *TINY, "--select=persons", "--optim.epochs=100", "--time-limit=0:0:10")
    assert code == 2
    assert printed.count("error: Expected `time_limit` to leave time for --select persons") == 1
    assert "Traceback" not in printed


def test_a_training_of_its_own_beside_others_under_srun(store, split, monkeypatch, tmp_path):
    from lightning.fabric.utilities.rank_zero import rank_zero_only

    monkeypatch.setattr(rank_zero_only, "rank", 2)
    names = {"NTASKS": "4", "JOB_NAME": "job", "PROCID": "2", "LOCALID": "2", "NODEID": "0", "JOB_ID": "1"}
    for name, value in names.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    config = TrainConfig(method="erm", model=ModelConfig(frames=8), optim=OptimConfig(epochs=1, batch_size=12))
    assert fit(store, split.train, config, folder=tmp_path).complete
    assert list(tmp_path.glob("tensorboard/events*"))


@pytest.mark.slow
def test_torchrun_starts_the_processes_as_well(folder):
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "train.py")
    code, printed, _ = start(folder, *torchrun, *TINY, "--out=run")
    assert code == 0, printed
    assert (folder / "run/model.onnx").is_file()
    assert printed.count("Everything is in run") == 1
    assert not (folder / "runs").exists()


def test_a_number_that_the_launcher_does_not_have_is_refused(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "4")
    check_launch(TrainConfig(devices=2, num_nodes=2))
    with pytest.raises(PiumrError, match=r"the 4 processes that torchrun has started, but got 2 times 1"):
        check_launch(TrainConfig(devices=2))
    monkeypatch.delenv("TORCHELASTIC_RUN_ID")
    check_launch(TrainConfig())
    monkeypatch.setenv("SLURM_NTASKS", "8")
    monkeypatch.setenv("SLURM_JOB_NAME", "training")
    check_launch(TrainConfig())  # a training on its own, beside others
    with pytest.raises(PiumrError, match="8 processes that SLURM"):
        check_launch(TrainConfig(devices=2))


def test_only_one_process_speaks_and_writes(monkeypatch):
    from lightning.fabric.utilities.rank_zero import rank_zero_only

    monkeypatch.delenv("NODE_RANK", raising=False)
    for rank in (0, 1):
        monkeypatch.setattr(rank_zero_only, "rank", rank)
        assert is_first_process(TrainConfig())  # srun may run many trainings of one process each
        assert is_first_process(TrainConfig(devices=2)) == (rank == 0)
    monkeypatch.setattr(rank_zero_only, "rank", 0)
    monkeypatch.setenv("NODE_RANK", "1")
    assert not is_first_process(TrainConfig(devices=2, num_nodes=2))


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert training_device(TrainConfig()) == torch.device("cuda")
    assert training_device(TrainConfig(devices=2)) == torch.device("cuda", 1)
    assert trainer_options(TrainConfig(devices=2), torch.device("cuda", 1))["sync_batchnorm"]
    assert not trainer_options(TrainConfig(), torch.device("cuda"))["sync_batchnorm"]
    assert not trainer_options(TrainConfig(devices=2), torch.device("cpu"))["sync_batchnorm"]
    with pytest.raises(PiumrError, match="at most 2, the GPUs of this machine, but got 3"):
        training_device(TrainConfig(devices=3))


def test_norms_that_lightning_leaves_behind_are_replaced():
    """What :func:`piumr.training.fit.fit` does after a training with synchronised norms."""
    import torch
    from lightning.pytorch.plugins.layer_sync import TorchSyncBatchNorm

    from gcn import deploy
    from piumr.layouts import get_layout
    from piumr.model import ActionNet, ModelConfig

    def make():
        return ActionNet(get_layout("coco-17"), 3, 2, ModelConfig(frames=8), tfam=True).eval()

    net, fresh = make(), make()
    x, valid = torch.randn(2, 2, 8, 17), torch.ones(2, 8, 17, dtype=torch.bool)
    expected = net(x, valid).logits
    names = [name for name, _ in net.named_parameters()]
    synchronised = TorchSyncBatchNorm().apply(net)
    assert any(isinstance(module, torch.nn.SyncBatchNorm) for module in synchronised.modules())
    assert [name for name, _ in synchronised.named_parameters()] == names
    left = TorchSyncBatchNorm().revert(synchronised)
    fresh.load_state_dict(left.state_dict())
    assert torch.equal(fresh(x, valid).logits, expected)
    torch.testing.assert_close(deploy(fresh)(x, valid).logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["devices", "num_nodes"])
def test_there_is_at_least_one_device(name):
    with pytest.raises(PiumrError, match=f"`{name}` to be at least 1, but got 0"):
        TrainConfig(optim=OptimConfig(), **{name: 0})
