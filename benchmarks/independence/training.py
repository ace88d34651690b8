"""One training of an experiment on a fold of a task, in a worker process of its own."""

from __future__ import annotations

import os
import platform
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from independence.ablations import LOOKS, REGROUPED, ablate, decide_by
from independence.experiments import Experiment, configure, settings
from independence.floor import linear_svm
from independence.results import Key, Row, code_digest
from independence.tasks import TaskData, load_task
from piumr.errors import PiumrError
from piumr.training.config import TrainConfig
from piumr.training.fit import fit, make_net
from piumr.training.module import parameter_count

FLOOR = "linear-svm"
"""The experiment that trains no network."""


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        key: what the results file calls it.
        experiment: what is trained.
        data: folder of the real sets.
    """

    key: Key
    experiment: Experiment
    data: Path | None


NICE = 5
"""Niceness of a worker: the machine stays usable."""


def start_worker() -> None:
    """One thread, behind what somebody waits for; Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    os.nice(max(0, NICE - os.nice(0)))


def prepare(experiment: Experiment, data: TaskData) -> TrainConfig:
    """The configuration of an experiment on a task, checked by building its network.

    Raises:
        PiumrError: if it fits no network, or what is to be frozen is not there.
    """
    config = configure(experiment, data.task)
    config = replace(config, augmentation=config.augmentation.for_set(data.clips))
    names = [name for name, _ in make_net(data.store, config).named_parameters()]
    for prefix in experiment.fixed:
        if not any(name.startswith(prefix) for name in names):
            raise PiumrError(f"Expected parameters that begin with {prefix!r} to fix, but the network has none.")
    if experiment.groups not in ("", *REGROUPED):
        raise PiumrError(f"Expected `groups` to be {' or '.join(REGROUPED)}, but got {experiment.groups!r}.")
    if experiment.look and (experiment.look not in LOOKS or not config.with_tfam):
        raise PiumrError(
            f"Expected `look` to be {' or '.join(LOOKS)} of a method with TFAM, but got {experiment.look!r} of "
            f"{config.method}."
        )
    return config


def run(job: Job) -> Row:
    """Train and score; a failure is a row with ``error`` instead of figures, so that the others go on."""
    try:
        return train_one(job)
    except PiumrError as error:
        return {**job.key._asdict(), "error": str(error)}
    except KeyboardInterrupt:  # what a training makes of the parent's request to end
        raise SystemExit(130) from None
    except Exception as error:  # one broken training of hundreds must not end the night
        return {**job.key._asdict(), "error": f"{type(error).__name__}: {error}"}


def train_one(job: Job) -> Row:
    """Train an experiment on one fold and score the fold's test clips, which choose nothing.

    Returns:
        The key and the settings; for every test clip, in the same order, ``predicted`` and ``true`` label, ``person``
        (an index of ``persons``) and ``margin`` in percent; ``accuracy``; of the training ``parameters``, ``seconds``
        by the clock and of the processor, and the ``last`` epoch's logs; and where it ran.
    """
    key = job.key
    data = load_task(key.task, job.data, key.inner)
    split = data.splits[key.fold]
    started, cpu, last, parameters = time.perf_counter(), time.process_time(), {}, 0
    if key.experiment == FLOOR:
        made_with: dict[str, Any] = {"method": FLOOR}
        logits = linear_svm(data, split)
    else:
        config = prepare(job.experiment, data)
        made_with = settings(job.experiment, config)
        store = data.store.to("cuda" if torch.cuda.is_available() else "cpu")
        changes = ablate(job.experiment)
        outcome = fit(store, split.train, replace(config, seed=key.seed), callbacks=changes)
        last, parameters = outcome.history[-1], parameter_count(outcome.net)
        logits = decide_by(outcome.net, store, split.test, job.experiment.look)
    predicted, margin = data.decide(logits, split.test)
    true = data.clips.labels[split.test]
    assert data.clips.persons is not None
    people = [data.clips.persons[i] for i in split.test]
    persons = sorted(set(people))
    return {
        **key._asdict(),
        "folds": len(data.splits),
        "accuracy": float((predicted.numpy() == true).mean()),
        "predicted": predicted.tolist(),
        "true": true.tolist(),
        "person": [persons.index(name) for name in people],
        "persons": persons,
        "classes": len(data.clips.class_names),
        "margin": (100 * margin).round().int().tolist(),
        "parameters": parameters,
        "last": {name: round(value, 5) for name, value in last.items()},
        "settings": made_with,
        "code": code_digest(),
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }
