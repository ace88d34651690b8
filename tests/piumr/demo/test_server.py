"""Videos in, results out: what is wrong is one line, nothing stays, a process that dies takes nothing with it."""

import asyncio
import errno
import json
import os
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest

import pose_extract
from piumr.demo import downloads, pose_process, processes, server
from pose_extract.schema import read_poses, write_poses

PAGE = Path(server.__file__).parent / "page"


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert not list(tmp_path.glob("piumr-demo-*"))  # no video outlives its answer


async def post(client, headers, body):
    async with client.post("/api/video", data=body, headers=headers) as response:
        text = await response.text()
        return response.status, [json.loads(line) for line in text.splitlines()]


def analyse(talk, body, seconds=300):
    return talk(lambda client, headers: asyncio.wait_for(post(client, headers, body), seconds))


def test_the_page_is_served_by_names_alone(talk):
    files = {"" if path.name == "index.html" else path.name: path.read_text() for path in PAGE.iterdir()}

    async def ask(client, _):
        answers = {}
        for name in (*files, "../server.py", "%2e%2e/server.py", "page/main.js"):
            async with client.get(f"/{name}") as response:
                answers[name] = response.status, response.content_type, await response.text()
        return answers

    answers = talk(ask)
    assert {name: answer[2] for name, answer in answers.items() if name in files} == files
    assert answers[""][1] == "text/html"
    assert {answer[0] for name, answer in answers.items() if name not in files} == {404}


def test_the_page_asks_nobody_else():
    for path in PAGE.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "").replace("http://localhost", "")
        assert "http://" not in text
        assert "https://" not in text


def test_what_the_model_knows_is_told(talk, recognizer):
    async def ask(client, _):
        async with client.get("/api/model") as response:
            return await response.json()

    about = talk(ask)
    assert about["model"]["notice"] == recognizer.card.notice != ""
    assert len(about["skeleton"]["parts"]) == 75
    assert about["limits"] == {"bytes": 2 * 1024**3, "seconds": 600}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"this is no video\n" * 99, "The file cannot be opened: it is a text file, not a video."),
        (b"#EXTM3U\n/etc/passwd\n", "The file cannot be opened"),
        (bytes(range(256)) * 40, "The file cannot be opened: it is not a video, or is damaged."),
    ],
)
def test_what_is_no_video_is_one_line(talk, body, reason):
    status, lines = analyse(talk, body)
    assert status == 200
    assert reason in lines[-1]["error"]
    assert "\n" not in lines[-1]["error"]
    assert "/" not in lines[-1]["error"]


def test_an_empty_body_and_one_that_is_too_large_are_one_line(talk, monkeypatch):
    monkeypatch.setattr(server, "MAX_BYTES", 1000)

    async def endless():
        for _ in range(20):
            yield b"x" * 100

    for body, reason in ((b"", "empty"), (b"x" * 1001, "larger than"), (endless(), "larger than")):
        status, (line,) = analyse(talk, body)
        assert status == 413
        assert reason in line["error"]


def test_a_video_that_says_it_is_too_long_is_refused_at_once(talk, tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "long.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(901):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), i % 200, np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    _, lines = analyse(talk, (tmp_path / "long.mkv").read_bytes())
    assert "The file is 15 minutes long, more than the 10" in lines[-1]["error"]


def test_a_container_that_hides_its_length_ends_too(monkeypatch, tmp_path, shared_data, capfdbinary):
    pytest.importorskip("mediapipe")
    monkeypatch.setattr(pose_process, "MAX_FRAMES", 3)
    monkeypatch.setattr(pose_process, "_claim_output", lambda: os.fdopen(os.dup(1), "wb"))
    monkeypatch.setattr(pose_process, "_end_with_input", lambda: None)
    video = shared_data / "videos/ma52/0020_01_0008.mp4"
    assert pose_process.main(["video", "body", str(video), str(tmp_path / "poses.npz")]) == 1
    last = json.loads(capfdbinary.readouterr().out.splitlines()[-1])
    assert "has more than 3 frames" in last["error"]
    assert not (tmp_path / "poses.npz").exists()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full: the folder for temporary files is {}."),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "The disk is full: the folder for temporary files is {}."),
        (OSError(errno.EIO, "Input/output error"), "The server failed (OSError): see its terminal."),
        (RuntimeError("nobody foresaw it"), "The server failed (RuntimeError): see its terminal."),
    ],
)
def test_what_goes_wrong_in_the_middle_of_an_answer_is_its_last_line(
    talk, monkeypatch, make_poses, caplog, own_temporary_folder, error, line
):
    async def estimate(video, poses, landmarks):
        write_poses(poses, make_poses(1.0))
        yield 30, 30

    def fail(*_):
        raise error

    monkeypatch.setattr(server, "extract", estimate)
    monkeypatch.setattr(downloads, "write_poses", fail)
    status, lines = analyse(talk, b"a video", seconds=20)
    assert status == 200
    assert lines[1:] == [{"frames": 30, "promised": 30}, {"error": line.format(own_temporary_folder)}]
    assert [record.exc_info[1] for record in caplog.records] == [error]


