"""The body is one that could exist: rigid bones, human joints, hands that touch what they go to."""

import numpy as np
import pytest

from piumr.layouts import get_layout
from piumr.synthetic import ACTIONS, sample_person, world_joints
from piumr.synthetic.limbs import align, hand, rotation, two_bones
from piumr.synthetic.persons import Person

JOINTS = get_layout("mediapipe-75").joints
RIGID = [
    *((0, 2), (0, 5), (2, 5), (7, 8), (0, 7), (9, 10), (23, 24)),
    *((11, 13), (13, 15), (12, 14), (14, 16), (23, 25), (25, 27), (24, 26), (26, 28)),
    *((27, 29), (29, 31), (27, 31), (28, 30), (30, 32), (28, 32)),
    *((w + a, w + b) for w in (33, 54) for a, b in ((0, 1), (0, 5), (0, 17), (5, 17), (1, 2), (5, 6), (6, 7), (7, 8))),
]
CLIPS = [(person, action) for person in range(6) for action in ACTIONS]


@pytest.fixture(scope="module")
def clips():
    return {(i, action.name): world_joints(sample_person(0, i), action.name, 0, 0) for i, action in CLIPS}


def angle(joints, a, b, c):
    """Interior angle at b in degrees."""
    u, v = joints[:, a] - joints[:, b], joints[:, c] - joints[:, b]
    cosine = (u * v).sum(-1) / np.linalg.norm(u, axis=-1) / np.linalg.norm(v, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def test_bones_keep_their_length(clips):
    for person in range(6):
        frames = np.concatenate([joints for (i, _), joints in clips.items() if i == person])
        for a, b in RIGID:
            lengths = np.linalg.norm(frames[:, a] - frames[:, b], axis=-1)
            assert np.ptp(lengths) < 1e-9, (JOINTS[a], JOINTS[b])


def test_lengths_are_the_persons(clips):
    for (i, _), joints in clips.items():
        lengths = sample_person(0, i).lengths
        for a, b, name in (
            (12, 14, "upper_arm"),
            (14, 16, "forearm"),
            (24, 26, "thigh"),
            (26, 28, "shin"),
            (7, 8, "head"),
        ):
            np.testing.assert_allclose(np.linalg.norm(joints[0, a] - joints[0, b]), getattr(lengths, name))


@pytest.mark.parametrize(
    ("a", "b", "c", "low", "high"),
    [
        (11, 13, 15, 25, 180),  # elbow
        (23, 25, 27, 38, 180),  # knee
        (25, 27, 31, 60, 172),  # ankle
        (13, 33, 42, 100, 180),  # wrist, against the middle knuckle
        (33, 38, 39, 80, 180),  # index finger at the knuckle
        (38, 39, 40, 75, 180),
    ],
)
def test_joints_stay_within_human_ranges(clips, a, b, c, low, high):
    mirror = get_layout("mediapipe-75").partners
    for key, joints in clips.items():
        for triple in ((a, b, c), (mirror[a], mirror[b], mirror[c])):
            bend = angle(joints, *triple)
            assert low <= bend.min(), (key, triple)
            assert bend.max() <= high + 1e-6, (key, triple)


def test_a_seated_person_is_the_right_way_up(clips):
    for joints in clips.values():
        first = joints[0]
        assert first[0, 1] > first[11, 1] > first[23, 1] > first[27, 1] > first[31, 1] - 0.05
        assert first[11, 0] > first[12, 0]  # the person's left is +x
        assert first[25, 2] > first[23, 2]  # knees in front of the hips
        assert first[0, 2] > first[7, 2]  # the nose in front of the ears


@pytest.mark.parametrize(
    ("action", "landmarks", "target", "reach"),
    [
        ("touching nose", (8,), (0,), 0.07),
        ("rubbing eyes", (8,), (2, 5), 0.08),
        ("pushing glasses", (8,), (1, 4, 0), 0.09),
        ("covering mouth", (5, 9, 13), (9, 10), 0.09),
        ("covering face", (5, 9, 13), (0,), 0.12),
        ("touching ears", (4, 8), (7, 8), 0.06),
        ("scratching or touching face", (8, 12, 16), (2, 5, 9, 10), 0.09),
        ("scratching or touching forehead", (8, 12, 16), (1, 4), 0.12),
        ("playing or tidying hair", (8, 12, 16), (7, 8), 0.2),
        ("scratching or touching hindbrain", (8, 12, 16), (7, 8), 0.16),
        ("scratching or touching neck", (8, 12, 16), (7, 8, 11, 12), 0.19),
        ("scratching or touching shoulder", (8, 12, 16), (11, 12), 0.15),
        ("arms akimbo", (0, 5, 9, 13, 17), (23, 24), 0.22),
        ("scratching feet", (8, 12, 16), (27, 28, 31, 32), 0.16),
    ],
)
def test_the_hand_reaches_its_target(clips, action, landmarks, target, reach):
    for person in range(6):
        joints = clips[person, action]
        goals = joints[:, target].mean(axis=1) if action == "covering mouth" else joints[:, target]
        goals = goals.reshape(len(joints), -1, 3)
        closest = min(
            np.linalg.norm(joints[:, [first + i for i in landmarks]].mean(axis=1)[:, None] - goals, axis=-1).min()
            for first in (33, 54)
        )
        assert closest < reach, (person, closest)


@pytest.mark.parametrize("action", ["rubbing hands", "putting hands together", "hands touching fingers"])
def test_hands_meet(clips, action):
    for person in range(6):
        joints = clips[person, action]
        apart = np.linalg.norm(joints[:, 33 + 9] - joints[:, 54 + 9], axis=-1)
        assert apart.min() < 0.16


@pytest.mark.parametrize(
    ("away", "back", "measure"),
    [
        ("stretching arms", "retracting arms", lambda joints: np.linalg.norm(joints[:, 15:17].mean(1), axis=1)),
        ("spread legs", "closing legs", lambda joints: joints[:, 25, 0] - joints[:, 26, 0]),
        ("stretching feet", "retracting feet", lambda joints: joints[:, 31:33, 2].mean(1)),
    ],
)
def test_opposites_go_opposite_ways(clips, away, back, measure):
    for person in range(6):
        out, home = (measure(clips[person, action]) for action in (away, back))
        assert out[-1] - out[0] > 0.02
        assert home[0] - home[-1] > 0.02
        assert abs(out[0] - home[-1]) < 0.1  # both have the person's rest on the other end


def test_the_feet_stay_on_the_floor_when_a_person_rises(clips):
    for person in range(6):
        joints = clips[person, "rising up"]
        assert joints[-1, 23, 1] > joints[0, 23, 1] + 0.03
        assert np.ptp(joints[:, 31:33, 1], axis=0).max() < 0.04


def test_a_fist_closes_where_the_hand_lies(clips):
    for person in range(6):
        joints = clips[person, "clenching fist"]
        closed = np.linalg.norm(joints[:, 33 + 12] - joints[:, 33], axis=-1)
        assert closed.min() < 0.75 * closed.max()
        assert np.ptp(joints[:, 33], axis=0).max() < 0.15


def test_legs_are_touched_on_the_thigh(clips):
    for person in range(6):
        joints = clips[person, "patting legs"]
        near = []
        for hip, knee, first in ((23, 25, 33), (24, 26, 54)):
            thigh, palm = joints[:, knee] - joints[:, hip], joints[:, first + 9] - joints[:, hip]
            along = (palm * thigh).sum(-1) / (thigh**2).sum(-1)
            near.append(np.linalg.norm(palm - along[:, None] * thigh, axis=-1).min())
        assert min(near) < 0.16


def test_every_action_can_be_performed_by_the_average_person():
    person = Person()
    for action in ACTIONS:
        assert np.isfinite(world_joints(person, action.name, 0, 0)).all()


def test_two_bones_reach_what_they_can():
    rng = np.random.default_rng(0)
    target = rng.normal(0, 0.4, (200, 3))
    middle, end, normal = two_bones(np.zeros((200, 3)), target, np.array([0, -1.0, 0.1]), (0.3, 0.25), (5.0, 145.0))
    np.testing.assert_allclose(np.linalg.norm(middle, axis=1), 0.3)
    np.testing.assert_allclose(np.linalg.norm(end - middle, axis=1), 0.25)
    distance = np.linalg.norm(target, axis=1)
    reachable = (distance > 0.18) & (distance < 0.54)
    assert reachable.sum() > 20
    np.testing.assert_allclose(end[reachable], target[reachable], atol=1e-9)
    np.testing.assert_allclose((normal * middle).sum(1), 0, atol=1e-9)


def test_align_and_rotation_against_scipy():
    from scipy.spatial.transform import Rotation

    for axis, letter in enumerate("xyz"):
        np.testing.assert_allclose(rotation(axis, 33.0), Rotation.from_euler(letter, 33.0, degrees=True).as_matrix())
    rng = np.random.default_rng(1)
    forward, local = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    turn = align(forward, np.cross(forward, rng.normal(size=(5, 3))), local)
    np.testing.assert_allclose(turn @ turn.swapaxes(1, 2), np.broadcast_to(np.eye(3), (5, 3, 3)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(turn), 1)
    turned = np.einsum("tij,tj->ti", turn, local)
    np.testing.assert_allclose(np.cross(turned, forward), 0, atol=1e-9)


def test_a_fist_is_closed():
    flat, fist = hand(np.zeros((1, 5)), 0.18)[0], hand(np.ones((1, 5)), 0.18)[0]
    assert flat[12, 0] == pytest.approx(0.18, rel=0.03)
    for tip in (8, 12, 16, 20):
        assert np.linalg.norm(fist[tip] - fist[0]) < 0.65 * np.linalg.norm(flat[tip] - flat[0])
        assert fist[tip, 2] > 0  # on the side of the palm
