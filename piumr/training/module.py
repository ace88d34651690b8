"""The training step: network, loss, optimiser and schedule, as a LightningModule."""

from __future__ import annotations

import math

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from piumr.data.batches import Batch
from piumr.girl import GIRL
from piumr.model import ActionNet
from piumr.ranks import copy_buffers_from_first, world_size
from piumr.rivals.methods import ClipLoss, vary_features
from piumr.training.config import TrainConfig
from piumr.training.transfer import at_their_rates

VARIED_STAGES = 2
"""Stages, from the first, whose features MixStyle and DSU vary."""


class ActionModule(lightning.LightningModule):
    """Trains an :class:`~piumr.model.ActionNet` by one of the methods.

    Logs per epoch: ``loss``, ``accuracy`` (on augmented training clips), with TFAM ``transport_cost`` and
    ``inconsistency``, with GIRL ``group_penalty``; on validation clips ``validation_accuracy``. Keeps the last batch's
    ``logits`` (N, K), for whoever must say where a loss that is no number came from.

    Args:
        net: the network.
        config: method, schedule and weights.
        steps_per_epoch: training batches in an epoch.
        persons: codes of the training persons, for methods that are given them.

    Raises:
        PiumrError: if the method needs persons and they are not known, or has no such options.
    """

    logits: Tensor
    inherited: frozenset[str] = frozenset()
    """Names of the network's parameters that were taken over from another run and learn slower."""

    def __init__(
        self, net: ActionNet, config: TrainConfig, steps_per_epoch: int, persons: Tensor | None = None
    ) -> None:
        super().__init__()
        self.net = net
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        if config.channels_last:
            net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # the function of a compiled network, not a second module with the same weights
        self.run = torch.compile(net.forward, dynamic=False) if config.compile else net.forward
        terms = config.terms
        self.girl: GIRL | None = None
        if config.with_girl:
            self.girl = GIRL(
                net.backbone.num_classes,
                net.style_features,
                groups=terms.groups,
                beta=terms.boundary,
                tau=terms.boundary_width,
                penalty=terms.group_penalty,
                label_smoothing=config.optim.label_smoothing,
            )
        vary_features(net.backbone.stages[:VARIED_STAGES], config.method, terms.rival_options)
        self.clip_loss = ClipLoss(config.method, config.optim.label_smoothing, persons, terms.rival_options)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one batch."""
        output = self.run(batch.points, batch.valid)
        self.logits = output.logits.detach()
        logs: dict[str, Tensor] = {}
        regularise = self.current_epoch >= self.config.terms.girl_warmup * self.config.optim.epochs
        if self.girl is None:
            loss = self.clip_loss(output.logits, batch.labels, batch.persons, regularise)
        else:
            terms = self.girl(output.logits, batch.labels, output.style, regularise)
            loss = terms.loss
            logs["group_penalty"] = terms.group_penalty.detach()
        if output.transport_cost is not None and output.inconsistency is not None:
            loss = loss + self.config.terms.transport_weight * output.transport_cost
            loss = loss + self.config.terms.consistency_weight * output.inconsistency
            logs["transport_cost"] = output.transport_cost.detach()
            logs["inconsistency"] = output.inconsistency.detach()
        logs["loss"] = loss.detach()
        logs["accuracy"] = (output.logits.argmax(dim=1) == batch.labels).float().mean()
        self.log_dict(logs, on_step=False, on_epoch=True, batch_size=_share(batch.labels), sync_dist=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        """All processes judge the same network, the first one's."""
        copy_buffers_from_first(self.net)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Accuracy on clips that are not augmented."""
        hits = (self.net(batch.points, batch.valid).logits.argmax(dim=1) == batch.labels).float()
        self.log("validation_accuracy", hits.mean(), batch_size=_share(hits), sync_dist=True)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """By the norm of all gradients. Lightning's own refuses a fused optimiser at half precision."""
        if gradient_clip_val:
            nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW; linear warm-up, then cosine to zero, by step.

        Only matrices and two-dimensional kernels decay: no norms, biases and adjacencies, nor the one-dimensional
        kernels by which a clip refines its adjacencies.
        """
        optim = self.config.optim
        decayed: list[nn.Parameter] = []
        plain: list[nn.Parameter] = []
        for parameter in self.parameters():
            (decayed if parameter.ndim in (2, 4) else plain).append(parameter)
        groups = [{"params": decayed, "weight_decay": optim.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        names = {parameter: name for name, parameter in self.net.named_parameters()}
        optimizer = torch.optim.AdamW(
            at_their_rates(groups, names, self.inherited, self.config.init_rate * optim.learning_rate),
            lr=optim.learning_rate,
            fused=True,
        )
        warmup, total = optim.warmup_epochs * self.steps_per_epoch, optim.epochs * self.steps_per_epoch

        def rate(step: int) -> float:
            if step < warmup:
                return (step + 1) / (warmup + 1)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _share(clips: Tensor) -> int:
    """Weight of a process's clips in logged means: Lightning averages the weights of all as whole numbers."""
    return len(clips) * world_size()


def ema_decay(ema_epochs: float, steps_per_epoch: int) -> float:
    """Decay per step of a moving average whose time constant is ``ema_epochs`` epochs; 0 for none."""
    return math.exp(-1 / (ema_epochs * steps_per_epoch)) if ema_epochs > 0 else 0.0


def parameter_count(module: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
