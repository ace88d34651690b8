"""MediaPipe's own `solutions` API is the oracle: same frames, same times, same bits."""

import numpy as np
import pytest

from pose_extract.graphs import FIRST, PEOPLE, body_graph, detector_graph, hands_graph
from pose_extract.video import Video

STEP = FIRST / 1e6  # what `solutions` counts for a frame
PARTS = {"body": "pose_landmarks", "world": "pose_world_landmarks", "left_hand": "left_hand_landmarks"}
PARTS["right_hand"] = "right_hand_landmarks"


@pytest.fixture(scope="module")
def frames(shared_data):
    """Twelve frames in which both hands come up."""
    with Video(shared_data / "videos/ma52/0078_01_0005.mp4", stop=0.4) as video:
        return [frame for _, frame in video]


def numbers(marks):
    return None if not marks else np.array([(p.x, p.y, p.z, p.visibility) for p in marks.landmark])


def assert_same(found, expected, parts):
    for ours, theirs in parts.items():
        a, b = numbers(found.get(ours)), numbers(getattr(expected, theirs, None))
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_array_equal(a, b)


def test_body_and_hands_are_those_of_holistic(frames):
    from mediapipe.python.solutions.holistic import Holistic

    graph = body_graph(hands=True, smoothing=True)
    hands = hands_graph()
    seen = set()
    with Holistic() as holistic:
        for i, frame in enumerate(frames):
            found = graph.run(frame, i * STEP)
            assert_same(found, holistic.process(frame), PARTS)
            # the hands of a body from elsewhere
            alone = hands.run(frame, i * STEP, body=found["body"])
            for side in ("left_hand", "right_hand"):
                np.testing.assert_array_equal(numbers(alone.get(side)), numbers(found.get(side)))
            seen |= set(found)
    graph.close()
    hands.close()
    assert {"body", "world", "left_hand", "right_hand", PEOPLE} <= seen


@pytest.mark.parametrize("smoothing", [True, False])
def test_the_body_alone_is_that_of_pose(frames, smoothing):
    from mediapipe.python.solutions.pose import Pose

    graph = body_graph(hands=False, smoothing=smoothing)
    with Pose(smooth_landmarks=smoothing) as pose:
        for i, frame in enumerate(frames[:6]):
            assert_same(graph.run(frame, i * STEP), pose.process(frame), dict(list(PARTS.items())[:2]))
    graph.close()


def test_real_times_reach_the_smoothing(frames):
    """At ten frames a second landmarks follow faster; `solutions` does the same once its own clock is set so."""
    from mediapipe.python.solutions.pose import Pose

    slow, graph = body_graph(hands=False, smoothing=True), body_graph(hands=False, smoothing=True)
    differs = False
    with Pose() as pose:
        for i, frame in enumerate(frames[:6]):
            found = slow.run(frame, i * 0.1)
            pose._simulated_timestamp = i * 100_000  # it adds the 33,333 itself
            assert_same(found, pose.process(frame), {"body": "pose_landmarks"})
            differs |= (numbers(found["body"]) != numbers(graph.run(frame, i * STEP)["body"])).any()
    assert differs
    slow.close()
    graph.close()


def test_everybody_is_detected(frames, shared_data):
    """Two clips side by side are two people, where they sit."""
    with Video(shared_data / "videos/ma52/0010_02_0101.mp4", stop=0.03) as video:
        other = next(frame for _, frame in video)
    detector = detector_graph()
    people = detector.run(np.concatenate([frames[0], other], axis=1), 0.0)["people"]
    assert "people" not in detector.run(np.zeros_like(frames[0]), 1.0)
    detector.close()
    hips = sorted(person.location_data.relative_keypoints[0].x for person in people)
    assert len(hips) == 2
    assert 0.2 < hips[0] < 0.4
    assert 0.65 < hips[1] < 0.85
