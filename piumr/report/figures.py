"""What the page shows of an evaluation in numbers, as plain types."""

from __future__ import annotations

from typing import Any

import piumr
from piumr.evaluation.result import Evaluation
from piumr.metrics import MIN_CLIPS


def figures(evaluation: Evaluation) -> dict[str, Any]:
    """Everything but the skeletons."""
    clips, scored = evaluation.clips, evaluation.scored
    return {
        "title": evaluation.title,
        "facts": {**scored.facts, "clips": len(clips), "version": piumr.__version__},
        "notes": list(scored.notes),
        "headline": [
            {"name": name.strip(), "part": name.startswith(" "), "value": value, "interval": interval}
            for name, value, interval in scored.headline()
        ],
        "intervals": None
        if scored.intervals is None
        else {key: getattr(scored.intervals, key) for key in ("unit", "units", "samples", "level", "seed")},
        "classes": list(clips.class_names),
        "coarse": None if clips.coarse is None else list(clips.coarse),
        "coarseNames": None if clips.coarse_names is None else list(clips.coarse_names),
        "confusion": [
            [i, j, count] for i, row in enumerate(evaluation.classes.confusion) for j, count in enumerate(row) if count
        ],
        "precision": _rounded(evaluation.classes.precision),
        "recall": _rounded(evaluation.classes.recall),
        "f1": _rounded(evaluation.classes.f1),
        "persons": _persons(evaluation),
        "minClips": MIN_CLIPS,
        "reliability": {
            "clips": list(evaluation.reliability.clips),
            "confidence": _rounded(evaluation.reliability.confidence),
            "accuracy": _rounded(evaluation.reliability.accuracy),
            "error": evaluation.reliability.error,
        },
        "folds": [
            {"name": name, "clips": one.clips, "accuracy": one.accuracy, "macroF1": one.macro_f1}
            for name, one in zip(scored.names, scored.metrics.folds, strict=True)
        ]
        if len(scored.names) > 1
        else [],
        "std": scored.metrics.std,
        "members": [
            {**member.to_dict(), "run": member.run.name, "history": _history(member.run.history)}  # no path leaves home
            for member in evaluation.members
        ],
    }


def _persons(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Accuracy of each person, the worst first."""
    figures, persons = evaluation.scored.metrics.pooled.persons, evaluation.clips.persons
    if figures is None or persons is None:
        return []
    rows = [
        {"name": name, "accuracy": accuracy, "clips": persons.count(name)}
        for name, accuracy in figures.by_person.items()
    ]
    return sorted(rows, key=lambda row: row["accuracy"])


def _history(history: tuple[dict[str, float], ...]) -> dict[str, list[float | None]]:
    """What was logged, one list a quantity; what is no number is left out."""
    names = dict.fromkeys(name for row in history for name in row)
    return {name: [_finite(row.get(name)) for row in history] for name in names}


def _finite(value: float | None) -> float | None:
    return round(value, 6) if value is not None and abs(value) < float("inf") else None


def _rounded(values: tuple[float, ...]) -> list[float]:
    return [round(value, 5) for value in values]
