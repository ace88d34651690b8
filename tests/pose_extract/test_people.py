"""Whom to follow, by rule and by place."""

import pytest

from pose_extract.people import REACH, Seen, choose, nearest

PEOPLE = [Seen(300, 500, 100), Seen(100, 500, 150), Seen(700, 400, 120)]


@pytest.mark.parametrize(("person", "index"), [("largest", 1), ("left", 1), ("right", 2)])
def test_rules(person, index):
    assert choose(PEOPLE, person) is PEOPLE[index]
    assert choose(PEOPLE[::-1], person) is PEOPLE[index]


def test_the_same_person_is_the_nearest_one_within_reach():
    assert nearest(PEOPLE, Seen(290, 490, 50)) is PEOPLE[0]
    assert nearest(PEOPLE, Seen(300 + REACH * 60 + 1, 500, 60)) is None
    assert nearest([], PEOPLE[0]) is None
