from dataclasses import replace

import best_epoch
import numpy as np
import pytest
from independence.experiments import EXPERIMENTS, Experiment
from independence.tasks import load_task
from independence.training import prepare

from piumr.training.fit import fit, predict


def test_the_best_epoch_is_each_folds_own():
    assert best_epoch.figures(np.array([[10, 30, 20], [40, 40, 50]])) == {"best": 40.0, "last": 35.0}


@pytest.mark.slow
def test_the_last_epoch_is_what_a_training_ends_with(shared_data, monkeypatch):
    short = Experiment("erm", {"optim.epochs": 3})
    monkeypatch.setitem(EXPERIMENTS, "erm", short)
    data = load_task("msr", shared_data / "skeletons")
    curve = best_epoch.curves(data, 1)
    assert curve.shape == (1, 3)
    split = data.splits[0]
    net = fit(data.store, split.train, replace(prepare(short, data), seed=1)).net
    right = predict(net, data.store, split.test).argmax(1).numpy() == data.clips.labels[split.test]
    assert curve[0, -1] == pytest.approx(100 * right.mean(), abs=1)  # in bf16 there, in full precision here
