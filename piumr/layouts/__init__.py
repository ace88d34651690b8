"""Joint layouts: one table gives adjacency, bones, flips and plots.

Standard library and NumPy only, so that inference and plots can use it without torch.
"""

from piumr.errors import PiumrError
from piumr.layouts.coco import COCO_17
from piumr.layouts.halpe import HALPE_44
from piumr.layouts.hand import HAND_21
from piumr.layouts.kinect import KINECT_20, NTU_25, UI_PRMD_22
from piumr.layouts.layout import PARTS, Layout, same_joints
from piumr.layouts.mediapipe import MEDIAPIPE_33, MEDIAPIPE_75
from piumr.layouts.micro import MEDIAPIPE_MICRO
from piumr.layouts.openpose import IMIGUE_22, OPENPOSE_18, OPENPOSE_25, OPENPOSE_28, OPENPOSE_60, OPENPOSE_67

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        *(MEDIAPIPE_33, MEDIAPIPE_75, MEDIAPIPE_MICRO),
        *(COCO_17, HALPE_44),
        *(OPENPOSE_18, OPENPOSE_25, OPENPOSE_28, OPENPOSE_60, OPENPOSE_67, IMIGUE_22),
        *(KINECT_20, NTU_25, UI_PRMD_22),
        HAND_21,
    )
}
"""The shipped layouts by name."""


def get_layout(name: str) -> Layout:
    """The shipped layout called ``name``.

    Raises:
        PiumrError: if there is none; the message lists those there are.
    """
    if name not in LAYOUTS:
        raise PiumrError(f"Expected a layout among {', '.join(LAYOUTS)}, but got {name!r}.")
    return LAYOUTS[name]


__all__ = ["LAYOUTS", "PARTS", "Layout", "get_layout", "same_joints"]
