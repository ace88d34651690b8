"""Tiny synthetic videos, and the command in a process of its own."""

import os
import subprocess
import sys
import zipfile
from fractions import Fraction
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


def _encode_video(
    path, codec="libx264", pixels="yuv420p", frames=30, size=(64, 48), times=None, aspect=None, **options
):
    """A video of moving noise by any of PyAV's encoders.

    ``times``: seconds of the frames, 30 a second by default; ``aspect``: of a pixel.
    """
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    with av.open(f"file:{path}", "w", **options) as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(np.roll(image, i, axis=1), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = round(times[i] * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
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


@pytest.fixture(scope="session")
def write_video():
    """``write_video(path, frames, size, fps, codec)`` gives the path."""
    return _write_video


@pytest.fixture(scope="session")
def encode_video():
    """``encode_video(path, codec, pixels, frames, size, times, aspect, **options of av.open)`` gives the path."""
    return _encode_video


@pytest.fixture(scope="session")
def task_bundle(tmp_path_factory):
    """A pose landmarker for MediaPipe Tasks, bundled from the wheel's own models."""
    import mediapipe
    from mediapipe.tasks.python.metadata.metadata_writers.metadata_writer import MetadataWriter

    modules = Path(mediapipe.__file__).parent / "modules"
    path = tmp_path_factory.mktemp("models") / "pose.task"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as bundle:
        for name, model, mean, std in (
            ("pose_detector.tflite", "pose_detection/pose_detection.tflite", 127.5, 127.5),
            ("pose_landmarks_detector.tflite", "pose_landmark/pose_landmark_full.tflite", 0, 255),
        ):
            writer = MetadataWriter.create(bytearray((modules / model).read_bytes()))
            writer.add_image_input([mean], [std])
            bundle.writestr(name, writer.populate()[0])
    return path


@pytest.fixture(scope="session")
def two_people(shared_data, tmp_path_factory):
    """A clip of 24 frames made of two MA-52 clips side by side: two people, 1080 pixels of width for each."""
    import av

    from pose_extract.video import Video

    path = tmp_path_factory.mktemp("two") / "two.mp4"
    left, right = (
        list(Video(shared_data / "videos/ma52" / name, stop=0.8)) for name in ("0078_01_0005.mp4", "0010_02_0101.mp4")
    )
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "15", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 2160, 1296, "yuv420p"
        for (_, a), (_, b) in zip(left, right, strict=False):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.concatenate([a, b], axis=1), format="rgb24")))
        container.mux(stream.encode())
    return path


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


EXTRACTING = set(
    "bad_videos cli cluster drawing environment estimator extraction graphs kills landmarks memory people pool preview "
    "resume runner strip timeline units video".split()
)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Tests that decode or estimate are skipped where OpenCV cannot be loaded: a minimal Linux has no libGL."""
    if item.path.stem.removeprefix("test_") in EXTRACTING:
        pytest.importorskip("cv2", reason="OpenCV needs the system library libGL (libgl1)", exc_type=ImportError)
