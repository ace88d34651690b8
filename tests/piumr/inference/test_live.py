"""Live parts one by one, and the whole with MediaPipe on a real clip that is played as a camera."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial

import av
import cv2
import numpy as np
import onnx
import pytest

from piumr.errors import PiumrError
from piumr.inference import ModelCard, Recognizer
from piumr.inference.live import LiveReport, run_live
from piumr.inference.live_pose import PoseProcess, Shot, _camera, _Newest, _take
from piumr.inference.live_view import Board, has_screen, overlay
from piumr.inference.model_card import METADATA_KEY
from piumr.layouts import get_layout
from pose_extract import Options, PoseError
from pose_extract.landmarks import LandmarkSet
from pose_extract.video import Video

LAYOUT = get_layout("mediapipe-33")
MARKS = LandmarkSet(LAYOUT.name, LAYOUT.joints, LAYOUT.edges)
BODY = Options("body")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network of four classes that looks at where the body's middle is; made without torch, in no time."""
    tensor, node = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    weight = onnx.numpy_helper.from_array(np.array([[3, -3, 0, 1], [1, 0, 3, -3]], np.float32), "weight")
    axes = onnx.numpy_helper.from_array(np.array([2, 3]), "axes")
    graph = onnx.helper.make_graph(
        [
            node("ReduceMean", ["points", "axes"], ["embedding"], keepdims=0),
            node("MatMul", ["embedding", "weight"], ["logits"]),
        ],
        "middle",
        [tensor("points", 1, ["N", 2, 8, 33]), tensor("valid", 9, ["N", 8, 33])],
        [tensor("logits", 1, ["N", 4]), tensor("embedding", 1, ["N", 2])],
        [weight, axes],
    )
    network = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    card = ModelCard(("nod", "wave", "shrug", "lean"), LAYOUT, 8, "image", embedding=2, opset=18)
    onnx.helper.set_model_props(network, {METADATA_KEY: card.to_json()})
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    onnx.save(network, path)
    return path


@pytest.fixture(scope="module")
def video(shared_data):
    return shared_data / "videos" / "asl_gestures" / "intel_asl_yes.mkv"


def make_shots(count, pictures=True, seen=True):
    rng = np.random.default_rng(0)
    for i in range(count):
        marks = rng.uniform(0.2, 0.8, (33, 4)).astype(np.float32) if seen else np.full((33, 4), np.nan, np.float32)
        marks[:, 3] = 1 if seen else np.nan
        picture = np.full((120, 160, 3), 40, np.uint8) if pictures else None
        yield Shot(i / 30, time.monotonic(), marks, (640, 480), picture, dropped=i // 10)


class Played:
    """A pose process whose shots are known; they come two at a time, as they do when the recogniser is slower."""

    landmark_set = MARKS

    def __init__(self, shots, error=None):
        self._shots, self._error = list(shots), error

    def shots(self, stop):
        for first in range(0, len(self._shots), 2):
            if stop.is_set():
                return
            yield self._shots[first : first + 2]
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("error", [PoseError("unplugged"), RuntimeError("a driver's\nfault")])
def test_whatever_ends_the_source_ends_the_wait(error):
    def frames():
        yield 0.0, 0.0, np.zeros((1, 1, 3), np.uint8)
        raise error

    newest = _Newest()
    _take(frames(), newest)
    assert newest.take() is not None
    with pytest.raises(PoseError, match=r"unplugged|The source failed: a driver's$"):
        newest.take()


def test_the_newest_frame_wins_and_what_it_replaces_is_counted():
    newest, frame = _Newest(), np.zeros((1, 1, 3), np.uint8)
    for i in range(5):
        newest.put(i, i, frame)
    assert newest.take()[0] == 4
    assert newest.dropped == 4
    newest.put(5, 5, frame)
    newest.end()
    assert newest.take()[0] == 5
    assert newest.take() is None
    assert newest.dropped == 4


def test_taking_waits_for_a_frame_and_ends_with_the_cameras_error():
    newest = _Newest()
    threading.Timer(0.05, newest.put, (1.0, 1.0, np.zeros((1, 1, 3), np.uint8))).start()
    assert newest.take()[0] == 1.0
    threading.Timer(0.05, newest.end, (PoseError("unplugged"),)).start()
    with pytest.raises(PoseError, match="unplugged"):
        newest.take()


def test_a_camera_gives_rgb_frames_as_they_come_and_says_when_it_is_gone(video, monkeypatch):
    opened = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: opened(str(video)))  # OpenCV reads both alike
    frames = _camera(3)
    assert next(frames) is None
    seconds, taken, first = next(frames)
    assert seconds == 0
    assert taken <= time.monotonic()
    with Video(video) as film:
        expected = next(iter(film))[1]
    assert np.abs(first.astype(int) - expected).mean() < 3  # two decoders; red and blue exchanged would be far off
    later = next(frames)
    assert later[0] > 0
    with pytest.raises(PoseError, match="Camera 3 gives no more frames"):
        list(frames)


