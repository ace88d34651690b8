"""One training: clips of some persons in, a trained network out."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from torch import Tensor

from piumr.data.batches import EVALUATION_BATCH, ClipBatches
from piumr.data.store import ClipStore
from piumr.model import ActionNet
from piumr.rivals import JustTrainTwice
from piumr.rivals.methods import build
from piumr.training.averaging import MovingAverage
from piumr.training.checkpointing import FILE, EpochCheckpoint, PlainCheckpointIO, RandomState
from piumr.training.config import TrainConfig
from piumr.training.devices import alone_under_srun, trainer_options
from piumr.training.finite import FiniteLoss
from piumr.training.memory import keep_freed_memory
from piumr.training.module import ActionModule, ema_decay
from piumr.training.progress import RISK, TrainingProgress
from piumr.training.stopping import TimeLimit
from piumr.training.transfer import Freeze, inherit


@dataclass(frozen=True)
class Fit:
    """Outcome of a training.

    Attributes:
        net: the network with its last (averaged) weights, in evaluation mode.
        history: one row an epoch: ``epoch`` from 1, what the training module logs, and with GIRL ``group_risk_1`` ...
            at the epoch's end, NaN where a group has none yet.
        epochs: how many there were to train.
        complete: whether all of them were trained; else time ran out or a callback stopped it, perhaps amid an epoch.
    """

    net: ActionNet
    history: list[dict[str, float]]
    epochs: int
    complete: bool


def fit(
    store: ClipStore,
    train: np.ndarray,
    config: TrainConfig,
    *,
    validation: np.ndarray | None = None,
    stop_after: int | None = None,
    progress: Console | None = None,
    names: Sequence[str] = (),
    classes: tuple[str, ...] = (),
    folder: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> Fit:
    """Train on the clips ``train`` with a fixed schedule; the last weights are the result.

    Args:
        store: all clips.
        train: indices of the training clips.
        config: method, network, schedule, augmentation, seed.
        validation: indices of clips whose accuracy is logged every epoch; they must not be test clips.
        stop_after: end after so many epochs of the schedule; None runs it to its end.
        progress: where to show how far it is.
        names: names of all clips, to say which a loss that is no number came from.
        classes: names of the classes, by which a classifier is taken over from ``config.init``.
        folder: keeps ``last.ckpt`` there after every epoch, and goes on from one that is there; TensorBoard's logs too.
        callbacks: of Lightning, to watch the training or to take part in it, such as its Timer or EarlyStopping.

    Raises:
        PiumrError: if the loss stops being a number, the configuration fits no network, or the checkpoint in ``folder``
            is damaged or another version's.
        KeyboardInterrupt: on Ctrl-C and on SIGTERM.
    """
    if config.method == "jtt":
        # the first training is repeated to go on with the second, which must meet the same clips
        limits = [c for c in callbacks if isinstance(c, TimeLimit)] if _checkpoint(folder) is None else []
        config, train = _after_a_first_training(store, train, config, names, classes, limits)
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    keep_freed_memory()
    net = make_net(store, config)
    data = ClipBatches(
        store,
        train,
        validation,
        batch_size=config.optim.batch_size,
        augmentation=config.augmentation,
        seed=config.seed,
        processes=config.processes,
        with_persons=config.with_persons,
    )
    module = make_module(net, store, train, config, data.steps_per_epoch)
    history = _History()
    watching: list[Callback] = [history, FiniteLoss(data, names), RandomState(), *callbacks]
    if config.init is not None:
        module.inherited = inherit(net, store.layout, classes, config).names
        watching.append(Freeze(net, config.freeze))
    if config.optim.ema_epochs > 0:
        watching.append(MovingAverage(ema_decay(config.optim.ema_epochs, data.steps_per_epoch)))
    if progress:
        watching.append(TrainingProgress(progress, history.rows))
    epochs = min(config.optim.epochs, stop_after or config.optim.epochs)
    with _quiet_lightning():
        trainer = make_trainer(config, store.device, epochs, watching, folder)
        try:
            trainer.fit(module, datamodule=data, ckpt_path=_checkpoint(folder), weights_only=True)
        except SystemExit:  # what Lightning makes of Ctrl-C and of SIGTERM
            raise KeyboardInterrupt from None
        if trainer.interrupted:
            raise KeyboardInterrupt
    if config.processes > 1:  # Lightning leaves norms of a class of its own where it had synchronised them
        trained = net.state_dict()
        net = make_net(store, config)
        net.load_state_dict(trained)
    complete = trainer.global_step >= epochs * trainer.num_training_batches
    return Fit(net.to(store.device).eval(), history.rows, epochs, complete)


def make_trainer(
    config: TrainConfig, device: torch.device, epochs: int, callbacks: list[Callback], folder: Path | None
) -> lightning.Trainer:
    """Lightning's trainer for a training: all that is decided about devices, precision and what Lightning itself does.

    Args:
        config: precision and schedule.
        device: where the clips lie.
        epochs: epochs to train.
        callbacks: what watches the training.
        folder: where checkpoints and TensorBoard's logs go; None keeps neither.
    """
    return lightning.Trainer(
        **trainer_options(config, device),
        precision=_precision(config.precision, device),
        max_epochs=epochs,
        gradient_clip_val=config.optim.gradient_clip,
        callbacks=callbacks if folder is None else [*callbacks, EpochCheckpoint(folder)],
        plugins=[PlainCheckpointIO(), *alone_under_srun(config)],
        default_root_dir=folder,
        logger=False if folder is None else TensorBoardLogger(folder, name="", version="tensorboard"),
        enable_checkpointing=folder is not None,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
    )


def make_net(store: ClipStore, config: TrainConfig) -> ActionNet:
    """A fresh network for the clips of a store.

    Raises:
        PiumrError: if the configuration fits no network.
    """
    return ActionNet(store.layout, store.num_classes, store.dimensions, config.model, tfam=config.with_tfam)


def make_module(
    net: ActionNet, store: ClipStore, train: np.ndarray, config: TrainConfig, steps_per_epoch: int = 1
) -> ActionModule:
    """What trains a network on the clips ``train`` by the configuration's method.

    Raises:
        PiumrError: if the method needs persons and they are not known, or has no such options.
    """
    if config.method == "jtt":
        build(JustTrainTwice, config.terms.rival_options)
    persons = store.persons[torch.as_tensor(train)].unique() if config.with_persons else None
    return ActionModule(net, config, steps_per_epoch, persons)


@torch.inference_mode()
def predict(net: ActionNet, store: ClipStore, indices: np.ndarray) -> Tensor:
    """Logits (N, K) float32 on the CPU of whole, unaugmented clips."""
    net.eval()
    points, valid = store.evaluation(indices)
    batches = zip(points.split(EVALUATION_BATCH), valid.split(EVALUATION_BATCH), strict=True)
    return torch.cat([net(p, v).logits.float().cpu() for p, v in batches])


def _after_a_first_training(
    store: ClipStore,
    train: np.ndarray,
    config: TrainConfig,
    names: Sequence[str],
    classes: tuple[str, ...],
    callbacks: Sequence[Callback],
) -> tuple[TrainConfig, np.ndarray]:
    """The second training of JTT: plain, as many steps, on clips of which the first one's errors come more often."""
    method, plain = build(JustTrainTwice, config.terms.rival_options), replace(config, method="erm")
    until = method.first_epochs(config.optim.epochs)
    first = fit(store, train, plain, stop_after=until, names=names, classes=classes, callbacks=callbacks)
    wrong = predict(first.net, store, train).argmax(1) != store.labels[torch.as_tensor(train)].cpu()
    again = method.second_set(train, wrong.numpy())
    optim, epochs = config.optim, method.second_epochs(config.optim.epochs, train, again)
    share = epochs / optim.epochs  # its epochs are longer: what is told in epochs becomes fewer of them, not more steps
    warmup, average = share * optim.warmup_epochs, share * optim.ema_epochs
    return replace(plain, optim=replace(optim, epochs=epochs, warmup_epochs=warmup, ema_epochs=average)), again


class _History(Callback):
    """Collects what was logged in each epoch, and the risks of GIRL's groups; goes on from a checkpoint."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        risks: dict[str, float] = {}
        if isinstance(pl_module, ActionModule) and pl_module.girl is not None:
            risks = {f"{RISK}{group + 1}": risk for group, risk in enumerate(pl_module.girl.risks.tolist())}
        for logger in trainer.loggers:
            logger.log_metrics(risks, trainer.global_step - 1)
        self.rows.append({"epoch": trainer.current_epoch + 1, **values, **risks})

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows.extend(state_dict["rows"])


def _checkpoint(folder: Path | None) -> Path | None:
    """The checkpoint to go on from, where there is one."""
    return folder / FILE if folder is not None and (folder / FILE).is_file() else None


def _precision(precision: str, device: torch.device) -> Any:
    if precision != "auto":
        return precision
    return "bf16-mixed" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "32-true"


@contextlib.contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Without Lightning's notes on hardware and data loader workers: indices need no workers."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", message=".*LeafSpec.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
