"""Is what extraction needs installed, and installed well?"""

from __future__ import annotations

from importlib import import_module, metadata

from pose_extract.errors import PoseError

_OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")


def require_extra() -> None:
    """Import OpenCV, PyAV and MediaPipe, or say in one line what is missing.

    Raises:
        PoseError: naming the extra to install, or the system package that OpenCV lacks.
    """
    for module in ("cv2", "av", "mediapipe", "pebble"):
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            raise PoseError(
                f"Extraction needs {error.name}, which is not installed: pip install 'piumr[extract]'"
            ) from None
        except ImportError as error:
            if "libGL.so" in str(error):
                raise PoseError(
                    "OpenCV needs the system library libGL: apt-get install libgl1 (Debian, Ubuntu) or "
                    "dnf install mesa-libGL (Fedora)"
                ) from None
            raise PoseError(f"{module} is installed but cannot be loaded: {error}") from None


def opencv_warning() -> str | None:
    """One line if several OpenCV distributions share the one ``cv2`` folder, else nothing."""
    found = [name for name in _OPENCV if _is_installed(name)]
    if len(found) < 2:
        return None
    others = " ".join(name for name in found if name != "opencv-contrib-python")
    return (
        f"{' and '.join(found)} are both installed and overwrite each other: pip uninstall -y {others}, then "
        "pip install --force-reinstall --no-deps opencv-contrib-python"
    )


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
