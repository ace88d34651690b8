"""The compact layout for micro-actions: body, wrists, fingertips and a few finger joints of mediapipe-75.

Chosen by measurement (``benchmarks/layouts.py``: three signs, 13 persons, person folds, two seeds). Its 47 joints are
as accurate as all 75 (81.5 and 81.7 %) at two thirds of the cost. Fingertips alone are not enough (75.8 %), tips and
knuckles neither (79.1 %); without hands it is 66.4 %.
"""

from piumr.layouts.mediapipe import MEDIAPIPE_75

SIDES = ("left", "right")
FINGERS = ("thumb", "index", "middle", "ring", "pinky")

BODY = (
    "nose",
    *(f"{side}_{name}" for name in ("eye", "ear") for side in SIDES),
    *(f"mouth_{side}" for side in SIDES),
    *(
        f"{side}_{name}"
        for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "foot_index")
        for side in SIDES
    ),
)
"""23 points of the body: without the corners of the eyes, and without its own, coarser points of the hands."""

HAND = (
    *(f"{finger}_mcp" for finger in ("index", "middle", "pinky")),
    *(f"{finger}_pip" for finger in FINGERS[1:]),
    *(f"{finger}_tip" for finger in FINGERS),
)
"""12 points of a hand: three knuckles for how the palm lies, middle joints and tips for the fingers."""

MEDIAPIPE_MICRO = MEDIAPIPE_75.subset(
    "mediapipe-micro", (*BODY, *(f"{side}_hand_{name}" for side in SIDES for name in HAND))
)
