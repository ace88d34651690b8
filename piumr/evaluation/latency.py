"""What one clip costs: the deployed model, measured where it runs."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from piumr.inference.recognizer import Recognizer

WARM_UP, REPEATS = 10, 50


@dataclass(frozen=True)
class Latency:
    """Milliseconds that the network takes for one clip, in ONNX Runtime on the CPU, after warm-up.

    Attributes:
        median: over the repeats.
        low: their first quartile.
        high: their third quartile.
        threads: threads of ONNX Runtime.
        repeats: how often it was measured.
    """

    median: float
    low: float
    high: float
    threads: int
    repeats: int

    def to_dict(self) -> dict[str, Any]:
        """Plain types for a JSON file."""
        return asdict(self)


def measure_latency(model: Path) -> Latency:
    """Measure a ``model.onnx`` on two threads, or one where there is one processor.

    Raises:
        PiumrError: if it is no model of ours.
    """
    threads = min(2, os.cpu_count() or 1)
    recognizer = Recognizer(model, threads)
    card = recognizer.card
    points = np.random.default_rng(0).normal(size=(1, card.dimensions, card.frames, len(card.layout)))
    valid = np.ones((1, card.frames, len(card.layout)), dtype=bool)
    batch = points.astype(np.float32)
    times = []
    for _ in range(WARM_UP + REPEATS):
        started = time.perf_counter()
        recognizer.logits(batch, valid)
        times.append(1000 * (time.perf_counter() - started))
    low, median, high = np.percentile(times[WARM_UP:], [25, 50, 75])
    return Latency(float(median), float(low), float(high), threads, REPEATS)
