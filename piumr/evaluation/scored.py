"""Figures with what must be known to read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

import piumr
from piumr.bootstrap import Interval, Intervals, bootstrap
from piumr.data.clips import ClipTable
from piumr.data.splits import few
from piumr.metrics import FoldMetrics, evaluate_folds

FEW = 10
"""Below so many persons the percentile bootstrap is known to give too narrow intervals."""


@dataclass(frozen=True)
class Scored:
    """Figures with what must be known to read them.

    Attributes:
        metrics: the figures.
        intervals: their confidence intervals; None if there is one person, or one clip.
        names: names of the folds, in the order of their figures; empty where no protocol is known.
        facts: what was scored, for the JSON file.
        notes: sentences.
    """

    metrics: FoldMetrics
    intervals: Intervals | None
    names: tuple[str, ...]
    facts: dict[str, Any]
    notes: tuple[str, ...]

    def headline(self) -> list[tuple[str, float, Interval | None]]:
        """Name, value and interval of each figure that is known; the parts of one begin with spaces."""
        metrics = self.metrics.pooled

        def interval(name: str) -> Interval | None:
            return getattr(self.intervals, name, None)

        rows: list[tuple[str, float | None, Interval | None]] = [
            ("accuracy", metrics.accuracy, interval("accuracy")),
            ("top-5", metrics.top5, interval("top5")),
            ("macro F1", metrics.macro_f1, interval("macro_f1")),
        ]
        if metrics.f1_mean is not None:
            parts = metrics.f1_mean
            rows += [
                ("F1_mean", parts.mean, interval("f1_mean")),
                ("  body macro F1", parts.body_macro, None),
                ("  body micro F1", parts.body_micro, None),
                ("  action macro F1", parts.action_macro, None),
                ("  action micro F1", parts.action_micro, None),
            ]
        if metrics.persons is not None:
            persons = metrics.persons
            rows += [
                (f"mean of {persons.persons} persons", persons.mean, interval("person_mean")),
                ("std over persons", persons.std, None),
                ("worst tenth of persons", persons.worst_decile, None),
                ("worst person", persons.worst, None),
            ]
        return [(name, value, between) for name, value, between in rows if value is not None]

    def to_dict(self) -> dict[str, Any]:
        """Plain types for a JSON file."""
        return {
            **self.facts,
            **self.metrics.pooled.to_dict(),
            "intervals": None if self.intervals is None else self.intervals.to_dict(),
            "folds": {
                name: {"clips": one.clips, "accuracy": one.accuracy, "macro_f1": one.macro_f1}
                for name, one in zip(self.names, self.metrics.folds, strict=True)
            }
            if self.names
            else {},
            "std_over_folds": self.metrics.std if len(self.names) > 1 else None,
            "notes": list(self.notes),
            "version": piumr.__version__,
        }


def score(
    clips: ClipTable,
    scores: Tensor,
    fold: Tensor,
    names: Sequence[str],
    facts: dict[str, Any],
    notes: Sequence[str],
    *,
    depth: int | None = None,
    bodies: Tensor | None = None,
) -> Scored:
    """Compute the figures of N predictions, and say what makes them less than they seem.

    Args:
        clips: the N clips with their true classes.
        scores: (N, K) float, logits, probabilities, or numbers that rank the classes.
        fold: int64 (N,), the fold that each clip was tested in.
        names: names of the folds.
        facts: what was scored.
        notes: what is known already.
        depth: how many classes the scores rank; None for all.
        bodies: int64 (N,) predicted coarse classes, of a model that predicts them by itself.

    Raises:
        PiumrError: if the sizes do not agree, there is no clip, or a score is not finite.
    """
    labels = torch.from_numpy(clips.labels)
    said = list(notes)
    metrics = evaluate_folds(scores, labels, fold, clips.persons, clips.coarse, bodies)
    intervals = bootstrap(scores, labels, clips.persons, clips.coarse, bodies)
    if depth is not None and depth < min(5, len(clips.class_names)):  # who ranks two classes has no top-5
        metrics = replace(metrics, pooled=replace(metrics.pooled, top5=None))
        intervals = None if intervals is None else replace(intervals, top5=None)
    if bodies is not None and clips.coarse is not None:
        mapped = torch.as_tensor(clips.coarse)[scores.argmax(1)]
        said.append(
            f"The body is the file's own (body_pred_1); in {int((mapped != bodies).sum())} of {len(bodies)} clips it "
            "is not that of the predicted action."
        )
    absent = sorted(set(range(len(clips.class_names))) - set(clips.labels.tolist()))
    if absent:
        said.append(f"No test clip shows {few([clips.class_names[c] for c in absent])}: the F1 counts as 0.")
    if clips.persons is None:
        said.append("Persons are not known: intervals are over clips, too narrow if clips of a person are alike.")
    elif intervals is not None and intervals.units < FEW:
        said.append(f"The intervals are over {intervals.units} persons only, which makes them too narrow.")
    return Scored(metrics, intervals, tuple(names), facts, tuple(dict.fromkeys(note for note in said if note)))
