"""Figures of a protocol: over clips, over classes, over persons, and of the confidence.

F1_mean is the official metric of MA-52 (Guo et al., "Benchmarking Micro-action Recognition", 2024). The figures over
persons are ours: an average over clips hides whom a model fails.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from piumr.errors import PiumrError

MIN_CLIPS = 10
"""Test clips that a person needs to count in the worst person and the worst decile."""

BINS = 15
"""Bins of confidence, as in Guo et al. (2017)."""


@dataclass(frozen=True)
class CoarseF1:
    """F1 over fine classes (actions) and over the coarse classes (bodies) they map to, all in 0..1.

    Attributes:
        body_macro: Mean F1 over the coarse classes.
        body_micro: Micro F1 over the coarse classes, which is the accuracy.
        action_macro: Mean F1 over the fine classes.
        action_micro: Micro F1 over the fine classes, which is the accuracy.
        mean: F1_mean, the mean of the four.
    """

    body_macro: float
    body_micro: float
    action_macro: float
    action_micro: float
    mean: float


@dataclass(frozen=True)
class PersonAccuracy:
    """Accuracy within each person's test clips, all in 0..1.

    Attributes:
        persons: Number of persons.
        ranked: Number of persons with at least `MIN_CLIPS` clips (all, where nobody has as many).
        mean: Mean over all persons.
        std: Population standard deviation over all persons.
        worst_decile: Mean over the worst tenth of the ranked persons, rounded up.
        worst: Lowest accuracy of a ranked person.
        by_person: Accuracy of each person, in the order of their names.
    """

    persons: int
    ranked: int
    mean: float
    std: float
    worst_decile: float
    worst: float
    by_person: dict[str, float]


@dataclass(frozen=True)
class Metrics:
    """Figures of one set of predictions, all in 0..1.

    Attributes:
        clips: Number of clips.
        accuracy: Share of clips whose best class is right.
        top5: Share of clips whose class is among the best five (or all, of fewer classes); None where not known.
        macro_f1: Mean F1 over all classes of the protocol; 0 for a class that neither occurs nor is predicted.
        f1_mean: F1_mean and its parts, for a set with coarse classes.
        persons: Figures over persons, where they are known.
    """

    clips: int
    accuracy: float
    top5: float | None
    macro_f1: float
    f1_mean: CoarseF1 | None
    persons: PersonAccuracy | None

    def to_dict(self) -> dict[str, Any]:
        """Nested dictionary of numbers for a JSON file; None for what the set does not have."""
        return asdict(self)


@dataclass(frozen=True)
class ClassFigures:
    """What becomes of each of K classes.

    Attributes:
        confusion: Clips of true class i that are predicted as class j, K rows of K counts.
        precision: Share of the clips predicted as a class that are of it; 0 where none is.
        recall: Share of the clips of a class that are predicted as it; 0 where there is none.
        f1: Harmonic mean of the two; 0 for a class that neither occurs nor is predicted.
    """

    confusion: tuple[tuple[int, ...], ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]


@dataclass(frozen=True)
class Reliability:
    """Whether a prediction is right as often as its confidence says, in :data:`BINS` bins of equal width.

    After Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017). A confidence at the edge of two bins is in
    the lower one.

    Attributes:
        clips: Clips in each bin.
        confidence: Mean confidence in each bin; 0 where it is empty.
        accuracy: Accuracy in each bin; 0 where it is empty.
        error: ECE, the expected calibration error: mean distance of the two, weighted by the clips.
    """

    clips: tuple[int, ...]
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    error: float


@dataclass(frozen=True)
class FoldMetrics:
    """Figures of a protocol with folds.

    Attributes:
        pooled: Computed once on the predictions of all folds together: what is reported. A mean of macro F1 over folds
            would count a class with one clip in a fold as much as one with a hundred.
        folds: Figures of each fold.
        std: Population standard deviation over the folds of the accuracy, of macro F1 and, for a set with coarse
            classes, of F1_mean: how much depends on who is in a fold.
    """

    pooled: Metrics
    folds: tuple[Metrics, ...]
    std: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Nested dictionary of numbers for a JSON file."""
        return asdict(self)


