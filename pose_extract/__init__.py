"""Videos to keypoint caches with MediaPipe: parallel, resumable, one ``.npz`` per video.

Reading and writing caches (:class:`PoseSequence`, :func:`read_poses`, :func:`write_poses`) needs NumPy only;
:func:`extract` and :func:`extract_video` need ``pip install 'piumr[extract]'``. Names load when they are first used.

Example::

    from pose_extract import extract, read_poses

    extract("videos/", out="poses/")
    poses = read_poses("poses/nod.npz")
    poses.landmarks.shape  # (T, 75, 4): x, y, z, visibility
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pose_extract.extraction import extract_video
    from pose_extract.options import Options
    from pose_extract.runner import extract
    from pose_extract.schema import PoseError, PoseSequence, read_poses, write_poses

_HOMES = {
    "Options": "options",
    "PoseError": "schema",
    "PoseSequence": "schema",
    "extract": "runner",
    "extract_video": "extraction",
    "read_poses": "schema",
    "write_poses": "schema",
}

__all__ = ["Options", "PoseError", "PoseSequence", "extract", "extract_video", "read_poses", "write_poses"]


def __getattr__(name: str) -> Any:
    """Import the module behind a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
