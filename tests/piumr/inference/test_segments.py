import itertools

import numpy as np
import pytest

from piumr.errors import PiumrError
from piumr.inference.segments import decode, find_segments
from piumr.inference.windows import Timeline

NAMES = ("nod", "wave", "rest")


def make_timeline(labels, confidence=0.9, stride=0.5, seconds=2.0, starts=None):
    """A window for each label (an index, or -1 where nobody is seen)."""
    starts = np.arange(len(labels)) * stride if starts is None else np.asarray(starts, float)
    p = np.full((len(labels), len(NAMES)), (1 - confidence) / 2, np.float32)
    for row, label in enumerate(labels):
        p[row, label] = confidence
        if label < 0:
            p[row] = np.nan
    return Timeline(starts, starts + seconds, np.stack([starts, starts + seconds], axis=1), p, NAMES)


def as_tuples(segments):
    return [(round(s.start, 6), round(s.end, 6), s.action) for s in segments]


def test_boundaries_lie_half_way_between_the_centres_of_windows():
    timeline = make_timeline([0, 0, 0, 1, 1])
    # centres 1, 1.5, 2, 2.5, 3; the outer halves of the outer windows belong to them
    assert as_tuples(find_segments(timeline, 0.5, switch=0)) == [(0, 2.25, "nod"), (2.25, 4, "wave")]


def test_below_the_threshold_nothing_happens():
    timeline = make_timeline([0, 0, 1, 1, 0, 0])
    timeline.probabilities[2:4] = [0.25, 0.4, 0.35]
    found = find_segments(timeline, 0.5, switch=0)
    assert as_tuples(found) == [(0, 1.75, "nod"), (2.75, 4.5, "nod")]
    assert [s.confidence for s in found] == pytest.approx([0.9, 0.9])
    assert len(find_segments(timeline, 0.3, switch=0)) == 3
    assert find_segments(timeline, 0.95, switch=0) == []


def test_where_nobody_is_seen_nothing_happens_and_nothing_is_smoothed_in():
    timeline = make_timeline([0, 0, -1, -1, 0, 0])
    found = find_segments(timeline, 0.0)
    assert as_tuples(found) == [(0, 1.75, "nod"), (2.75, 4.5, "nod")]
    assert found[0].confidence == pytest.approx(0.9)
    assert find_segments(make_timeline([-1, -1]), 0.0) == []


def test_a_gap_ends_a_segment():
    timeline = make_timeline([0, 0, 0, 0], starts=[0, 0.5, 10, 10.5])
    assert as_tuples(find_segments(timeline, 0.5)) == [(0, 2.5, "nod"), (10, 12.5, "nod")]


def test_a_segment_ends_where_the_frames_do():
    timeline = make_timeline([0, 0, 0, 0], starts=[0, 1.5, 3.0, 4.5])
    timeline.recorded[1:3] = [[1.5, 2.75], [4.25, 5]]  # nothing was recorded between 2.75 s and 4.25 s
    assert as_tuples(find_segments(timeline, 0.5)) == [(0, 2.75, "nod"), (4.25, 6.5, "nod")]


@pytest.mark.parametrize(("threshold", "switch"), [(0.0, 0.3), (0.4, 0.1), (0.3, 0.0), (0.5, 2.0)])
def test_decoding_finds_the_best_of_all_paths(threshold, switch):
    rng = np.random.default_rng(int(switch * 10))
    p = rng.dirichlet(np.ones(3), 6).astype(np.float32)
    p[4] = np.nan
    starts = np.array([0, 0.5, 1.0, 8.0, 8.5, 9.0])
    timeline = Timeline(starts, starts + 2, np.stack([starts, starts + 2], axis=1), p, NAMES)

    def score(path):
        chances = [
            float(label < 0) if np.isnan(row[0]) else threshold if label < 0 else row[label]
            for label, row in zip(path, p, strict=True)
        ]
        if min(chances) == 0:
            return -np.inf
        changes = sum(path[i] != path[i + 1] for i in (0, 1, 3, 4))  # between 2 and 3 is a gap
        return np.log(chances).sum() * 0.5 / 2 - switch * np.log(3) * changes

    best = max(itertools.product((-1, 0, 1, 2), repeat=6), key=score)
    found = tuple(decode(timeline, threshold, switch).tolist())
    assert score(found) == pytest.approx(score(best), abs=1e-6)


def test_a_flicker_is_no_action_but_a_change_is():
    flicker = make_timeline([0, 0, 0, 0, 1, 0, 0, 0, 0], confidence=0.7, stride=0.25)
    assert len(find_segments(flicker, 0.5, switch=0)) == 3
    assert [s.action for s in find_segments(flicker)] == ["nod"]
    change = make_timeline([0] * 8 + [1] * 8, stride=0.25)
    assert [s.action for s in find_segments(change)] == ["nod", "wave"]


def test_the_stride_hardly_matters():
    for step in (1, 2, 4):
        timeline = make_timeline(([0] * 16 + [1] * 16 + [2] * 16)[::step], stride=0.125 * step)
        found = find_segments(timeline)
        assert [s.action for s in found] == ["nod", "wave", "rest"]
        assert found[1].start == pytest.approx(3, abs=0.25)


def test_short_segments_can_be_left_out():
    timeline = make_timeline([0, 0, 0, 0, 1, 0, 0, 0, 0], stride=0.25)
    assert {s.action for s in find_segments(timeline, 0.5, switch=0, shortest=0.5)} == {"nod"}


def test_one_window_is_one_segment():
    assert as_tuples(find_segments(make_timeline([2]))) == [(0, 2, "rest")]


def test_segments_never_overlap_and_stay_inside():
    rng = np.random.default_rng(1)
    for _ in range(20):
        labels = rng.integers(-1, 3, 50)
        starts = np.cumsum(rng.choice([0.25, 0.25, 0.25, 5.0], 50))
        timeline = make_timeline(labels, rng.uniform(0.4, 0.9), starts=starts)
        found = find_segments(timeline, 0.45, switch=rng.uniform(0, 0.2))
        edges = [edge for s in found for edge in (s.start, s.end)]
        assert edges == sorted(edges)
        assert all(s.end > s.start for s in found)
        assert not found or (edges[0] >= starts[0] and edges[-1] <= starts[-1] + 2)


def test_a_price_out_of_range_is_named():
    with pytest.raises(PiumrError, match="`switch`"):
        find_segments(make_timeline([0]), switch=-1)


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_a_threshold_out_of_range_is_named(threshold):
    with pytest.raises(PiumrError, match="`threshold`"):
        find_segments(make_timeline([0]), threshold)