def test_answers_are_those_of_the_windows_and_the_overlay_has_the_frames_times(model, tmp_path):
    recognizer, answers = Recognizer(model, threads=1), []
    views = [partial(overlay, path=tmp_path / "o.mp4")]
    report = run_live(recognizer, Played(make_shots(90)), answers.append, views, seconds=1.0, stride=0.5)
    assert report.error is None
    assert (report.frames, report.dropped) == (90, 8)
    assert [a["end"] for a in answers] == [1.0, 1.5, 2.0, 2.5]
    assert len(report.delays) == 4
    assert all(0 < a["delay_ms"] < 60_000 for a in answers)
    assert all(a["label"] == a["top"][0]["label"] for a in answers)
    # the same windows, without the live loop
    marks = np.stack([shot.landmarks for shot in make_shots(90)])
    points = (marks[15:45, :, :2] * [640 / 480, 1]).astype(np.float32)
    expected = recognizer.predict_clips([(points, np.ones(points.shape[:2], bool))])[0]
    assert answers[1]["confidence"] == pytest.approx(float(expected.probabilities.max()), abs=1e-4)
    with av.open(str(tmp_path / "o.mp4")) as film:
        times = [float(frame.time) for frame in film.decode(video=0)]
    np.testing.assert_allclose(times, np.arange(1, 90, 2) / 30, atol=1.1e-3)  # every second one was the newest


def test_frames_of_another_size_are_fitted_into_the_place_of_the_first(model, tmp_path):
    """As in what a browser records of a call: its frames shrink where the network is slow."""
    other = {"size": (320, 960), "picture": np.full((480, 160, 3), 200, np.uint8)}
    shots = [replace(shot, **other) if i >= 30 else shot for i, shot in enumerate(make_shots(60))]
    views = [partial(overlay, path=tmp_path / "o.mp4")]
    report = run_live(Recognizer(model, 1), Played(shots), lambda _: None, views, seconds=1.0)
    assert (report.error, report.frames) == (None, 60)
    with av.open(str(tmp_path / "o.mp4")) as film:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]).astype(int)
    assert len(frames) == 30
    places = frames[:, 2:118, 82:86], frames[:, 2:118, 234:238]  # at the sides, where no joint is
    for place in places:
        assert np.abs(place[:15] - 40).max() < 10
        assert np.abs(place[15:] - 200).max() < 10


def test_nobody_in_view_is_an_answer_without_a_label(model):
    answers = []
    run_live(Recognizer(model, 1), Played(make_shots(60, False, seen=False)), answers.append, seconds=1.0)
    assert answers
    assert all(a["label"] is None and a["confidence"] is None and a["top"] == [] for a in answers)


def test_a_source_shorter_than_a_window_gets_one_answer_at_its_end(model):
    answers = []
    report = run_live(Recognizer(model, 1), Played(make_shots(10, False)), answers.append, seconds=2.0)
    assert [a["delay_ms"] for a in answers] == [None]
    assert answers[0]["label"] is not None
    assert report.delays == []
    assert report.answers == 1


def test_what_was_shown_before_the_process_died_is_kept(model, tmp_path):
    process, views = Played(make_shots(60), PiumrError("it died")), [partial(overlay, path=tmp_path / "o.mp4")]
    report = run_live(Recognizer(model, 1), process, lambda _: None, views, seconds=1.0)
    assert report.error == "it died"
    with av.open(str(tmp_path / "o.mp4")) as film:
        assert len(list(film.decode(video=0))) == 30


def test_ctrl_c_ends_a_run_in_order_and_the_handler_is_given_back(model):
    before = signal.getsignal(signal.SIGINT)
    answers = []

    def interrupt(answer):
        answers.append(answer)
        os.kill(os.getpid(), signal.SIGINT)

    report = run_live(Recognizer(model, 1), Played(make_shots(300, False)), interrupt, seconds=1.0)
    assert report.error is None
    assert len(answers) == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_a_closed_window_ends_a_run(model):
    from contextlib import contextmanager

    @contextmanager
    def closing(canvas):
        yield lambda seconds: seconds < 1.0

    report = run_live(Recognizer(model, 1), Played(make_shots(90)), lambda _: None, [closing], seconds=1.0)
    assert report.seconds == pytest.approx(1.0, abs=0.05)


