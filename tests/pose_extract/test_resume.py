"""What is skipped, what is done again, and what is recorded; every extraction here is real, of tiny videos."""

import errno
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from pose_extract import Options, read_poses
from pose_extract.discovery import find_jobs
from pose_extract.estimator import describe_estimator
from pose_extract.files import fingerprint
from pose_extract.index import rebuild_index
from pose_extract.resume import earlier_outcome, follow_renames
from pose_extract.units import Unit, run_unit

BODY = Options("body")


def run_job(job, options=BODY):
    return run_unit(Unit(job), options, preview=False, on_frame=lambda done: None)


@pytest.fixture
def job(tmp_path, write_video):
    write_video(tmp_path / "videos" / "sub" / "a.mp4")
    return find_jobs(tmp_path / "videos", tmp_path / "poses")[0]


def earlier(job, landmarks="body", retry_failed=False):
    return earlier_outcome(job, describe_estimator(Options(landmarks)), retry_failed)


def index(out):
    rebuild_index(out)
    return [json.loads(line) for line in (out / "index.jsonl").read_text().splitlines()]


def test_nobody_in_view_is_empty_and_no_failure(job, tmp_path):
    assert earlier(job) is None
    outcome = run_job(job)
    assert (outcome.status, outcome.frames, outcome.reason) == ("empty", 6, None)
    poses = read_poses(tmp_path / "poses" / "sub" / "a.npz")
    assert not poses.valid.any()
    assert np.isnan(poses.landmarks).all()
    assert np.isnan(poses.world).all()
    assert poses.meta["source"]["path"] == "sub/a.mp4"
    assert poses.meta["source"]["bytes"] == job.video.stat().st_size
    assert poses.meta["frames_promised"] == poses.meta["frames_decoded"] == 6
    assert (poses.meta["width"], poses.meta["height"], poses.meta["layout"]) == (64, 48, "mediapipe-33")
    row = index(tmp_path / "poses")[0]
    assert (row["name"], row["source"], row["status"]) == ("sub/a", "sub/a.mp4", "empty")
    assert (row["frames"], row["body"], row["left_hand"]) == (6, 0.0, None)


def test_same_video_and_options_are_skipped(job):
    done = run_job(job)
    again = earlier(job)
    assert again.earlier
    assert (again.status, again.frames) == (done.status, done.frames)


def test_other_options_are_extracted_again(job):
    run_job(job)
    assert earlier(job, "holistic") is None


def test_a_touched_video_is_compared_by_content(job, write_video):
    run_job(job)
    os.utime(job.video, ns=(0, 0))
    assert earlier(job) is not None
    data = bytearray(job.video.read_bytes())
    data[-1] ^= 1
    job.video.write_bytes(bytes(data))  # as long as before
    assert earlier(job) is None
    write_video(job.video, frames=9)
    assert earlier(job) is None


def test_a_touched_video_that_cannot_be_read_is_its_own_failure(job, monkeypatch):
    run_job(job)
    os.utime(job.video, ns=(0, 0))
    opened = Path.open

    def refuse(path, *args, **kwargs):  # permissions would not keep root out
        if path == job.video:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    assert earlier(job) is None
    outcome = run_job(job)
    assert (outcome.status, outcome.reason) == ("failed", f"input/output error: {job.video}")
    assert json.loads(job.error_file.read_text())["reason"] == outcome.reason
    monkeypatch.undo()
    assert earlier(job).status == "empty"  # its content is as it was


def test_a_damaged_cache_is_extracted_again(job, tmp_path):
    run_job(job)
    job.output.write_bytes(job.output.read_bytes()[:-100])
    assert index(tmp_path / "poses")[0]["status"] == "failed"
    assert earlier(job) is None


def test_a_failure_is_recorded_and_retried_on_demand_or_after_a_change(job, tmp_path, write_video):
    job.video.write_text("not a video")
    for attempt in (1, 2):
        outcome = run_job(job)
        assert outcome.status == "failed"
        record = json.loads((tmp_path / "poses" / "sub" / "a.error.json").read_text())
        assert record["attempts"] == attempt
        assert record["reason"] == outcome.reason
        assert "text file" in record["reason"]
        assert record["source"]["bytes"] == len("not a video")
        assert record["source"]["mtime_ns"] == job.video.stat().st_mtime_ns
    row = index(tmp_path / "poses")[0]
    assert (row["name"], row["status"], row["reason"]) == ("sub/a", "failed", outcome.reason)

    assert earlier(job).reason == outcome.reason
    assert earlier(job, retry_failed=True) is None
    assert earlier(job, "holistic") is None
    time.sleep(0.01)
    write_video(job.video)
    assert earlier(job) is None
    run_job(job)
    assert not job.error_file.exists()
    assert index(tmp_path / "poses")[0]["status"] == "empty"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"reason": 1}', '{"reason": "x", "source": 3}', "[" * 100_000])
def test_an_unreadable_record_is_no_record(job, content):
    job.error_file.parent.mkdir(parents=True)
    job.error_file.write_text(content)
    assert earlier(job) is None
    run_job(job)
    assert not job.error_file.exists()


def test_an_error_of_the_file_system_is_that_videos_failure(job):
    job.output.mkdir(parents=True)
    outcome = run_job(job)
    assert outcome.status == "failed"
    assert "directory" in outcome.reason


def test_a_video_whose_stem_is_shared_now_keeps_what_it_has(job, tmp_path, write_video):
    """And gets its name back when the other one is gone."""
    run_job(job)
    inode = job.output.stat().st_ino
    other = write_video(job.video.with_suffix(".avi"))
    jobs = find_jobs(tmp_path / "videos", tmp_path / "poses")
    follow_renames(jobs)
    assert [path.name for path in (tmp_path / "poses" / "sub").iterdir()] == ["a.mp4.npz"]
    assert [earlier(j) is None for j in jobs] == [True, False]
    other.unlink()
    follow_renames(find_jobs(tmp_path / "videos", tmp_path / "poses"))
    assert job.output.stat().st_ino == inode
    assert earlier(job) is not None


def test_finished_spans_go_with_their_video(job, tmp_path, write_video):
    unit = Unit(job, 0, 2)
    run_unit(unit, BODY, preview=False, on_frame=lambda done: None)
    inode = unit.part(BODY).stat().st_ino
    write_video(job.video.with_suffix(".avi"))
    avi, mp4 = find_jobs(tmp_path / "videos", tmp_path / "poses")
    follow_renames([avi, mp4])
    assert Unit(mp4, 0, 2).part(BODY).stat().st_ino == inode
    assert not job.parts.exists()
    assert not avi.parts.exists()


def test_only_the_videos_own_files_are_renamed(job, tmp_path, write_video):
    run_job(job)
    job.video.unlink()
    write_video(job.video.with_suffix(".avi"))
    write_video(job.video.with_suffix(".mkv"))
    follow_renames(find_jobs(tmp_path / "videos", tmp_path / "poses"))
    assert job.output.exists()


def test_a_video_whose_folder_cannot_be_asked_has_no_size(tmp_path, monkeypatch):
    def refuse(self, **_):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(tmp_path), "stat", refuse)
    assert fingerprint(tmp_path / "a.mp4") == {"bytes": 0, "mtime_ns": 0}
