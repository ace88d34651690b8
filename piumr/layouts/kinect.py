"""Kinect's joints in the order of its SDKs: v1 has 20, v2 has 25; and the 22 of UI-PRMD, captured with a Kinect v2."""

from piumr.layouts.layout import Layout, bones, partners_by_name

JOINTS = (
    "hip_center spine shoulder_center head left_shoulder left_elbow left_wrist left_hand right_shoulder right_elbow "
    "right_wrist right_hand left_hip left_knee left_ankle left_foot right_hip right_knee right_ankle right_foot"
).split()

PARENTS = (0, 0, 1, 2, 2, 4, 5, 6, 2, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18)

LIMBS = (*("left arm",) * 4, *("right arm",) * 4, *("left leg",) * 4, *("right leg",) * 4)

KINECT_20 = Layout(
    name="kinect-20",
    joints=tuple(JOINTS),
    edges=bones(PARENTS),
    parents=PARENTS,
    partners=partners_by_name(tuple(JOINTS)),
    parts=(*("torso",) * 3, "head", *LIMBS),
    centres=((0,), (12, 16), (2,)),
    units=((0, 2), (4, 8)),
)

# NTU RGB+D's order, with the names of the Kinect v2 SDK's JointType
NTU_JOINTS = tuple(
    (
        "spine_base spine_mid neck head left_shoulder left_elbow left_wrist left_hand right_shoulder right_elbow "
        "right_wrist right_hand left_hip left_knee left_ankle left_foot right_hip right_knee right_ankle right_foot "
        "spine_shoulder left_hand_tip left_thumb right_hand_tip right_thumb"
    ).split()
)

NTU_PARENTS = (0, 0, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 1, 7, 7, 11, 11)

NTU_25 = Layout(
    name="ntu-25",
    joints=NTU_JOINTS,
    edges=bones(NTU_PARENTS),
    parents=NTU_PARENTS,
    partners=partners_by_name(NTU_JOINTS),
    parts=(
        *("torso",) * 2,
        *("head",) * 2,
        *LIMBS,
        "torso",
        *("left arm",) * 2,
        *("right arm",) * 2,
    ),
    centres=((0,), (12, 16), (20,)),
    units=((0, 20), (4, 8)),
)

# UI-PRMD's own names and order (Vakanski et al., Data 3(1):2, 2018)
UI_PRMD_JOINTS = tuple(
    (
        "waist spine chest neck head head_tip collar_left upper_arm_left forearm_left hand_left collar_right "
        "upper_arm_right forearm_right hand_right upper_leg_left lower_leg_left foot_left leg_toes_left "
        "upper_leg_right lower_leg_right foot_right leg_toes_right"
    ).split()
)

UI_PRMD_PARENTS = (0, 0, 1, 2, 3, 4, 2, 6, 7, 8, 2, 10, 11, 12, 0, 14, 15, 16, 0, 18, 19, 20)

UI_PRMD_22 = Layout(
    name="ui-prmd-22",
    joints=UI_PRMD_JOINTS,
    edges=bones(UI_PRMD_PARENTS),
    parents=UI_PRMD_PARENTS,
    partners=partners_by_name(UI_PRMD_JOINTS),
    parts=(*("torso",) * 3, *("head",) * 3, *LIMBS),
    centres=((0,), (2,)),
    units=((0, 2), (7, 11)),
)
