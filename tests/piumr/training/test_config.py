import math

import pytest

from piumr.errors import PiumrError
from piumr.training.config import MethodConfig, OptimConfig, TrainConfig


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("groups", [0, -1], [1]),
        ("transport_weight", [-0.1, math.nan, math.inf], [0]),
        ("consistency_weight", [-0.1, 1.1, math.nan], [0, 1]),
        ("boundary", [-1, math.nan], [0]),
        ("group_penalty", [-1, math.nan], [0]),
        ("boundary_width", [0, -1, math.nan], [1e-3]),
        ("girl_warmup", [-0.1, 1.1, math.nan], [0, 1]),
    ],
)
def test_weights_of_the_method_stay_in_their_range(name, wrong, right):
    for value in right:
        assert getattr(MethodConfig(**{name: value}), name) == value
    for value in wrong:
        with pytest.raises(PiumrError, match=name):
            MethodConfig(**{name: value})


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("epochs", [0, -1], [1]),
        ("batch_size", [0], [1]),
        ("learning_rate", [0, -1, math.nan, math.inf], [1e-9]),
        ("weight_decay", [-1, math.nan, math.inf], [0]),
        ("warmup_epochs", [-1, math.nan, math.inf], [0]),
        ("ema_epochs", [-1, math.nan, math.inf], [0]),
        ("gradient_clip", [0, math.nan, math.inf], [1e-9]),
    ],
)
def test_the_schedule_stays_in_its_range(name, wrong, right):
    for value in right:
        assert getattr(OptimConfig(**{name: value}), name) == value
    for value in wrong:
        with pytest.raises(PiumrError, match=name):
            OptimConfig(**{name: value})


def test_a_method_is_one_of_those_there_are():
    with pytest.raises(PiumrError, match=r"`method` to be one of erm, tfam.* but got 'tfma'"):
        TrainConfig(method="tfma")


def test_a_seed_is_one_that_numpy_takes():
    assert TrainConfig(seed=2**32 - 1).seed == 2**32 - 1
    for seed in (-1, 2**32):
        with pytest.raises(PiumrError, match="seed"):
            TrainConfig(seed=seed)