def test_bars_are_as_long_as_the_probabilities(model):
    shot = next(make_shots(1))
    board = Board(np.zeros((200, 640, 3), np.uint8), LAYOUT.joints, LAYOUT.edges)
    picture = np.zeros((200, 640, 3), np.uint8)
    board.draw(picture, shot.landmarks, [("nod", 0.5), ("wäve", 0.25), ("x" * 99, 0.125)], "now")
    assert board.canvas.shape[0] % 2 == 0
    assert board.canvas[:200].any()  # the skeleton
    green = (board.canvas[200:] == (94, 201, 98)).all(axis=-1)
    lengths = [row.sum() for row in green if row.any()]
    steps = list(dict.fromkeys(lengths))
    assert steps[0] == pytest.approx(2 * steps[1], abs=2)
    assert steps[1] == pytest.approx(2 * steps[2], abs=2)
    board.draw(picture, np.full((33, 4), np.nan, np.float32), [], "now")
    assert not (board.canvas[200:] == (94, 201, 98)).all(axis=-1).any()


def test_the_report_is_a_line_with_median_and_tail():
    report = LiveReport(100, 20, 4.0, 100, [0.05] * 95 + [0.2] * 5)
    assert str(report).startswith("4.0 s, 100 frames, 20 dropped, 100 answers; from frame to answer 50 ms (median), ")
    assert "\n" not in str(LiveReport())


def command(*arguments):
    """The command in a process group of its own, as in a terminal."""
    # where the tests run in the background, SIGHUP may be ignored
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\nfrom piumr.commands import infer; infer()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(os.fspath, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "DISPLAY": "", "WAYLAND_DISPLAY": ""},
    )


@pytest.mark.slow
def test_a_clip_played_as_a_camera_is_recognised_and_overlaid(model, video, tmp_path):
    film = tmp_path / "o.mp4"
    process = command(model, video, "--realtime", "--overlay", film, "--window", "0.5", "--top", "2")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines
    assert all(len(line["top"]) == 2 for line in lines)
    assert all(line["delay_ms"] > 0 for line in lines[:1])
    assert [line["end"] for line in lines] == sorted(line["end"] for line in lines)
    said = err.splitlines()
    assert len(said) == 2, err
    assert said[0] == "There is no screen: going on without a window."
    assert "dropped" in said[1]
    assert "from frame to answer" in said[1]
    with av.open(str(film)) as opened:
        frames = list(opened.decode(video=0))
    assert len(frames) > 3
    with av.open(str(video)) as source:
        length = len(list(source.decode(video=0))) / 30
    assert float(frames[-1].time) <= length + 0.1


@pytest.mark.slow
# SIGTERM: `timeout 3600 piumr-infer ...`; SIGHUP: a closed terminal
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_whole_files(model, video, tmp_path, number):
    film, out = tmp_path / "o.mp4", tmp_path / "o.jsonl"
    process = command(model, video, "--realtime", "--overlay", film, "--window", "0.2", "--out", out)
    assert process.stderr.readline().startswith("There is no screen")  # the poses come from now on
    time.sleep(1.0)
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert all(json.loads(line) for line in out.read_text().splitlines())
    with av.open(str(film)) as opened:
        assert len(list(opened.decode(video=0))) > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.jsonl", "o.mp4"]


@pytest.mark.slow
def test_a_camera_that_does_not_exist_is_one_line(model):
    process = command(model, "--camera", "97")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert len(err.splitlines()) == 1, err
    assert "camera 97 cannot be opened" in err


@pytest.mark.slow
def test_a_pose_process_that_dies_is_an_error_and_not_a_wait(model, video):
    with PoseProcess(video, BODY, pictures=False) as process:
        assert process.landmark_set.layout == "mediapipe-33"

        def kill(_):
            process._process.kill()

        report = run_live(Recognizer(model, 1), process, kill, seconds=0.2)
    assert report.error == "The process that estimates poses died (SIGKILL)."
    assert report.frames > 0


@pytest.mark.slow
def test_a_screen_that_is_not_there_is_none(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not has_screen()
    monkeypatch.delenv("DISPLAY")
    assert not has_screen()
