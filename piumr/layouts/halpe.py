"""MA-52's other published skeletons: 44 of the 136 points of Halpe-FullBody (Li et al., CVPR 2020).

Body of 26, six points of the face, and wrist and fingertips of each hand. The order is inferred from Halpe's numbering
and the edges of the network they were published with (MMN, Gu et al., ACM MM 2025); no source states it. The face
points are Halpe's 28, 33, 36, 45, 51 and 57 of 68.
"""

from piumr.layouts.layout import Layout, bones, partners_by_name

TIPS = "wrist thumb_tip index_tip middle_tip ring_tip pinky_tip".split()

JOINTS = (
    *"nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow".split(),
    *"left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle head neck mid_hip".split(),
    *"left_big_toe right_big_toe left_small_toe right_small_toe left_heel right_heel".split(),
    *"nose_bridge nose_base right_eye_outer left_eye_outer upper_lip lower_lip".split(),
    *(f"{side}_hand_{joint}" for side in ("left", "right") for joint in TIPS),
)

PARENTS = (
    *(18, 0, 0, 1, 2, 18, 18, 5, 6, 7, 8),  # head and arms
    *(19, 19, 11, 12, 13, 14),  # legs
    *(18, 18, 18),  # head, neck (the root), mid-hip
    *(24, 25, 24, 25, 15, 16),  # feet
    *(0, 0, 2, 1, 27, 30),  # face
    *(9, *(32,) * 5, 10, *(38,) * 5),  # hands
)

HALPE_44 = Layout(
    name="halpe-44",
    joints=JOINTS,
    edges=(*bones(PARENTS), (0, 17), (26, 1), (26, 2)),
    parents=PARENTS,
    partners=partners_by_name(JOINTS),
    parts=(
        *("head",) * 5,
        *("torso",) * 2,
        *("left arm", "right arm") * 2,
        *("torso",) * 2,
        *("left leg", "right leg") * 2,
        *("head", "torso", "torso"),
        *("left leg", "right leg") * 3,
        *("head",) * 6,
        *("left hand",) * 6,
        *("right hand",) * 6,
    ),
    centres=((19,), (11, 12), (5, 6)),
    units=((5, 6), (3, 4)),
)
