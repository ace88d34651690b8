"""Intervals against scikit-learn on the same resamples, and against SciPy's bootstrap."""

import json

import numpy as np
import pytest
import torch
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn.metrics import f1_score

from piumr.bootstrap import bootstrap
from piumr.errors import PiumrError

COARSE = np.array([0, 0, 1, 1, 2])


def predictions(n=240, classes=5, persons=12, seed=0):
    """Predictions that are good for some persons and bad for others."""
    rng = np.random.default_rng(seed)
    person = rng.integers(persons, size=n)
    targets = rng.integers(classes - 1, size=n)  # the last class never occurs
    right = rng.random(n) < np.linspace(0.2, 0.9, persons)[person]
    scores = rng.random((n, classes)).astype(np.float32)
    scores[right, targets[right]] += 1
    return torch.from_numpy(scores), torch.from_numpy(targets), [f"p{i}" for i in person]


def test_intervals_equal_scikit_learn_on_the_same_resamples():
    scores, targets, persons = predictions()
    got = bootstrap(scores, targets, persons, COARSE.tolist(), samples=60, level=0.8, seed=5)
    names, unit = np.unique(persons, return_inverse=True)
    true, predicted = targets.numpy(), scores.numpy().argmax(1)
    ranked = np.argsort(-scores.numpy(), axis=1)[:, :5]
    figures = []
    for times in np.random.default_rng(5).multinomial(len(names), np.full(len(names), 1 / len(names)), 60):
        rows = np.concatenate([np.flatnonzero(unit == u) for u, count in enumerate(times) for _ in range(count)])
        t, p = true[rows], predicted[rows]
        macro = f1_score(t, p, labels=range(5), average="macro", zero_division=0)
        body = f1_score(COARSE[t], COARSE[p], labels=range(3), average="macro", zero_division=0)
        accuracy, body_accuracy = np.mean(t == p), np.mean(COARSE[t] == COARSE[p])
        by_person = np.mean(
            [np.mean((true == predicted)[unit == u]) for u, count in enumerate(times) for _ in range(count)]
        )
        top5 = np.mean((ranked[rows] == t[:, None]).any(1))
        figures.append([accuracy, top5, macro, (macro + body + accuracy + body_accuracy) / 4, by_person])
    low, high = np.quantile(figures, [0.1, 0.9], axis=0)
    mine = [got.accuracy, got.top5, got.macro_f1, got.f1_mean, got.person_mean]
    np.testing.assert_allclose(np.array(mine), np.stack([low, high], axis=1), rtol=1e-9)
    assert (got.unit, got.units, got.samples, got.level, got.seed) == ("persons", 12, 60, 0.8, 5)


def test_the_mean_over_persons_agrees_with_scipy():
    scores, targets, persons = predictions()
    correct = (scores.argmax(1) == targets).numpy()
    accuracy = [correct[np.array(persons) == name].mean() for name in sorted(set(persons))]
    theirs = scipy_bootstrap((accuracy,), np.mean, n_resamples=4000, method="percentile", random_state=1)
    mine = bootstrap(scores, targets, persons, samples=4000).person_mean
    np.testing.assert_allclose(mine, theirs.confidence_interval, atol=0.01)


def test_persons_that_differ_widen_the_interval():
    scores, targets, persons = predictions(n=600)
    over_persons, over_clips = bootstrap(scores, targets, persons), bootstrap(scores, targets)
    assert over_clips.unit == "clips"
    assert over_clips.units == 600
    assert over_clips.person_mean is None
    width = lambda interval: interval.high - interval.low  # noqa: E731
    assert width(over_persons.accuracy) > 1.5 * width(over_clips.accuracy)


def test_the_seed_decides():
    arguments = predictions()
    assert bootstrap(*arguments, samples=300) == bootstrap(*arguments, samples=300)
    assert bootstrap(*arguments, samples=300, seed=1) != bootstrap(*arguments, samples=300)


def test_bodies_of_their_own_count():
    scores, targets, persons = predictions()
    mapped = torch.as_tensor(COARSE)[scores.argmax(1)]
    given = bootstrap(scores, targets, persons, COARSE.tolist(), mapped)
    assert given == bootstrap(scores, targets, persons, COARSE.tolist())
    right = torch.as_tensor(COARSE)[targets]
    assert bootstrap(scores, targets, persons, COARSE.tolist(), right).f1_mean.low > given.f1_mean.low


def test_one_person_has_no_interval():
    scores, targets, _ = predictions()
    assert bootstrap(scores, targets, ["one"] * len(targets)) is None
    assert bootstrap(scores[:1], targets[:1]) is None


def test_it_is_json_and_wrong_sizes_are_refused():
    scores, targets, persons = predictions()
    assert json.loads(json.dumps(bootstrap(scores, targets, persons).to_dict()))["units"] == 12
    with pytest.raises(PiumrError, match="`persons`"):
        bootstrap(scores, targets, persons[:-1])
