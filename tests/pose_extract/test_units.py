"""Long videos: cut at fixed boundaries, resumed span by span, joined; the same frames as in one piece."""

import itertools
import json
import math
import os

import numpy as np
import pytest

from pose_extract import Options, files, read_poses, units
from pose_extract.discovery import Job
from pose_extract.errors import PoseError
from pose_extract.extraction import extract_span, join_spans
from pose_extract.units import SPAN, Cut, Unit, give_up, run_unit
from pose_extract.video import Video

OPTIONS = Options("body", fps=0.5)
RATE = 1  # frames a second of the long video: a file of 700 s is made quickly
SECONDS = 700


def run(unit, options=OPTIONS):
    beats = []
    result = run_unit(unit, options, preview=False, on_frame=beats.append)
    return result, beats


@pytest.fixture(scope="module")
def long_video(tmp_path_factory, write_video):
    return write_video(tmp_path_factory.mktemp("long") / "talk.mp4", frames=RATE * SECONDS, fps=RATE)


@pytest.fixture
def job(long_video, tmp_path):
    return Job(long_video, "talk.mp4", tmp_path / "poses" / "talk.npz")


def test_a_long_video_is_cut_resumed_and_joined(job):
    cut, _ = run(Unit(job))
    assert cut == Cut(3)
    units = [Unit(job, k, 3) for k in range(3)]
    frames = [run(unit)[0].frames for unit in units]
    assert frames == [150, 150, 50]
    assert sorted(path.name for path in job.parts.iterdir()) == [Unit(job, k, 3).part(OPTIONS).name for k in range(3)]
    assert run(units[1]) == (Cut(3, 150), [])  # there already
    other = Options("body", fps=0.1)
    assert run(units[1], other)[0] == Cut(3, 30)  # another run with other options does not disturb this one
    (job.parts / "mine.txt").write_text("a user's own file")

    outcome, beats = run(Unit(job, None, 3))
    assert (outcome.status, outcome.frames) == ("empty", 350)
    assert beats  # signs of life while the file is hashed
    assert {path.name for path in job.parts.iterdir()} == {units[1].part(other).name, "mine.txt"}
    assert not job.error_file.exists()
    poses = read_poses(job.output)
    np.testing.assert_allclose(poses.timestamps, np.arange(350) * 2, atol=1e-3)
    assert poses.meta["frames_decoded"] == poses.meta["frames_promised"] == RATE * SECONDS
    assert poses.meta["warnings"] == []
    assert "reading" not in poses.meta
    assert run(Unit(job, None, 3))[0].earlier  # another run on the same folder has joined them
    assert run(Unit(job))[0].earlier


