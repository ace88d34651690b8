"""The same on a dask cluster: a real scheduler and real workers in processes of their own."""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import pytest
from rich.console import Console

from pose_extract import extract, read_poses
from pose_extract.cluster import _result
from pose_extract.errors import PoseError

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def cluster(tmp_path):
    """Address of a scheduler, and its workers' processes: two, with a nanny each that starts them again."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    processes = []

    def start(*arguments):
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments],
                env=environment,
                cwd=tmp_path,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return processes[-1]

    scheduler = start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    address = None
    while address is None:
        address = re.search(r"tcp://127\.0\.0\.1:\d+", scheduler.stderr.readline())
    for _ in range(2):
        start("worker", address[0], "--nthreads", "1", "--no-dashboard", "--memory-limit", "0")
    yield address[0]
    for process in processes:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def workers_of(address):
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        return list(client.run(os.getpid).values())


def test_one_of_two_workers_is_killed_on_the_way(cluster, tmp_path, write_video, shared_data):
    folder = tmp_path / "videos"
    for i in range(8):
        write_video(folder / f"{i}.avi", frames=200)
    write_video(folder / "long.mp4", frames=70, fps=0.1)
    (folder / "text.mp4").write_text("x")
    pids = workers_of(cluster)
    script = (
        "import sys, time, os, signal, pathlib\n"
        f"while not list(pathlib.Path({str(tmp_path)!r}, 'poses').glob('*.npz')): time.sleep(0.05)\n"
        f"os.kill({pids[0]}, signal.SIGKILL)\n"
    )
    killer = subprocess.Popen([sys.executable, "-c", script])
    with open(os.devnull, "w") as nowhere:
        summary = extract(folder, tmp_path / "poses", "body", scheduler=cluster, console=Console(file=nowhere))
    assert killer.wait(timeout=10) == 0
    frames = {outcome.source: outcome.frames for outcome in summary.outcomes}
    assert frames == {**{f"{i}.avi": 200 for i in range(8)}, "long.mp4": 70, "text.mp4": 0}
    assert [outcome.source for outcome in summary.select("failed")] == ["text.mp4"]
    assert pids[0] not in workers_of(cluster)
    assert len(read_poses(tmp_path / "poses" / "long.npz")) == 70


def test_a_scheduler_without_workers(tmp_path, write_video, run_command):
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"],
        stderr=subprocess.PIPE,
        text=True,
    )
    address = None
    while address is None:
        address = re.search(r"tcp://127\.0\.0\.1:\d+", scheduler.stderr.readline())
    write_video(tmp_path / "a.avi")
    started = time.monotonic()
    code, _, errors = run_command(tmp_path / "a.avi", "--out", tmp_path / "poses", "--scheduler", address[0])
    scheduler.terminate()
    scheduler.wait(timeout=30)
    assert time.monotonic() - started < 60
    assert code == 2
    assert "running dask scheduler with workers" in errors
    assert "Traceback" not in errors


def test_workers_without_the_package_are_told_of_in_one_line():
    future = Future()
    future.set_exception(RuntimeError("Error during deserialization of the task graph\n  more"))
    with pytest.raises(PoseError, match=r"workers cannot do the work \(Error during.* graph\): install the same piumr"):
        _result(future)
