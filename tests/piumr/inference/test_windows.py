import itertools
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from piumr.errors import PiumrError
from piumr.inference.recognizer import Prediction
from piumr.inference.segments import find_segments
from piumr.inference.windows import Timeline, Windows, at_equal_times, chunks_of, slide, slide_chunks, window_seconds
from piumr.preprocessing import image_points
from pose_extract.schema import PoseSequence

JOINTS = ("a", "b", "c")


def make_poses(times, x, valid=None):
    """Three joints, the first at x(t)."""
    times = np.asarray(times, np.float64)
    landmarks = np.full((len(times), 3, 4), 0.5, np.float32)
    landmarks[:, 0, 0] = x(times) if callable(x) else x
    landmarks[..., 3] = 1
    valid = np.ones((len(times), 3), bool) if valid is None else valid
    landmarks[~valid] = np.nan
    meta = {"layout": "three", "joints": list(JOINTS), "edges": [], "width": 100, "height": 100}
    return PoseSequence(landmarks, np.zeros((len(times), 0, 3), np.float32), valid, times, meta)


class Threshold:
    """A recogniser of two classes: is the mean x of the first joint above 0.5? Sees windows as the real one does."""

    card = SimpleNamespace(class_names=("low", "high"))

    def __init__(self):
        self.batches = []

    def points_of(self, poses):
        return image_points(poses.landmarks, poses.valid, 100, 100)

    def predict_clips(self, clips):
        self.batches.append(len(clips))
        out = []
        for points, _ in clips:
            p = float(points[:, 0, 0].mean())
            out.append(Prediction("high", np.array([1 - p, p], np.float32), self.card.class_names))
        return out


def cut(times, seconds, stride, chunk):
    """Windows (start, end, x of the first joint) of frames that come in chunks."""
    windows, found = Windows(seconds, stride), []
    points = np.repeat(np.asarray(times, np.float32)[:, None, None], 3, axis=1)
    for first in range(0, len(times), chunk):
        part = slice(first, first + chunk)
        found += windows.push(times[part], points[part], np.ones((len(times[part]), 3), bool))
    found += windows.finish()
    return [(window.start, window.end, window.points[:, 0, 0]) for window in found]


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_windows_are_what_their_definition_says(chunk):
    times = 5 + np.arange(300) / 30
    found = cut(times, 2.0, 0.5, chunk)
    expected = [5 + 0.5 * k for k in range(17)]  # the last one ends with the recording, at 15 s
    np.testing.assert_allclose([start for start, *_ in found], expected)
    for start, end, x in found:
        assert end == start + 2
        inside = times[(times >= start) & (times < end)]
        np.testing.assert_allclose(x, inside, rtol=1e-6)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
@pytest.mark.parametrize(("frames", "seconds", "stride"), [(119, 2, 2), (237, 4, 4), (306, 2, 0.25), (64, 2, 0.5)])
def test_the_last_window_ends_with_the_recording(frames, seconds, stride, chunk):
    times = np.arange(frames) / 30
    found = cut(times, seconds, stride, chunk)
    start, end, x = found[-1]
    assert end == pytest.approx(frames / 30)
    assert start == pytest.approx(end - seconds)
    np.testing.assert_allclose(x, times[times >= start - 1e-9], rtol=1e-6)
    assert len(found) == 1 + np.ceil((frames / 30 - seconds) / stride - 1e-9)
    segments = find_segments(slide(Threshold(), make_poses(times, 0.9), seconds, stride))
    assert [(s.start, pytest.approx(s.end)) for s in segments] == [(0.0, frames / 30)]


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        (np.arange(50) / 10, 0.05),  # frames further apart than a window is long, and still no gap
        ([0, 0.03, 0.06, 20, 20], 2.0),
        ([0, 3, 3], 2.0),
        ([*np.arange(31) / 30, 10, 10, 10], 2.0),
    ],
)
def test_the_last_window_has_the_last_frame(times, seconds):
    timeline = slide(Threshold(), make_poses(times, 0.9), seconds)
    assert timeline.starts[-1] <= times[-1] < timeline.ends[-1]
    assert (timeline.recorded[:, 0] <= timeline.recorded[:, 1]).all()


