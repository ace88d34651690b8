"""Starting from a trained network: other classes, another layout of the joints, frozen stages.

The network is the checkpoint's own but for what depends on the classes and the joints. A classifier of other classes is
made anew. What a graph has learned lies in how its adjacency differs from the skeleton's: this difference is carried
over joint by joint (:mod:`piumr.layouts.mapping`) and added to the new skeleton's adjacency, so that edges between
joints which only the new layout has stay as the skeleton draws them. The rule is ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from piumr.checkpoint import load_checkpoint
from piumr.errors import PiumrError
from piumr.inference.model_card import ModelCard
from piumr.layouts import Layout
from piumr.layouts.mapping import find_mapping
from piumr.model import ActionNet, ModelConfig
from piumr.training.config import TrainConfig

GRAPHS = ("adjacency", "importance")
"""Names of the parameters (..., V, V) that hold a number for every pair of joints."""

HEADS = ("backbone.classifier.", "tfam.classifier.")


@dataclass(frozen=True)
class Inherited:
    """What a network took over.

    Attributes:
        names: of the parameters and buffers that came from the checkpoint, as they were or mapped.
        note: one line for people: what was taken over, what is new, what is frozen.
    """

    names: frozenset[str]
    note: str


def settle(config: TrainConfig) -> TrainConfig:
    """The configuration with the checkpoint's network, where one is given to start from.

    Raises:
        PiumrError: if the checkpoint cannot be read, or a network other than its own is asked for.
    """
    if config.init is None:
        if config.freeze:
            raise PiumrError("Expected `init`, a run to start from, beside `freeze`, but got none.")
        return config
    net, _ = load_checkpoint(checkpoint_of(config.init))
    asked, there = _plain(config.model), _plain(net.config)
    if asked not in (there, _plain(ModelConfig())):
        other = next(name for name in there if asked[name] != there[name])
        raise PiumrError(
            f"Expected --model to be left out, since the network is that of {config.init}, but got another "
            f"`{other}`: {asked[other]!r} instead of {there[other]!r}."
        )
    return replace(config, model=net.config)


def inherit(net: ActionNet, layout: Layout, classes: tuple[str, ...], config: TrainConfig) -> Inherited:
    """Fill a fresh network from the checkpoint ``config.init`` and freeze its first stages.

    Args:
        net: built by ``config.model`` for ``layout`` and ``classes``; changed in place.
        layout: its joints.
        classes: its classes; the classifier is taken over if they are the checkpoint's, in the same order.
        config: where to start from, and how many stages stay as they are.

    Raises:
        PiumrError: if the checkpoint cannot be read, has other dimensions, or fewer stages than shall be frozen.
    """
    assert config.init is not None
    source, card = load_checkpoint(checkpoint_of(config.init))
    dimensions = net.backbone.in_channels // len(net.config.streams)
    if card.dimensions != dimensions:
        raise PiumrError(
            f"Expected a run on {dimensions}-D skeletons to start from, but {str(config.init)!r} was trained on "
            f"{card.dimensions}-D ones ({card.coordinates} coordinates)."
        )
    state, mapped = _carried(source, card, net, layout, classes)
    net.load_state_dict(state, strict=False)
    frozen = frozen_modules(net, config.freeze)
    for module in frozen:
        module.requires_grad_(False)
    left = {_part(name) for name in source.state_dict() if name not in net.state_dict()}
    note = _note(net, card, layout, config, state, mapped, left)
    return Inherited(frozenset(state), note)


def checkpoint_of(init: Path) -> Path:
    """The ``checkpoint.pt`` that a path means: itself, or the one in a run folder."""
    return init / "checkpoint.pt" if init.is_dir() else init


def frozen_modules(net: ActionNet, freeze: int | str) -> list[nn.Module]:
    """The parts that stay as they are: the stem and so many stages. TFAM decides, and learns on like a classifier.

    Raises:
        PiumrError: if there are not so many stages.
    """
    stages = len(net.backbone.stages)
    count = stages if freeze == "backbone" else int(freeze)
    if count > stages:
        raise PiumrError(f"Expected `freeze` to lie in 0..{stages}, the stages there are, but got {count}.")
    if not count:
        return []
    return [net.backbone.stem, *list(net.backbone.stages)[:count]]


class Freeze(Callback):
    """Keeps frozen parts in evaluation mode, so that their BatchNorm statistics stay as well.

    Args:
        net: the network.
        freeze: how many stages; see :func:`frozen_modules`.
    """

    def __init__(self, net: ActionNet, freeze: int | str) -> None:
        self.modules = frozen_modules(net, freeze)

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Put the frozen parts in evaluation mode, whatever the network's is."""
        for module in self.modules:
            module.eval()


