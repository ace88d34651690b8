"""What OpenCV does with sound and unsound files, and the reasons a person reads."""

import struct

import numpy as np
import pytest

from pose_extract.schema import PoseError
from pose_extract.video import Video

MATRIX = 40  # bytes from the name of an mp4's `tkhd` box, version 0, to its transformation


def read(path):
    with Video(path) as video:
        frames = [frame for _, frame in video]
        return video, frames, video.timestamps()


def replace(path, old, new):
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_all_frames_with_their_times(tmp_path, write_video, suffix):
    video, frames, times = read(write_video(tmp_path / f"a{suffix}", frames=12, fps=25))
    assert (video.decoded, len(frames), frames[0].shape) == (12, 12, (48, 64, 3))
    np.testing.assert_allclose(times, np.arange(12) / 25, atol=1e-3)
    assert video.fps == pytest.approx(25)
    assert video.warnings == []


@pytest.mark.parametrize("name", ["%03d.mp4", "-dash.mp4", "with space.mp4", "ünï.mp4"])
def test_odd_names(tmp_path, write_video, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", frames=3).rename(tmp_path / name)
    assert len(read(name)[1]) == 3


def test_a_rotation_tag_is_obeyed(tmp_path, write_video):
    path = write_video(tmp_path / "a.mp4")
    _, upright, _ = read(path)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + MATRIX
    one = 1 << 16
    data[matrix : matrix + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)  # 90 degrees clockwise
    path.write_bytes(bytes(data))
    _, turned, _ = read(path)
    np.testing.assert_array_equal(turned[0], np.rot90(upright[0], -1))


def test_a_truncated_video_gives_its_frames_and_a_warning(tmp_path, write_video):
    path = write_video(tmp_path / "a.avi", frames=60)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    video, frames, times = read(path)
    assert 10 < len(frames) < 50
    assert len(times) == len(frames)
    assert f"60 frames promised by the container, {len(frames)} decoded" in video.warnings[0]


def test_a_file_that_opens_and_gives_no_frame(tmp_path, write_video):
    """As AV1 does with OpenCV; here the picture data are wiped out."""
    path = write_video(tmp_path / "a.mp4")
    data = path.read_bytes()
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    path.write_bytes(data[:start] + bytes(end - start) + data[end:])
    with pytest.raises(PoseError, match=r"opens but gives no frame.*\(\w{4}\).*ffmpeg"):
        read(path)


def test_useless_timestamps_are_replaced_with_a_warning(tmp_path, write_video):
    with Video(write_video(tmp_path / "a.mp4", frames=4, fps=10)) as video:
        list(video)
        video._times = [0.0, 0.1, 0.0, 0.3]
        np.testing.assert_allclose(video.timestamps(), [0, 0.1, 0.2, 0.3])
    assert "timestamps are unusable" in video.warnings[0]


def test_reasons(tmp_path, write_video):
    (tmp_path / "zero.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video\n" * 1000)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "broken.mp4").symlink_to("nowhere")
    whole = write_video(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "unfinished.mp4").write_bytes(whole[: whole.index(b"moov") - 4])
    replace(write_video(tmp_path / "sound.mp4"), b"vide", b"soun")
    for name, reason in {
        "missing.mp4": "there is no such file",
        "zero.mp4": "empty (0 bytes)",
        "text.mp4": "it is a text file",
        "noise.mp4": "not a video, is damaged, or holds no video stream",
        "folder.mp4": "a folder",
        "broken.mp4": "the link points to a file that does not exist",
        "unfinished.mp4": "its index (`moov`) is missing",
        "sound.mp4": "no video stream",
    }.items():
        with pytest.raises(PoseError) as caught:
            read(tmp_path / name)
        assert reason in str(caught.value)
        assert "\n" not in str(caught.value)


def test_opencv_is_silent(tmp_path, capfd):
    (tmp_path / "text.mp4").write_text("x")
    with pytest.raises(PoseError):
        Video(tmp_path / "text.mp4")
    assert capfd.readouterr().err == ""
