"""Kinect v1's 20 joints, in the order of the Kinect SDK: spine and head, left arm, right arm, left leg, right leg."""

from piumr.layouts.layout import Layout, partners_by_name

JOINTS = (
    "hip_center spine shoulder_center head left_shoulder left_elbow left_wrist left_hand right_shoulder right_elbow "
    "right_wrist right_hand left_hip left_knee left_ankle left_foot right_hip right_knee right_ankle right_foot"
).split()

PARENTS = (0, 0, 1, 2, 2, 4, 5, 6, 2, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18)

KINECT_20 = Layout(
    name="kinect-20",
    joints=tuple(JOINTS),
    edges=tuple((parent, joint) for joint, parent in enumerate(PARENTS) if parent != joint),
    parents=PARENTS,
    partners=partners_by_name(tuple(JOINTS)),
    parts=(
        *("torso",) * 3,
        "head",
        *("left arm",) * 4,
        *("right arm",) * 4,
        *("left leg",) * 4,
        *("right leg",) * 4,
    ),
    centres=((0,), (12, 16), (2,)),
    units=((0, 2), (4, 8)),
)