def test_one_frame_after_a_gap_stands_for_one_frame():
    times = np.append(np.arange(300) / 30, 35.0)
    timeline = slide(Threshold(), make_poses(times, 0.9), 2.0)
    assert timeline.ends[-1] == pytest.approx(35 + 1 / 30)
    assert not timeline.seen[-1]
    assert max(segment.end for segment in find_segments(timeline)) < 10


def test_a_gap_in_a_recording_shorter_than_a_window_is_one_as_well():
    times = np.concatenate([np.arange(10), 48 + np.arange(10)]) / 30
    timeline = slide(Threshold(), make_poses(times, 0.9), 2.0)
    assert timeline.seen.tolist() == [False]
    assert find_segments(timeline) == []


@pytest.mark.parametrize("times", [[3.0], [3.0, 3.0, 3.0], [0.0, 0.1, 0.2]])
def test_a_recording_shorter_than_a_window_is_one_window(times):
    (start, end, x), *others = cut(np.array(times), 2.0, 0.5, 2)
    assert not others
    assert start == times[0]
    assert end > times[-1]
    np.testing.assert_allclose(x, times)


def test_a_gap_however_long_has_no_windows():
    times = np.concatenate([np.arange(90) / 30, 9e9 + np.arange(90) / 30])
    found = cut(times, 2.0, 0.5, 13)
    assert len(found) < 20
    starts = np.array([start for start, *_ in found])
    assert (np.diff(starts) > 0).all()
    assert {bool(start > 8e9) for start in starts} == {False, True}
    assert all(len(x) for *_, x in found)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_a_window_has_no_answer_unless_half_of_it_was_recorded(chunk):
    times = np.concatenate([np.arange(90), 390 + np.arange(90), 630 + np.arange(25), 800 + np.arange(90)]) / 30
    parts = list(slide_chunks(Threshold(), chunks_of(make_poses(times, 0.5), chunk), 2.0, 0.25))
    timeline = Timeline.join(parts)
    # a gap is before, after, or on both sides of 25 frames; half of a window is 30 frames
    frames = np.array([((times >= a) & (times < b)).sum() for a, b in zip(timeline.starts, timeline.ends, strict=True)])
    assert frames.min() < 8
    assert timeline.seen[frames > 31].all()
    assert not timeline.seen[frames < 30].any()


