"""The webcam's parts: the newest picture wins, the recording is bounded, a socket gets one line for what is wrong."""

import asyncio
import errno
import os
import signal
import struct

import numpy as np
import pytest
from aiohttp import WSMessage, WSMsgType

from piumr.demo import live, server
from piumr.demo.live import Newest, Recording, Session
from piumr.layouts import get_layout


def test_a_newer_picture_takes_the_place_of_one_that_waits():
    async def converse():
        newest = Newest()
        for message in (b"1", b"2", b"3"):
            newest.put(message)
        first = await newest.get()
        later = asyncio.create_task(newest.get())
        await asyncio.sleep(0)
        newest.put(b"4")
        fourth = await later
        newest.put(b"5")
        newest.close()
        return first, fourth, await newest.get(), await newest.get(), newest.dropped

    assert asyncio.run(converse()) == (b"3", b"4", b"5", None, 2)


def frame(value):
    return np.full((75, 4), value, np.float32)


def test_the_recording_gives_its_last_seconds():
    recording = Recording(get_layout("mediapipe-75"))
    assert recording.latest < 0
    for i in range(10):
        recording.add(100 + i / 10, 640, 480, frame(i if i != 8 else np.nan))
    poses = recording.last(0.35)
    assert poses.landmarks[:, 0, 0].tolist()[:2] == [6, 7]
    assert poses.valid[:, 0].tolist() == [True, True, False, True]
    assert poses.timestamps == pytest.approx([0, 0.1, 0.2, 0.3])
    assert len(recording.last()) == len(recording) == 10
    assert recording.latest == 100.9


def test_the_recording_is_bounded_and_a_turned_camera_begins_anew(monkeypatch):
    monkeypatch.setattr(live, "RECORDED", 1.0)
    recording = Recording(get_layout("mediapipe-75"))
    for i in range(100):
        recording.add(i / 10, 640, 480, frame(i))
    assert len(recording) == 11
    assert recording.last().timestamps[-1] == pytest.approx(1.0)
    recording.add(10.0, 480, 640, frame(0))
    assert recording.last().meta["width"] == 480
    assert len(recording) == 1


class Page:
    """A socket that keeps what it is sent."""

    closed = False

    def __init__(self):
        self.sent = []

    async def send_json(self, message):
        self.sent.append(message)


class Seen:
    """An estimator that sees somebody in each picture, whose size is given."""

    def __init__(self):
        self.size, self._rng = (640, 480), np.random.default_rng(0)

    async def see(self, jpeg, seconds):
        landmarks = self._rng.uniform(0.3, 0.7, (75, 4)).astype(np.float32)
        landmarks[:, 3] = 1
        return *self.size, landmarks


def test_predictions_begin_when_a_window_is_full_and_again_after_a_gap_or_a_turn(recognizer):
    page, seen = Page(), Seen()

    async def watch():
        session = Session(page, recognizer, "holistic", get_layout("mediapipe-75"))
        for at in (*range(1000, 5000, 100), *range(20000, 24000, 100), *range(24000, 28000, 100)):
            seen.size = (640, 480) if at < 24000 else (480, 640)
            await session._answer(seen, struct.pack("<d", at) + b"jpeg")
            if session._predicting is not None:
                await session._predicting

    asyncio.run(watch())
    told = {message["at"]: message["top"] for message in page.sent if message["kind"] == "prediction"}
    answered = [at for at, top in told.items() if top]
    assert all(len(told[at]) == 3 for at in answered)
    # 2 s of the model's window, half of it after a gap
    for begin, end, first in ((1000, 5000, 3000), (20000, 24000, 21000), (24000, 28000, 26000)):
        inside = [at for at in answered if begin <= at < end]
        assert first <= inside[0] <= first + 200
        assert np.diff(inside).max() <= 300  # every 200 ms, at the next picture


def test_too_many_jobs_are_one_line(talk, monkeypatch):
    monkeypatch.setattr(server, "MAX_JOBS", 0)

    async def ask(client, headers):
        async with client.ws_connect("/api/live", headers=headers) as socket:
            first = await socket.receive_json()
        async with client.post("/api/video", data=b"x", headers=headers) as response:
            return first, response.status, await response.json()

    first, status, answer = talk(ask)
    assert first["kind"] == "error"
    assert status == 503
    assert "try again when one is done" in answer["error"] == first["error"]


def test_an_estimator_that_dies_is_one_line(talk, pose_processes):
    async def ask(client, headers):
        async with client.ws_connect("/api/live", headers=headers) as socket:
            while not pose_processes():
                await asyncio.sleep(0.005)
            os.kill(pose_processes()[0], signal.SIGSEGV)
            return await socket.receive_json(timeout=30)

    message = talk(ask)
    assert message["kind"] == "error"
    assert "died (SIGSEGV); the page goes on" in message["error"]


@pytest.mark.parametrize(
    ("error", "line"), [(OSError(errno.ENOSPC, "No space"), "The disk is full"), (ValueError(), "failed (ValueError)")]
)
def test_what_nobody_foresaw_is_one_line(talk, monkeypatch, caplog, error, line):
    async def fail(session):
        raise error

    monkeypatch.setattr(Session, "run", fail)

    async def ask(client, headers):
        async with client.ws_connect("/api/live", headers=headers) as socket:
            return await socket.receive_json(timeout=30)

    message = talk(ask)
    assert message["kind"] == "error"
    assert line in message["error"]
    assert [record.exc_info[1] for record in caplog.records] == [error]


def test_after_stop_the_socket_is_still_read(recognizer):
    """Pings of the page are answered by who reads: a review that takes long must not look like a dead server."""
    left = [WSMessage(WSMsgType.TEXT, "stop", ""), WSMessage(WSMsgType.BINARY, bytes(20), "")]

    class Socket:
        def __aiter__(self):
            return self

        async def __anext__(self):
            if not left:
                raise StopAsyncIteration
            return left.pop(0)

    asyncio.run(Session(Socket(), recognizer, "holistic", get_layout("mediapipe-75"))._listen())
    assert not left


@pytest.mark.slow
def test_pictures_that_are_none_and_times_that_go_back_are_passed_over(talk):
    cv2 = pytest.importorskip("cv2")
    pytest.importorskip("mediapipe")
    grey = cv2.imencode(".jpg", np.full((120, 160, 3), 128, np.uint8))[1].tobytes()

    async def ask(client, headers):
        async with client.ws_connect("/api/live", headers=headers) as socket:
            assert (await socket.receive_json(timeout=60))["kind"] == "ready"
            answers = []
            for at, jpeg in (
                (10, b"no picture"),
                (20, grey),
                (15, grey),
                (float("nan"), grey),
                (1e300, grey),
                (30, grey),
            ):
                await socket.send_bytes(struct.pack("<d", at) + jpeg)
                while (answer := await socket.receive_json(timeout=60))["kind"] != "pose":
                    pass
                answers.append(answer)
            await socket.send_str("stop")
            while (last := await socket.receive_json(timeout=60))["kind"] == "prediction":
                pass
        return answers, last

    answers, last = talk(ask)
    assert [answer["points"] is not None for answer in answers] == [False, True, False, False, False, True]
    assert [(answers[i]["width"], answers[i]["height"]) for i in (1, 5)] == [(160, 120)] * 2
    assert last["kind"] == "result"
    assert last["result"]["clip"]["label"] is None
    assert last["result"]["windows"]["probabilities"] == [None]
