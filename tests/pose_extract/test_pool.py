"""Processes that die, hang or are stopped, and two runs at once; every process here is real."""

import io
import multiprocessing
import os
import signal
import threading
import time
from contextlib import closing

import pytest
from rich.console import Console

from pose_extract import Options, extract, pool, read_poses
from pose_extract.discovery import find_jobs
from pose_extract.schedule import run_jobs
from pose_extract.units import Unit

QUIET = {"workers": 1, "console": Console(file=io.StringIO())}


@pytest.fixture
def strike():
    """Send a signal to the process that works on a video, once it has it open; ``times`` times, each to a new one."""
    threads = []

    def start(video, number, times=1):
        def wait_and_strike():
            struck = set()
            while len(struck) < times:
                for pid in workers_at(video) - struck:
                    time.sleep(0.3)  # into the frames
                    os.kill(pid, number)
                    struck.add(pid)
                time.sleep(0.02)

        threads.append(threading.Thread(target=wait_and_strike, daemon=True))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(timeout=30)


def workers_at(video):
    found = set()
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            files = [os.readlink(f"/proc/{process}/fd/{fd}") for fd in os.listdir(f"/proc/{process}/fd")]
        except OSError:  # gone by now
            continue
        if str(video) in files and int(process) != os.getpid():
            found.add(int(process))
    return found


def test_a_hang_costs_one_attempt(tmp_path, write_video, strike, monkeypatch):
    """A stopped process finishes no frame; the next one does the video."""
    monkeypatch.setattr(pool, "HANG_SECONDS", 3.0)
    video = write_video(tmp_path / "videos" / "a.avi", frames=150)
    strike(video, signal.SIGSTOP)
    summary = extract(video.parent, tmp_path / "poses", "body", **QUIET)
    assert [(outcome.status, outcome.frames) for outcome in summary.outcomes] == [("empty", 150)]


def test_a_start_is_over_when_what_is_slow_to_load_is_there(tmp_path, monkeypatch):
    order = []

    class Beats(list):
        def __setitem__(self, *_):
            order.append("beat")

    monkeypatch.setattr(pool, "require_extra", lambda: order.append("loaded"))
    monkeypatch.setattr(pool, "_frames", [0])
    monkeypatch.setattr(pool, "_beats", Beats([0.0]))
    (tmp_path / "a.mp4").write_text("no video")
    (job,) = find_jobs(tmp_path / "a.mp4", tmp_path / "poses")
    assert pool._work(0, Unit(job), Options("body"), False).status == "failed"
    assert order[:2] == ["loaded", "beat"]


def test_a_worker_that_dies_with_nothing_to_do_is_replaced(tmp_path, write_video):
    """Between two videos here; with two workers, as long as only one has something to do."""
    for name in ("a.avi", "b.avi"):
        write_video(tmp_path / "videos" / name)
    jobs, options = find_jobs(tmp_path / "videos", tmp_path / "poses"), Options("body")
    done = []
    with closing(pool.ProcessPool(1, options, preview=False)) as workers:
        for step in run_jobs(jobs, options, workers):
            done.append((step.outcome.source, step.outcome.status, step.frames))
            if len(done) == 1:
                (worker,) = multiprocessing.active_children()
                os.kill(worker.pid, signal.SIGKILL)
                end = time.monotonic() + 10
                while workers._pools[0].active:  # until it is noticed
                    assert time.monotonic() < end
                    time.sleep(0.02)
    assert done == [("a.avi", "empty", 6), ("b.avi", "empty", 6)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGSTOP, "no frame was finished for 3 s, 2 times"),
        (signal.SIGSEGV, r"its process died (SIGSEGV), 2 times"),
        (signal.SIGKILL, r"its process died (SIGKILL: often a lack of memory, try fewer workers), 2 times"),
    ],
)
def test_dying_twice_is_that_videos_failure(tmp_path, write_video, strike, monkeypatch, number, reason):
    monkeypatch.setattr(pool, "HANG_SECONDS", 3.0)
    video = write_video(tmp_path / "videos" / "a.avi", frames=600)
    write_video(tmp_path / "videos" / "b.avi")
    strike(video, number, times=2)
    summary = extract(video.parent, tmp_path / "poses", "body", **QUIET)
    assert [(outcome.status, outcome.reason) for outcome in summary.outcomes] == [("failed", reason), ("empty", None)]


@pytest.mark.slow
def test_slow_is_not_hanging(tmp_path, write_video, monkeypatch):
    """A video may take longer than the limit, as long as frames come."""
    monkeypatch.setattr(pool, "HANG_SECONDS", 2.0)
    video = write_video(tmp_path / "a.avi", frames=600)
    started = time.monotonic()
    summary = extract(video, tmp_path / "poses", "body", **QUIET)
    assert time.monotonic() - started > 2
    assert summary.outcomes[0].frames == 600


def test_two_runs_on_one_folder(tmp_path, write_video, start_command):
    """Both end well, and every file is whole."""
    for i in range(6):
        write_video(tmp_path / "videos" / f"{i}.avi", frames=30)
    write_video(tmp_path / "videos" / "long.mp4", frames=70, fps=0.1)
    arguments = (tmp_path / "videos", "--out", tmp_path / "poses", "--landmarks", "body", "--workers", 1)
    runs = [start_command(*arguments) for _ in range(2)]
    for run in runs:
        _, errors = run.communicate(timeout=120)
        assert (run.returncode, errors) == (0, "")
    frames = {path.name: len(read_poses(path)) for path in (tmp_path / "poses").glob("*.npz")}
    assert frames == {**{f"{i}.npz": 30 for i in range(6)}, "long.npz": 70}
    assert not [path for path in (tmp_path / "poses").iterdir() if path.name.startswith(".") or path.is_dir()]


def test_shards_are_the_whole(tmp_path, write_video):
    for i in range(5):
        write_video(tmp_path / "videos" / f"{i}.avi")
    parts = [
        [
            outcome.source
            for outcome in extract(tmp_path / "videos", tmp_path / "poses", "body", shard=(i, 2), **QUIET).outcomes
        ]
        for i in (1, 2)
    ]
    assert parts == [["0.avi", "2.avi", "4.avi"], ["1.avi", "3.avi"]]
    assert len((tmp_path / "poses" / "index.jsonl").read_text().splitlines()) == 5
