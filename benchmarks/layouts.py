"""Which joints does a micro-action need? Accuracy and cost of layouts of MediaPipe's landmarks, by person folds.

``mediapipe-micro`` (23 body points, 12 of each hand: tips, middle joints, three knuckles) beside the layouts it was
chosen from. All get the same small network, schedule, folds and seeds; nobody is on both sides of a fold, and the last
weights are tested. One JSON line a training is appended to the output file, so a run can be stopped and started again.

    python benchmarks/layouts.py --data ../shared/data/skeletons --out layouts.jsonl
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from piumr.data.clips import SkeletonSet
from piumr.data.protocols import PersonFolds
from piumr.data.source import DataConfig, load_set
from piumr.data.store import ClipStore
from piumr.layouts.layout import Layout
from piumr.layouts.mediapipe import MEDIAPIPE_33, MEDIAPIPE_75
from piumr.layouts.micro import BODY, FINGERS, MEDIAPIPE_MICRO, SIDES
from piumr.metrics import evaluate
from piumr.model import ActionNet, ModelConfig
from piumr.training.config import OptimConfig, TrainConfig
from piumr.training.fit import fit, predict
from piumr.training.module import parameter_count

FOLDS, EPOCHS, WARMUP, FRAMES = 3, 8, 2, 16
LATENCY_FRAMES, REPEATS = 64, 30


def candidate(name: str, body: tuple[str, ...], hand: tuple[str, ...]) -> Layout:
    """Some body points and the same points of both hands."""
    return MEDIAPIPE_75.subset(name, (*body, *(f"{side}_hand_{joint}" for side in SIDES for joint in hand)))


TIPS = tuple(f"{finger}_tip" for finger in FINGERS)
KNUCKLES = tuple(f"{finger}_mcp" for finger in FINGERS)

LAYOUTS = {
    layout.name: layout
    for layout in (
        MEDIAPIPE_33,
        candidate("33 body + 2 x 5 tips", MEDIAPIPE_33.joints, TIPS),
        candidate("23 body + 2 x 10 tips, knuckles", BODY, KNUCKLES + TIPS),
        MEDIAPIPE_MICRO,
        MEDIAPIPE_75,
    )
}


def train_one(clips: SkeletonSet, name: str, fold: int, seed: int) -> dict[str, Any]:
    """Plain training on one fold; predictions of its test clips by their place in the set."""
    chosen = clips.in_layout(LAYOUTS[name])
    split = PersonFolds(FOLDS).split(clips)[fold]
    optim = OptimConfig(epochs=EPOCHS, warmup_epochs=WARMUP)
    config = TrainConfig(method="erm", model=ModelConfig(frames=FRAMES), optim=optim, seed=seed)
    config = replace(config, augmentation=config.augmentation.for_set(chosen))
    store = ClipStore.pack(chosen, FRAMES)
    started = time.perf_counter()
    outcome = fit(store, split.train, config)
    seconds = time.perf_counter() - started
    predicted = predict(outcome.net, store, split.test).argmax(1).tolist()
    return {
        "layout": name,
        "fold": fold,
        "seed": seed,
        "joints": len(LAYOUTS[name]),
        "parameters": parameter_count(outcome.net),
        "seconds": round(seconds, 1),
        "predictions": dict(zip(split.test.tolist(), predicted, strict=True)),
        "load": os.getloadavg()[0],
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


@torch.inference_mode()
def latency(layout: Layout, classes: int) -> tuple[float, float]:
    """Median and interquartile range of the milliseconds for one clip of 64 frames in PyTorch, after warm-up."""
    net: ActionNet = ActionNet(layout, classes, 2, ModelConfig(frames=LATENCY_FRAMES), tfam=False).eval()
    points = torch.randn(1, 2, LATENCY_FRAMES, len(layout))
    valid = torch.ones(1, LATENCY_FRAMES, len(layout), dtype=torch.bool)
    times = []
    for _ in range(5 + REPEATS):
        started = time.perf_counter()
        net(points, valid)
        times.append(1000 * (time.perf_counter() - started))
    low, median, high = np.percentile(times[5:], [25, 50, 75])
    return float(median), float(high - low)


def table(rows: list[dict[str, Any]], clips: SkeletonSet) -> str:
    """Markdown: figures on pooled out-of-fold predictions, mean and standard deviation over seeds, beside the cost."""
    assert clips.persons is not None
    lines = [
        "| layout | joints | parameters | s / training | ms / clip | seeds | accuracy | mean person | worst person |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, layout in LAYOUTS.items():
        mine = [row for row in rows if row["layout"] == name]
        figures = []
        for seed in sorted({row["seed"] for row in mine}):
            predicted: dict[str, int] = {}
            for row in mine:
                predicted |= row["predictions"] if row["seed"] == seed else {}
            if len(predicted) < len(clips):
                continue  # unfinished
            order = [int(i) for i in predicted]
            scores = torch.nn.functional.one_hot(torch.tensor(list(predicted.values())), len(clips.class_names))
            persons = [clips.persons[i] for i in order]
            metrics = evaluate(scores.float(), torch.from_numpy(clips.labels[order]), persons)
            assert metrics.persons is not None
            figures.append([metrics.accuracy, metrics.persons.mean, metrics.persons.worst])
        if not figures:
            continue
        cells = [f"{100 * a:.1f} ± {100 * b:.1f}" for a, b in zip(np.mean(figures, 0), np.std(figures, 0), strict=True)]
        seconds = np.median([row["seconds"] for row in mine])
        median, spread = latency(layout, len(clips.class_names))
        lines.append(
            f"| {name} | {len(layout)} | {mine[0]['parameters']} | {seconds:.0f} | {median:.1f} (IQR {spread:.1f}) | "
            f"{len(figures)} | {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Train what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds mp_holistic_signs.npz")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, appended to")
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    clips = load_set(DataConfig(dataset="mp_holistic_signs", data=arguments.data))[1]
    rows = [json.loads(line) for line in arguments.out.open()] if arguments.out.exists() else []
    done = {(row["layout"], row["fold"], row["seed"]) for row in rows}
    jobs = [(n, f, s) for s in range(arguments.seeds) for f in range(FOLDS) for n in arguments.layouts]
    for job in jobs:
        if job in done:
            continue
        rows.append(train_one(clips, *job))
        with arguments.out.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
        print({key: rows[-1][key] for key in ("layout", "fold", "seed", "seconds")}, file=sys.stderr)
    print(table(rows, clips))


if __name__ == "__main__":
    main()
