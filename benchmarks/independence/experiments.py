"""The experiments: a method, and what is different in it from the defaults.

An override names a field of :class:`~piumr.training.config.TrainConfig` by its path, such as ``terms.boundary``,
``model.tfam_stage`` or, within a field of options, ``model.tfam_options.bands``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any

from independence.tasks import Task
from piumr.errors import PiumrError
from piumr.model import ModelConfig
from piumr.training.config import OptimConfig, Precision, TrainConfig

BACKBONE = "microgcn-nano"

# chosen by plain training on inner folds (docs/method.md); bf16 only because it is faster where the processor has it
BATCH_SIZE, LEARNING_RATE = 16, 6e-3
PRECISION: Precision = "bf16-mixed"


@dataclass(frozen=True)
class Experiment:
    """One row of a table.

    Attributes:
        method: of the training.
        overrides: path of a field -> value.
        fixed: beginning of the names of parameters of the network -> the value that all of them keep.
        groups: ``random`` or ``persons`` in place of GIRL's groups by style; empty for those.
        look: ``network`` or ``spectrum``: which of the two looks of TFAM decides alone; empty for both together.
    """

    method: str
    overrides: dict[str, Any] = field(default_factory=dict)
    fixed: dict[str, float] = field(default_factory=dict)
    groups: str = ""
    look: str = ""


OURS = {name: Experiment(name) for name in ("erm", "tfam", "girl", "piumr")}

RIVALS = {name: Experiment(name) for name in ("mixstyle", "dsu", "jtt", "groupdro", "vrex", "focal")} | {
    "ce": Experiment("erm", {"optim.label_smoothing": 0.0}),  # our plain training smooths labels
}

# plain training of other backbones than that of all other experiments, our smallest, and of other forms
BACKBONES = {
    "microgcn-nano-channels-last": Experiment("erm", {"channels_last": True}),
    "microgcn-base": Experiment("erm", {"model.backbone": "microgcn-base"}),
    "microgcn-base-fp32": Experiment("erm", {"model.backbone": "microgcn-base", "precision": "32-true"}),
    "ctrgcn": Experiment("erm", {"model.backbone": "ctrgcn"}),
}

# TFAM and GIRL on other backbones: that of the command's default, and a larger one of ours
PLUG_INS = {
    f"{backbone}-{method}": Experiment(method, {"model.backbone": backbone})
    for backbone in ("stgcnpp-small", "microgcn-base")
    for method in OURS
    if (backbone, method) != ("microgcn-base", "erm")  # it is among the backbones
}

_NO_ATTENTION = {"tfam.temporal.attention": 0.0}

TFAM_ABLATIONS = {
    # no alignment: mass that follows neither the motion nor attention leaves every frame of a whole clip where it is
    "tfam-frequency": Experiment("tfam", {"model.tfam_options.mass": "uniform"}, _NO_ATTENTION),
    "tfam-no-attention": Experiment("tfam", fixed=_NO_ATTENTION),
    # no spectrum: one band of all frequencies
    "tfam-temporal": Experiment("tfam", {"model.tfam_options.bands": 1}),
    # no fusion: trained together, one look decides; trained apart, both decide
    "tfam-network-alone": Experiment("tfam", look="network"),
    "tfam-spectrum-alone": Experiment("tfam", look="spectrum"),
    "tfam-trained-apart": Experiment("tfam", {"terms.consistency_weight": 1.0}),
    "tfam-no-transport-loss": Experiment("tfam", {"terms.transport_weight": 0.0}),
    "tfam-no-consistency-loss": Experiment("tfam", {"terms.consistency_weight": 0.0}),
    "tfam-perturbation": Experiment("tfam", {"model.tfam_options.perturb_probability": 0.5}),
}


def _variants(method: str, options: str, values: dict[str, tuple[Any, ...]]) -> dict[str, Experiment]:
    """An experiment for each value of each option, named by the three."""
    return {
        f"{method}-{name.replace('_', '-')}-{value}": Experiment(method, {f"{options}.{name}": value})
        for name, several in values.items()
        for value in several
    }


# other values than the default, which is the experiment called by the method alone
TFAM_OPTIONS = {
    **_variants(
        "tfam",
        "model.tfam_options",
        {
            "mass": ("uniform",),
            "bands": (3, 4),
            "still_share": (0.1, 1.0),
            "perturb_probability": (0.25, 1.0),
        },
    ),
    **{
        f"tfam-perturb-scale-{scale}": Experiment(
            "tfam", {"model.tfam_options.perturb_probability": 0.5, "model.tfam_options.perturb_scale": scale}
        )
        for scale in (0.25, 1.0)
    },
    **_variants("tfam", "terms", {"consistency_weight": (0.25,), "transport_weight": (0.01, 1.0)}),
    **{f"tfam-stage-{stage}": Experiment("tfam", {"model.tfam_stage": stage}) for stage in (0, 2)},
}

GIRL_ABLATIONS = {
    "girl-random-groups": Experiment("girl", groups="random"),
    "girl-person-groups": Experiment("girl", {"terms.groups": 16}, groups="persons"),  # as many as any set has persons
    "girl-no-boundary": Experiment("girl", {"terms.boundary": 0.0}),
    "girl-no-variance": Experiment("girl", {"terms.group_penalty": 0.0}),
    **_variants("girl", "terms", {"groups": (2, 8, 16)}),
}

# around the options of the rivals' papers, to be compared on inner folds
RIVAL_OPTIONS = {
    **_variants("mixstyle", "terms.rival_options", {"alpha": (0.3,), "p": (1.0,)}),
    **_variants("dsu", "terms.rival_options", {"p": (1.0,)}),
    **_variants("jtt", "terms.rival_options", {"share": (0.5,), "factor": (2, 10)}),
    **_variants("groupdro", "terms.rival_options", {"step": (0.001, 0.1)}),
    **_variants("vrex", "terms.rival_options", {"beta": (0.1, 10.0)}),
    **_variants("focal", "terms.rival_options", {"gamma": (1.0,)}),
}

GROUPS: dict[str, dict[str, Experiment]] = {
    "ours": OURS,
    "rivals": RIVALS,
    "main": OURS | RIVALS,
    "backbones": BACKBONES,
    "plug-ins": PLUG_INS,
    "tfam-ablations": TFAM_ABLATIONS,
    "tfam-options": TFAM_OPTIONS,
    "girl-ablations": GIRL_ABLATIONS,
    "rival-options": RIVAL_OPTIONS,
}
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
        optim=OptimConfig(epochs=task.epochs, batch_size=BATCH_SIZE, learning_rate=LEARNING_RATE),
        precision=PRECISION,
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
    """An experiment from ``key=value`` texts, values in JSON or plain text.

    Besides overrides there are ``method`` (piumr unless given), ``fixed.NAME``, ``groups`` and ``look``.

    Raises:
        PiumrError: if a text has no ``=``, what is to be fixed is no number, or the seed is among them.
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
    fixed = {path.removeprefix("fixed."): overrides.pop(path) for path in list(overrides) if path.startswith("fixed.")}
    for path, value in fixed.items():
        if not isinstance(value, int | float):
            raise PiumrError(f"Expected fixed.{path} to be a number, but got {value!r}.")
    if "seed" in overrides:
        raise PiumrError("Expected the seed as --first-seed and --seeds, but got it in --set.")
    method, groups, look = (overrides.pop(*word) for word in (("method", "piumr"), ("groups", ""), ("look", "")))
    return Experiment(method, overrides, fixed, groups, look)


OF_TFAM = ("model.tfam_", "terms.transport_weight", "terms.consistency_weight")
OF_GIRL = ("terms.groups", "terms.boundary", "terms.group_penalty")
OF_RIVALS = ("terms.rival_options",)


def settings(experiment: Experiment, config: TrainConfig) -> dict[str, Any]:
    """All that determines a training but its data and seed, as plain JSON values by path.

    What the method does not use is left out, so that results of other methods outlive a change of ours.
    """
    flat = _flat(asdict(config), "")
    unused = () if config.with_tfam else OF_TFAM
    unused += () if config.with_girl else OF_GIRL
    unused += OF_RIVALS if config.method in OURS else ()
    if not config.with_girl and config.method != "vrex":
        unused += ("terms.girl_warmup",)
    flat = {name: value for name, value in flat.items() if not name.startswith(unused)}
    flat |= {f"fixed.{name}": value for name, value in experiment.fixed.items()}
    others = {"groups": experiment.groups, "look": experiment.look}
    return flat | {name: value for name, value in others.items() if value}


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
