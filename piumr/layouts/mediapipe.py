"""MediaPipe's body (33 landmarks) and hands (21 each), as its BlazePose and Hands models number them.

Names and connections are MediaPipe's own (a test compares them with the installed package). The tree is ours: it
hangs from the nose, since a seated person's hips are often out of view while the head hardly ever is.
"""

from piumr.layouts.layout import Layout, partners_by_name

BODY_JOINTS = (
    "nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer left_ear right_ear "
    "mouth_left mouth_right left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_pinky "
    "right_pinky left_index right_index left_thumb right_thumb left_hip right_hip left_knee right_knee left_ankle "
    "right_ankle left_heel right_heel left_foot_index right_foot_index"
).split()

BODY_EDGES = (
    *((0, 1), (1, 2), (2, 3), (3, 7), (0, 4), (4, 5), (5, 6), (6, 8), (9, 10)),
    *((11, 12), (11, 13), (13, 15), (15, 17), (15, 19), (15, 21), (17, 19)),
    *((12, 14), (14, 16), (16, 18), (16, 20), (16, 22), (18, 20)),
    *((11, 23), (12, 24), (23, 24), (23, 25), (24, 26), (25, 27), (26, 28)),
    *((27, 29), (28, 30), (29, 31), (30, 32), (27, 31), (28, 32)),
)

# nose, eyes and ears outwards, mouth; shoulders from the nose; arms; hips from their shoulder; legs.
BODY_PARENTS = (
    *(0, 0, 1, 2, 0, 4, 5, 3, 6, 0, 0),
    *(0, 0, 11, 12, 13, 14, 15, 16, 15, 16, 15, 16),
    *(11, 12, 23, 24, 25, 26, 27, 28, 29, 30),
)

HAND_JOINTS = tuple(
    ["wrist"]
    + [f"thumb_{joint}" for joint in ("cmc", "mcp", "ip", "tip")]
    + [f"{finger}_{j}" for finger in ("index", "middle", "ring", "pinky") for j in ("mcp", "pip", "dip", "tip")]
)

HAND_EDGES = (
    *((0, 1), (1, 2), (2, 3), (3, 4), (0, 5), (5, 6), (6, 7), (7, 8), (5, 9), (9, 10), (10, 11), (11, 12)),
    *((9, 13), (13, 14), (14, 15), (15, 16), (13, 17), (0, 17), (17, 18), (18, 19), (19, 20)),
)

# every finger hangs from the wrist: the palm's cross connections are edges, not bones
HAND_PARENTS = (0, *(parent for base in (1, 5, 9, 13, 17) for parent in (0, base, base + 1, base + 2)))

BODY_PARTS = (
    *("head",) * 11,
    *("torso",) * 2,
    *("left arm", "right arm") * 5,
    *("torso",) * 2,
    *("left leg", "right leg") * 4,
)

# Shoulders are the unit: seated hips are seldom visible, and a unit must not depend on what is out of view.
CENTRES = ((23, 24), (11, 12))
UNITS = ((11, 12), (7, 8))

_joints = tuple(name.replace("mouth_left", "left_mouth").replace("mouth_right", "right_mouth") for name in BODY_JOINTS)

MEDIAPIPE_33 = Layout(
    name="mediapipe-33",
    joints=tuple(BODY_JOINTS),
    edges=BODY_EDGES,
    parents=BODY_PARENTS,
    partners=partners_by_name(_joints),
    parts=BODY_PARTS,
    centres=CENTRES,
    units=UNITS,
)


def _with_hands() -> Layout:
    joints, edges, parents = list(BODY_JOINTS), list(BODY_EDGES), list(BODY_PARENTS)
    parts = list(BODY_PARTS)
    for side, wrist in (("left", 15), ("right", 16)):
        first = len(joints)
        joints += [f"{side}_hand_{name}" for name in HAND_JOINTS]
        edges += [(first + a, first + b) for a, b in HAND_EDGES]
        parents += [wrist, *(first + p for p in HAND_PARENTS[1:])]
        parts += [f"{side} hand"] * len(HAND_JOINTS)
    partners = partners_by_name((*_joints, *joints[len(BODY_JOINTS) :]))
    return Layout("mediapipe-75", tuple(joints), tuple(edges), tuple(parents), partners, tuple(parts), CENTRES, UNITS)


MEDIAPIPE_75 = _with_hands()
