"""What TFAM and GIRL do, in pictures: one plain training and one of the method on a task, looked into.

Written to the output folder, each picture with its numbers in ``diagnosis.json``:

- ``alignment.png``: frame mass, arc-length time, transport plans and a feature's course for a slow and a fast execution
  of one action (synthetic: one take of one person at two speeds; real: the longest and the shortest test clip): of all
  actions, whose numbers are in the file, the one that changes most by the clock;
- ``factors.png``: how far single person factors move the features: by the clock, aligned, as a spectrum, and the
  embedding (synthetic only);
- ``gates.png``: the factors by which TFAM's classifier is given each amplitude;
- ``groups.png``: mutual information of GIRL's groups with persons and with classes, and their risks, over training;
- ``margins.png``: margins of the unseen persons.

What is decided by looking must be looked at with ``--inner``, where test persons stay out.

    python benchmarks/diagnosis.py --out diagnosis/
    python benchmarks/diagnosis.py --data ../shared/data/skeletons --task utd --inner --out diagnosis-utd/
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from independence import pictures
from independence.ablations import ablate
from independence.experiments import OF_RIVALS, Experiment, parse_experiment, settings
from independence.factors import PERSONS, SEED, TAKE, as_batch, movements
from independence.inspection import inspect
from independence.results import code_digest
from independence.tasks import TASKS, TaskData, load_task
from independence.training import prepare
from independence.watching import GroupWatch
from torch import Tensor

from piumr.errors import PiumrError
from piumr.model import ActionNet
from piumr.synthetic.generator import generate_clip
from piumr.synthetic.persons import sample_person
from piumr.synthetic.repertoire import ACTIONS
from piumr.training.fit import fit, predict

SPEEDS = {"slow": 0.7, "fast": 1.6}


def main() -> int:
    """Train, look, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--data", type=Path, help="folder of the real skeleton sets")
    parser.add_argument("--task", choices=TASKS, default="synthetic")
    parser.add_argument("--inner", action="store_true", help="look at a fold inside the training persons, to decide by")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="changes of the method")
    parser.add_argument("--epochs", type=int, help="instead of the task's")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        data = load_task(arguments.task, arguments.data, arguments.inner)
        method = parse_experiment("method", arguments.set)
        if arguments.epochs is not None:
            method.overrides["optim.epochs"] = arguments.epochs
        diagnose(data, method, arguments.seed, arguments.out)
    except PiumrError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def diagnose(data: TaskData, method: Experiment, seed: int, out: Path) -> None:
    """Train both on the task's first fold and write pictures and numbers to a folder.

    Raises:
        PiumrError: if the method does not fit the task.
    """
    out.mkdir(parents=True, exist_ok=True)
    split = data.splits[0]
    # the same network and schedule; what only TFAM or GIRL use says nothing to it
    plain = Experiment("erm", {path: v for path, v in method.overrides.items() if not path.startswith(OF_RIVALS)})
    numbers: dict[str, Any] = {"task": data.task.title, "split": split.name, "seed": seed, "code": code_digest()}
    nets: dict[str, ActionNet] = {}
    watch = GroupWatch(data.store, split.train)
    for name, experiment in (("erm", plain), (method.method, method)):
        config = prepare(experiment, data)
        numbers[name] = {"settings": settings(experiment, config)}
        config = replace(config, seed=seed)
        callbacks = [*ablate(experiment), watch]
        nets[name] = fit(data.store, split.train, config, callbacks=callbacks).net
    persons = np.array(data.clips.persons)[split.test]
    margins = {}
    for name, net in nets.items():
        predicted, margin = data.decide(predict(net, data.store, split.test), split.test)
        margins[name] = margin.numpy()
        numbers[name]["accuracy"] = float((predicted.numpy() == data.clips.labels[split.test]).mean())
        numbers[name]["margin_deciles"] = np.quantile(margins[name], np.linspace(0, 1, 11)).round(4).tolist()
    pictures.margins(out / "margins.png", margins, persons)
    if watch.rows:
        numbers["groups"] = watch.rows
        pictures.groups(out / "groups.png", watch.rows)
    net = nets[method.method]
    if net.tfam is not None:
        gate = net.tfam.gate.detach().numpy()
        numbers["gate_mean"], numbers["gate_std"] = gate.mean(0).tolist(), gate.std(0).tolist()
        pictures.gates(out / "gates.png", gate)
        pairs = {title: align(net, clips) for title, clips in two_executions(data)}
        apart = {title: distances(aligned) for title, aligned in pairs.items()}
        numbers["apart"] = apart
        numbers["apart_mean"] = np.mean(list(apart.values()), axis=0).tolist()
        shown = max(apart, key=lambda title: apart[title][0])
        title = "{}: the features' courses are {:.2f} apart by the clock, {:.2f} aligned".format(shown, *apart[shown])
        pictures.alignment(out / "alignment.png", title, pairs[shown])
    if not data.task.real:
        numbers["movements"] = {name: movements(net, data.store.layout) for name, net in nets.items()}
        pictures.factors(out / "factors.png", numbers["movements"])
    (out / "diagnosis.json").write_text(json.dumps(numbers, indent=1))
    print(f"Pictures and diagnosis.json are in {out}.")


