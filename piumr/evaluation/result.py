"""What an evaluation knows in the end: figures, predictions, clips, and the runs they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from piumr.data.clips import ClipTable
from piumr.data.store import ClipStore
from piumr.evaluation.latency import Latency
from piumr.evaluation.runs import TrainedRun
from piumr.evaluation.scored import Scored
from piumr.metrics import ClassFigures, Metrics, Reliability


@dataclass(frozen=True, eq=False)
class Member:
    """One run of an evaluation.

    Attributes:
        run: what its folder holds.
        metrics: its own figures on its own test clips.
        parameters: trainable numbers of its network.
        latency: of one clip; None without ``model.onnx``.
    """

    run: TrainedRun
    metrics: Metrics
    parameters: int
    latency: Latency | None

    def to_dict(self) -> dict[str, Any]:
        """Plain types for a JSON file."""
        return {
            "run": str(self.run.folder),
            "method": self.run.card.summary.get("method"),
            "seed": self.run.card.summary.get("seed"),
            "streams": list(self.run.net.config.streams),
            "parameters": self.parameters,
            "latency_ms": None if self.latency is None else self.latency.to_dict(),
            "clips": self.metrics.clips,
            "accuracy": self.metrics.accuracy,
            "macro_f1": self.metrics.macro_f1,
            "f1_mean": None if self.metrics.f1_mean is None else self.metrics.f1_mean.mean,
        }


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All that is known after runs were tried on test clips.

    Attributes:
        title: of the data set.
        clips: the N tested clips, with the classes that count.
        probabilities: float32 (N, K), averaged over the members of an ensemble.
        scored: the figures.
        classes: what becomes of each class.
        reliability: of the confidence.
        members: the runs.
        store: clips as the first run sees them.
        rows: int64 (N,), where the tested clips are in ``store``.
        fps: frames per second of the clips, where known.
    """

    title: str
    clips: ClipTable
    probabilities: Tensor
    scored: Scored
    classes: ClassFigures
    reliability: Reliability
    members: tuple[Member, ...]
    store: ClipStore
    rows: np.ndarray
    fps: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain types for a JSON file."""
        names = self.clips.class_names
        return {
            **self.scored.to_dict(),
            "runs": [member.to_dict() for member in self.members],
            "calibration": {
                "error": self.reliability.error,
                "clips": list(self.reliability.clips),
                "confidence": list(self.reliability.confidence),
                "accuracy": list(self.reliability.accuracy),
            },
            "classes": {
                name: {"precision": p, "recall": r, "f1": f1, "clips": sum(row)}
                for name, p, r, f1, row in zip(
                    names,
                    self.classes.precision,
                    self.classes.recall,
                    self.classes.f1,
                    self.classes.confusion,
                    strict=True,
                )
            },
        }
