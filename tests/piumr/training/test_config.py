import math

import pytest

from piumr.errors import PiumrError
from piumr.training.config import MethodConfig, TrainConfig


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


def test_a_seed_is_one_that_numpy_takes():
    assert TrainConfig(seed=2**32 - 1).seed == 2**32 - 1
    for seed in (-1, 2**32):
        with pytest.raises(PiumrError, match="seed"):
            TrainConfig(seed=seed)