def evaluate(
    scores: Tensor,
    targets: Tensor,
    persons: Sequence[str] | None = None,
    coarse: Sequence[int] | None = None,
    coarse_predicted: Tensor | None = None,
) -> Metrics:
    """Compute all figures of a set of predictions.

    Macro F1 differs from scikit-learn's ``f1_score(average="macro")``, which by default averages over the classes that
    occur or are predicted: here it is over all K, so that every fold and every method averages over the same. It is
    scikit-learn's with ``labels=range(K), zero_division=0``.

    Args:
        scores: (N, K) float logits or probabilities, N at least 1; K is the number of classes of the protocol.
        targets: (N,) int64 in 0..K-1.
        persons: N names, or None.
        coarse: Coarse class of each of the K classes, or None.
        coarse_predicted: (N,) int64 predicted coarse classes, of a model that predicts them by themselves; None for
            those of the predicted classes.

    Returns:
        The figures.

    Raises:
        PiumrError: If the sizes do not agree, there is no clip, or a score is not finite.
    """
    check_predictions(scores, targets, persons, coarse)
    classes = scores.shape[1]
    predicted = scores.argmax(1)
    macro = macro_f1(predicted, targets, classes)
    return Metrics(
        clips=len(targets),
        accuracy=float((predicted == targets).double().mean()),
        top5=float((best_classes(scores, 5) == targets.unsqueeze(1)).any(1).double().mean()),
        macro_f1=macro,
        f1_mean=None if coarse is None else coarse_f1(predicted, targets, coarse, coarse_predicted),
        persons=None if persons is None else person_accuracy(predicted == targets, persons),
    )


def evaluate_folds(
    scores: Tensor,
    targets: Tensor,
    fold: Tensor,
    persons: Sequence[str] | None = None,
    coarse: Sequence[int] | None = None,
    coarse_predicted: Tensor | None = None,
) -> FoldMetrics:
    """Figures of out-of-fold predictions: pooled over the folds first, and of each fold for the spread.

    Args:
        scores: (N, K) float, of the model that did not train on the clip's fold.
        targets: (N,) int64 in 0..K-1.
        fold: (N,) int64, the fold that each clip was tested in.
        persons: N names, or None.
        coarse: Coarse class of each of the K classes, or None.
        coarse_predicted: As for :func:`evaluate`.

    Returns:
        The figures; K is the same for all folds, whichever classes occur in them.

    Raises:
        PiumrError: If the sizes do not agree, there is no clip, or a score is not finite.
    """
    pooled = evaluate(scores, targets, persons, coarse, coarse_predicted)
    if fold.shape != targets.shape:
        raise PiumrError(f"Expected `fold` to be (N={len(targets)},), but got {tuple(fold.shape)}.")
    folds = []
    for number in fold.unique():
        rows = (fold == number).nonzero()[:, 0]
        people = None if persons is None else [persons[i] for i in rows.tolist()]
        bodies = None if coarse_predicted is None else coarse_predicted[rows]
        folds.append(evaluate(scores[rows], targets[rows], people, coarse, bodies))
    figures = {"accuracy": [one.accuracy for one in folds], "macro_f1": [one.macro_f1 for one in folds]}
    if coarse is not None:
        figures["f1_mean"] = [one.f1_mean.mean for one in folds if one.f1_mean is not None]
    std = {name: float(torch.tensor(values, dtype=torch.float64).std(correction=0)) for name, values in figures.items()}
    return FoldMetrics(pooled, tuple(folds), std)


def best_classes(scores: Tensor, most: int) -> Tensor:
    """The classes of the highest scores, best first; of equal ones the first class, as where one alone is asked for.

    Args:
        scores: (N, K) float.
        most: how many; all where there are fewer.

    Returns:
        (N, min(most, K)) int64.
    """
    return scores.argsort(dim=1, descending=True, stable=True)[:, :most]


def macro_f1(predicted: Tensor, targets: Tensor, classes: int) -> float:
    """Mean F1 over all `classes`, those that do not occur included, so that every fold averages over the same.

    scikit-learn's ``f1_score(average="macro", labels=range(classes), zero_division=0)``, not its default.

    Args:
        predicted: (N,) int64.
        targets: (N,) int64.
        classes: K.

    Returns:
        In 0..1.
    """
    # torchmetrics' own "macro" leaves out classes that do not occur, and it refuses a single class
    hits, given, there = (
        torch.bincount(chosen, minlength=classes) for chosen in (targets[predicted == targets], predicted, targets)
    )
    return float((2 * hits.double() / (given + there).clamp(min=1)).mean())


def coarse_f1(
    predicted: Tensor, targets: Tensor, coarse: Sequence[int], coarse_predicted: Tensor | None = None
) -> CoarseF1:
    """F1_mean of MA-52 and its four parts; the predicted body is that of the predicted action, if not given apart.

    Args:
        predicted: (N,) int64 fine classes.
        targets: (N,) int64 fine classes.
        coarse: Coarse class of each fine class.
        coarse_predicted: (N,) int64 coarse classes, or None.

    Returns:
        The five figures.
    """
    body = torch.as_tensor(coarse, device=targets.device)
    bodies = int(body.max()) + 1
    given = body[predicted] if coarse_predicted is None else coarse_predicted
    parts = (
        macro_f1(given, body[targets], bodies),
        float((given == body[targets]).double().mean()),
        macro_f1(predicted, targets, len(coarse)),
        float((predicted == targets).double().mean()),
    )
    return CoarseF1(*parts, mean=sum(parts) / 4)


