"""One training: clips of some persons in, a trained network out."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, RichProgressBar, WeightAveraging
from torch import Tensor

from piumr.data.batches import EVALUATION_BATCH, ClipBatches
from piumr.data.store import ClipStore
from piumr.model import ActionNet
from piumr.rivals import JustTrainTwice
from piumr.rivals.methods import build
from piumr.training.config import TrainConfig
from piumr.training.module import ActionModule, ema_decay


@dataclass(frozen=True)
class Fit:
    """Outcome of a training.

    Attributes:
        net: the network with its last (averaged) weights, in evaluation mode.
        history: one row an epoch: ``epoch`` from 1 and what the training module logs.
    """

    net: ActionNet
    history: list[dict[str, float]]


def fit(
    store: ClipStore,
    train: np.ndarray,
    config: TrainConfig,
    *,
    validation: np.ndarray | None = None,
    stop_after: int | None = None,
    progress: bool = True,
    callbacks: Sequence[Callback] = (),
) -> Fit:
    """Train on the clips ``train`` with a fixed schedule; the last weights are the result.

    Args:
        store: all clips.
        train: indices of the training clips.
        config: method, network, schedule, augmentation, seed.
        validation: indices of clips whose accuracy is logged every epoch; they must not be test clips.
        stop_after: end after so many epochs of the schedule; None runs it to its end.
        progress: show a progress bar.
        callbacks: further ones, to watch the training or to take part in it.

    Raises:
        PiumrError: if the loss stops being a number or the configuration fits no network.
    """
    if config.method == "jtt":
        config, train = _after_a_first_training(store, train, config)
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    net = make_net(store, config)
    data = ClipBatches(
        store,
        train,
        validation,
        batch_size=config.optim.batch_size,
        augmentation=config.augmentation,
        seed=config.seed,
        with_persons=config.with_persons,
    )
    persons = store.persons[torch.as_tensor(train)].unique() if config.with_persons else None
    module = ActionModule(net, config, data.steps_per_epoch, persons)
    history = _History()
    watching: list[Callback] = [history, *callbacks]
    if config.optim.ema_epochs > 0:
        watching.append(moving_average(ema_decay(config.optim.ema_epochs, data.steps_per_epoch)))
    if progress:
        watching.append(RichProgressBar(leave=False))
    with _quiet_lightning():
        trainer = lightning.Trainer(
            accelerator="gpu" if store.device.type == "cuda" else "cpu",
            devices=1,
            precision=_precision(config.precision, store.device),
            max_epochs=min(config.optim.epochs, stop_after or config.optim.epochs),
            gradient_clip_val=config.optim.gradient_clip,
            callbacks=watching,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=progress,
            num_sanity_val_steps=0,
        )
        try:
            trainer.fit(module, datamodule=data)
        except SystemExit:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from None
        if trainer.interrupted:
            raise KeyboardInterrupt
    return Fit(net.to(store.device).eval(), history.rows)


def moving_average(decay: float) -> WeightAveraging:
    """Exponential moving average of weights and running statistics; indices and counters are copied.

    Lightning's own averages integer buffers as well: 0.97 * 75 + 0.03 * 75 is cut off to 74.
    """

    def average(mean: Tensor, current: Tensor, _: Tensor | int) -> Tensor:
        return torch.lerp(mean, current, 1 - decay) if mean.is_floating_point() else current

    return WeightAveraging(avg_fn=average)


def make_net(store: ClipStore, config: TrainConfig) -> ActionNet:
    """A fresh network for the clips of a store.

    Raises:
        PiumrError: if the configuration fits no network.
    """
    return ActionNet(store.layout, store.num_classes, store.dimensions, config.model, tfam=config.with_tfam)


@torch.inference_mode()
def predict(net: ActionNet, store: ClipStore, indices: np.ndarray) -> Tensor:
    """Logits (N, K) float32 on the CPU of whole, unaugmented clips."""
    net.eval()
    points, valid = store.evaluation(indices)
    batches = zip(points.split(EVALUATION_BATCH), valid.split(EVALUATION_BATCH), strict=True)
    return torch.cat([net(p, v).logits.float().cpu() for p, v in batches])


def _after_a_first_training(store: ClipStore, train: np.ndarray, config: TrainConfig) -> tuple[TrainConfig, np.ndarray]:
    """The second training of JTT: plain, as many steps, on clips of which the first one's errors come more often."""
    method, plain = build(JustTrainTwice, config.terms.rival_options), replace(config, method="erm")
    first = fit(store, train, plain, stop_after=method.first_epochs(config.optim.epochs), progress=False)
    wrong = predict(first.net, store, train).argmax(1) != store.labels[torch.as_tensor(train)].cpu()
    again = method.second_set(train, wrong.numpy())
    epochs = method.second_epochs(config.optim.epochs, train, again)
    return replace(plain, optim=replace(config.optim, epochs=epochs)), again


class _History(Callback):
    """Collects what was logged in each epoch."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        values = {name: float(value) for name, value in trainer.callback_metrics.items() if name != "progress_loss"}
        self.rows.append({"epoch": trainer.current_epoch + 1, **values})


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
