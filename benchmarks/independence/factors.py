"""How far one factor of a person moves the features: the same synthetic clips, one number changed at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from independence.inspection import inspect
from piumr.data.store import ClipStore
from piumr.layouts import Layout
from piumr.model import ActionNet
from piumr.synthetic.generator import Clip, generate_clip, skeleton_set
from piumr.synthetic.persons import Person, sample_person
from piumr.synthetic.repertoire import ACTIONS

SEED = 0
PERSONS = (6, 7, 8, 9)
"""The test persons of the synthetic set."""

PLACES = ("clock", "aligned", "spectrum", "pooled")
"""Fields of :class:`independence.inspection.Features`."""

TAKE = 100
"""A take that is in no set."""


def _with_limbs(person: Person, value: float) -> Person:
    names = ("upper_arm", "forearm", "hand", "thigh", "shin")
    return replace(person, lengths=replace(person.lengths, **{n: value * getattr(person.lengths, n) for n in names}))


@dataclass(frozen=True)
class Factor:
    """One way in which persons differ.

    Attributes:
        neutral: the value that movements are measured from.
        values: others.
        change: the same person with a value.
    """

    neutral: float
    values: tuple[float, ...]
    change: Callable[[Person, float], Person]


FACTORS = {
    "speed": Factor(1.0, (0.5, 0.7, 1.4, 2.0), lambda person, value: replace(person, speed=value)),
    "amplitude": Factor(1.0, (0.5, 0.7, 1.4, 2.0), lambda person, value: replace(person, amplitude=value)),
    "limb length": Factor(1.0, (0.75, 0.87, 1.15, 1.3), _with_limbs),
    "tremor, mm": Factor(
        0.0, (1.0, 2.0, 4.0, 8.0), lambda person, value: replace(person, tremor_amplitude=value / 1e3)
    ),
}


def movements(net: ActionNet, layout: Layout, actions: int = 13) -> dict[str, dict[str, list[float]]]:
    """How far each factor moves the features, in units of how far another action moves them.

    Args:
        net: a network trained on the synthetic set, in evaluation mode.
        layout: of its joints.
        actions: how many actions, evenly from all.

    Returns:
        For each factor its ``values``, the neutral one among them, and for each place in the network
        (:data:`PLACES`) the mean distance to the same clips at the neutral value, divided by the mean distance between
        different actions of one person at the neutral value.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for name, factor in FACTORS.items():
        values = sorted((factor.neutral, *factor.values))
        seen = [
            inspect(net, *as_batch(clips_with(factor, value, actions), layout, net.config.frames)) for value in values
        ]
        found[name] = {"values": values}
        for place in PLACES:
            features = [getattr(clips, place).flatten(1) for clips in seen]
            base = features[values.index(factor.neutral)]
            unit = _between_actions(base, actions)
            found[name][place] = [float((rows - base).norm(dim=1).mean() / unit) for rows in features]
    return found


def clips_with(factor: Factor, value: float, actions: int) -> list[Clip]:
    """One take of some actions by every person, all with one value of a factor; actions vary fastest."""
    chosen = [ACTIONS[i].name for i in np.linspace(0, len(ACTIONS) - 1, actions).round().astype(int)]
    people = [factor.change(sample_person(SEED, index), value) for index in PERSONS]
    return [generate_clip(person, action, TAKE, SEED) for person in people for action in chosen]


def as_batch(clips: list[Clip], layout: Layout, frames: int) -> tuple[Tensor, Tensor]:
    """Clips as a network takes them: points (N, C, T, V) and valid (N, T, V)."""
    return ClipStore.pack(skeleton_set(clips).in_layout(layout), frames).evaluation(np.arange(len(clips)))


def _between_actions(rows: Tensor, actions: int) -> Tensor:
    """Mean distance between different actions of the same person; rows (persons x actions, D), actions fastest."""
    people = rows.view(-1, actions, rows.shape[1])
    return torch.cdist(people, people).sum() / (len(people) * actions * (actions - 1))
