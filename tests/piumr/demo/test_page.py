"""The page in a browser: a real clip, the webcam (a real clip as well), what is wrong, small screens, the keyboard."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pose_extract.schema import read_poses

REPOSITORY = Path(__file__).resolve().parents[3]
CLIP, ASL = "videos/ma52/0020_01_0008.mp4", "videos/asl_gestures/intel_asl_hungry.mkv"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(model, shared_data):
    """The page's address, served by the command."""
    code = "from piumr.commands import demo; demo()"
    arguments = [sys.executable, "-c", code, model, "--port", "0", "--no_browser"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            line = server.stderr.readline()
            yield re.search(r"http://127\.0\.0\.1:\d+/", line)[0]
        finally:
            server.terminate()
        assert server.wait(10) == 0
        assert server.stderr.read() == ""


@pytest.fixture(scope="module")
def browser(start_chromium, shared_data, tmp_path_factory):
    """Headless Chromium with a camera that plays a real clip again and again."""
    camera = write_y4m(shared_data / ASL, tmp_path_factory.mktemp("camera") / "camera.y4m", seconds=2.0)
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with start_chromium(*fake, f"--use-file-for-fake-video-capture={camera}") as chrome:
        yield chrome


def write_y4m(video, path, seconds):
    """A clip in the format that Chromium plays as a camera."""
    import av

    with av.open(str(video)) as container, path.open("wb") as file:
        for frame in container.decode(video=0):
            if frame.time >= seconds:
                break
            if file.tell() == 0:
                file.write(f"YUV4MPEG2 W{frame.width} H{frame.height} F30:1 Ip A1:1 C420\n".encode())
            file.write(b"FRAME\n" + frame.reformat(format="yuv420p").to_ndarray().tobytes())
    return path


def wait(browser, condition, seconds=90):
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, seconds, poll_frequency=0.1).until(lambda _: condition())


def by_id(browser, name):
    from selenium.webdriver.common.by import By

    return browser.find_element(By.ID, name)


def text(browser, name):
    return browser.execute_script("return document.getElementById(arguments[0]).textContent", name)


def open_page(browser, address):
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(address)
    wait(browser, lambda: text(browser, "knows"))


def analyse(browser, address, path):
    """Choose a file and wait for its result, or for the line that says what is wrong with it."""
    open_page(browser, address)
    by_id(browser, "file").send_keys(str(path))
    wait(browser, lambda: by_id(browser, "result").is_displayed() or text(browser, "error"))
    return text(browser, "error")


@pytest.fixture(scope="module")
def result(browser, address, shared_data):
    """The page with the result of a real clip; tests leave it open."""
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert analyse(browser, address, shared_data / CLIP) == ""
    wait(browser, lambda: by_id(browser, "clock").text)
    return browser


@pytest.fixture(scope="module")
def poses(shared_data):
    from pose_extract import extract_video

    return extract_video(shared_data / CLIP)


def test_a_real_clip_is_shown_as_it_is_recognised(result, recognizer, poses):
    prediction = recognizer.predict(poses)[0]
    assert text(result, "answer") == prediction.label
    assert f"{len(poses)} frames, a person in 100 %" in text(result, "answer-note")
    rows = "return [...document.querySelectorAll('#chart .name')].map(n => n.firstChild.textContent)"
    first, *names = result.execute_script(rows)
    assert first == "segments"
    assert names[:2] == [label for label, _ in prediction.top(2)]  # the clip is shorter than a window
    assert len(names) == 6
    assert not result.execute_script("return document.getElementById('video').hidden")
    caution = result.execute_script("return document.querySelector('#result .caution').textContent")
    assert caution == recognizer.card.notice  # as text: it holds an angle bracket
    assert recognizer.card.trained_on in text(result, "knows")
    by_id(result, "more").click()
    assert len(result.execute_script(rows)) == 1 + len(recognizer.card.class_names)
    by_id(result, "more").click()


def test_the_skeleton_is_where_the_person_is(result, poses):
    """The pixels that are drawn at a frame lie where the landmarks of that frame do."""
    frame = 30
    box = result.execute_script(
        """
        document.getElementById("play").textContent === "▶" || document.getElementById("play").click();
        const seek = document.getElementById("seek");
        seek.value = arguments[0];
        seek.dispatchEvent(new Event("input"));
        const canvas = document.getElementById("skeleton"), {width, height} = canvas;
        const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
        const xs = [], ys = [];
        for (let i = 3; i < data.length; i += 4) if (data[i] > 200) {
          const pixel = (i - 3) / 4;
          xs.push(pixel % width / width);
          ys.push(Math.floor(pixel / width) / height);
        }
        return [xs, ys].map(v => [v.reduce((a, b) => Math.min(a, b)), v.reduce((a, b) => Math.max(a, b))]);
        """,
        poses.timestamps[frame] + 0.005,
    )
    seen = poses.landmarks[frame][poses.landmarks[frame][:, 3] >= 0.5]
    assert box[0] == pytest.approx([seen[:, 0].min(), seen[:, 0].max()], abs=0.02)
    assert box[1] == pytest.approx([seen[:, 1].min(), seen[:, 1].max()], abs=0.02)


