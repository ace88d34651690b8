"""COCO's 17 keypoints, which most 2-D estimators give.

The tree is ours: it hangs from the nose, as mediapipe-33's does.
"""

from piumr.layouts.layout import Layout, bones, partners_by_name

JOINTS = tuple(
    (
        "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist "
        "right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle"
    ).split()
)

PARENTS = (0, 0, 0, 1, 2, 0, 0, 5, 6, 7, 8, 5, 6, 11, 12, 13, 14)

COCO_17 = Layout(
    name="coco-17",
    joints=JOINTS,
    edges=(*bones(PARENTS), (5, 6), (11, 12)),
    parents=PARENTS,
    partners=partners_by_name(JOINTS),
    parts=(
        *("head",) * 5,
        *("torso",) * 2,
        *("left arm", "right arm") * 2,
        *("torso",) * 2,
        *("left leg", "right leg") * 2,
    ),
    centres=((11, 12), (5, 6)),
    units=((5, 6), (3, 4)),
)
