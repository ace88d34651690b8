"""What ends a training early: time, and persons left out of training who are recognised no better."""

from dataclasses import replace
from datetime import timedelta

import pytest

from piumr.errors import PiumrError
from piumr.model import ModelConfig
from piumr.training.config import OptimConfig, TrainConfig
from piumr.training.fit import fit, predict
from piumr.training.select import select_epochs
from piumr.training.stopping import TimeLimit, early_stopping

CONFIG = TrainConfig(
    method="erm",
    model=ModelConfig(
        backbone_options={"channels": (12, 16), "depths": (1, 1), "strides": (1, 2), "dropout": 0.0}, frames=16
    ),
    optim=OptimConfig(epochs=6, batch_size=12, warmup_epochs=1, learning_rate=0.01),
)


def test_when_time_is_over_one_batch_has_been_trained_and_gives_a_network(store, split):
    limit = TimeLimit(timedelta(microseconds=1))
    outcome = fit(store, split.train, CONFIG, callbacks=[limit])
    assert limit.expired
    assert not outcome.complete
    assert [row["epoch"] for row in outcome.history] == [1]
    assert predict(outcome.net, store, split.test).isfinite().all()


def test_time_that_suffices_changes_nothing(store, split):
    limit = TimeLimit(timedelta(hours=1))
    limited = fit(store, split.train, CONFIG, callbacks=[limit])
    assert limited.complete
    assert not limit.expired
    assert limited.history == fit(store, split.train, CONFIG).history


def test_the_limit_counts_from_its_making_and_not_what_an_earlier_command_used():
    limit = TimeLimit(timedelta(hours=1))
    limit.load_state_dict({"time_elapsed": {"train": 7200.0}})
    assert not limit.expired
    assert 3590 < limit.time_remaining() <= 3600


def test_no_progress_ends_a_training_after_the_patience(store, split):
    """With a learning rate of next to nothing the accuracy never improves on the first epoch's."""
    still = replace(CONFIG, optim=replace(CONFIG.optim, learning_rate=1e-9))
    outcome = fit(store, split.train, still, validation=split.test, callbacks=[early_stopping(2)])
    assert len({row["validation_accuracy"] for row in outcome.history}) == 1
    assert len(outcome.history) == 3
    assert not outcome.complete


def test_selection_gives_up_when_time_is_over(toy_set, store, split, quiet):
    with pytest.raises(PiumrError, match="time_limit"):
        select_epochs(toy_set, store, split.train, CONFIG, quiet, limit=TimeLimit(timedelta(microseconds=1)))


def test_the_largest_seed_selects_epochs_too(toy_set, store, split, quiet):
    short = replace(CONFIG, seed=2**32 - 1, optim=replace(CONFIG.optim, epochs=1))
    assert select_epochs(toy_set, store, split.train, short, quiet) == 1


def test_epochs_are_not_selected_for_a_method_that_trains_twice(toy_set, store, split, quiet):
    with pytest.raises(PiumrError, match="trains once for --select persons, but got 'jtt'"):
        select_epochs(toy_set, store, split.train, replace(CONFIG, method="jtt"), quiet)


def test_selection_with_patience_stays_within_the_schedule(toy_set, store, split, quiet):
    assert 1 <= select_epochs(toy_set, store, split.train, CONFIG, quiet, patience=1) <= 6
