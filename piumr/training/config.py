"""What can be chosen about a training, with the defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from piumr.data.augment import Augmentation
from piumr.errors import PiumrError
from piumr.model import ModelConfig

Method = Literal["erm", "tfam", "girl", "piumr", "mixstyle", "dsu", "groupdro", "vrex", "jtt", "focal"]
"""``erm`` is plain training, ``tfam`` adds TFAM, ``girl`` the loss, ``piumr`` both; the others are
methods to compare with (:mod:`piumr.rivals`), of which ``groupdro`` and ``vrex`` are told the training persons. The
default was chosen on synthetic persons who are in no table of results (docs/method.md)."""


Precision = Literal["auto", "32-true", "bf16-mixed"]
"""Lightning's names; ``auto`` is bf16-mixed on a GPU that has it, else full precision. A CPU with bf16 instructions (on
Linux ``avx512_bf16`` in ``lscpu``) trains faster with bf16-mixed, any other slower."""


@dataclass(frozen=True)
class OptimConfig:
    """The schedule: AdamW, linear warm-up, cosine to zero, an exponential moving average of the weights.

    Attributes:
        epochs: length of the schedule.
        batch_size: clips in a batch, shared among the devices.
        learning_rate: peak rate.
        weight_decay: of AdamW.
        warmup_epochs: epochs of linear warm-up, not necessarily whole ones.
        label_smoothing: of the cross-entropy, 0..1.
        ema_epochs: time constant of the weights' moving average, epochs; 0 takes the last weights as they are.
        gradient_clip: largest norm of the gradient.
    """

    epochs: int = 60
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    warmup_epochs: float = 3
    label_smoothing: float = 0.1
    ema_epochs: float = 1.0
    gradient_clip: float = 5.0

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            PiumrError: if a number is out of its range.
        """
        lowest = {"epochs": 1, "batch_size": 1, "warmup_epochs": 0, "ema_epochs": 0, "weight_decay": 0}
        for name, low in lowest.items():
            if not low <= getattr(self, name) < math.inf:
                raise PiumrError(f"Expected `{name}` to be finite and at least {low}, but got {getattr(self, name)}.")
        for name in ("learning_rate", "gradient_clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise PiumrError(f"Expected `{name}` to be finite and positive, but got {getattr(self, name)}.")
        if not 0 <= self.label_smoothing < 1:
            raise PiumrError(f"Expected `label_smoothing` to lie in 0..1, but got {self.label_smoothing}.")


@dataclass(frozen=True)
class MethodConfig:
    """Weights of TFAM's losses and the arguments of GIRL; how they were chosen is in docs/method.md.

    Attributes:
        transport_weight: w_W, weight of the transport cost L_W.
        consistency_weight: w_C, weight of the inconsistency L_C of TFAM's two looks, 0..1: the share of the loss in
            which each look is trained by itself.
        groups: G, pseudo-groups.
        boundary: beta, extra weight of clips at a decision boundary.
        boundary_width: tau, margin at which that weight has fallen to a third.
        group_penalty: lambda, weight of the one-sided variance of group risks.
        girl_warmup: share of the epochs that train without GIRL's terms (V-REx: without its variance), 0..1.
        rival_options: arguments of a method from :mod:`piumr.rivals`, such as ``beta`` of V-REx.
    """

    transport_weight: float = 0.1
    consistency_weight: float = 0.5
    groups: int = 4
    boundary: float = 1.0
    boundary_width: float = 0.3
    group_penalty: float = 0.3
    girl_warmup: float = 0.2
    rival_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            PiumrError: if a number is out of its range.
        """
        if self.groups < 1:
            raise PiumrError(f"Expected `groups` to be at least 1, but got {self.groups}.")
        if not 0 <= self.consistency_weight <= 1:
            raise PiumrError(f"Expected `consistency_weight` to lie in 0..1, but got {self.consistency_weight}.")
        for name in ("transport_weight", "boundary", "group_penalty"):
            if not 0 <= getattr(self, name) < math.inf:
                raise PiumrError(f"Expected `{name}` to be finite and not negative, but got {getattr(self, name)}.")
        if not 0 < self.boundary_width < math.inf:
            raise PiumrError(f"Expected `boundary_width` to be finite and positive, but got {self.boundary_width}.")
        if not 0 <= self.girl_warmup <= 1:
            raise PiumrError(f"Expected `girl_warmup` to lie in 0..1, but got {self.girl_warmup}.")


@dataclass(frozen=True)
class TrainConfig:
    """A whole training but its data.

    Attributes:
        method: see :data:`Method`.
        model: the network.
        optim: the schedule.
        terms: the method's weights.
        augmentation: what training clips go through.
        seed: of the initial weights, the order of the batches and the augmentation, 0..2**32 - 1.
        precision: see :data:`Precision`.
        devices: devices of each machine; they share every batch.
        num_nodes: machines.
        init: run folder or checkpoint to start from, or None for fresh weights; see :mod:`piumr.training.transfer`.
        freeze: stages of the backbone, from the first, that stay as they are, or ``backbone`` for all of them.
        init_rate: learning rate of what was taken over from ``init``, as a share of ``optim.learning_rate``.
        channels_last: keep features channel by channel in memory, for a GPU's tensor cores; slower on a CPU.
        compile: compile the network with ``torch.compile`` before the first step, which takes a minute or more and
            needs a C++ compiler on a CPU.
    """

    method: Method = "tfam"
    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    terms: MethodConfig = field(default_factory=MethodConfig)
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    precision: Precision = "auto"
    devices: int = 1
    num_nodes: int = 1
    init: Path | None = None
    freeze: int | Literal["backbone"] = 0
    init_rate: float = 0.1
    channels_last: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        """Check the method, the seed, the devices and how to start.

        Raises:
            PiumrError: if there is no such method, the seed is none that NumPy and torch both take, or a number is out
                of its range.
        """
        if self.method not in get_args(Method):
            raise PiumrError(f"Expected `method` to be one of {', '.join(get_args(Method))}, but got {self.method!r}.")
        if not 0 <= self.seed < 2**32:
            raise PiumrError(f"Expected `seed` to lie in 0..{2**32 - 1}, but got {self.seed}.")
        if (self.with_persons or self.method == "jtt") and self.processes > 1:
            what = "errors are not shared among" if self.method == "jtt" else "risks are not summed over"
            raise PiumrError(
                f"Expected one device for the rival {self.method}, whose {what} devices, but got {self.processes}."
            )
        for name in ("devices", "num_nodes"):
            if getattr(self, name) < 1:
                raise PiumrError(f"Expected `{name}` to be at least 1, but got {getattr(self, name)}.")
        if isinstance(self.freeze, int) and self.freeze < 0:
            raise PiumrError(f"Expected `freeze` to be backbone, or at least 0, but got {self.freeze}.")
        if not 0 < self.init_rate <= 1:
            raise PiumrError(f"Expected `init_rate` to lie above 0 and up to 1, but got {self.init_rate}.")

    @property
    def processes(self) -> int:
        """Number of processes that train together, one a device."""
        return self.devices * self.num_nodes

    @property
    def with_tfam(self) -> bool:
        """Whether the network has TFAM."""
        return self.method in ("tfam", "piumr")

    @property
    def with_girl(self) -> bool:
        """Whether the loss is GIRL."""
        return self.method in ("girl", "piumr")

    @property
    def with_rival(self) -> bool:
        """Whether the method is one to compare with."""
        return self.method not in ("erm", "tfam", "girl", "piumr")

    @property
    def with_persons(self) -> bool:
        """Whether the loss is told the training persons."""
        return self.method in ("groupdro", "vrex")
