"""One factor of a person changes what it should, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from piumr.errors import PiumrError
from piumr.synthetic import generate_clip, sample_person, world_joints
from piumr.synthetic.camera import sample_flaws
from piumr.synthetic.motion import acting_side, sample_take
from piumr.synthetic.persons import Idle, Person

WRIST = {"left": 15, "right": 16}
STILL = Person(idle=Idle(0, 0, 0, 1, 0), tremor_amplitude=0.0)


def length(joints, a, b):
    return np.linalg.norm(joints[:, a] - joints[:, b], axis=-1)


def test_a_person_depends_on_seed_and_index_alone():
    assert sample_person(3, 7) == sample_person(3, 7)
    assert sample_person(3, 7) != sample_person(3, 8)
    assert sample_person(3, 7) != sample_person(4, 7)


def test_a_take_and_its_noise_do_not_depend_on_the_persons_factors():
    person = sample_person(0, 1)
    varied = replace(person, speed=2 * person.speed, amplitude=0.5, tremor_amplitude=0.01)
    for who in (person, varied):
        take, flaws = sample_take(0, who.index, 9, 0), sample_flaws(0, who.index, 9, 0, 60)
        assert np.array_equal(take.phases, sample_take(0, 1, 9, 0).phases)
        assert np.array_equal(flaws.jitter, sample_flaws(0, 1, 9, 0, 60).jitter)
    # before the action sets in, both sit alike, noise included
    still = replace(person, tremor_amplitude=0.0)
    a = generate_clip(still, "nodding", 0, 0).landmarks
    b = generate_clip(replace(still, speed=2 * person.speed), "nodding", 0, 0).landmarks
    onset = int(sample_take(0, 1, 9, 0).onset * 30) + 1
    assert np.array_equal(a[:onset], b[:onset], equal_nan=True)
    assert not np.array_equal(a, b, equal_nan=True)


def test_speed_changes_timing_and_no_length():
    slow, fast = (world_joints(replace(STILL, speed=speed), "touching nose", 0, 0) for speed in (0.7, 1.4))
    assert slow.shape == fast.shape
    for a, b in ((11, 13), (13, 15), (23, 25), (25, 27), (7, 8)):
        np.testing.assert_allclose(length(slow, a, b), length(fast, a, b)[0], rtol=1e-9)
    reached = [int(np.argmax(joints[:, WRIST["right"], 1] > joints[:, 12, 1] - 0.1)) for joints in (slow, fast)]
    assert reached[0] > 1.3 * reached[1] > 0
    np.testing.assert_allclose(slow.max(axis=0), fast.max(axis=0), atol=0.05)  # the same places, at another time


def test_a_limb_length_changes_that_limb_alone():
    longer = replace(STILL, lengths=replace(STILL.lengths, forearm=0.3))
    a, b = (world_joints(person, "waving", 0, 0) for person in (STILL, longer))
    np.testing.assert_allclose(length(b, 13, 15), 0.3)
    np.testing.assert_allclose(length(a, 13, 15), STILL.lengths.forearm)
    np.testing.assert_allclose(length(a, 11, 13), length(b, 11, 13))
    rest_of_the_body = [*range(13), *range(23, 33)]
    np.testing.assert_allclose(a[:, rest_of_the_body], b[:, rest_of_the_body])


def test_handedness_changes_the_hand_that_acts():
    for hand, other in (("left", "right"), ("right", "left")):
        person = replace(STILL, handedness=hand)
        assert acting_side(person, sample_take(0, 0, 43, 1)) == hand  # take 1 is not swapped
        travelled = np.ptp(world_joints(person, "touching nose", 1, 0), axis=0).max(axis=-1)
        assert travelled[WRIST[hand]] > 0.3 > 5 * travelled[WRIST[other]]


def test_handedness_mirrors_a_symmetric_person():
    person = replace(STILL, camera=STILL.camera, dialect=5)
    take_shift = sample_take(0, 0, 43, 1).hands
    left, right = (world_joints(replace(person, handedness=hand), "touching nose", 1, 0) for hand in ("left", "right"))
    reach = slice(25, 35)  # while the finger is at the nose, where it rested plays no role
    mirrored = right[reach, WRIST["right"]] * [-1, 1, 1]
    np.testing.assert_allclose(left[reach, WRIST["left"]], mirrored, atol=0.08 + np.abs(take_shift).max())


def test_tremor_adds_energy_at_its_frequency_alone():
    calm, trembling = (
        world_joints(replace(STILL, tremor_amplitude=a, tremor_frequency=7.0), "rest", 0, 0) for a in (0.0, 0.002)
    )
    difference = (trembling - calm)[:, WRIST["right"]]
    assert 0.001 < np.linalg.norm(difference, axis=-1).max() < 0.004
    power = (np.abs(np.fft.rfft(difference * np.hanning(len(difference))[:, None], axis=0)) ** 2).sum(axis=1)
    hz = np.fft.rfftfreq(len(difference), 1 / 30)
    assert power[np.abs(hz - 7) < 1.5].sum() > 0.98 * power.sum()
    assert np.array_equal(calm[:, :11], trembling[:, :11])


def test_amplitude_scales_a_nod():
    small, large = (world_joints(replace(STILL, amplitude=a), "nodding", 0, 0)[:, 0, 1] for a in (0.5, 1.0))
    assert np.ptp(large) > 1.6 * np.ptp(small) > 0


def test_stiffness_moves_the_trunk_instead_of_the_neck():
    loose, stiff = (
        world_joints(replace(STILL, manner=replace(STILL.manner, stiffness=s)), "nodding", 0, 0) for s in (0.0, 0.5)
    )
    assert np.ptp(stiff[:, 11], axis=0).max() > 2 * np.ptp(loose[:, 11], axis=0).max()


def test_the_camera_changes_the_image_and_not_the_body():
    turned = replace(STILL, camera=replace(STILL.camera, yaw=25.0))
    assert np.array_equal(world_joints(STILL, "nodding", 0, 0), world_joints(turned, "nodding", 0, 0))
    a, b = (generate_clip(person, "nodding", 0, 0) for person in (STILL, turned))
    assert np.array_equal(a.valid, b.valid)
    width = [np.abs(clip.landmarks[:, 11, 0] - clip.landmarks[:, 12, 0]).mean() for clip in (a, b)]
    assert width[1] < 0.96 * width[0]


def test_dialect_changes_the_action_and_not_the_rest():
    other = replace(STILL, dialect=9)
    assert np.array_equal(world_joints(STILL, "rest", 0, 0), world_joints(other, "rest", 0, 0))
    assert not np.array_equal(world_joints(STILL, "nodding", 0, 0), world_joints(other, "nodding", 0, 0))


def test_an_unknown_action_is_refused():
    with pytest.raises(PiumrError, match=r"Expected `action` to be one of .*nodding.* but got 'dancing'"):
        generate_clip(STILL, "dancing", 0, 0)
    with pytest.raises(PiumrError, match="at least 0"):
        generate_clip(STILL, "nodding", -1, 0)
