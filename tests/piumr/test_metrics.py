"""Metrics against scikit-learn and, over persons, NumPy."""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)
from torchmetrics.functional.classification import multiclass_calibration_error

from piumr.bootstrap import bootstrap
from piumr.errors import PiumrError
from piumr.metrics import BINS, class_figures, evaluate, evaluate_folds, macro_f1, person_accuracy, reliability


def predictions(n=500, classes=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(classes - 2, (n,), generator=generator)  # the last two classes do not occur
    scores = torch.randn(n, classes, generator=generator)
    scores[:, classes - 1] = -9  # and the very last is never predicted either
    return scores + 1.5 * torch.nn.functional.one_hot(targets, classes), targets


def test_accuracy_and_macro_f1_equal_scikit_learn():
    scores, targets = predictions()
    predicted = scores.argmax(1)
    for given in (scores, scores.softmax(1)):
        metrics = evaluate(given, targets)
        assert metrics.clips == 500
        assert metrics.accuracy == pytest.approx(accuracy_score(targets, predicted))
        assert metrics.top5 == pytest.approx(top_k_accuracy_score(targets, scores, k=5, labels=range(12)))
        assert metrics.macro_f1 == pytest.approx(
            f1_score(targets, predicted, labels=range(12), average="macro", zero_division=0), abs=1e-6
        )
    assert metrics.macro_f1 < f1_score(targets, predicted, average="macro") - 0.01  # absent classes do count
    assert metrics.f1_mean is None
    assert metrics.persons is None


def test_f1_mean_equals_scikit_learn():
    scores, targets = predictions()
    coarse = np.array([0, 0, 0, 1, 1, 1, 1, 2, 3, 3, 3, 3])
    true, predicted = targets.numpy(), scores.argmax(1).numpy()
    parts = evaluate(scores, targets, coarse=coarse.tolist()).f1_mean
    expected = {
        f"{name}_{average}": f1_score(t, p, labels=labels, average=average, zero_division=0)
        for name, t, p, labels in (
            ("body", coarse[true], coarse[predicted], range(4)),
            ("action", true, predicted, range(12)),
        )
        for average in ("macro", "micro")
    }
    for name, value in expected.items():
        assert getattr(parts, name) == pytest.approx(value, abs=1e-6), name
    assert parts.mean == pytest.approx(np.mean(list(expected.values())), abs=1e-6)


def test_f1_mean_of_a_set_with_one_coarse_class_equals_scikit_learn():
    scores, targets = predictions()
    true, predicted = targets.numpy(), scores.argmax(1).numpy()
    parts = evaluate(scores, targets, coarse=[0] * 12).f1_mean
    for average in ("macro", "micro"):
        body = f1_score(0 * true, 0 * predicted, labels=[0], average=average, zero_division=0)
        action = f1_score(true, predicted, labels=range(12), average=average, zero_division=0)
        assert getattr(parts, f"body_{average}") == body == 1
        assert getattr(parts, f"action_{average}") == pytest.approx(action)
    assert parts.mean == pytest.approx((2 + parts.action_macro + parts.action_micro) / 4)
    assert macro_f1(targets * 0, targets * 0, 1) == 1


def test_person_figures():
    generator = np.random.default_rng(0)
    clips = {f"person {i:02d}": int(n) for i, n in enumerate(generator.integers(2, 40, size=30))}
    persons = generator.permutation([name for name, n in clips.items() for _ in range(n)]).tolist()
    correct = generator.random(len(persons)) < 0.6
    figures = person_accuracy(torch.tensor(correct), persons)
    accuracy = {name: np.mean([c for c, p in zip(correct, persons, strict=True) if p == name]) for name in clips}
    ranked = sorted(accuracy[name] for name, n in clips.items() if n >= 10)
    assert figures.by_person == pytest.approx(accuracy)
    assert list(figures.by_person) == sorted(clips)
    assert (figures.persons, figures.ranked) == (30, len(ranked))
    assert figures.mean == pytest.approx(np.mean(list(accuracy.values())))
    assert figures.std == pytest.approx(np.std(list(accuracy.values())))
    assert figures.worst == pytest.approx(ranked[0])
    assert len(ranked) in range(11, 30)  # so that a tenth is more than one and not everybody is ranked
    assert figures.worst_decile == pytest.approx(np.mean(ranked[: -(-len(ranked) // 10)]))
    assert figures.worst_decile > figures.worst


def test_a_person_with_few_clips_is_not_the_worst():
    persons = ["often"] * 10 + ["seldom"] * 9
    correct = torch.tensor([True] * 8 + [False] * 11)
    figures = person_accuracy(correct, persons)
    assert figures.worst == pytest.approx(0.8)
    assert figures.mean == pytest.approx(0.4)
    all_few = person_accuracy(correct[1:], persons[1:])  # nobody has ten: everybody counts
    assert (all_few.worst, all_few.ranked) == (0, 2)


def test_figures_are_json():
    scores, targets = predictions(n=40)
    metrics = evaluate(scores, targets, persons=["a", "b"] * 20, coarse=[0] * 6 + [1] * 6)
    read = json.loads(json.dumps(metrics.to_dict()))
    assert read["accuracy"] == metrics.accuracy
    assert read["f1_mean"]["body_macro"] == metrics.f1_mean.body_macro
    assert read["persons"]["by_person"]["b"] == metrics.persons.by_person["b"]


def test_fewer_than_five_classes():
    assert evaluate(torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])).top5 == 1


def test_of_equal_scores_the_first_class_counts_in_all_figures():
    scores, targets = torch.zeros(4, 8), torch.zeros(4, dtype=torch.int64)
    assert (evaluate(scores, targets).accuracy, evaluate(scores, targets).top5) == (1, 1)
    assert (evaluate(scores, targets + 5).accuracy, evaluate(scores, targets + 5).top5) == (0, 0)
    intervals = bootstrap(scores, targets)
    assert intervals.top5 == intervals.accuracy == (1, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": torch.zeros(0, 3)}, r"N >= 1.*\(0, 3\)"),
        ({"scores": torch.full((2, 3), torch.nan)}, "NaN"),
        ({"targets": torch.tensor([0])}, r"N=2.*\(1,\)"),
        ({"targets": torch.tensor([0, 3])}, r"0\.\.2.*0\.\.3"),
        ({"persons": ["a"]}, "2 names.*1"),
        ({"coarse": [0, 1]}, "3 classes.*2"),
    ],
)
def test_wrong_input_is_named(change, message):
    with pytest.raises(PiumrError, match=message):
        evaluate(**{"scores": torch.zeros(2, 3), "targets": torch.tensor([0, 1])} | change)


def test_folds_are_pooled_before_they_are_averaged_over_classes():
    scores, targets = predictions()
    fold = torch.arange(500) % 3
    fold[targets == 4] = 0  # a class that two folds lack
    coarse = [0, 0, 0, 1, 1, 1, 1, 2, 3, 3, 3, 3]
    persons = [f"p{i % 7}" for i in range(500)]
    found = evaluate_folds(scores, targets, fold, persons, coarse)
    assert found.pooled == evaluate(scores, targets, persons, coarse)
    assert [one.clips for one in found.folds] == torch.bincount(fold).tolist()
    macro = [
        f1_score(targets[fold == k], scores[fold == k].argmax(1), labels=range(12), average="macro", zero_division=0)
        for k in range(3)
    ]
    assert [one.macro_f1 for one in found.folds] == pytest.approx(macro, abs=1e-6)
    assert found.std["macro_f1"] == pytest.approx(np.std(macro), abs=1e-6)
    assert found.std["accuracy"] == pytest.approx(np.std([one.accuracy for one in found.folds]))
    assert found.std["f1_mean"] == pytest.approx(np.std([one.f1_mean.mean for one in found.folds]))
    assert abs(np.mean(macro) - found.pooled.macro_f1) > 0.005
    assert set(evaluate_folds(scores, targets, fold).std) == {"accuracy", "macro_f1"}
    json.dumps(found.to_dict())
    with pytest.raises(PiumrError, match="`fold`"):
        evaluate_folds(scores, targets, fold[1:])


def test_bodies_of_their_own_replace_the_mapped_ones():
    scores, targets = predictions()
    coarse = [0, 0, 0, 1, 1, 1, 1, 2, 3, 3, 3, 3]
    mapped, right = torch.tensor(coarse)[scores.argmax(1)], torch.tensor(coarse)[targets]
    assert evaluate(scores, targets, coarse=coarse, coarse_predicted=mapped) == evaluate(scores, targets, coarse=coarse)
    parts = evaluate(scores, targets, coarse=coarse, coarse_predicted=right).f1_mean
    assert parts.body_micro == 1
    assert parts.action_macro == evaluate(scores, targets).macro_f1


def test_figures_of_classes_equal_scikit_learn():
    scores, targets = predictions()
    predicted = scores.argmax(1)
    found = class_figures(predicted, targets, 12)
    np.testing.assert_array_equal(found.confusion, confusion_matrix(targets, predicted, labels=range(12)))
    expected = precision_recall_fscore_support(targets, predicted, labels=range(12), zero_division=0)
    for name, values in zip(("precision", "recall", "f1"), expected, strict=False):
        np.testing.assert_allclose(getattr(found, name), values, err_msg=name)
    assert found.f1[11] == 0  # neither occurs nor is predicted
    assert np.mean(found.f1) == pytest.approx(macro_f1(predicted, targets, 12), abs=1e-6)


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_reliability_equals_torchmetrics(sharpness):
    scores, targets = predictions()
    probabilities = (sharpness * scores).softmax(1)
    found = reliability(probabilities, targets)
    expected = multiclass_calibration_error(probabilities, targets, 12, n_bins=BINS, norm="l1")
    assert found.error == pytest.approx(float(expected), abs=1e-5)
    assert sum(found.clips) == 500
    clips = np.array(found.clips)
    right = evaluate(probabilities, targets).accuracy
    assert np.average(found.accuracy, weights=clips) == pytest.approx(right)
    assert np.average(found.confidence, weights=clips) == pytest.approx(float(probabilities.amax(1).double().mean()))


def test_bins_of_confidence():
    sure = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    found = reliability(sure, torch.tensor([0, 1, 1, 0]))
    assert found.clips[-1] == 3
    assert found.accuracy[-1] == pytest.approx(2 / 3)
    assert found.error == pytest.approx((3 * (1 - 2 / 3) + 0.5) / 4)
    with pytest.raises(PiumrError, match="softmax"):
        reliability(3 * sure, torch.tensor([0, 1, 1, 0]))
