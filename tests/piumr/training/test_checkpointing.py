"""A training that is stopped and taken up has the weights of one that never was, bit for bit."""

from dataclasses import replace

import pytest
import torch
from lightning.pytorch.callbacks import Callback

from piumr.data.augment import Augmentation
from piumr.data.protocols import PersonFolds
from piumr.data.store import ClipStore
from piumr.errors import PiumrError
from piumr.model import ModelConfig
from piumr.training import checkpointing
from piumr.training.checkpointing import FILE, PlainCheckpointIO
from piumr.training.config import MethodConfig, OptimConfig, TrainConfig
from piumr.training.fit import fit

CONFIG = TrainConfig(
    method="piumr",
    model=ModelConfig(
        backbone_options={"channels": (12, 16), "depths": (1, 1), "strides": (1, 2), "dropout": 0.2}, frames=16
    ),
    optim=OptimConfig(epochs=5, batch_size=12, warmup_epochs=1, learning_rate=0.01),
    terms=MethodConfig(girl_warmup=0.4),
    augmentation=Augmentation(mirror=0),
)


class Interrupt(Callback):
    """Ctrl-C in the second batch of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == (self.epoch, 1):
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _every_epoch(monkeypatch):
    monkeypatch.setattr(checkpointing, "SECONDS", 0.0)


@pytest.fixture(scope="module")
def store(toy_set):
    return ClipStore.pack(toy_set, 16)


@pytest.fixture(scope="module")
def train(toy_set):
    return PersonFolds(4).split(toy_set)[0].train


@pytest.fixture(scope="module")
def whole(store, train):
    return fit(store, train, CONFIG)


@pytest.mark.parametrize("epoch", [1, 3])  # while GIRL warms up and after
def test_going_on_gives_the_weights_and_the_history_of_a_training_in_one_go(store, train, whole, tmp_path, epoch):
    with pytest.raises(KeyboardInterrupt):
        fit(store, train, CONFIG, folder=tmp_path, callbacks=[Interrupt(epoch)])
    assert (tmp_path / FILE).is_file()
    torch.rand(7)  # other numbers have been drawn since
    again = fit(store, train, CONFIG, folder=tmp_path)
    assert again.complete
    for name, tensor in whole.net.state_dict().items():
        assert torch.equal(tensor, again.net.state_dict()[name]), name
    assert [row["epoch"] for row in again.history] == [1, 2, 3, 4, 5]
    assert repr(again.history) == repr(whole.history)  # where NaN equals NaN


def test_keeping_checkpoints_changes_nothing(store, train, whole, tmp_path):
    watched = fit(store, train, CONFIG, folder=tmp_path)
    assert repr(watched.history) == repr(whole.history)
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_the_file_holds_groups_risks_and_generators_and_nothing_that_runs(store, train, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(store, train, CONFIG, folder=tmp_path, callbacks=[Interrupt(2)])
    saved = torch.load(tmp_path / FILE, weights_only=True)
    assert saved["current_model_state"]["girl.running_risk"].count_nonzero() > 0
    assert saved["current_model_state"]["girl.style_groups.group_count"].count_nonzero() > 0
    assert saved["optimizer_states"][0]["state"]
    assert saved["lr_schedulers"][0]["last_epoch"] == saved["global_step"] == 2 * 3
    assert set(saved["callbacks"]["RandomState"]) == {"torch", "cuda", "numpy", "python"}
    assert set(saved["ClipBatches"]) == {"order", "noise"}


def test_a_damaged_checkpoint_and_one_of_another_version_are_refused(store, train, tmp_path):
    PlainCheckpointIO().save_checkpoint({"epoch": 1}, tmp_path / FILE)
    good = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(good[: len(good) // 2])
    with pytest.raises(PiumrError, match="cannot be read"):
        fit(store, train, CONFIG, folder=tmp_path)
    for opcode in b"taesubR.":  # each makes torch's unpickler fail in a way of its own
        (tmp_path / FILE).write_bytes(bytes([opcode]) + b"ext is no checkpoint")
        with pytest.raises(PiumrError, match="cannot be read"):
            fit(store, train, CONFIG, folder=tmp_path)
    torch.save({"piumr": 0, "epoch": 1}, tmp_path / FILE)
    with pytest.raises(PiumrError, match="another version"):
        fit(store, train, CONFIG, folder=tmp_path)
    torch.save({"piumr": 1, "evil": Interrupt(0)}, tmp_path / FILE)
    with pytest.raises(PiumrError, match="cannot be read"):
        fit(store, train, CONFIG, folder=tmp_path)


def test_a_checkpoint_is_not_written_more_often_than_it_is_worth(store, train, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpointing, "SECONDS", 1e6)
    with pytest.raises(KeyboardInterrupt):
        fit(store, train, CONFIG, folder=tmp_path, callbacks=[Interrupt(2)])
    assert not (tmp_path / FILE).exists()


def test_without_averaging_it_goes_on_as_well(store, train, tmp_path):
    config = replace(CONFIG, method="erm", optim=replace(CONFIG.optim, epochs=3, ema_epochs=0))
    whole = fit(store, train, config)
    with pytest.raises(KeyboardInterrupt):
        fit(store, train, config, folder=tmp_path, callbacks=[Interrupt(1)])
    again = fit(store, train, config, folder=tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(whole.net.parameters(), again.net.parameters(), strict=True))