def test_what_json_cannot_say_is_one_line(talk, monkeypatch, make_poses):
    async def estimate(video, poses, landmarks):
        write_poses(poses, make_poses(1.0))
        yield 30, 30

    monkeypatch.setattr(server, "extract", estimate)

    async def describe(*_):
        return {"width": float("nan")}

    monkeypatch.setattr(server, "describe_poses", describe)
    _, lines = analyse(talk, b"a video", seconds=20)
    assert lines[-1] == {"error": "The server failed (ValueError): see its terminal."}


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full: the folder for temporary files is {}."),
        (OSError(errno.EIO, "Input/output error"), "The pose estimator failed (Input/output error)."),
    ],
)
def test_a_full_disk_in_the_pose_process_is_one_line(monkeypatch, tmp_path, shared_data, capfdbinary, error, line):
    def fail(*_):
        raise error

    monkeypatch.setattr(pose_extract, "extract_video", lambda *_, **__: None, raising=False)
    monkeypatch.setattr(pose_extract, "write_poses", fail, raising=False)
    monkeypatch.setattr(pose_process, "_claim_output", lambda: os.fdopen(os.dup(1), "wb"))
    monkeypatch.setattr(pose_process, "_end_with_input", lambda: None)
    video = shared_data / "videos/ma52/0020_01_0008.mp4"
    assert pose_process.main(["video", "body", str(video), str(tmp_path / "job" / "poses.npz")]) == 1
    assert json.loads(capfdbinary.readouterr().out.splitlines()[-1]) == {"error": line.format(tmp_path)}


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_process_that_dies_is_one_line_and_the_server_goes_on(talk, number, pose_processes):

    async def ask(client, headers):
        posted = asyncio.create_task(post(client, headers, b"struck while the process starts"))
        while not pose_processes():
            await asyncio.sleep(0.005)
        os.kill(pose_processes()[0], number)
        first = await posted
        return first, await post(client, headers, b"text")

    (_, struck), (_, next_one) = talk(ask)
    assert f"died ({number.name}" in struck[-1]["error"]
    assert "text file" in next_one[-1]["error"]


def test_a_process_that_hangs_is_ended(talk, monkeypatch, pose_processes):
    monkeypatch.setattr(processes, "START_SECONDS", 0.01)
    _, lines = analyse(talk, b"text")
    assert "no progress" in lines[-1]["error"]
    assert not pose_processes()


def test_when_the_page_goes_the_work_ends(talk, monkeypatch, own_temporary_folder, pose_processes):
    monkeypatch.setattr(server, "extract", lambda *_: endless())

    async def endless():
        async with processes._process("camera", "body"):
            while True:
                yield 1, 100
                await asyncio.sleep(0.02)

    async def ask(client, headers):
        response = await client.post("/api/video", data=b"x", headers=headers)
        await response.content.readline()
        while not pose_processes():
            await asyncio.sleep(0.005)
        assert len(list(own_temporary_folder.glob("piumr-demo-*"))) == 1
        response.close()
        async with asyncio.timeout(10):
            while pose_processes() or list(own_temporary_folder.glob("piumr-demo-*")):
                await asyncio.sleep(0.02)

    talk(ask)


@pytest.mark.slow
def test_a_real_clip_gives_what_the_commands_give(talk, shared_data, recognizer, tmp_path):
    import base64

    from pose_extract import extract_video

    video = shared_data / "videos/asl_gestures/intel_asl_no.mkv"
    _, lines = analyse(talk, video.read_bytes())
    frames = [line["frames"] for line in lines[:-1]]
    assert frames == sorted(frames)
    assert lines[-2]["promised"] > 0
    result = lines[-1]["result"]
    poses = extract_video(video)
    archive = next(file["base64"] for file in result["files"] if file["suffix"] == ".npz")
    (tmp_path / "poses.npz").write_bytes(base64.b64decode(archive))
    assert np.array_equal(read_poses(tmp_path / "poses.npz").landmarks, poses.landmarks, equal_nan=True)
    expected = recognizer.predict(poses)[0]
    assert result["clip"]["label"] == expected.label
    assert result["clip"]["confidence"] == pytest.approx(float(expected.probabilities.max()), abs=1e-5)


@pytest.mark.slow
def test_a_video_without_people_is_one_line(talk, shared_data, tmp_path):
    import cv2

    writer = cv2.VideoWriter(str(tmp_path / "grey.avi"), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 30, (64, 48))
    for _ in range(5):
        writer.write(np.full((48, 64, 3), 90, np.uint8))
    writer.release()
    _, lines = analyse(talk, (tmp_path / "grey.avi").read_bytes())
    assert lines[-1]["error"] == "No person was seen in this video, so there is nothing to predict."


def test_the_page_is_in_the_wheel():
    wheel = pytest.importorskip("hatchling.builders.wheel")
    root = PAGE.parents[2]
    inside = {file.distribution_path for file in wheel.WheelBuilder(str(root)).recurse_included_files()}
    assert {path.relative_to(root).as_posix() for path in PAGE.iterdir()} <= inside
