import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import pose_extract
from pose_extract import read_poses, write_poses
from pose_extract.atomic import atomic_write, remove_stale

ROOT = Path(pose_extract.__file__).parents[1]

WRITER = """
import sys; from pathlib import Path; from pose_extract import read_poses, write_poses
path = Path(sys.argv[1]); sequence = read_poses(path); print("ready", flush=True)
while True: write_poses(path, sequence)
"""


def python(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_an_exception_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail():
        with atomic_write(path) as file:
            file.write(b"new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "a") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_writer_killed_at_any_moment_tears_nothing(tmp_path, make_sequence):
    path = tmp_path / "a.npz"
    sequence = make_sequence(T=3000, V=75)  # 3.6 MB: most of the time is spent inside the write
    write_poses(path, sequence)
    rng = np.random.default_rng(0)
    leftovers = 0
    for _ in range(5):
        process = python(WRITER, path)
        assert process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.02, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait()
        np.testing.assert_array_equal(read_poses(path).landmarks, sequence.landmarks)
        leftovers += remove_stale(tmp_path)
    assert leftovers > 0  # it was struck while it wrote
    assert os.listdir(tmp_path) == ["a.npz"]


def test_a_living_writers_file_is_not_stale(tmp_path):
    with atomic_write(tmp_path / "sub" / "a") as file:
        file.write(b"x")
        assert remove_stale(tmp_path) == 0
    assert (tmp_path / "sub" / "a").read_bytes() == b"x"
