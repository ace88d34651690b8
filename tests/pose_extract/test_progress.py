import io

from rich.console import Console

from pose_extract import progress
from pose_extract.discovery import Job
from pose_extract.resume import Outcome
from pose_extract.schedule import Step


def test_status_and_log_lines(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    jobs = [Job(tmp_path / name, name, tmp_path / "x.npz") for name in "abc"]
    stream = io.StringIO()
    shown = progress.Progress(dict(zip(jobs, (10, 20, 30), strict=True)), lambda: 600, 5, Console(file=stream))
    with shown:
        assert shown.status() == "0/3 videos  600 frames/s  5 done before"
        now[0] += 10
        shown.advance(Step(jobs[2], 1.0, 0, Outcome("c", "failed")))
        assert shown.status() == "1/3 videos  60 frames/s  0:00:10 left  1 failed  5 done before"
        assert stream.getvalue() == ""  # not a terminal: a line every half minute
        now[0] += 20
        shown.advance(Step(jobs[0], 0.5, 40))  # a span
        shown.advance(Step(jobs[0], 0.5, 20, Outcome("a", "done")))
        shown.advance(Step(jobs[1], 1.0, 0, Outcome("b", "done")))
    assert shown.status() == "3/3 videos  22 frames/s  0:00:30  1 failed  5 done before"
    assert stream.getvalue() == "1/3 videos  21 frames/s  0:00:21 left  1 failed  5 done before\n"
