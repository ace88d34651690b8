"""The experiments: a method, and what is different in it from the defaults.

An override names a field of :class:`~piumr.training.config.TrainConfig` by its path, such as ``terms.boundary``,
``model.tfam_stage`` or, within a field of options, ``model.tfam_options.eps``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any

from independence.tasks import Task
from piumr.errors import PiumrError
from piumr.model import ModelConfig
from piumr.training.config import OptimConfig, TrainConfig

BACKBONE = "microgcn-nano"


@dataclass(frozen=True)
class Experiment:
    """One row of a table.

    Attributes:
        method: of the training.
        overrides: path of a field -> value.
        freeze: beginnings of the names of parameters that keep their initial values: a part that starts as the
            identity, or at zero, is thereby left out.
    """

    method: str
    overrides: dict[str, Any] = field(default_factory=dict)
    freeze: tuple[str, ...] = ()


OURS = {name: Experiment(name) for name in ("erm", "tfam", "girl", "piumr")}

GROUPS: dict[str, dict[str, Experiment]] = {"ours": OURS}
"""Lists of experiments by name; the command line takes a list's name for all of it."""

EXPERIMENTS: dict[str, Experiment] = {name: made for group in GROUPS.values() for name, made in group.items()}


def configure(experiment: Experiment, task: Task) -> TrainConfig:
    """The training of an experiment on a task; the seed is 0.

    Raises:
        PiumrError: if an override names no field or a value is out of range.
    """
    config = TrainConfig(
        method=experiment.method,  # type: ignore[arg-type]
        model=ModelConfig(backbone=BACKBONE, frames=task.frames),
        optim=OptimConfig(epochs=task.epochs),
    )
    for path, value in experiment.overrides.items():
        config = override(config, path, value)
    return config


def override(config: Any, path: str, value: Any) -> Any:
    """A copy of a configuration with another value at ``path``.

    Raises:
        PiumrError: if there is no such field or the value is out of its range.
    """
    name, _, rest = path.partition(".")
    if isinstance(config, dict):
        return {**config, path: value}
    if not is_dataclass(config) or name not in [entry.name for entry in fields(config)]:
        known = ", ".join(entry.name for entry in fields(config)) if is_dataclass(config) else "none"
        raise PiumrError(f"Expected an override to name a field among {known}, but got {path!r}.")
    current = getattr(config, name)
    if rest:
        value = override(current, rest, value)
    elif is_dataclass(current) or isinstance(current, dict):
        raise PiumrError(f"Expected an override of a field within {name!r}, but got {path!r}.")
    else:
        value = _like(current, value, path)
    return replace(config, **{name: value})


def parse_experiment(name: str, assignments: list[str]) -> Experiment:
    """An experiment from ``key=value`` texts, values in JSON or plain text; ``method`` is piumr unless set.

    Raises:
        PiumrError: if a text has no ``=``.
    """
    overrides: dict[str, Any] = {}
    for text in assignments:
        path, equals, value = text.partition("=")
        if not equals:
            raise PiumrError(f"Expected --set {name} to be followed by KEY=VALUE, but got {text!r}.")
        try:
            overrides[path] = json.loads(value)
        except json.JSONDecodeError:
            overrides[path] = value
    freeze = overrides.pop("freeze", "")
    return Experiment(overrides.pop("method", "piumr"), overrides, tuple(part for part in freeze.split(",") if part))


def settings(experiment: Experiment, config: TrainConfig) -> dict[str, Any]:
    """All that determines a training but its data and seed, as plain JSON values by path."""
    flat = {"freeze": list(experiment.freeze)} if experiment.freeze else {}
    return {**_flat(asdict(config), ""), **flat}


def _flat(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        elif name != "seed":
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat


def _like(current: Any, value: Any, path: str) -> Any:
    """The value in the type of the present one."""
    if isinstance(current, tuple) and isinstance(value, list):
        return tuple(value)
    if isinstance(current, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(current):
        raise PiumrError(f"Expected {path!r} to be of type {type(current).__name__}, but got {value!r}.")
    return value
