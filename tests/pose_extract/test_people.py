"""Whom to follow, by rule and by place."""

import pytest

from pose_extract.people import PATIENCE, REACH, Choice, Seen, choose, nearest

PEOPLE = [Seen(300, 500, 100), Seen(100, 500, 150), Seen(700, 400, 120)]


@pytest.mark.parametrize(("person", "index"), [("largest", 1), ("left", 1), ("right", 2)])
def test_rules(person, index):
    assert choose(PEOPLE, person) is PEOPLE[index]
    assert choose(PEOPLE[::-1], person) is PEOPLE[index]


def test_the_same_person_is_the_nearest_one_within_reach():
    assert nearest(PEOPLE, Seen(290, 490, 50)) is PEOPLE[0]
    assert nearest(PEOPLE, Seen(300 + REACH * 60 + 1, 500, 60)) is None
    assert nearest([], PEOPLE[0]) is None


def test_who_is_lost_is_waited_for_and_then_another_one_is_chosen():
    choice, (one, _, far) = Choice("largest"), PEOPLE
    assert choice.among([], 0.0) is None
    assert choice.among([one], 1.0) is one
    assert choice.among([far], 1.5) is None  # out of reach
    assert choice.among([far, one], 2.0) is one  # although the other one is larger
    assert choice.among([far], 2.0 + PATIENCE) is None
    assert choice.chosen_anew == []
    assert choice.among([far], 2.1 + PATIENCE) is far
    assert choice.chosen_anew == [2.1 + PATIENCE]
