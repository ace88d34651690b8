"""SIGKILL at random moments, of the command or of a worker: nothing is torn, nothing lost, a rerun finishes."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from pose_extract import read_poses

OPTIONS = ("--landmarks", "body", "--fps", "10", "--workers", "2", "--preview")


@pytest.fixture(scope="module")
def videos(tmp_path_factory, write_video, shared_data):
    """A long video of three spans, four short ones, and one with a person."""
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "long.mp4", frames=70, fps=0.1)
    for i in range(4):
        write_video(folder / f"sub{i % 2}" / f"{i}.avi", frames=20 + 10 * i)
    shutil.copy(shared_data / "videos/other/imigue_covering_face.gif", folder)
    return folder


@pytest.fixture
def reference(videos, tmp_path, run_command):
    """The caches of a run that nobody disturbs, and how long it takes."""
    started = time.monotonic()
    code, _, errors = run_command(videos, "--out", tmp_path / "reference", *OPTIONS)
    assert (code, errors) == (0, "")
    seconds = time.monotonic() - started
    return caches(tmp_path / "reference"), seconds


def caches(out):
    return {path.relative_to(out).as_posix(): read_poses(path) for path in out.rglob("*.npz")}


def children(pid):
    """Processes that do the work: the resource tracker is none."""
    found = []
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text():
                found.append(int(child))
    return found


def is_alive(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


@pytest.mark.parametrize("kills", [pytest.param(5, marks=pytest.mark.slow), pytest.param(50, marks=pytest.mark.long)])
def test_nothing_is_torn_or_lost(videos, reference, tmp_path, start_command, run_command, kills):
    expected, seconds = reference
    rng = random.Random(kills)
    struck = {"parent": 0, "worker": 0, "too late": 0}
    for trial in range(kills):
        out = tmp_path / str(trial)
        started, process = time.monotonic(), start_command(videos, "--out", out, *OPTIONS)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0, 0.9 * seconds))
        workers = children(process.pid)
        if process.poll() is not None:
            struck["too late"] += 1
            seconds = min(seconds, time.monotonic() - started)  # the machine is less busy than it was
        elif workers and trial % 2:
            struck["worker"] += 1
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(workers), signal.SIGKILL)
            assert process.wait(timeout=120) == 0  # the run itself goes on
        else:
            struck["parent"] += 1
            process.kill()
            process.wait()
            end = time.monotonic() + 10
            while any(is_alive(pid) for pid in workers):
                assert time.monotonic() < end, "orphans"
                time.sleep(0.02)
        process.communicate()
        before = {name: (out / name).stat().st_ino for name in (caches(out) if out.exists() else ())}  # none is torn
        for part in out.rglob("*.part"):
            read_poses(part)

        code, _, errors = run_command(videos, "--out", out, *OPTIONS)
        assert (code, errors) == (0, "")
        found = caches(out)
        assert set(found) == set(expected)
        assert {name: (out / name).stat().st_ino for name in before} == before  # what was finished was kept
        for name, poses in found.items():
            for key in ("landmarks", "world", "valid", "timestamps"):
                np.testing.assert_array_equal(getattr(poses, key), getattr(expected[name], key))
            assert poses.meta == expected[name].meta
        leftovers = [path for path in out.rglob("*") if path.name.startswith(".") or path.name.endswith(".parts")]
        assert not leftovers
        assert len(list(out.rglob("*.preview.mp4"))) == len(expected)
        shutil.rmtree(out)
    print(f"{kills} kills: {struck}")
    assert struck["parent"] + struck["worker"] > kills // 2
