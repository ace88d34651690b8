"""What it costs when hands go missing at test time: told to the model as a mask, or filled with the point (0, 0).

One small network a seed is trained on synthetic persons and tested on held-out clips of the same persons (the question
here is not who is seen, but what) with a growing share of the frames in which a hand is lost, in runs of frames. The
same gaps are evaluated both ways.

    python benchmarks/missing_landmarks.py --out missing.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch

from piumr.data.missing import RUN, lose_parts
from piumr.data.protocols import SharedFolds
from piumr.data.store import ClipStore
from piumr.layouts import get_layout
from piumr.model import ModelConfig
from piumr.synthetic import synthetic_set
from piumr.training.config import OptimConfig, TrainConfig
from piumr.training.fit import fit, predict

LAYOUT, PERSONS, TAKES, FRAMES, EPOCHS, BATCH = "mediapipe-micro", 6, 2, 16, 30, 16
SHARES = (0.1, 0.3, 0.5)
HANDS = ("left hand", "right hand")


def measure(seed: int) -> dict[str, float]:
    """Accuracy by condition of one training."""
    clips = synthetic_set(persons=PERSONS, takes=TAKES, seed=0).in_layout(get_layout(LAYOUT))
    split = SharedFolds(3).split(clips)[0]
    optim = OptimConfig(epochs=EPOCHS, batch_size=BATCH)
    config = TrainConfig(method="erm", model=ModelConfig(frames=FRAMES), optim=optim, seed=seed)
    net = fit(ClipStore.pack(clips, FRAMES), split.train, config).net
    labels = clips.labels[split.test]

    def accuracy(share: float, zero_filled: bool) -> float:
        spoilt = lose_parts(clips, HANDS, share, seed=1, zero_filled=zero_filled)
        predicted = predict(net, ClipStore.pack(spoilt, FRAMES), split.test).argmax(1).numpy()
        return float((predicted == labels).mean())

    figures = {"nothing lost": accuracy(0.0, False)}
    for share in SHARES:
        figures[f"{share:.0%} masked"] = accuracy(share, False)
        figures[f"{share:.0%} zero-filled"] = accuracy(share, True)
    return figures


def main() -> None:
    """Train, evaluate, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="JSON file")
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measure(seed) for seed in range(arguments.seeds)]
    report: dict[str, Any] = {
        "accuracy": rows,
        "layout": LAYOUT,
        "persons": PERSONS,
        "takes": TAKES,
        "frames": FRAMES,
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "mean_run": RUN,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load": os.getloadavg()[0],
    }
    arguments.out.write_text(json.dumps(report, indent=2))
    print("| hands | accuracy |\n|---|---|")
    for condition in rows[0]:
        values = [100 * row[condition] for row in rows]
        print(f"| {condition} | {np.mean(values):.1f} ± {np.std(values):.1f} |")


if __name__ == "__main__":
    main()
