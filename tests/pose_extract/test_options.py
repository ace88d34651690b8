"""Options are checked once, at the boundary."""

import json
from pathlib import Path

import numpy as np
import pytest

from pose_extract import Options, PoseError


@pytest.mark.parametrize(
    "wrong",
    [
        {"landmarks": "face"},
        {"person": "tallest"},
        {"region": (0.5, 0, 0.6, 1)},
        {"region": (0, 0, 0, 1)},
        {"region": (0, float("nan"), 1, 1)},
        {"region": (0, 0, 1)},
        {"fps": 0},
        {"fps": float("nan")},
        {"fps": 1e9},
        {"fps": "10"},
        {"region": "0,0,1,1"},
        {"region": 5},
        {"region": ("0", 0, 1, 1)},
        {"smoothing": "no"},
        {"model": 3},
    ],
)
def test_a_wrong_option_is_named(wrong):
    with pytest.raises(PoseError, match=f"`{next(iter(wrong))}` to be"):
        Options(**wrong)


def test_numbers_of_any_kind_and_paths_as_text():
    options = Options(fps=np.float32(10), region=np.array([0, 0, 0.5, 1]), model="a.task")
    assert (options.fps, options.region, options.model) == (10.0, (0.0, 0.0, 0.5, 1.0), Path("a.task"))
    json.dumps(options.chosen())


def test_what_is_recorded_is_json_and_tells_options_apart():
    one, other = Options(region=(0, 0, 0.5, 1)), Options(smoothing=False, fps=15)
    assert (
        json.loads(json.dumps(one.chosen()))
        == one.chosen()
        == {
            "person": None,
            "region": [0, 0, 0.5, 1],
            "fps": None,
            "smoothing": True,
        }
    )
    assert other.chosen() == {"person": None, "region": None, "fps": 15, "smoothing": False}
