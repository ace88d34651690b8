"""Clips and sets: the same whatever is generated beside them, and flawed as estimators' output is."""

import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from piumr.data.declaration import load_declaration
from piumr.data.protocols import make_splits
from piumr.errors import PiumrError
from piumr.synthetic import ACTIONS, generate_clip, generate_set, sample_person, synthetic_set
from piumr.synthetic.camera import project
from piumr.synthetic.persons import Camera, Person


@pytest.fixture(scope="module")
def clips():
    return generate_set(persons=4, takes=2, seed=0)


def test_a_clip_is_the_same_whatever_else_is_generated(clips):
    few = generate_set(persons=2, takes=1, seed=0, actions=["waving", "nodding"])
    assert [(clip.person.index, clip.action) for clip in few] == [(p, a) for p in (0, 1) for a in ("waving", "nodding")]
    for clip in few:
        twin = next(c for c in clips if (c.person, c.action, c.take) == (clip.person, clip.action, clip.take))
        assert np.array_equal(clip.landmarks, twin.landmarks, equal_nan=True)
    assert not np.array_equal(
        generate_clip(few[0].person, "waving", 0, 0).landmarks[:40],
        generate_clip(few[0].person, "waving", 1, 0).landmarks[:40],
        equal_nan=True,
    )


def test_clips_follow_the_pose_cache(clips):
    for clip in clips:
        assert clip.landmarks.shape == (len(clip.valid), 75, 4)
        assert clip.landmarks.dtype == np.float32
        assert clip.valid.dtype == np.bool_
        assert 45 <= len(clip.valid) <= 75
        assert np.array_equal(np.isfinite(clip.landmarks).all(axis=-1), clip.valid)
        assert (clip.width, clip.height, clip.fps) == (1080, 1296, 30.0)
        visibility = clip.landmarks[..., 3][clip.valid]
        assert 0 <= visibility.min() <= visibility.max() <= 1


def test_hands_are_lost_in_runs_and_the_body_is_not(clips):
    hands = [clip.valid[:, [first]] for clip in clips for first in (33, 54)]
    lost = 1 - np.concatenate(hands).mean()
    assert 0.05 < lost < 0.25
    for clip in clips:
        assert clip.valid[:, :33].all()
        for first in (33, 54):
            assert (clip.valid[:, first : first + 21] == clip.valid[:, [first]]).all()
    changes = np.mean([np.abs(np.diff(seen[:, 0].astype(int))).mean() for seen in hands])
    assert changes < 0.4 * 2 * lost * (1 - lost)  # far fewer than if every frame were decided alone


def test_the_whole_person_is_in_the_picture_mostly(clips):
    body = np.concatenate([clip.landmarks[:, :33, :2] for clip in clips])
    inside = ((body > 0) & (body < 1)).all(axis=-1)
    assert inside.mean() > 0.97
    height = np.median([np.ptp(clip.landmarks[0, :33, 1]) for clip in clips])
    assert 0.4 < height < 0.85


def test_legs_out_of_view_have_low_visibility():
    person = replace(Person(), camera=Camera(pitch=-5.0, distance=1.2, height=0.5, focal=1.0))
    clip = generate_clip(person, "nodding", 0, 0)
    below = clip.landmarks[:, [27, 28, 31, 32]]
    assert (below[..., 1] > 1.05).all()
    assert clip.valid[:, [27, 28]].all()
    assert (below[..., 3] < 0.5).all()
    assert (clip.landmarks[:, :13, 3] > 0.5).all()


def test_the_camera_is_a_pinhole():
    camera = Camera(yaw=0, pitch=0, pan=0, distance=4.0, height=0.5, focal=1.5)
    points = np.array([[0, 0.5, 0], [0.4, 0.5, 0], [0, 0.1, 0], [0.4, 0.5, 2.0]])
    expected = [
        [0.5, 0.5, 4],
        [0.5 + 1.5 * 0.1 * 1296 / 1080, 0.5, 4],
        [0.5, 0.5 + 1.5 * 0.1, 4],
        [0.5 + 1.5 * 0.2 * 1296 / 1080, 0.5, 2],
    ]
    np.testing.assert_allclose(project(points, camera), expected)
    from_the_left = project(np.array([[0, 0.5, 0.3]]), replace(camera, yaw=90.0))
    assert from_the_left[0, 0] < 0.5  # what is before the person lies to the left in a picture from their left


def test_the_set_fits_its_declaration():
    declaration = load_declaration("synthetic")
    clips = synthetic_set(persons=3, takes=1, seed=0)
    assert clips.class_names == declaration.class_names
    assert (clips.coarse, clips.coarse_names) == (declaration.coarse, declaration.coarse_names)
    assert (clips.layout, clips.mirror) == (declaration.layout, declaration.mirror)
    assert len(clips) == 3 * len(ACTIONS)
    assert set(clips.persons) == {"000", "001", "002"}
    assert np.bincount(clips.labels).tolist() == [3] * len(ACTIONS)


def test_the_declared_test_persons_are_unseen():
    declaration = load_declaration("synthetic")
    few = synthetic_set(persons=declaration.format.persons, takes=1, seed=declaration.format.seed)
    (split,) = make_splits(few, declaration.protocols, declaration.protocol)
    assert split.person_disjoint
    assert len(split.train) + len(split.test) == len(few)


def test_generating_is_fast():
    start = time.process_time()
    clips = generate_set(persons=5, takes=1, seed=1)
    assert (time.process_time() - start) / len(clips) < 0.02  # aim: 0.005


def test_wrong_numbers_are_refused():
    with pytest.raises(PiumrError, match="Expected `persons` to be at least 1, but got 0"):
        generate_set(persons=0, takes=1, seed=0)
    with pytest.raises(PiumrError, match="Expected `takes` to be at least 1"):
        synthetic_set(persons=1, takes=0, seed=0)
    with pytest.raises(PiumrError, match="Expected `seed`"):
        synthetic_set(persons=1, takes=1, seed=-1)


def test_the_generator_needs_numpy_alone():
    code = "import sys, piumr.synthetic; print([m for m in ('torch', 'scipy', 'mediapipe') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_persons_share_no_noise():
    a, b = (generate_clip(sample_person(0, i), "rest", 0, 0).landmarks[:30, 0, :2] for i in (0, 1))
    correlation = np.corrcoef(np.diff(a[:, 0], 2), np.diff(b[:, 0], 2))[0, 1]
    assert abs(correlation) < 0.7
