"""Joint layouts: one table gives adjacency, bones, flips and plots.

Standard library only, so that inference and plots can use it without torch.
"""

from piumr.errors import PiumrError
from piumr.layouts.kinect import KINECT_20
from piumr.layouts.layout import PARTS, Layout
from piumr.layouts.mediapipe import MEDIAPIPE_33, MEDIAPIPE_75
from piumr.layouts.micro import MEDIAPIPE_MICRO

LAYOUTS: dict[str, Layout] = {
    layout.name: layout for layout in (MEDIAPIPE_33, MEDIAPIPE_75, MEDIAPIPE_MICRO, KINECT_20)
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


__all__ = ["LAYOUTS", "PARTS", "Layout", "get_layout"]
