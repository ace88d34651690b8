"""Confidence intervals by resampling persons: a figure over few persons is uncertain, however many clips they have.

Percentile bootstrap (Efron, "Bootstrap methods: another look at the jackknife", 1979) over clusters (Field and Welsh,
"Bootstrapping clustered data", 2007): persons are drawn with replacement, each with all clips. Where persons are not
known clips are drawn, which is too narrow as far as clips of one person are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from piumr.metrics import best_classes, check_predictions

CHUNK = 256
"""Samples that are drawn at once."""

Counts = NDArray[np.float64]


class Interval(NamedTuple):
    """A confidence interval, both ends in 0..1."""

    low: float
    high: float


@dataclass(frozen=True)
class Intervals:
    """Confidence intervals of the figures of :class:`piumr.metrics.Metrics`.

    Attributes:
        unit: What was drawn.
        units: How many there are.
        samples: Number of bootstrap samples.
        level: Share of the samples within an interval.
        seed: Of the samples.
        accuracy: Of the share of clips whose best class is right.
        top5: Of the share of clips whose class is among the best five; None where that is not known.
        macro_f1: Of the mean F1 over all classes.
        f1_mean: Of F1_mean, for a set with coarse classes.
        person_mean: Of the mean over persons, where they are known.
    """

    unit: Literal["persons", "clips"]
    units: int
    samples: int
    level: float
    seed: int
    accuracy: Interval
    top5: Interval | None
    macro_f1: Interval
    f1_mean: Interval | None
    person_mean: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """Nested dictionary for a JSON file."""
        return asdict(self)


def bootstrap(
    scores: Tensor,
    targets: Tensor,
    persons: Sequence[str] | None = None,
    coarse: Sequence[int] | None = None,
    coarse_predicted: Tensor | None = None,
    *,
    samples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Intervals | None:
    """Confidence intervals of what :func:`piumr.metrics.evaluate` gives for the same arguments.

    Args:
        scores: (N, K) float, logits or probabilities.
        targets: (N,) int64 in 0..K-1.
        persons: N names, or None: then clips are drawn.
        coarse: Coarse class of each of the K classes, or None.
        coarse_predicted: (N,) int64 predicted coarse classes; None for those of the predicted classes.
        samples: Number of bootstrap samples.
        level: Share of the samples within an interval, 0 to 1.
        seed: Of the samples.

    Returns:
        The intervals; None where there is only one unit, of which no spread can be known.

    Raises:
        PiumrError: If the sizes do not agree, there is no clip, or a score is not finite.
    """
    check_predictions(scores, targets, persons, coarse)
    true, ranked = targets.cpu().numpy(), best_classes(scores, 5).cpu().numpy()
    predicted = scores.argmax(1).cpu().numpy()
    unit = np.arange(len(true)) if persons is None else np.unique(np.array(persons), return_inverse=True)[1]
    units = int(unit.max()) + 1
    if units < 2:
        return None
    clips = np.bincount(unit, minlength=units).astype(np.float64)
    hits = np.bincount(unit, weights=predicted == true, minlength=units)
    hits5 = np.bincount(unit, weights=(ranked == true[:, None]).any(axis=1), minlength=units)
    fine = _counts(unit, predicted, true, units, scores.shape[1])
    body = None
    if coarse is not None:
        parts = np.asarray(coarse)
        given = parts[predicted] if coarse_predicted is None else coarse_predicted.cpu().numpy()
        body = _counts(unit, given, parts[true], units, int(parts.max()) + 1)
        body_hits = np.bincount(unit, weights=given == parts[true], minlength=units)
    rng = np.random.default_rng(seed)
    rows = []
    for start in range(0, samples, CHUNK):
        # how often each unit is drawn
        drawn = rng.multinomial(units, np.full(units, 1 / units), min(CHUNK, samples - start)).astype(np.float64)
        total = drawn @ clips
        accuracy, macro = drawn @ hits / total, _macro_f1(drawn, fine)
        columns = [accuracy, drawn @ hits5 / total, macro, drawn @ (hits / clips) / units]
        if body is not None:
            columns.append((_macro_f1(drawn, body) + drawn @ body_hits / total + macro + accuracy) / 4)
        rows.append(np.stack(columns, axis=1))
    ends = np.quantile(np.concatenate(rows), [(1 - level) / 2, (1 + level) / 2], axis=0).T
    of_accuracy, of_top5, of_macro, of_persons, *of_f1_mean = (Interval(float(a), float(b)) for a, b in ends)
    return Intervals(
        unit="clips" if persons is None else "persons",
        units=units,
        samples=samples,
        level=level,
        seed=seed,
        accuracy=of_accuracy,
        top5=of_top5,
        macro_f1=of_macro,
        f1_mean=of_f1_mean[0] if of_f1_mean else None,
        person_mean=None if persons is None else of_persons,
    )


def _counts(unit: NDArray[Any], predicted: NDArray[Any], true: NDArray[Any], units: int, classes: int) -> Counts:
    """For each unit and class: hits, and predictions plus occurrences, (2, units, classes)."""
    counts = np.zeros((2, units, classes))
    hit = predicted == true
    np.add.at(counts[0], (unit[hit], true[hit]), 1)
    np.add.at(counts[1], (unit, predicted), 1)
    np.add.at(counts[1], (unit, true), 1)
    return counts


def _macro_f1(drawn: Counts, counts: Counts) -> Counts:
    """Mean F1 over all classes of each sample; 0 for a class that neither occurs nor is predicted."""
    hits, both = drawn @ counts[0], drawn @ counts[1]
    return (2 * hits / np.maximum(both, 1)).mean(axis=1)