@torch.inference_mode()
def align(net: ActionNet, clips: dict[str, tuple[Tensor, Tensor]]) -> dict[str, dict[str, np.ndarray]]:
    """What :func:`independence.pictures.alignment` draws of clips, and the ``courses`` it comes from.

    Args:
        net: a network.
        clips: by name, points (1, C, T, V) and valid (1, T, V).
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, clip in clips.items():
        seen = inspect(net, *clip)
        mean = seen.clock[0].mean(1, keepdim=True)
        found[name] = {
            "plan": seen.alignment.plan[0].numpy(),
            "mass": seen.alignment.mass[0].numpy(),
            "time": seen.alignment.time[0].numpy(),
            "courses_before": (seen.clock[0] - mean).numpy(),
            "courses_after": (seen.aligned[0] - mean).numpy(),
        }
    channel = int(np.argmax(sum(clip["courses_before"].std(1) for clip in found.values())))
    for clip in found.values():
        clip["before"], clip["after"] = clip["courses_before"][channel], clip["courses_after"][channel]
    return found


def distances(aligned: dict[str, dict[str, np.ndarray]]) -> tuple[float, float]:
    """How far the joint means of two executions are apart, relative to their size: by the clock, and aligned."""
    a, b = aligned.values()
    before, after = (
        float(np.linalg.norm(a[name] - b[name]) / np.sqrt(np.linalg.norm(a[name]) * np.linalg.norm(b[name])))
        for name in ("courses_before", "courses_after")
    )
    return before, after


def two_executions(data: TaskData) -> Iterator[tuple[str, dict[str, tuple[Tensor, Tensor]]]]:
    """For every action what it is called and a slow and a fast execution by name, as :func:`align` takes them."""
    if not data.task.real:
        person, frames = sample_person(SEED, PERSONS[0]), data.store.frames
        people = {name: replace(person, speed=speed) for name, speed in SPEEDS.items()}
        for action in ACTIONS:
            yield (
                action.name,
                {
                    name: as_batch([generate_clip(changed, action.name, TAKE, SEED)], data.store.layout, frames)
                    for name, changed in people.items()
                },
            )
        return
    test = data.splits[0].test
    lengths = np.diff(data.store.offsets.numpy())[test]
    for label in np.unique(data.clips.labels[test]):
        mine = np.flatnonzero(data.clips.labels[test] == label)
        order = test[mine[np.argsort(lengths[mine], kind="stable")]]
        clips = {"slow": data.store.evaluation(order[-1:]), "fast": data.store.evaluation(order[:1])}
        yield data.clips.class_names[label], clips


if __name__ == "__main__":
    sys.exit(main())
