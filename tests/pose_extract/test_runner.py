"""The same from Python."""

import io
import os
import subprocess
import sys

import pytest
from rich.console import Console

from pose_extract import PoseError, extract, read_poses


def test_extract_returns_what_became_of_each_video(tmp_path, write_video):
    write_video(tmp_path / "videos" / "b.mp4", frames=4)
    write_video(tmp_path / "videos" / "a.mp4", frames=8)
    (tmp_path / "videos" / "c.mp4").write_text("text")
    stream = io.StringIO()
    summary = extract(tmp_path / "videos", tmp_path / "poses", "body", workers=1, console=Console(file=stream))
    assert [(o.source, o.status, o.frames) for o in summary.outcomes] == [
        ("a.mp4", "empty", 8),
        ("b.mp4", "empty", 4),
        ("c.mp4", "failed", 0),
    ]
    assert summary.frames == 12
    assert summary.seconds > 0
    assert len(read_poses(tmp_path / "poses" / "a.npz")) == 8


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"workers": -1}, "`workers`"),
        ({"landmarks": "face"}, "`landmarks`"),
        ({"person": "middle"}, "`person`"),
        ({"region": (0, 0, 2, 1)}, "`region`"),
        ({"fps": 0}, "`fps`"),
        ({"shard": (3, 2)}, "`shard` to be i/n"),
        ({"model": "missing.task"}, "`model`"),
        ({"scheduler": "tcp://127.0.0.1:9"}, "`scheduler` to be the address of a running dask scheduler"),
        ({"out": "a.mp4/poses"}, "cannot be made"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp4").touch()
    with pytest.raises(PoseError, match=named):
        extract("a.mp4", **arguments)


@pytest.mark.slow
def test_a_script_without_a_guard_is_told_so(tmp_path, write_video):
    write_video(tmp_path / "a.mp4")
    script = tmp_path / "script.py"
    script.write_text(f"from pose_extract import extract\nextract({str(tmp_path / 'a.mp4')!r}, workers=1)\n")
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(sys.modules["pose_extract"].__path__[0])}
    done = subprocess.run([sys.executable, script], env=environment, cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode == 1
    assert b"must stand under" in done.stderr.splitlines()[-1]


QUIET = {"workers": 1, "landmarks": "body"}


def quietly(videos, out, **options):
    return extract(videos, out, console=Console(file=io.StringIO()), **{**QUIET, **options})


def test_folders_of_the_users_own_are_left_alone(tmp_path, write_video):
    """A folder that is called as the spans of a video would be, inside the output folder."""
    write_video(tmp_path / "a.mp4")
    own = write_video(tmp_path / "a.parts" / "part1.mp4")
    assert len(quietly(tmp_path, tmp_path).select("empty")) == 2
    assert own.exists()
    assert (tmp_path / "a.parts" / "part1.npz").exists()
    assert len(quietly(tmp_path, tmp_path).outcomes) == 2


@pytest.mark.parametrize("before", [False, True], ids=["at once", "after a run without previews"])
def test_a_users_video_that_is_called_like_a_preview(tmp_path, write_video, before):
    write_video(tmp_path / "a.mp4")
    own = write_video(tmp_path / "a.preview.mp4", frames=9)
    content = own.read_bytes()
    if before:
        assert len(quietly(tmp_path, tmp_path).outcomes) == 2
    with pytest.raises(PoseError, match=r"would overwrite .*a\.preview\.mp4"):
        quietly(tmp_path, tmp_path / "." / "sub" / "..", preview=True)
    assert own.read_bytes() == content


def test_a_page_of_somebody_else_is_left_alone(tmp_path, write_video):
    write_video(tmp_path / "a.mp4")
    (tmp_path / "index.html").write_text("<h1>my page</h1>")
    assert "somebody else" in quietly(tmp_path, tmp_path).no_page
    assert (tmp_path / "index.html").read_text() == "<h1>my page</h1>"
    (tmp_path / "index.html").unlink()
    assert quietly(tmp_path, tmp_path).no_page is None
    assert quietly(tmp_path, tmp_path).no_page is None  # ours is replaced


def test_names_too_long_and_links_in_circles_stop_nobody(tmp_path, write_video):
    good = write_video(tmp_path / "videos" / "good.mp4")
    (good.parent / ("x" * 250 + ".mp4")).write_text("text")
    (good.parent / "ring").symlink_to("ring")
    (good.parent / "ring.mp4").symlink_to("ring.mp4")
    summary = quietly(good.parent, tmp_path / "poses")
    assert {o.source[:4]: o.status for o in summary.outcomes} == {"good": "empty", "ring": "failed", "xxxx": "failed"}
    assert "could not be recorded" in summary.select("failed")[1].reason


def test_a_good_cache_is_the_latest_word(tmp_path, write_video):
    """A failure with other options in between leaves nothing behind."""
    video = write_video(tmp_path / "a.mp4")
    quietly(video, tmp_path / "poses")
    record = tmp_path / "poses" / "a.error.json"
    record.write_text('{"reason": "x"}')
    assert quietly(video, tmp_path / "poses").outcomes[0].earlier
    assert not record.exists()


def test_a_wrong_model_is_told_once(tmp_path, write_video):
    video = write_video(tmp_path / "a.mp4")
    (tmp_path / "a.task").write_text("x")
    with pytest.raises(PoseError, match="pose landmarker bundle"):
        quietly(video, tmp_path / "poses", model=str(tmp_path / "a.task"))
    assert not list((tmp_path / "poses").glob("*.json"))
