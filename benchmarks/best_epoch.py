"""What picking the epoch by the test persons, as much published code does, is worth: plain training, best against last.

Every epoch's averaged weights are scored on the test persons; reported are the best epoch of each training and the last
one, which is what all our figures are. One JSON file is written: both for every seed.

    python benchmarks/best_epoch.py --data ../shared/data/skeletons --tasks utd msr --out best_epoch.json
"""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from independence.experiments import EXPERIMENTS
from independence.results import code_digest
from independence.tasks import TASKS, TaskData, load_task
from independence.training import prepare

from piumr.training.fit import fit


def curves(data: TaskData, seed: int) -> np.ndarray:
    """Accuracy of the test clips after each epoch, percent (folds, epochs)."""
    config = replace(prepare(EXPERIMENTS["erm"], data), seed=seed)
    outcomes = [fit(data.store, split.train, config, validation=split.test) for split in data.splits]
    return 100 * np.array([[row["validation_accuracy"] for row in outcome.history] for outcome in outcomes])


def figures(curve: np.ndarray) -> dict[str, float]:
    """``best`` and ``last`` of the curves of a task's folds (folds, epochs), means over the folds."""
    return {"best": float(curve.max(1).mean()), "last": float(curve[:, -1].mean())}


def main() -> None:
    """Train, write, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the real skeleton sets")
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    parser.add_argument(
        "--tasks", nargs="+", default=["utd", "msr"], choices=[n for n in TASKS if not TASKS[n].split_by]
    )
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = {
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "lightning": version("lightning"),
        },
        "code": code_digest(),
        "tasks": {},
    }
    for task in options.tasks:
        rows = report["tasks"][task] = []
        for seed in range(options.seeds):
            rows.append({"seed": seed, **figures(curves(load_task(task, options.data), seed))})
            options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
            print(task, rows[-1], flush=True)
        gain = [row["best"] - row["last"] for row in rows]
        print(
            f"{task}: the best epoch is {np.mean(gain):.1f} points above the last ({min(gain):.1f} to {max(gain):.1f})"
        )


if __name__ == "__main__":
    main()
