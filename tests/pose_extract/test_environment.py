import subprocess
import sys

import pytest

from pose_extract.environment import opencv_warning, require_extra
from pose_extract.schema import PoseError


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe", None)  # Python's own way to say: not installed
    with pytest.raises(PoseError, match=r"needs mediapipe.*pip install 'piumr\[extract\]'"):
        require_extra()


def test_a_missing_system_library_is_named(tmp_path, monkeypatch):
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    with pytest.raises(PoseError, match="apt-get install libgl1"):
        require_extra()


def test_a_second_opencv_is_reported(tmp_path, monkeypatch):
    for name in ("opencv_python_headless", "opencv_contrib_python"):
        folder = tmp_path / f"{name}-4.10.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 4.10.0\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert "pip uninstall -y opencv-python-headless" in opencv_warning()
    (tmp_path / "opencv_python_headless-4.10.0.dist-info" / "METADATA").unlink()
    (tmp_path / "opencv_python_headless-4.10.0.dist-info").rmdir()
    assert opencv_warning() is None


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, pose_extract; print(*sorted({'numpy', 'cv2', 'mediapipe', 'rich'} & set(sys.modules)))"
    root = sys.modules["pose_extract"].__path__[0]
    done = subprocess.run([sys.executable, "-c", code], cwd=f"{root}/..", capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