@pytest.mark.parametrize("stride", [0.1, 0.25, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("gap", [(2.99, 13.0), (3.4, 4.7), (4.3, 5.6), (3.05, 4.2)])
def test_no_segment_reaches_into_a_gap(stride, gap):
    times = np.arange(500) / 30
    poses = make_poses(times[(times < gap[0]) | (times >= gap[1])], 0.9)
    timeline = slide(Threshold(), poses, 2.0, stride)
    edges = poses.timestamps[poses.timestamps < gap[0]].max(), poses.timestamps[poses.timestamps >= gap[1]].min()
    segments = find_segments(timeline)
    assert segments
    assert all(segment.end <= edges[0] or segment.start >= edges[1] for segment in segments)


@pytest.mark.parametrize(("rate", "seconds"), [(30, 0.05), (30, 0.07), (1.1, 2.0)])
def test_few_frames_a_window_are_no_gap(rate, seconds):
    timeline = slide(Threshold(), make_poses(7 + np.arange(40) / rate, 0.5), seconds)
    assert timeline.seen.all()
    np.testing.assert_array_equal(timeline.recorded, np.stack([timeline.starts, timeline.ends], axis=1))


def test_dropped_frames_are_filled_in_time():
    times = np.array([0, 1, 2, 3, 7, 8, 20, 21, 22, 30]) / 30
    path = np.cumsum(np.random.default_rng(1).normal(size=(10, 2, 2)), axis=0).astype(np.float32)
    seen, shown = at_equal_times(times, path, np.ones((10, 2), bool))
    grid = np.linspace(0, 1, 10)
    for joint, channel in itertools.product(range(2), repeat=2):
        truth = np.interp(grid, times, path[:, joint, channel])
        np.testing.assert_allclose(seen[:, joint, channel], truth, atol=1e-5)
    assert shown.all()


def test_a_joint_that_is_missing_beside_a_frame_is_not_mixed_in():
    times = np.array([0.0, 0.1, 0.9, 1.0])
    points = np.array([1.0, 99.0, 3.0, 4.0], np.float32).reshape(4, 1, 1)
    valid = np.array([True, False, True, True]).reshape(4, 1)
    seen, shown = at_equal_times(times, points, valid)
    assert not np.isin(seen[shown], [99]).any()
    assert seen[shown].max() <= 4
    assert shown.ravel().tolist() == [True, False, True, True]


def test_slide_follows_what_happens_and_is_the_same_in_chunks():
    poses = make_poses(np.arange(3000) / 30, lambda t: np.where(t < 50, 0.1, 0.9))
    recognizer = Threshold()
    timeline = slide(recognizer, poses, 2.0, 0.25)
    assert max(recognizer.batches) <= 64
    share = np.clip((timeline.ends - 50) / 2, 0, 1)
    np.testing.assert_allclose(timeline.probabilities[:, 1], 0.1 + 0.8 * share, atol=0.02)
    parts = list(slide_chunks(Threshold(), chunks_of(poses, 11), 2.0, 0.25))
    joined = Timeline.join(parts)
    np.testing.assert_array_equal(joined.probabilities, timeline.probabilities)
    np.testing.assert_array_equal(joined.times, timeline.times)
    assert len(parts) > 1


def test_a_window_in_which_nobody_is_seen_most_of_the_time_has_no_answer():
    valid = np.ones((300, 3), bool)
    valid[100:200] = False
    timeline = slide(Threshold(), make_poses(np.arange(300) / 30, 0.5, valid), 1.0, 0.1)
    inside = (timeline.times > 10 / 3 + 0.1) & (timeline.times < 20 / 3 - 0.1)
    outside = (timeline.times < 10 / 3 - 0.1) | (timeline.times > 20 / 3 + 0.1)
    assert np.isnan(timeline.probabilities[inside]).all()
    assert not timeline.seen[inside].any()
    assert timeline.seen[outside].all()


def test_the_length_comes_from_the_card_where_it_has_it():
    recognizer = Threshold()
    assert window_seconds(recognizer) == 2.0
    recognizer.card = SimpleNamespace(class_names=("a",), clip_seconds=3.5)
    assert window_seconds(recognizer) == 3.5


@pytest.mark.parametrize(
    ("seconds", "stride", "name"),
    [(0, None, "window"), (float("nan"), None, "window"), (1e9, None, "window"), (2, 0, "stride"), (2, 3, "stride")],
)
def test_lengths_out_of_range_are_named(seconds, stride, name):
    with pytest.raises(PiumrError, match=f"`{name}`"):
        Windows(seconds, stride)


def test_times_that_no_recording_has_are_refused():
    one = np.zeros((1, 3, 2), np.float32), np.ones((1, 3), bool)
    windows = Windows(1.0)
    with pytest.raises(PiumrError, match="never decrease"):
        list(windows.push(np.array([1e300]), *one))
    list(windows.push(np.array([5.0]), *one))
    with pytest.raises(PiumrError, match="never decrease"):
        list(windows.push(np.array([4.0]), *one))


def test_memory_does_not_grow_with_the_recording():
    def endless(frames):
        chunk = make_poses(np.arange(64) / 30, 0.5)
        for start in range(0, frames, 64):
            yield PoseSequence(chunk.landmarks, chunk.world, chunk.valid, chunk.timestamps + start / 30, chunk.meta)

    peaks = []
    for minutes in (1, 10):
        tracemalloc.start()
        for _ in itertools.islice(slide_chunks(Threshold(), endless(minutes * 1800), 2.0, 0.5), None):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
