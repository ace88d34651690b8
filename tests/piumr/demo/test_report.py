"""What the page gets: against the recogniser, the sliding windows and the poses themselves."""

import asyncio
import base64
import csv
import io
import json
import threading
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from piumr.demo.report import (
    MISSING,
    STEPS,
    compact,
    describe_model,
    describe_poses,
    describe_skeleton,
)
from piumr.errors import PiumrError
from piumr.inference import Recognizer
from piumr.inference.recordings import landmarks_for
from piumr.inference.segments import find_segments
from piumr.inference.windows import slide
from piumr.layouts import get_layout
from pose_extract.schema import read_poses


@pytest.fixture
def poses(make_poses):
    return make_poses(6.0, unseen=(2.0, 4.5))


@pytest.fixture
def report(recognizer, poses):
    return json.loads(json.dumps(asyncio.run(describe_poses(recognizer, poses)), allow_nan=False))


def test_predictions_are_those_of_the_recognizer(report, recognizer, poses):
    timeline = slide(recognizer, poses)
    windows = report["windows"]
    assert windows["starts"] == pytest.approx(timeline.starts, abs=1e-4)
    assert windows["times"] == pytest.approx((timeline.starts + timeline.ends) / 2, abs=1e-4)
    seen = [row is not None for row in windows["probabilities"]]
    assert seen == timeline.seen.tolist()
    assert 0 < sum(seen) < len(seen)
    for row, expected in zip(windows["probabilities"], timeline.probabilities, strict=True):
        if row is not None:
            assert row == pytest.approx(expected, abs=1e-4)
    clip = recognizer.predict(poses)[0]
    assert (report["clip"]["label"], report["clip"]["coarse"]) == (clip.label, clip.coarse)
    assert [segment["action"] for segment in report["segments"]] == [s.action for s in find_segments(timeline)]


def test_the_skeleton_survives_the_way(report, poses):
    points = np.frombuffer(base64.b64decode(report["points"]), "<i2").reshape(len(poses), 75, 2)
    times = np.frombuffer(base64.b64decode(report["times"]), "<f4")
    assert np.allclose(times, poses.timestamps, atol=1e-6)
    assert np.array_equal(points[..., 0] != MISSING, poses.valid)
    apart = points[poses.valid] / STEPS - poses.landmarks[poses.valid][:, :2]
    assert np.abs(apart).max() <= 0.5 / STEPS + 1e-7


def test_points_that_a_model_would_not_see_are_not_drawn():
    landmarks = np.array([[0.5, 0.5, 0, 0.9], [0.5, 0.5, 0, 0.4], [np.nan] * 4, [1e4, -1e4, 0, 1]], np.float32)
    points = compact(landmarks, np.array([True, True, False, True]))
    assert points.dtype == np.dtype("<i2")
    assert points.tolist() == [[4096, 4096], [MISSING, MISSING], [MISSING, MISSING], [32767, MISSING + 1]]


def test_downloads_hold_what_is_shown(report, recognizer, poses, tmp_path):
    files = {file["suffix"]: file for file in report["files"]}
    timeline = slide(recognizer, poses)
    header, *rows = csv.reader(io.StringIO(files[".windows.csv"]["text"]))
    assert header == ["start", "end", *timeline.class_names]
    shares = np.array([[float(cell or "nan") for cell in row[2:]] for row in rows])
    assert np.allclose(shares, timeline.probabilities, atol=1e-6, equal_nan=True)
    everything = json.loads(files[".json"]["text"])
    assert [w["probabilities"] is not None for w in everything["windows"]] == timeline.seen.tolist()
    assert everything["clip"]["label"] == report["clip"]["label"]
    segments = list(csv.DictReader(io.StringIO(files[".segments.csv"]["text"])))
    assert [row["action"] for row in segments] == [s["action"] for s in report["segments"]] != []
    annotations = ET.fromstring(files[".segments.eaf"]["text"]).iter("ALIGNABLE_ANNOTATION")
    assert [a.findtext("ANNOTATION_VALUE") for a in annotations] == [row["action"] for row in segments]
    assert files[".segments.vtt"]["text"].startswith("WEBVTT\n")
    (tmp_path / "poses.npz").write_bytes(base64.b64decode(files[".npz"]["base64"]))
    again = read_poses(tmp_path / "poses.npz")
    assert np.array_equal(again.landmarks, poses.landmarks, equal_nan=True)
    assert again.meta == poses.meta


def test_what_a_card_says_is_told(recognizer):
    about = describe_model(recognizer.card)
    assert about["knows"] == "It knows 8 actions, learned from “Synthetic <i>persons</i>”."
    assert about["notice"] == "This model knows only <synthetic> persons."
    assert (about["licence"], about["parameters"]) == ("own", 1234)
    assert (
        about["measured"] == "On 832 test clips of persons it was not trained on, its first answer was right for 46 %."
    )
    groups = {entry["group"]: entry["names"] for entry in about["classes"]}
    assert groups["arms"] == ["wave", "rub eyes", "fold arms", "point"]


def test_the_shipped_model_says_plainly_that_it_knows_synthetic_persons_only():
    card = Recognizer().card
    about = describe_model(card)
    assert "only synthetic persons" in about["notice"]
    assert "Synthetic persons" in about["knows"]
    landmarks_for(card)  # does not raise


@pytest.mark.parametrize(
    ("summary", "measured"),
    [
        ({}, "states no accuracy"),
        ({"accuracy": 0.6, "test_clips": 5586}, "5,586 test clips of persons it was trained on as well"),
        ({"accuracy": "high", "test_clips": None, "parameters": [1]}, "states no accuracy"),
    ],
)
def test_any_card_gives_a_sentence(make_card, summary, measured):
    about = describe_model(make_card(summary=summary))
    assert about["knows"] == "It knows 8 actions, and its file does not say from what."
    assert about["notice"] == ""
    assert about["parameters"] is None
    assert measured in about["measured"]


def test_what_is_estimated_is_what_the_model_takes(make_card):
    for layout, landmarks, joints in (
        ("mediapipe-75", "holistic", 75),
        ("mediapipe-micro", "holistic", 75),
        ("mediapipe-33", "body", 33),
        ("coco-17", "body", 33),
    ):
        found, estimated = landmarks_for(make_card(layout))
        assert (found, len(estimated)) == (landmarks, joints)
    for layout, coordinates, reason in (("kinect-20", "metric", "metric skeletons"), ("hand-21", "image", "hand-21")):
        with pytest.raises(PiumrError, match=reason):
            landmarks_for(make_card(layout, coordinates))


def test_a_prediction_that_takes_long_can_be_cancelled(recognizer, make_poses, monkeypatch):
    seen, predict, cancelled = [], recognizer.predict_clips, threading.Event()

    async def end_in_the_first_batch():
        loop, task = asyncio.get_running_loop(), asyncio.create_task(describe_poses(recognizer, make_poses(120.0)))

        def until_cancelled(clips):
            seen.append(len(clips))
            loop.call_soon_threadsafe(task.cancel)
            assert cancelled.wait(60)
            return predict(clips)

        monkeypatch.setattr(recognizer, "predict_clips", until_cancelled)
        await asyncio.wait([task])
        assert task.cancelled()
        cancelled.set()

    asyncio.run(end_in_the_first_batch())
    assert seen == [64]  # of 473 windows


def test_the_skeleton_is_drawn_by_parts():
    skeleton = describe_skeleton(get_layout("mediapipe-75"))
    assert skeleton["parts"].count("left_hand") == skeleton["parts"].count("right_hand") == 21
    assert len(skeleton["edges"]) == 35 + 2 * 21
