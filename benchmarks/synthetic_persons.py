"""How hard the synthetic persons are: the person gap of plain training, and what is left without time.

- The gap: one small network, trained plainly (ERM) with the same budget on as many clips and tested on the same clips:
  the later takes of the test persons of ``unseen-persons``. Once these persons are unknown, as the protocol has it;
  once their earlier takes replace clips of other persons in training.
- The probes: extremely randomised trees on statistics of the joints' courses, on the same statistics after the frames
  of every clip have been shuffled, and on a single frame (the best of four). What needs no time is no action.

One JSON line a result is appended to the output file, so a run can be stopped and started again.

    python benchmarks/synthetic_persons.py --out synthetic.jsonl
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from piumr.data.clips import SkeletonSet
from piumr.data.protocols import Persons, Split
from piumr.data.source import DataConfig, load_set
from piumr.layouts import get_layout
from piumr.preprocessing import normalise, resample

PERSONS = ("unseen", "seen")
INPUTS = ("ordered", "shuffled", "single frame")
LAYOUT, FRAMES, EPOCHS, BATCH = "mediapipe-micro", 16, 24, 16
PROBE_FRAMES = 32


def paired_splits(clips: SkeletonSet, protocol: Persons) -> dict[str, Split]:
    """Two divisions with the same test clips and as many training clips, without and with the test persons.

    The clips are those of the synthetic set: every person has every take of every class.
    """
    persons, takes = np.array(clips.persons), np.array([int(name.rsplit("/", 1)[1]) for name in clips.names])
    known, tested = np.isin(persons, protocol.train), np.isin(persons, protocol.test)
    early = takes < (takes.max() + 1) // 2
    test = np.flatnonzero(tested & ~early)
    replaced = len(protocol.test) * ((takes.max() + 1) // 2) // (takes.max() + 1)  # persons worth of clips
    kept = np.isin(persons, protocol.train[: len(protocol.train) - replaced])
    return {
        "unseen": Split("unseen", np.flatnonzero(known), test, person_disjoint=True),
        "seen": Split("seen", np.flatnonzero(kept | (tested & early)), test, person_disjoint=False),
    }


def probe(clips: SkeletonSet, split: Split, trees: int = 300) -> dict[str, float]:
    """Accuracy on the test clips of a split, by what of a clip's time is given: one of :data:`INPUTS`."""
    small, rng = clips.in_layout(get_layout(LAYOUT)), np.random.default_rng(0)
    points = np.stack([resample(*normalise(*small.clip(i), small.layout), PROBE_FRAMES)[0] for i in range(len(small))])
    courses = np.concatenate([points, points - points[:, :, list(small.layout.parents)]], axis=2)
    courses = courses.reshape(len(small), PROBE_FRAMES, -1)  # joints and bones
    shuffled = np.stack([course[rng.permutation(PROBE_FRAMES)] for course in courses])
    single = [courses[:, round(share * (PROBE_FRAMES - 1))] for share in (0.25, 0.5, 0.75, 1.0)]
    candidates = ([statistics(courses)], [statistics(shuffled)], single)
    return {
        name: max(_accuracy(features, clips.labels, split, trees) for features in choice)
        for name, choice in zip(INPUTS, candidates, strict=True)
    }


def statistics(courses: np.ndarray) -> np.ndarray:
    """Features (N, 6 D) of courses (N, T, D): mean, middle, change from begin to end, spread, speed, acceleration."""
    velocity = np.diff(courses, axis=1)
    quarter = courses.shape[1] // 8
    parts = (
        courses.mean(1),
        courses[:, 3 * quarter : 5 * quarter].mean(1) - courses.mean(1),
        courses[:, -quarter:].mean(1) - courses[:, :quarter].mean(1),
        courses.std(1),
        velocity.std(1),
        np.diff(velocity, axis=1).std(1),
    )
    return np.concatenate(parts, axis=1)


def _accuracy(features: np.ndarray, labels: np.ndarray, split: Split, trees: int) -> float:
    from sklearn.ensemble import ExtraTreesClassifier

    model = ExtraTreesClassifier(trees, random_state=0).fit(features[split.train], labels[split.train])
    return float((model.predict(features[split.test]) == labels[split.test]).mean())


def train_erm(clips: SkeletonSet, split: Split, seed: int) -> tuple[float, float]:
    """Accuracy of a plain training on the test clips of a split, and its seconds."""
    import torch

    from piumr.data.store import ClipStore
    from piumr.model import ModelConfig
    from piumr.training.config import OptimConfig, TrainConfig
    from piumr.training.fit import fit, predict

    torch.set_num_threads(1)
    optim = OptimConfig(epochs=EPOCHS, batch_size=BATCH)
    config = TrainConfig(method="erm", model=ModelConfig(frames=FRAMES), optim=optim, seed=seed)
    small = clips.in_layout(get_layout(LAYOUT))
    config = replace(config, augmentation=config.augmentation.for_set(small))
    store = ClipStore.pack(small, FRAMES)
    started = time.perf_counter()
    net = fit(store, split.train, config).net
    seconds = time.perf_counter() - started
    predicted = predict(net, store, split.test).argmax(1).numpy()
    return float((predicted == clips.labels[split.test]).mean()), seconds


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: one line a model, both kinds of persons and their difference."""
    lines = ["| model | seen persons | unseen persons | person gap |", "|---|---|---|---|"]
    for model in dict.fromkeys(row["model"] for row in rows):
        both = [
            100 * np.array([row["accuracy"] for row in rows if (row["model"], row["persons"]) == (model, kind)])
            for kind in PERSONS
        ]
        if all(len(values) for values in both):
            unseen, seen = (f"{v.mean():.1f} ± {v.std():.1f}" if len(v) > 1 else f"{v.mean():.1f}" for v in both)
            gap = both[1].mean() - both[0].mean()
            lines.append(f"| {model} | {seen} | {unseen} | {gap:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, appended to")
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.out.open()] if arguments.out.exists() else []
    done = {(row["model"], row["persons"], row["seed"]) for row in rows}
    declaration, clips = load_set(DataConfig(dataset="synthetic"))
    protocol = declaration.protocols["unseen-persons"]
    assert isinstance(protocol, Persons)
    splits = paired_splits(clips, protocol)

    def add(model: str, kind: str, seed: int, accuracy: float, **facts: float) -> None:
        facts |= {"train": len(splits[kind].train), "test": len(splits[kind].test), "load": os.getloadavg()[0]}
        rows.append({"model": model, "persons": kind, "seed": seed, "accuracy": accuracy, **facts})
        rows[-1]["python"] = platform.python_version()
        with arguments.out.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")

    for kind, split in splits.items():
        if (f"trees, {INPUTS[0]}", kind, 0) not in done:
            for name, accuracy in probe(clips, split).items():
                add(f"trees, {name}", kind, 0, accuracy)
    for seed in range(arguments.seeds):
        for kind, split in splits.items():
            if (f"ERM, {EPOCHS} epochs", kind, seed) not in done:
                accuracy, seconds = train_erm(clips, split, seed)
                add(f"ERM, {EPOCHS} epochs", kind, seed, accuracy, seconds=round(seconds, 1))
    print(table(rows))


if __name__ == "__main__":
    main()
