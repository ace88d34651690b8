"""Counts of a pass over a video, their sum, and their words."""

import json

import pytest

from pose_extract.reading import Reading
from pose_extract.schema import PoseError


def test_counts_add_up_and_survive_json():
    one, two = Reading(60), Reading(60)
    one.count(damaged=True, untimed=False, size=(64, 48), seconds=0.0)
    two.count(damaged=False, untimed=True, size=(64, 48), seconds=1.0)
    two.count(damaged=True, untimed=False, size=(32, 24), seconds=2.0)
    two.undecodable = 3
    total = one + two
    assert (total.decoded, total.damaged, total.untimed, total.undecodable) == (3, 2, 1, 3)
    assert total.last == 2
    assert total.sizes == [(64, 48), (32, 24)]
    assert Reading.from_dict(json.loads(json.dumps(total.to_dict()))) == total
    assert len(total.warnings()) == 5


@pytest.mark.parametrize(
    ("values", "warns"),
    [
        ({"promised": 60, "decoded": 60}, False),
        ({"promised": 60, "decoded": 59}, False),
        ({"promised": 60, "decoded": 58}, True),
        ({"promised": 60, "decoded": 50, "discarded": 10}, False),
        ({"decoded": 3}, False),
        ({"length": 100.0, "last": 95.5, "decoded": 3}, False),
        ({"length": 100.0, "last": 94.5, "decoded": 3000}, True),
        ({"length": 1.9, "last": 1.0, "decoded": 3}, False),
    ],
)
def test_a_broken_promise(values, warns):
    assert bool(Reading(**values).warnings()) == warns


@pytest.mark.parametrize("cut", range(11))
def test_the_rate_is_judged_across_spans(cut):
    def reading(times):
        counts = Reading()
        for seconds in times:
            counts.count(damaged=False, untimed=False, size=(64, 48), seconds=seconds)
        return counts

    steady = [i / 4 for i in range(10)]
    uneven = [*steady[:5], *(seconds + 0.5 for seconds in steady[5:])]
    assert (reading(steady[:cut]) + reading(steady[cut:])).warnings() == []
    total = reading(uneven[:cut]) + reading(uneven[cut:])
    assert total == reading(uneven)
    assert total.warnings() == ["variable frame rate: gaps of 250 to 750 ms"]


def test_spans_of_an_earlier_version_have_no_first_frame():
    old = Reading(decoded=9000, last=300.0)
    assert (old + Reading(decoded=9000, last=600.0)).gaps == ()


@pytest.mark.parametrize("values", [None, [], {"sizes": 1}, {"sizes": [], "other": 1}])
def test_something_else(values):
    with pytest.raises(PoseError):
        Reading.from_dict(values)
