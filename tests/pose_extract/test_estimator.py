"""Regions, persons and engines, on real clips."""

import numpy as np
import pytest

from pose_extract import Options, PoseError, extract_video
from pose_extract.estimator import describe_estimator

CLIP = "videos/ma52/0078_01_0005.mp4"
HALF = 1080


def pixels(poses):
    return poses.landmarks[:, :33, :2] * [poses.meta["width"], poses.meta["height"]]


@pytest.fixture(scope="module")
def alone(shared_data):
    """The left person's own clip."""
    return extract_video(shared_data / CLIP, Options("body"))


@pytest.mark.parametrize("bundle", [False, True], ids=["solutions", "tasks"])
@pytest.mark.parametrize("person", ["left", "right"])
def test_the_person_asked_for_is_followed_throughout(two_people, task_bundle, alone, person, bundle):
    poses = extract_video(two_people, Options("body", person=person, model=task_bundle if bundle else None))
    assert poses.meta["people"] == 2
    assert poses.meta["estimator"]["options"]["person"] == person
    assert poses.meta["warnings"] == []
    assert poses.valid.all(axis=1).mean() > 0.9
    x = np.nanmedian(pixels(poses)[..., 0], axis=1)
    assert (x < HALF).all() if person == "left" else (x > HALF).all()
    if person == "left":  # and it is the person of that clip: a few pixels, of 1080
        visible = alone.landmarks[: len(poses), :, 3] > 0.8
        distance = np.linalg.norm(pixels(poses) - pixels(alone)[: len(poses)], axis=-1)
        assert np.nanmedian(distance[visible]) < 15


def test_several_people_without_a_choice_are_told_of(two_people):
    warnings = extract_video(two_people, Options("body")).meta["warnings"]
    assert warnings == ["up to 2 people in view; the most prominent one was followed (--person, --region)"]


def test_a_region_gives_what_its_part_of_the_picture_gives(two_people, alone):
    """The left half is the left clip, but for the second coding; coordinates are of the whole picture."""
    poses = extract_video(two_people, Options("body", region=(0, 0, 0.5, 1)))
    assert (poses.meta["width"], poses.meta["people"]) == (2 * HALF, 1)
    same = alone.landmarks[: len(poses)]
    distance = np.linalg.norm(pixels(poses) - pixels(alone)[: len(poses)], axis=-1)
    assert np.median(distance[same[..., 3] > 0.8]) < 5
    # z is in units of the width, which is twice that of the part
    slope = np.polyfit(same[..., 2].ravel(), poses.landmarks[..., 2].ravel(), 1)[0]
    assert slope == pytest.approx(0.5, abs=0.05)


def test_a_region_without_anybody(two_people):
    poses = extract_video(two_people, Options("body", region=(0, 0, 0.02, 0.02)))
    assert not poses.valid.any()


@pytest.mark.slow
@pytest.mark.parametrize("smoothing", [True, False])
def test_the_engines_agree(shared_data, task_bundle, smoothing):
    """Same models, other filters: a few pixels of 1080 apart, hands found in the same frames."""
    ours = extract_video(shared_data / CLIP, Options(smoothing=smoothing))
    theirs = extract_video(shared_data / CLIP, Options(model=task_bundle, smoothing=smoothing))
    distance = np.linalg.norm(pixels(ours) - pixels(theirs), axis=-1)
    visible = ours.landmarks[:, :33, 3] > 0.5
    assert np.median(distance[visible]) < 6
    assert theirs.meta["layout"] == ours.meta["layout"] == "mediapipe-75"
    assert theirs.meta["estimator"]["options"]["tracking"] == smoothing
    for part, share in ours.shares().items():
        assert theirs.shares()[part] == pytest.approx(share, abs=0.1)


def test_smoothing_filters_motion(shared_data):
    """Without it the second differences are larger; the choice is recorded."""
    clip = shared_data / "videos/asl_gestures/intel_asl_eat.mkv"
    jitter = {}
    for smoothing in (True, False):
        poses = extract_video(clip, Options("body", smoothing=smoothing))
        assert poses.meta["estimator"]["options"]["smoothing"] == smoothing
        jitter[smoothing] = np.median(np.abs(np.diff(pixels(poses)[:, :11], n=2, axis=0)))
    assert jitter[False] > 1.5 * jitter[True]


def test_a_model_that_is_none(tmp_path, write_video):
    video = write_video(tmp_path / "a.mp4", frames=1)
    (tmp_path / "a.task").write_bytes(b"PK nothing")
    with pytest.raises(PoseError, match=r"pose landmarker bundle \(\.task\).*a\.task"):
        extract_video(video, Options("body", model=tmp_path / "a.task"))
    with pytest.raises(PoseError, match=r"Expected `model` to be a \.task file"):
        extract_video(video, Options("body", model=tmp_path / "missing.task"))


def test_a_changed_model_is_another_estimator(task_bundle, tmp_path):
    model = tmp_path / "copy.task"
    model.write_bytes(task_bundle.read_bytes())
    description = describe_estimator(Options(model=model))
    assert description == describe_estimator(Options(model=task_bundle))
    model.write_bytes(task_bundle.read_bytes() + b" ")
    assert description != describe_estimator(Options(model=model))
    assert str(tmp_path) not in str(description)