def at_their_rates(
    groups: Iterable[dict[str, Any]], names: dict[nn.Parameter, str], inherited: frozenset[str], rate: float
) -> list[dict[str, Any]]:
    """An optimiser's parameter groups, each split into what is new and what was taken over, which learns slower.

    Args:
        groups: parameters under ``params``, and options.
        names: names of the parameters, as in the network.
        inherited: names of those that were taken over.
        rate: learning rate of these.

    Returns:
        The groups themselves where nothing was taken over. Frozen parameters are in none.
    """
    if not inherited:
        return list(groups)
    split = []
    for group in groups:
        parameters = [parameter for parameter in group["params"] if parameter.requires_grad]
        taken = [parameter for parameter in parameters if names[parameter] in inherited]
        new = [parameter for parameter in parameters if names[parameter] not in inherited]
        split += [{**group, "params": new}, {**group, "params": taken, "lr": rate}]
    return split


def _plain(model: ModelConfig) -> dict[str, Any]:
    """A network's configuration as it comes back from a file."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(model)))
    return plain


def _carried(
    source: ActionNet, card: ModelCard, net: ActionNet, layout: Layout, classes: tuple[str, ...]
) -> tuple[dict[str, Tensor], int]:
    """What of the source's state fits the new network, mapped where it must be, and the number of joints mapped."""
    projection = joint_projection(card.layout, layout)
    start = ActionNet(card.layout, len(card.class_names), card.dimensions, source.config, tfam=False).state_dict()
    fresh, state = net.state_dict(), {}
    for name, value in source.state_dict().items():
        if name not in fresh or (name.startswith(HEADS) and classes != card.class_names):
            continue
        if card.layout != layout and name.rsplit(".", 1)[-1] in GRAPHS:
            learned = projection @ (value - start[name]) @ projection.T
            state[name] = fresh[name] + learned
        elif value.shape == fresh[name].shape and not (card.layout != layout and _runs_along_joints(name)):
            state[name] = value
    return state, int((projection.sum(1) > 0).sum())


def joint_projection(source: Layout, target: Layout) -> Tensor:
    """Matrix (W, V) that takes a figure of each of the source's V joints to the target's W.

    A row holds equal weights of the joints that a target joint corresponds to, and zeros where it has no counterpart.
    """
    matrix = torch.zeros(len(target), len(source))
    mapping = find_mapping(source.joints, target, share=0)
    assert mapping is not None
    for row, joints in enumerate(mapping.sources):
        matrix[row, list(joints)] = 1 / max(len(joints), 1)
    return matrix


def _runs_along_joints(name: str) -> bool:
    """AAGCN's attention over joints convolves along their order, which another layout does not share."""
    return ".joints." in name


def _note(
    net: ActionNet,
    card: ModelCard,
    layout: Layout,
    config: TrainConfig,
    state: dict[str, Tensor],
    mapped: int,
    left: set[str],
) -> str:
    """What was taken over, what is new, what is frozen."""
    scalars = {name: parameter.numel() for name, parameter in net.named_parameters()}
    taken = sum(count for name, count in scalars.items() if name in state)
    origin = f"{card.summary.get('dataset', 'unknown set')}, {len(card.class_names)} classes, {card.layout.name}"
    share = 100 * taken / sum(scalars.values())
    parts = [f"Starting from {config.init} ({net.config.backbone}, {origin}): {share:.1f} % of the weights taken over"]
    if card.layout != layout:
        parts.append(f"graphs mapped to {layout.name}, {mapped} of {len(layout)} joints")
    new = list(dict.fromkeys(_part(name) for name in scalars if name not in state))
    parts.append(f"new: {', '.join(new) or 'nothing'}")
    if left:
        parts.append(f"left out: {', '.join(sorted(left))}")
    if config.freeze:
        still = sum(parameter.numel() for parameter in net.parameters() if not parameter.requires_grad)
        parts.append(f"frozen: {100 * still / sum(scalars.values()):.1f} % of the weights")
    return "; ".join(parts) + "."


def _part(name: str) -> str:
    """A parameter's place in words."""
    if name.startswith(HEADS):
        return "TFAM's classifier" if name.startswith("tfam.") else "classifier"
    return "TFAM" if name.startswith("tfam.") else name
