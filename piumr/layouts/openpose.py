"""OpenPose's bodies of 18 (COCO) and 25 points, with both hands or with their fingertips only.

Limbs are OpenPose's own pairs (its documentation of the output format); left and right are the person's. The tree hangs
from the neck. Two published sets use parts of it:

- ``openpose-28``: MA-52's official skeletons, the body of 18 and five points each on the left and then the right wrist.
- ``imigue-22``: iMiGUE's, the upper body of 25 without hips and five points each on the right and then the left wrist.

That the five are the fingertips from thumb to little finger is inferred from OpenPose's order; no source states it.
"""

from piumr.layouts.layout import Layout, bones, partners_by_name
from piumr.layouts.mediapipe import HAND_JOINTS, HAND_PARENTS

UPPER = (
    "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist".split()
)  # first in both bodies
UPPER_PARENTS = (1, 1, 1, 2, 3, 1, 5, 6)
UPPER_PARTS = ("head", *("torso",) * 2, *("right arm",) * 2, "torso", *("left arm",) * 2)

BODY_18 = (
    *UPPER,
    *"right_hip right_knee right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear".split(),
)
BODY_18_PARENTS = (*UPPER_PARENTS, 1, 8, 9, 1, 11, 12, 0, 0, 14, 15)
BODY_18_PARTS = (
    *UPPER_PARTS,
    *("torso", *("right leg",) * 2, "torso", *("left leg",) * 2),
    *("head",) * 4,
)

BODY_25 = (
    *UPPER,
    *"mid_hip right_hip right_knee right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear".split(),
    *"left_ear left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel".split(),
)
BODY_25_PARENTS = (*UPPER_PARENTS, 1, 8, 9, 10, 8, 12, 13, 0, 0, 15, 16, 14, 19, 14, 11, 22, 11)
BODY_25_PARTS = (
    *UPPER_PARTS,
    *("torso", "torso", *("right leg",) * 2, "torso", *("left leg",) * 2),
    *("head",) * 4,
    *("left leg",) * 3,
    *("right leg",) * 3,
)

TIPS = tuple(joint for joint in HAND_JOINTS if joint.endswith("_tip"))


def _layout(name: str, joints: tuple[str, ...], parents: tuple[int, ...], parts: tuple[str, ...]) -> Layout:
    """A layout whose edges are its tree's and whose origin and unit are those of the body."""
    index = {joint: i for i, joint in enumerate(joints)}
    pairs = [("left_hip", "right_hip"), ("left_shoulder", "right_shoulder"), ("left_ear", "right_ear")]
    hips, shoulders, ears = ((index[a], index[b]) if a in index else None for a, b in pairs)
    assert shoulders is not None
    assert ears is not None
    return Layout(
        name=name,
        joints=joints,
        edges=bones(parents),
        parents=parents,
        partners=partners_by_name(joints),
        parts=parts,
        centres=(shoulders,) if hips is None else (hips, shoulders),
        units=(shoulders, ears),
    )


def _with_hands(body: Layout) -> Layout:
    joints, parents, parts = list(body.joints), list(body.parents), list(body.parts)
    for side in ("left", "right"):
        first, wrist = len(joints), body.joints.index(f"{side}_wrist")
        joints += [f"{side}_hand_{joint}" for joint in HAND_JOINTS]
        parents += [wrist, *(first + parent for parent in HAND_PARENTS[1:])]
        parts += [f"{side} hand"] * len(HAND_JOINTS)
    return _layout(f"openpose-{len(joints)}", tuple(joints), tuple(parents), tuple(parts))


def _with_tips(name: str, body: Layout, sides: tuple[str, str]) -> Layout:
    return _layout(
        name,
        (*body.joints, *(f"{side}_hand_{tip}" for side in sides for tip in TIPS)),
        (*body.parents, *(body.joints.index(f"{side}_wrist") for side in sides for _ in TIPS)),
        (*body.parts, *(f"{side} hand" for side in sides for _ in TIPS)),
    )


OPENPOSE_18 = _layout("openpose-18", BODY_18, BODY_18_PARENTS, BODY_18_PARTS)
OPENPOSE_25 = _layout("openpose-25", BODY_25, BODY_25_PARENTS, BODY_25_PARTS)
OPENPOSE_60 = _with_hands(OPENPOSE_18)
OPENPOSE_67 = _with_hands(OPENPOSE_25)
OPENPOSE_28 = _with_tips("openpose-28", OPENPOSE_18, ("left", "right"))

_HEAD = "right_eye left_eye right_ear left_ear".split()
_UPPER_BODY = _layout(
    "upper body", (*UPPER, *_HEAD), (*UPPER_PARENTS, 0, 0, 8, 9), (*UPPER_PARTS, *("head",) * len(_HEAD))
)
IMIGUE_22 = _with_tips("imigue-22", _UPPER_BODY, ("right", "left"))
