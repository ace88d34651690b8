import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from piumr.data.formats.people import PATIENCE, follow, most_prominent, over_time


def person(x, seen=1.0):
    """A body of five joints, 100 pixels high, at ``x``."""
    points = np.array([[x, 0], [x, 40], [x - 20, 50], [x + 20, 50], [x, 100]], dtype=np.float32)
    return np.concatenate([points, np.full((5, 1), seen, dtype=np.float32)], axis=1)


def clip(frames, joints, moving=0.0):
    points = np.random.default_rng(0).normal(size=(frames, 4, 2)).astype(np.float32) * moving
    valid = np.zeros((frames, 4), dtype=bool)
    valid[:, :joints] = True
    return points, valid


def test_most_seen_then_most_moving_then_first():
    assert most_prominent([clip(5, 3), clip(5, 4), clip(5, 2)]) == 1
    assert most_prominent([clip(5, 3, 0.1), clip(5, 3, 0.5)]) == 1
    assert most_prominent([clip(5, 3), clip(5, 3)]) == 0
    assert most_prominent([clip(5, 3, 9), clip(6, 3)]) == 1


def test_confidence_decides_where_it_is_known():
    people = [clip(5, 4), clip(5, 4)]
    scores = [np.full((5, 4), 0.2), np.full((5, 4), 0.9)]
    assert most_prominent(people, scores) == 1


def test_joints_that_are_not_valid_do_not_move():
    still, jumping = clip(5, 4), clip(5, 4)
    jumping[0][1::2, 3] = 1e6
    jumping[1][:, 3] = False
    still[1][:, 3] = False
    still[0][2] += 0.1
    assert most_prominent([still, jumping]) == 0


def test_people_are_followed_whatever_the_order_in_a_frame():
    rng = np.random.default_rng(0)
    frames = []
    for t in range(20):
        people = [person(3 * t), person(200 + 2 * t), person(500 - 4 * t)]
        frames.append(np.stack([people[i] for i in rng.permutation(3)]))
    tracks = follow(frames)
    assert len(tracks) == 3
    for track in tracks:
        assert track.times == list(range(20))
        assert (np.abs(np.diff(track.stacked()[:, 0, 0])) < 5).all()


def test_pairing_is_the_best_one_where_people_stand_apart():
    """Against SciPy's optimal assignment."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        places = np.cumsum(rng.uniform(150, 300, 6))
        before = np.stack([person(x) for x in places])
        after = np.stack([person(x + rng.uniform(-20, 20)) for x in places])[rng.permutation(6)]
        cost = np.linalg.norm(before[:, None, :, :2] - after[None, :, :, :2], axis=3).mean(axis=2)
        _, best = linear_sum_assignment(cost)
        tracks = follow([before, after])
        assert len(tracks) == 6
        for track, place in zip(tracks, best, strict=True):
            np.testing.assert_array_equal(track.joints[1], after[place])


def test_a_person_may_leave_and_come_back_and_another_is_new():
    absent = np.zeros((0, 5, 3), dtype=np.float32)
    frames = [np.stack([person(0)]), absent, np.stack([person(10)]), np.stack([person(400), person(12)])]
    tracks = follow(frames)
    assert [track.times for track in tracks] == [[0, 2, 3], [3]]
    assert tracks[1].joints[0][0, 0] == 400


@pytest.mark.parametrize(("away", "tracks"), [(PATIENCE - 1, 1), (PATIENCE, 2)])
def test_who_was_away_for_long_is_somebody_new(away, tracks):
    absent = np.zeros((0, 5, 3), dtype=np.float32)
    frames = [person(0)[None], *[absent] * away, person(10)[None]]
    assert len(follow(frames)) == tracks


def test_nobody():
    assert follow([np.zeros((0, 5, 3))] * 3) == []


def test_a_track_takes_its_places_in_time():
    points, valid = over_time([1, 3], (np.ones((2, 4, 3), np.float32), np.ones((2, 4), bool)), 5)
    assert valid.all(axis=1).tolist() == [False, True, False, True, False]
    np.testing.assert_array_equal(points[..., 0] == 1, valid)
