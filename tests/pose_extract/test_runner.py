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
