"""Counts of a pass over a video, their sum, and their words."""

import json

import pytest

from pose_extract.reading import Reading
from pose_extract.schema import PoseError


def test_counts_add_up_and_survive_json():
    one, two = Reading(60), Reading(60)
    one.count(damaged=True, untimed=False, size=(64, 48))
    two.count(damaged=False, untimed=True, size=(64, 48))
    two.count(damaged=True, untimed=False, size=(32, 24))
    two.undecodable = 3
    total = one + two
    assert (total.decoded, total.damaged, total.untimed, total.undecodable) == (3, 2, 1, 3)
    assert total.sizes == [(64, 48), (32, 24)]
    assert Reading.from_dict(json.loads(json.dumps(total.to_dict()))) == total
    assert len(total.warnings()) == 5


@pytest.mark.parametrize(
    ("promised", "exactly", "decoded", "discarded", "warns"),
    [
        (60, True, 60, 0, False),
        (60, True, 59, 0, False),
        (60, True, 58, 0, True),
        (60, True, 50, 10, False),
        (1000, False, 951, 0, False),
        (1000, False, 949, 0, True),
        (None, True, 3, 0, False),
    ],
)
def test_a_broken_promise(promised, exactly, decoded, discarded, warns):
    reading = Reading(promised, exactly, decoded=decoded, discarded=discarded)
    assert bool(reading.warnings()) == warns


@pytest.mark.parametrize("values", [None, [], {"sizes": 1}, {"sizes": [], "other": 1}])
def test_something_else(values):
    with pytest.raises(PoseError):
        Reading.from_dict(values)
