"""The compact layout for micro-actions: body, wrists and fingertips of mediapipe-75."""

from piumr.layouts.mediapipe import MEDIAPIPE_75

SIDES = ("left", "right")

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
"""23 points of the body: one a joint; the estimator's further face and hand points follow them closely."""

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
HAND = (*(f"{finger}_mcp" for finger in FINGERS), *(f"{finger}_tip" for finger in FINGERS))

MEDIAPIPE_MICRO = MEDIAPIPE_75.subset(
    "mediapipe-micro", (*BODY, *(f"{side}_hand_{name}" for side in SIDES for name in HAND))
)
