"""One hand of 21 points, left or right, numbered as MediaPipe Hands and OpenPose number them."""

from piumr.layouts.layout import Layout, bones
from piumr.layouts.mediapipe import HAND_EDGES, HAND_JOINTS, HAND_PARENTS

HAND_21 = Layout(
    name="hand-21",
    joints=HAND_JOINTS,
    edges=tuple(dict.fromkeys((*HAND_EDGES, *bones(HAND_PARENTS)))),
    parents=HAND_PARENTS,
    partners=tuple(range(len(HAND_JOINTS))),  # the mirror image of a hand is the other hand, joint by joint
    parts=("hand",) * len(HAND_JOINTS),
    centres=((0,), (9,)),
    units=((0, 9), (5, 17)),
)
