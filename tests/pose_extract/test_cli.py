"""The command as a user meets it: in a process of its own, on real files."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pose_extract import cli, read_poses


@pytest.fixture
def main(monkeypatch, capsys):
    """Run the command in this process, for what ends before any extraction."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["piumr-extract", *map(str, arguments)])
        before = signal.getsignal(signal.SIGTERM)
        with pytest.raises(SystemExit) as caught:
            cli.main()
        signal.signal(signal.SIGTERM, before)
        output = capsys.readouterr()
        return caught.value.code, output.out, output.err

    return run


def index(out):
    return {row["name"]: row for row in map(json.loads, (out / "index.jsonl").read_text().splitlines())}


def caches(out):
    return {path.relative_to(out).as_posix(): path.stat() for path in out.rglob("*.npz")}


def workers_at(video):
    """Processes that have ``video`` open."""
    found = []
    for process in os.listdir("/proc"):
        with contextlib.suppress(OSError):  # no process, or gone by now
            files = [os.readlink(f"/proc/{process}/fd/{fd}") for fd in os.listdir(f"/proc/{process}/fd")]
            if str(video) in files:
                found.append(int(process))
    return found


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


def test_help_shows_how_to_use_it(main):
    code, out, err = main("--help")
    assert (code, err) == (0, "")
    for word in (
        "piumr-extract videos/",
        "--out",
        "--landmarks {holistic,body}",
        "--workers",
        "--model",
        "--person",
        "--region",
        "--fps",
        "--no-smoothing",
        "--preview",
        "--scheduler",
        "--shard",
        "--retry-failed",
        "--config",
    ):
        assert word in out
    assert "``" not in out
    assert "class '" not in out
    assert "function" not in out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "videos"),
        (["videos", "--nonsense"], "--nonsense"),
        (["videos", "--workers", "many"], "--workers"),
        (["videos", "--workers", "-1"], "workers"),
        (["videos", "--landmarks", "face"], "--landmarks"),
        (["videos", "--person", "middle"], "Expected one of ['largest', 'left', 'right'], but got 'middle'"),
        (["videos", "--region", "0,0,1"], "--region: invalid x,y,width,height value: '0,0,1'"),
        (["videos", "--shard", "2"], "--shard: invalid i/n value: '2'"),
        (["videos", "--fps", "fast"], "--fps: Expected a float, but got 'fast'"),
        (["videos", "--config", "missing.yaml"], "missing.yaml"),
        (["missing"], "nothing at missing"),
        (["."], "holds no video; looked, in its subfolders too, for .3gp .avi"),
    ],
)
def test_wrong_usage_is_one_or_two_lines(main, tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    code, out, err = main(*arguments)
    assert code == 2
    assert out == ""
    assert named in err
    assert len(err.splitlines()) <= 2
    assert not list(tmp_path.iterdir())


def test_an_output_that_is_a_file(main, tmp_path):
    (tmp_path / "a.mp4").touch()
    code, _, err = main(tmp_path, "--out", tmp_path / "a.mp4")
    assert code == 2
    assert "is a file" in err


def test_a_mixed_folder_then_again_then_repaired(run_command, write_video, tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "poses"
    write_video(videos / "a.mp4")
    write_video(videos / "a.avi")
    write_video(videos / "[red] ü" / "b.mp4")
    (videos / "text.mp4").write_text("not a video")
    (videos / "zero.mp4").touch()
    data = write_video(videos / "cut.avi", frames=60).read_bytes()
    (videos / "cut.avi").write_bytes(data[: len(data) // 2])
    (tmp_path / "config.yaml").write_text("landmarks: body\n")
    arguments = (videos, "--out", out, "--config", tmp_path / "config.yaml")

    code, output, errors = run_command(*arguments)
    assert (code, errors) == (1, "")
    assert "6 videos: 4 extracted, 0 skipped" in output
    assert "4 without a person, 2 failed" in output
    assert "  failed: text.mp4: cannot be opened: it is a text file, not a video\n" in output
    assert "without a person: [red] ü/b.mp4" in output
    rows = index(out)
    assert {name: row["status"] for name, row in rows.items()} == {
        "a.mp4": "empty",
        "a.avi": "empty",
        "[red] ü/b": "empty",
        "text": "failed",
        "zero": "failed",
        "cut": "empty",
    }
    assert 0 < rows["cut"]["frames"] < 60
    assert "truncated" in rows["cut"]["warnings"][0]
    assert not list(out.rglob(".*"))

    before = caches(out)
    code, output, _ = run_command(*arguments)
    assert code == 1  # two videos still have no poses
    assert "0 extracted, 4 skipped" in output
    assert "--retry-failed" in output
    assert caches(out) == before

    write_video(videos / "text.mp4")
    (videos / "zero.mp4").unlink()
    code, output, _ = run_command(*arguments)
    assert code == 0
    assert "1 extracted, 4 skipped" in output
    assert not list(out.rglob("text.error.json"))


def test_a_single_file_with_a_person(run_command, shared_data, tmp_path):
    clip = shared_data / "videos/other/imigue_covering_face.gif"
    code, output, errors = run_command(clip, "--out", tmp_path / "poses", "--landmarks", "body")
    assert (code, errors) == (0, "")
    assert output.startswith("1 video: 1 extracted")
    assert f"Next: piumr-train-gcn --poses {tmp_path / 'poses'}/" in output
    assert read_poses(tmp_path / "poses" / "imigue_covering_face.npz").shares()["body"] > 0.9


@pytest.mark.parametrize(
    "stop",
    [
        lambda process: os.killpg(process.pid, signal.SIGINT),  # as a terminal does: to every process
        pytest.param(lambda process: process.send_signal(signal.SIGTERM), marks=pytest.mark.slow),
    ],
    ids=["ctrl-c", "sigterm"],
)
def test_a_stop_is_clean(start_command, write_video, tmp_path, stop):
    video = write_video(tmp_path / "videos" / "long.avi", frames=3000)
    process = start_command(video.parent, "--out", tmp_path / "poses", "--workers", 1)
    wait_for(lambda: workers_at(video))
    stop(process)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert output == ""
    assert errors.splitlines()[-1].startswith("piumr-extract: stopped; finished videos are kept")
    assert "Traceback" not in errors
    assert sorted(os.listdir(tmp_path / "poses")) == ["index.html", "index.jsonl"]
    assert not workers_at(video)


def test_a_worker_that_dies_twice_is_that_videos_failure(start_command, write_video, tmp_path):
    long = write_video(tmp_path / "videos" / "long.avi", frames=3000)
    write_video(tmp_path / "videos" / "short.avi")
    process = start_command(long.parent, "--out", tmp_path / "poses", "--workers", 2, "--landmarks", "body")
    first = wait_for(lambda: workers_at(long))[0]
    os.kill(first, signal.SIGKILL)
    second = wait_for(lambda: [pid for pid in workers_at(long) if pid != first])[0]
    os.kill(second, signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "its process died (SIGKILL: often a lack of memory, try fewer workers), 2 times" in output
    rows = index(tmp_path / "poses")
    assert (rows["long"]["status"], rows["short"]["status"]) == ("failed", "empty")


@pytest.mark.slow
def test_a_worker_that_dies_once_costs_nothing(start_command, write_video, tmp_path):
    video = write_video(tmp_path / "videos" / "a.avi", frames=600)
    process = start_command(video.parent, "--out", tmp_path / "poses", "--workers", 1, "--landmarks", "body")
    os.kill(wait_for(lambda: workers_at(video))[0], signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert index(tmp_path / "poses")["a"]["frames"] == 600


@pytest.mark.slow
def test_a_full_disk_is_a_clear_stop(write_video, tmp_path):
    """On a real file system of 200 KiB, mounted in a name space of our own."""
    space = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*space, "true"], capture_output=True).returncode:
        pytest.skip("name spaces are not allowed here")
    for i in range(8):
        write_video(tmp_path / "videos" / f"{i}.avi", frames=60)
    out = tmp_path / "poses"
    out.mkdir()
    script = (
        f"mount -t tmpfs -o size=200k none {out} || exit 77; "
        f"{sys.executable} -m pose_extract.cli {tmp_path / 'videos'} --out {out} --landmarks body --workers 1; "
        f"echo code $?; ls -A {out}; cp -r {out} {tmp_path / 'copy'}"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    done = subprocess.run([*space, "sh", "-c", script], env=environment, capture_output=True, text=True, timeout=120)
    if done.returncode == 77:
        pytest.skip("mounting is not allowed here")
    assert "code 1" in done.stdout
    assert "no space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "copy").rglob(".*"))
    finished = list((tmp_path / "copy").rglob("*.npz"))
    assert 0 < len(finished) < 8
    for path in finished:
        assert len(read_poses(path)) == 60


@pytest.mark.slow
def test_killed_in_the_middle_and_run_again(start_command, run_command, shared_data, tmp_path):
    """All MA-52 clips; SIGKILL of the parent, no chance to clean up."""
    out = tmp_path / "poses"
    arguments = (shared_data / "videos" / "ma52", "--out", out)
    process = start_command(*arguments)
    wait_for(lambda: len(caches(out)) >= 2, seconds=200)
    process.kill()
    process.communicate()
    before = caches(out)
    assert 2 <= len(before) < 6
    wait_for(lambda: not [v for v in arguments[0].glob("*.mp4") if workers_at(v)], seconds=10)  # no orphans
    for name in before:
        read_poses(out / name)

    code, output, errors = run_command(*arguments)
    assert (code, errors.count("Traceback")) == (0, 0)
    assert f"{6 - len(before)} extracted, {len(before)} skipped" in output
    after = caches(out)
    assert len(after) == 6
    for name, stat in before.items():
        assert (after[name].st_ino, after[name].st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)
    for row in index(out).values():
        assert (row["status"], row["body"]) == ("ok", 1.0)
        assert np.isfinite(read_poses(out / f"{row['name']}.npz").timestamps).all()
    assert not list(out.rglob(".*"))