def test_a_span_that_the_container_promises_and_that_is_not_there(job, tmp_path):
    data = job.video.read_bytes()
    assert data.rindex(b"moov") > len(data) // 2  # so: move the index to the front, then cut
    front = tmp_path / "front.mp4"
    front.write_bytes(faststart(data)[: len(data) // 2])
    short = Job(front, "front.mp4", job.output)
    assert run(Unit(short))[0] == Cut(3)
    results = [run(Unit(short, k, 3))[0] for k in range(3)]
    assert results[0].frames == 150
    assert results[2].frames == 0
    assert json.loads(Unit(short, 2, 3).part(OPTIONS).read_text())["source"]["bytes"] == len(data) // 2
    assert run(Unit(short, 2, 3)) == (Cut(3), [])
    outcome, _ = run(Unit(short, None, 3))
    assert outcome.frames == sum(result.frames for result in results)
    assert "700 frames promised by the container" in read_poses(short.output).meta["warnings"][0]


def faststart(data):
    """An mp4 with its index before the pictures: `moov` first, and its offsets moved by its own length."""
    at = data.rindex(b"moov") - 4
    size = int.from_bytes(data[at : at + 4])
    moov = bytearray(data[at : at + size])
    first = data.index(b"mdat") - 4
    table = moov.index(b"stco") + 8
    for i in range(int.from_bytes(moov[table : table + 4])):
        place = slice(table + 4 + 4 * i, table + 8 + 4 * i)
        moov[place] = (int.from_bytes(moov[place]) + size).to_bytes(4)
    return data[:first] + bytes(moov) + data[first:at]


def test_signs_of_life_while_a_short_video_is_hashed(tmp_path, write_video, monkeypatch):
    job = Job(write_video(tmp_path / "a.mp4"), "a.mp4", tmp_path / "a.npz")
    monkeypatch.setattr(files, "CHUNK", 1000)
    chunks = math.ceil(job.video.stat().st_size / 1000)
    _, beats = run(Unit(job), Options("body"))
    assert beats == [*range(1, 7), *[6] * chunks]
    os.utime(job.video)
    assert len(run(Unit(job), Options("body"))[1]) == chunks  # whether it is the same file


def test_keypoints_of_another_video_do_not_go_without_a_word(tmp_path, write_video):
    out = tmp_path / "take1.npz"
    jobs = [
        Job(write_video(tmp_path / name / "take1.mp4", frames), "take1.mp4", out)
        for name, frames in (("anna", 5), ("ben", 6))
    ]
    assert run(Unit(jobs[0]), Options("body"))[0].reason is None
    assert run(Unit(jobs[0]), Options("body", fps=10))[0].reason is None  # the same video, other options
    assert run(Unit(jobs[1]), Options("body"))[0].reason.startswith("replaces the keypoints of another video")


def test_a_video_that_is_done_but_for_its_preview_does_not_fail(tmp_path, write_video):
    unit = Unit(Job(write_video(tmp_path / "a.mp4"), "a.mp4", tmp_path / "a.npz"))
    run(unit, Options("body"))
    outcome = give_up(unit, Options("body"), "its process died")
    assert (outcome.status, outcome.frames, outcome.reason) == ("empty", 6, "but then its process died")
    assert not unit.job.error_file.exists()
    assert give_up(unit, Options("body", fps=1), "its process died").status == "failed"


def test_more_than_a_file_of_keypoints_holds_is_refused_at_once(job, monkeypatch):
    monkeypatch.setattr(units, "MAX_BYTES", SECONDS * 33 * 16 - 1)
    outcome, beats = run(Unit(job), Options("body"))
    assert (outcome.status, beats) == ("failed", [])
    assert "700 frames in 0.2 hours" in outcome.reason
    assert run(Unit(job), Options("body", fps=0.5))[0] == Cut(3)


def test_a_container_is_not_believed_every_rate(tmp_path, encode_video, monkeypatch):
    """Matroska states no number of frames, and some recorders a thousand a second."""
    video = Video(encode_video(tmp_path / "a.mkv", frames=30))
    monkeypatch.setattr(units, "MAX_BYTES", 240 * 33 * 16 + 1)
    video.fps, video.duration = 1000.0, 1.0
    units._require_room(video, Options("body"))
    video.duration = 1.1
    with pytest.raises(PoseError, match="264 frames in"):
        units._require_room(video, Options("body"))


def test_a_failing_span_is_named(job):
    bad = Job(job.video.with_name("gone.mp4"), "gone.mp4", job.output)
    outcome, _ = run(Unit(bad, 1, 3))
    assert outcome.reason == "its span 5:00 to 10:00: cannot be opened: there is no such file"
    assert json.loads(bad.error_file.read_text())["reason"] == outcome.reason


@pytest.mark.parametrize("landmarks", ["body", pytest.param("holistic", marks=pytest.mark.slow)])
def test_spans_give_the_landmarks_of_one_piece(shared_data, landmarks):
    """A second of overlap warms the tracker up: what remains is far below the size of a limb."""
    clip = shared_data / "videos/other/stgcn_ta_chi.mp4"
    options = Options(landmarks)
    whole = join_spans([extract_span(clip, options, 0, 4)], clip)
    cuts = [0, 2, 4]
    spans = [extract_span(clip, options, start, stop) for start, stop in itertools.pairwise(cuts)]
    joined = join_spans(spans, clip)
    np.testing.assert_array_equal(joined.timestamps, whole.timestamps)
    assert {**joined.meta, "people": None} == {**whole.meta, "people": None}
    visible = (whole.landmarks[:, :33, 3] > 0.5) & joined.valid[:, :33]
    distance = np.linalg.norm(
        (joined.landmarks - whole.landmarks)[:, :33, :2] * [whole.meta["width"], whole.meta["height"]], axis=-1
    )[visible]
    assert visible.mean() > 0.5
    assert np.median(distance) < 0.1
    assert np.quantile(distance, 0.99) < 0.05 * whole.meta["height"]
    np.testing.assert_array_equal(joined.landmarks[: len(spans[0])], whole.landmarks[: len(spans[0])])


def test_a_span_is_five_minutes():
    assert SPAN == 300
