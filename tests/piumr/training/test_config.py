import math

import pytest

from piumr.errors import PiumrError
from piumr.training.config import MethodConfig, OptimConfig, TrainConfig


@pytest.mark.parametrize(
    ("config", "name", "wrong", "right"),
    [
        (MethodConfig, "groups", [0, -1], [1]),
        (MethodConfig, "transport_weight", [-0.1, math.nan, math.inf], [0]),
        (MethodConfig, "consistency_weight", [-0.1, 1.1, math.nan], [0, 1]),
        (MethodConfig, "boundary", [-1, math.nan], [0]),
        (MethodConfig, "group_penalty", [-1, math.nan], [0]),
        (MethodConfig, "boundary_width", [0, -1, math.nan], [1e-3]),
        (MethodConfig, "girl_warmup", [-0.1, 1.1, math.nan], [0, 1]),
        (OptimConfig, "epochs", [0, -1], [1]),
        (OptimConfig, "batch_size", [0], [1]),
        (OptimConfig, "learning_rate", [0, -1, math.nan, math.inf], [1e-9]),
        (OptimConfig, "weight_decay", [-1, math.nan, math.inf], [0]),
        (OptimConfig, "warmup_epochs", [-1, math.nan, math.inf], [0]),
        (OptimConfig, "ema_epochs", [-1, math.nan, math.inf], [0]),
        (OptimConfig, "gradient_clip", [0, math.nan, math.inf], [1e-9]),
    ],
)
def test_numbers_stay_in_their_range(config, name, wrong, right):
    for value in right:
        assert getattr(config(**{name: value}), name) == value
    for value in wrong:
        with pytest.raises(PiumrError, match=name):
            config(**{name: value})


def test_a_method_is_one_of_those_there_are():
    with pytest.raises(PiumrError, match=r"`method` to be one of erm, tfam.* but got 'tfma'"):
        TrainConfig(method="tfma")


def test_a_seed_is_one_that_numpy_takes():
    assert TrainConfig(seed=2**32 - 1).seed == 2**32 - 1
    for seed in (-1, 2**32):
        with pytest.raises(PiumrError, match="seed"):
            TrainConfig(seed=seed)
