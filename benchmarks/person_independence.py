"""How well each method recognises persons it has never seen: data sets x folds x methods x seeds.

One JSON line per training is appended to the output file, so a run can be stopped and started again at any time; what
is there is not trained again. Persons in a test fold choose nothing: fixed schedule, last weights. The table pools the
out-of-fold predictions of a seed, then gives mean and standard deviation over seeds. A linear SVM on resampled frames
and velocities, on the same folds, is the floor.

    python benchmarks/person_independence.py --data ../shared/data/skeletons --out results.jsonl
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

METHODS = ("erm", "tfam", "girl", "piumr")


@dataclass(frozen=True)
class Task:
    """A data set with its protocol and the budget that every method gets on it."""

    folder: str
    protocol: str
    epochs: int
    frames: int


TASKS = {
    "utd_mhad": Task("utd_mhad", "odd-even", epochs=60, frames=32),
    "mp_holistic_signs": Task(".", "person-folds", epochs=10, frames=16),
    "synthetic": Task("", "", epochs=20, frames=32),
}


def load(name: str, data: Path) -> tuple[Any, list[Any]]:
    """The clips of a task and its splits."""
    from piumr.data.protocols import make_splits
    from piumr.data.source import DataConfig, load_set

    task = TASKS[name]
    folder = data / task.folder if task.folder else None
    declaration, clips = load_set(DataConfig(dataset=name, data=folder))
    return clips, make_splits(clips, declaration.protocols, task.protocol or declaration.protocol)


def train_one(job: tuple[str, Path, str, int, int]) -> dict[str, Any]:
    """Train one method on one fold with one seed and predict the fold's test clips."""
    import torch

    from piumr.data.store import ClipStore
    from piumr.model import ModelConfig
    from piumr.training.config import OptimConfig, TrainConfig
    from piumr.training.fit import fit, predict
    from piumr.training.module import parameter_count

    name, data, method, seed, fold = job
    torch.set_num_threads(1)
    task = TASKS[name]
    clips, splits = load(name, data)
    split = splits[fold]
    config = TrainConfig(method=method, model=ModelConfig(frames=task.frames), optim=OptimConfig(epochs=task.epochs))
    config = replace(config, seed=seed, augmentation=config.augmentation.for_set(clips))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    store = ClipStore.pack(clips, task.frames).to(device)
    started = time.perf_counter()
    outcome = fit(store, split.train, config, progress=False)
    seconds = time.perf_counter() - started
    predicted = predict(outcome.net, store, split.test).argmax(1).numpy()
    return {
        "dataset": name,
        "method": method,
        "seed": seed,
        "fold": fold,
        "folds": len(splits),
        "accuracy": float((predicted == clips.labels[split.test]).mean()),
        "predictions": {clips.names[i]: int(p) for i, p in zip(split.test, predicted, strict=True)},
        "parameters": parameter_count(outcome.net),
        "seconds": round(seconds, 1),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": device,
    }


def svm_floor(name: str, data: Path) -> dict[str, Any]:
    """A linear SVM on resampled, normalised frames and velocities, on the same folds."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    from piumr.preprocessing import normalise, resample

    clips, splits = load(name, data)
    features = []
    for i in range(len(clips)):
        points, _ = resample(*normalise(*clips.clip(i), clips.layout), 16)
        features.append(np.concatenate([points.ravel(), np.diff(points, axis=0).ravel()]))
    x, best = np.stack(features), None
    # several common recipes; the best one is the floor, so that it is not beaten by a bad choice
    for recipe, model in {
        "scaled, C=0.01": make_pipeline(StandardScaler(), SVC(kernel="linear", C=0.01)),
        "C=1": SVC(kernel="linear", C=1),
        "C=0.1": SVC(kernel="linear", C=0.1),
    }.items():
        predicted = {}
        for split in splits:
            model.fit(x[split.train], clips.labels[split.train])
            for i, p in zip(split.test, model.predict(x[split.test]), strict=True):
                predicted[clips.names[i]] = int(p)
        row = {"dataset": name, "method": f"linear SVM ({recipe})", "seed": 0, "fold": 0, "folds": 1}
        row["predictions"] = predicted
        row["accuracy"] = float(
            np.mean([predicted[n] == t for n, t in zip(clips.names, clips.labels, strict=True) if n in predicted])
        )
        if best is None or row["accuracy"] > best["accuracy"]:
            best = row
    assert best is not None
    return best


def table(rows: list[dict[str, Any]], data: Path) -> str:
    """Markdown: pooled accuracy, macro F1, mean and worst person, each as mean and standard deviation over seeds."""
    import torch

    from piumr.metrics import evaluate

    lines = [
        "| data set | method | seeds | accuracy | macro F1 | mean person | worst person |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in TASKS:
        mine = [row for row in rows if row["dataset"] == name]
        if not mine:
            continue
        clips, _ = load(name, data)
        index = {clip: i for i, clip in enumerate(clips.names)}
        methods = dict.fromkeys(row["method"] for row in mine)
        for method in sorted(methods, key=lambda m: METHODS.index(m) if m in METHODS else -1):
            seeds: dict[int, dict[str, int]] = defaultdict(dict)
            folds: dict[int, int] = defaultdict(int)
            for row in mine:
                if row["method"] == method:
                    seeds[row["seed"]] |= row["predictions"]
                    folds[row["seed"]] += 1
            figures = []
            for seed, predicted in seeds.items():
                if folds[seed] < next(row["folds"] for row in mine if row["method"] == method):
                    continue  # unfinished
                order = [index[clip] for clip in predicted]
                scores = torch.nn.functional.one_hot(torch.tensor(list(predicted.values())), len(clips.class_names))
                targets, persons = torch.from_numpy(clips.labels[order]), [clips.persons[i] for i in order]
                m = evaluate(scores.float(), targets, persons)
                figures.append([m.accuracy, m.macro_f1, m.persons.mean, m.persons.worst])
            if figures:
                mean, std = 100 * np.mean(figures, axis=0), 100 * np.std(figures, axis=0)
                cells = " | ".join(
                    f"{a:.1f} ± {b:.1f}" if len(figures) > 1 else f"{a:.1f}" for a, b in zip(mean, std, strict=True)
                )
                lines.append(f"| {name} | {method} | {len(figures)} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the real skeleton sets")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, appended to")
    parser.add_argument("--datasets", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.out.open()] if arguments.out.exists() else []
    done = {(row["dataset"], row["method"], row["seed"], row["fold"]) for row in rows}
    jobs = []
    for name in arguments.datasets:
        folds = len(load(name, arguments.data)[1])
        if not any(row["dataset"] == name and row["method"].startswith("linear") for row in rows):
            rows.append(svm_floor(name, arguments.data))
            _append(arguments.out, rows[-1])
        jobs += [
            (name, arguments.data, method, seed, fold)
            for seed in range(arguments.seeds)
            for fold in range(folds)
            for method in arguments.methods
            if (name, method, seed, fold) not in done
        ]
    print(f"{len(jobs)} trainings to do, {len(done)} done", file=sys.stderr)
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        for row in pool.imap_unordered(train_one, jobs):
            rows.append(row)
            _append(arguments.out, row)
            facts = {key: row[key] for key in ("dataset", "method", "seed", "fold", "accuracy", "seconds")}
            print(facts, file=sys.stderr)
    print(table(rows, arguments.data))


def _append(path: Path, row: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