def person_accuracy(correct: Tensor, persons: Sequence[str]) -> PersonAccuracy:
    """Accuracy within each person, and how it is spread.

    Args:
        correct: (N,) bool.
        persons: N names.

    Returns:
        The figures over persons.
    """
    names = sorted(set(persons))
    number = {name: i for i, name in enumerate(names)}
    index = torch.tensor([number[name] for name in persons])
    clips = torch.bincount(index, minlength=len(names))
    accuracy = torch.bincount(index, weights=correct.cpu().double(), minlength=len(names)) / clips
    enough = clips >= MIN_CLIPS
    ranked = (accuracy[enough] if enough.any() else accuracy).sort().values
    return PersonAccuracy(
        persons=len(names),
        ranked=len(ranked),
        mean=float(accuracy.mean()),
        std=float(accuracy.std(correction=0)),
        worst_decile=float(ranked[: math.ceil(len(ranked) / 10)].mean()),
        worst=float(ranked[0]),
        by_person=dict(zip(names, accuracy.tolist(), strict=True)),
    )


def class_figures(predicted: Tensor, targets: Tensor, classes: int) -> ClassFigures:
    """Confusion matrix, precision, recall and F1 of each class.

    Args:
        predicted: (N,) int64.
        targets: (N,) int64.
        classes: K.

    Returns:
        The figures; F1's mean over the classes is :func:`macro_f1`.
    """
    confusion = multiclass_confusion_matrix(predicted, targets, classes).double()
    hits, given, there = confusion.diagonal(), confusion.sum(0), confusion.sum(1)
    shares = (hits / given.clamp(min=1), hits / there.clamp(min=1), 2 * hits / (given + there).clamp(min=1))
    precision, recall, f1 = (tuple(share.tolist()) for share in shares)
    return ClassFigures(tuple(map(tuple, confusion.long().tolist())), precision, recall, f1)


def reliability(probabilities: Tensor, targets: Tensor) -> Reliability:
    """Accuracy of the predictions by their confidence, the largest probability.

    Args:
        probabilities: (N, K) float, in 0..1.
        targets: (N,) int64 in 0..K-1.

    Raises:
        PiumrError: If these are no probabilities.
    """
    check_predictions(probabilities, targets, None, None)
    confidence, predicted = probabilities.double().max(1)
    if confidence.max() > 1 + 1e-6 or probabilities.min() < 0:
        raise PiumrError("Expected `probabilities` to lie in 0..1, but got others: logits need a softmax first.")
    number = ((confidence * BINS).ceil().long() - 1).clamp(0, BINS - 1)
    clips = torch.bincount(number, minlength=BINS)
    sums = (
        torch.bincount(number, weights=values.double(), minlength=BINS) for values in (confidence, predicted == targets)
    )
    mean, right = (total / clips.clamp(min=1) for total in sums)
    error = float(((mean - right).abs() * clips).sum() / len(targets))
    return Reliability(tuple(clips.tolist()), tuple(mean.tolist()), tuple(right.tolist()), error)


def check_predictions(
    scores: Tensor, targets: Tensor, persons: Sequence[str] | None, coarse: Sequence[int] | None
) -> None:
    """Check what :func:`evaluate` is given.

    Raises:
        PiumrError: If the sizes do not agree, there is no clip, or a score is not finite.
    """
    if scores.ndim != 2 or len(scores) == 0 or scores.shape[1] < 2:
        raise PiumrError(f"Expected `scores` to be (N >= 1, K >= 2), but got {tuple(scores.shape)}.")
    if not scores.isfinite().all():
        raise PiumrError("Expected `scores` to be finite, but got NaN or infinity: the training has diverged.")
    if targets.shape != scores.shape[:1]:
        raise PiumrError(f"Expected `targets` to be (N={len(scores)},), but got {tuple(targets.shape)}.")
    if targets.min() < 0 or targets.max() >= scores.shape[1]:
        raise PiumrError(
            f"Expected `targets` to be in 0..{scores.shape[1] - 1}, but got {int(targets.min())}..{int(targets.max())}."
        )
    if persons is not None and len(persons) != len(scores):
        raise PiumrError(f"Expected `persons` to be {len(scores)} names, but got {len(persons)}.")
    if coarse is not None and len(coarse) != scores.shape[1]:
        raise PiumrError(f"Expected `coarse` to name {scores.shape[1]} classes, but got {len(coarse)}.")
