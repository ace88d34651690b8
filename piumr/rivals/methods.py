"""Rivals by the name of their method: what each changes in a plain training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from torch import Tensor, nn

from piumr.errors import PiumrError
from piumr.ranks import mean_over_ranks
from piumr.rivals.feature_statistics import DSU, MixStyle
from piumr.rivals.focal import FocalLoss
from piumr.rivals.person_risks import GroupDRO, VREx

FEATURES: dict[str, type[nn.Module]] = {"mixstyle": MixStyle, "dsu": DSU}
RISKS: dict[str, type[nn.Module]] = {"groupdro": GroupDRO, "vrex": VREx}

Built = TypeVar("Built")


def vary_features(stages: Iterable[nn.Module], method: str, options: Mapping[str, Any]) -> None:
    """Let MixStyle or DSU vary what stages of a backbone give in training; other methods change nothing.

    Args:
        stages: the stages; MixStyle's authors found the early ones best.
        method: name of the method.
        options: its arguments.

    Raises:
        PiumrError: if the method has no such option or it is out of range.
    """
    if method in FEATURES:
        perturb = build(FEATURES[method], options)
        for stage in stages:
            stage.register_forward_hook(lambda stage, _, x: perturb(x) if stage.training else None)


class ClipLoss(nn.Module):
    """Loss of a batch without GIRL: the mean of the clips' label-smoothed cross-entropies, or what a rival makes of it.

    Args:
        method: name of the method.
        label_smoothing: of the cross-entropy; focal loss has none.
        persons: int64 codes of the training persons, for methods that are given them.
        options: arguments of the method.

    Raises:
        PiumrError: if the method has no such option, it is out of range, or persons are needed and not known.
    """

    def __init__(self, method: str, label_smoothing: float, persons: Tensor | None, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.losses: nn.Module = nn.CrossEntropyLoss(label_smoothing=label_smoothing, reduction="none")
        if method == "focal":
            self.losses = build(FocalLoss, options)
        self.risk: nn.Module | None = None
        if method in RISKS:
            if persons is None or int(persons.min()) < 0:
                raise PiumrError(f"Expected a set whose persons are known for method {method}.")
            self.risk = build(partial(RISKS[method], persons), options)

    def forward(self, logits: Tensor, labels: Tensor, persons: Tensor | None, regularise: bool) -> Tensor:
        """Loss of logits (N, K) with labels (N,) and, for methods that are given them, persons (N,)."""
        losses: Tensor = self.losses(logits, labels)
        if self.risk is None:
            return mean_over_ranks(losses)
        loss: Tensor = self.risk(losses, persons, regularise)
        return loss


def build(kind: Callable[..., Built], options: Mapping[str, Any]) -> Built:
    """An object of a method's class from the user's options.

    Raises:
        PiumrError: if the class has no such option, or its value is out of range.
    """
    try:
        return kind(**options)
    except TypeError as error:
        raise PiumrError(f"Expected `rival_options` to hold arguments of the method, but got: {error}.") from None
