"""Options are checked once, at the boundary."""

import json

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
    ],
)
def test_a_wrong_option_is_named(wrong):
    with pytest.raises(PoseError, match=f"`{next(iter(wrong))}` to be"):
        Options(**wrong)


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
