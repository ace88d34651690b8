"""Real estimation on real clips."""

import os
from dataclasses import replace

import numpy as np
import pytest

from pose_extract import Options, PoseError, extract_video
from pose_extract.extraction import extract_span, join_spans

CLIP = "videos/asl_gestures/intel_asl_eat.mkv"


@pytest.fixture(scope="module")
def clip(shared_data):
    return shared_data / CLIP


@pytest.fixture(scope="module")
def poses(clip):
    return extract_video(clip)


def test_a_person_is_found_with_hands(poses, clip):
    assert poses.landmarks.shape == (47, 75, 4)
    assert poses.meta["layout"] == "mediapipe-75"
    shares = poses.shares()
    assert shares["body"] == 1
    assert shares["left_hand"] > 0.2 or shares["right_hand"] > 0.2
    assert (poses.meta["width"], poses.meta["height"], poses.meta["fps"]) == (640, 480, 30)
    assert poses.meta["source"]["path"] == clip.name
    assert poses.meta["warnings"] == []


def test_valid_is_where_numbers_are(poses):
    np.testing.assert_array_equal(poses.valid, ~np.isnan(poses.landmarks).any(axis=-1))
    for part in (slice(0, 33), slice(33, 54), slice(54, 75)):  # found as a whole or not at all
        valid = poses.valid[:, part]
        np.testing.assert_array_equal(valid.all(axis=1), valid.any(axis=1))
    visibility = poses.landmarks[..., 3][poses.valid]
    assert ((visibility >= 0) & (visibility <= 1)).all()
    assert (poses.landmarks[:, 33:, 3][poses.valid[:, 33:]] == 1).all()


def test_joint_names_fit_the_numbers(poses):
    """On a frontal person the image tells left from right, and a hand hangs on its own wrist."""
    joint = {name: i for i, name in enumerate(poses.meta["joints"])}
    xy = poses.landmarks[..., :2]
    assert np.nanmedian(xy[:, joint["left_shoulder"], 0] - xy[:, joint["right_shoulder"], 0]) > 0.05
    assert np.nanmedian(xy[:, joint["left_shoulder"], 1] - xy[:, joint["nose"], 1]) > 0.05
    for side in ("left", "right"):
        if poses.shares()[f"{side}_hand"]:
            distance = np.abs(xy[:, joint[f"{side}_hand_wrist"]] - xy[:, joint[f"{side}_wrist"]]).max(axis=-1)
            assert np.nanmedian(distance) < 0.1


def test_world_is_in_metres_around_the_hips(poses):
    joint = {name: i for i, name in enumerate(poses.meta["joints"])}
    hips = (poses.world[:, joint["left_hip"]] + poses.world[:, joint["right_hip"]]) / 2
    np.testing.assert_allclose(hips, 0, atol=5e-3)
    shoulders = np.linalg.norm(
        poses.world[:, joint["left_shoulder"]] - poses.world[:, joint["right_shoulder"]], axis=-1
    )
    assert 0.15 < np.median(shoulders) < 0.6


def test_times_are_the_containers_at_any_rate(tmp_path, write_video):
    """The estimator is told them, so no rate needs a warning."""
    poses = extract_video(write_video(tmp_path / "a.mp4", fps=10), Options("body"))
    np.testing.assert_allclose(poses.timestamps, np.arange(6) / 10, atol=1e-3)
    assert (poses.meta["fps"], poses.meta["warnings"]) == (10, [])


def test_fewer_frames_a_second(clip):
    poses = extract_video(clip, Options("body", fps=10))
    assert len(poses) == 16  # of 47 at 30 a second
    assert poses.meta["frames_decoded"] == 47
    assert poses.meta["estimator"]["options"]["fps"] == 10
    np.testing.assert_allclose(np.diff(poses.timestamps), 0.1, atol=2e-3)


def test_frames_are_counted_aloud(tmp_path, write_video):
    counted = []
    extract_video(write_video(tmp_path / "a.mp4", frames=4), Options("body"), on_frame=counted.append)
    assert counted == [1, 2, 3, 4, 4]  # the last while the file is hashed


def test_native_libraries_are_silent(tmp_path, write_video, capfd):
    extract_video(write_video(tmp_path / "a.mp4"), Options("body"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("landmarks", ["holistic", "body"])
def test_the_same_clip_gives_the_same_landmarks_bit_for_bit(clip, shared_data, landmarks):
    first = extract_video(clip, Options(landmarks))
    extract_video(shared_data / "videos/asl_gestures/intel_asl_want.mkv", Options(landmarks))  # another one in between
    second = extract_video(clip, Options(landmarks))
    for key in ("landmarks", "world", "valid", "timestamps"):
        assert getattr(first, key).tobytes() == getattr(second, key).tobytes()
    assert first.meta == second.meta


@pytest.mark.slow
def test_objects_are_closed(tmp_path, write_video):
    """An object that is not closed keeps about 100 MB."""
    path = write_video(tmp_path / "a.mp4", frames=2)

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096 / 1e6

    for _ in range(3):
        extract_video(path)
    before = resident()
    for _ in range(10):
        extract_video(path)
    assert resident() - before < 150


def test_a_video_that_changes_while_it_is_read_is_no_result(tmp_path, write_video):
    path = write_video(tmp_path / "a.mp4")
    with pytest.raises(PoseError, match="was changed while it was read"):
        extract_video(path, Options("body"), on_frame=lambda done: os.utime(path))


def test_spans_that_go_on_with_another_person_say_so(two_people):
    """Spans choose for themselves: here the left one, then the right one."""
    left, right = (extract_span(two_people, Options("body", person=person)) for person in ("left", "right"))
    same, other = (replace(span, timestamps=span.timestamps + 1) for span in (left, right))
    assert not any("another person" in line for line in join_spans([left, same], two_people).meta["warnings"])
    (warning,) = (line for line in join_spans([left, other], two_people).meta["warnings"] if "person" in line)
    assert warning.startswith("perhaps another person from")
