"""Tiny synthetic videos, and the command in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pose_extract.schema import PoseSequence

REPOSITORY = Path(__file__).resolve().parents[2]


def _write_video(path, frames=6, size=(64, 48), fps=30.0, codec=None):
    """A video of moving noise, in which nobody is seen. MJPG for .avi, MPEG-4 else."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    code = codec or ("MJPG" if path.suffix == ".avi" else "mp4v")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*code), fps, size)
    assert writer.isOpened()
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    for i in range(frames):
        writer.write(np.roll(image, i, axis=1))
    writer.release()
    return path


def _make_sequence(T=5, V=3, layout="own-3", **changes):
    """A valid sequence of a layout of our own."""
    rng = np.random.default_rng(0)
    values = {
        "landmarks": rng.random((T, V, 4)).astype(np.float32),
        "world": np.zeros((T, 0, 3), np.float32),
        "valid": np.ones((T, V), bool),
        "timestamps": np.arange(T) / 30,
        "meta": {
            "layout": layout,
            "joints": [f"joint_{i}" for i in range(V)],
            "edges": [[0, 1]],
            "width": 64,
            "height": 48,
        },
    }
    return PoseSequence(**(values | changes))


@pytest.fixture
def write_video():
    """``write_video(path, frames, size, fps, codec)`` gives the path."""
    return _write_video


@pytest.fixture
def make_sequence():
    """``make_sequence(T, V, **changes)`` gives a sequence of a layout of its own."""
    return _make_sequence


@pytest.fixture
def start_command():
    """Start ``piumr-extract`` with arguments, in a process group of its own as a terminal would."""

    def start(*arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "pose_extract.cli", *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


@pytest.fixture
def run_command(start_command):
    """Run ``piumr-extract`` to its end; gives exit code, standard output, standard error."""

    def run(*arguments):
        process = start_command(*arguments)
        output, errors = process.communicate(timeout=300)
        return process.returncode, output, errors

    return run


EXTRACTING = set("cli drawing environment extraction landmarks preview resume runner strip timeline video".split())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Tests that decode or estimate are skipped where OpenCV cannot be loaded: a minimal Linux has no libGL."""
    if item.path.stem.removeprefix("test_") in EXTRACTING:
        pytest.importorskip("cv2", reason="OpenCV needs the system library libGL (libgl1)", exc_type=ImportError)