def test_downloads_arrive(result, poses, tmp_path):
    result.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    result.execute_script("for (const link of document.querySelectorAll('#files a')) link.click()")
    suffixes = (".json", ".windows.csv", ".segments.csv", ".segments.eaf", ".segments.vtt", ".npz")
    names = {f"0020_01_0008{suffix}" for suffix in suffixes}
    wait(result, lambda: names == {path.name for path in tmp_path.iterdir()}, 20)
    assert json.loads((tmp_path / "0020_01_0008.json").read_text())["clip"]["label"] == text(result, "answer")
    found = read_poses(tmp_path / "0020_01_0008.npz")
    assert np.array_equal(found.landmarks, poses.landmarks, equal_nan=True)


def test_time_is_moved_by_keys_and_by_pointing_at_the_chart(result):
    from selenium.webdriver import ActionChains, Keys

    by_id(result, "play").send_keys(Keys.HOME)
    seek = by_id(result, "seek")

    def position():
        return result.execute_script("return Number(document.getElementById('seek').value)")

    seek.send_keys(Keys.HOME)
    assert position() == 0
    seek.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert 3 / 30 <= position() < 4 / 30
    seek.send_keys(Keys.ARROW_LEFT)
    assert 2 / 30 <= position() < 3 / 30
    scrub = result.execute_script("return document.querySelector('#chart .scrub')")
    result.execute_script("arguments[0].scrollIntoView({block: 'center'})", scrub)
    ActionChains(result).move_to_element_with_offset(scrub, 0, 10).click().perform()  # its middle
    duration = float(by_id(result, "seek").get_attribute("max"))
    assert position() == pytest.approx(duration / 2, abs=0.02)
    ActionChains(result).send_keys(Keys.SPACE).perform()
    wait(result, lambda: by_id(result, "play").get_attribute("aria-label") == "Pause")
    before = position()
    wait(result, lambda: position() != before, 10)
    ActionChains(result).send_keys(Keys.SPACE).perform()
    wait(result, lambda: by_id(result, "play").get_attribute("aria-label") == "Play")


@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read_in_the_dark(result, contrast, width, scheme):
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    result.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    result.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    assert result.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    texts = "#tagline", "#answer", "#answer-note", "#result .caution", ".bar span", ".name", "#measured", "summary"
    for selector in texts:
        assert contrast(result, selector) >= 4.5, selector  # WCAG 2.1, 1.4.3, level AA
    result.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_nothing_is_asked_of_anybody_else_and_nothing_is_complained_of(result, address):
    messages = [json.loads(entry["message"])["message"] for entry in result.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert f"{address}api/video" in asked
    assert all(url.startswith((address, f"blob:{address}", "data:")) for url in asked)
    assert result.get_log("browser") == []


def test_a_format_that_the_browser_cannot_play_is_a_skeleton_alone(browser, address, shared_data):
    assert analyse(browser, address, shared_data / "videos/other/imigue_scratching_neck.gif") == ""
    assert browser.execute_script("return document.getElementById('video').hidden")
    assert browser.execute_script("return document.getElementById('with-video').hidden")
    wait(browser, lambda: float(browser.execute_script("return document.getElementById('seek').value")) > 0.1, 20)


def test_what_is_no_video_is_one_line_and_the_next_one_goes_on(browser, address, tmp_path):
    path = tmp_path / "<img src=x onerror=alert(1)>.mp4"
    path.write_text("no video")
    assert analyse(browser, address, path) == f"{path.name}: The file cannot be opened: it is a text file, not a video."
    assert by_id(browser, "start").is_displayed()
    assert not browser.execute_script("return document.querySelector('#error img')")
    browser.execute_script(
        """
        const data = new DataTransfer();
        data.items.add(new File([], "nothing.avi"));
        document.getElementById("drop").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
        """
    )
    wait(browser, lambda: text(browser, "error") == "nothing.avi: The file is empty (0 bytes).")


def test_cancelling_ends_the_work(browser, address, shared_data):
    open_page(browser, address)
    by_id(browser, "file").send_keys(str(shared_data / CLIP))
    wait(browser, lambda: "frames" in text(browser, "progress"))
    assert working()
    by_id(browser, "cancel").click()
    wait(browser, lambda: by_id(browser, "start").is_displayed())
    wait(browser, lambda: not working(), 10)
    assert text(browser, "error") == ""


def working():
    """Whether a pose process with a video runs on this machine for the module's server."""
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in found.splitlines() if "piumr.demo.pose_process video" in line]


def test_the_webcam_is_recognised_live_and_reviewed(browser, address, recognizer):
    open_page(browser, address)
    by_id(browser, "webcam").click()
    wait(browser, lambda: by_id(browser, "live").is_displayed() or text(browser, "error"))
    assert text(browser, "error") == ""
    wait(browser, lambda: len(browser.execute_script("return [...document.querySelectorAll('#live-top .bar')]")) == 3)
    names = browser.execute_script("return [...document.querySelectorAll('#live-top b')].map(b => b.textContent)")
    assert set(names) <= set(recognizer.card.class_names)
    wait(browser, lambda: re.search(r"\d+ ms from camera to skeleton", text(browser, "latency")))
    # green bones on the picture
    green = """
        const canvas = document.getElementById("mirror"), context = canvas.getContext("2d");
        const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let i = 0; i < data.length; i += 4) count += data[i] === 94 && data[i + 1] === 201 && data[i + 2] === 98;
        return count;
    """
    assert browser.execute_script(green) > 100
    by_id(browser, "stop").click()
    wait(browser, lambda: by_id(browser, "result").is_displayed() or text(browser, "error"))
    assert text(browser, "error") == ""
    assert "a person in 100 %" in text(browser, "answer-note")
    assert browser.execute_script("return document.getElementById('with-video').hidden")
    assert browser.get_log("browser") == []
