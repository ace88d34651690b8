"""Frames, times and counts of sound and unsound files; OpenCV, another reader of them, is the oracle for pixels."""

import gc
import itertools
import os
import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from pose_extract.schema import PoseError
from pose_extract.video import Video


def read(path, **span):
    with Video(path, **span) as video:
        pairs = list(video)
        return video, [frame for _, frame in pairs], np.array([seconds for seconds, _ in pairs])


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".ts"])
def test_all_frames_with_their_times(tmp_path, write_video, suffix):
    path = write_video(tmp_path / f"a{suffix}", frames=12, fps=25)
    video, frames, times = read(path)
    assert (video.reading.decoded, len(frames), frames[0].shape) == (12, 12, (48, 64, 3))
    np.testing.assert_allclose(times, np.arange(12) / 25, atol=1e-3)
    assert video.fps == pytest.approx(25)
    assert video.duration == pytest.approx(12 / 25, abs=0.05)
    assert video.reading.warnings() == []
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    for frame in frames:
        np.testing.assert_array_equal(frame, cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB))
        assert frame.flags.c_contiguous


def test_rows_that_are_padded_are_made_contiguous(tmp_path, encode_video):
    assert all(frame.flags.c_contiguous for frame in read(encode_video(tmp_path / "a.mp4", size=(66, 50)))[1])


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".ts"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_spans_are_the_whole(tmp_path, encode_video, suffix, codec):
    """Every frame is in exactly one span, the same one that reading from the start gives, pictures and times."""
    path = encode_video(tmp_path / f"a{suffix}", codec, frames=100)
    _, frames, times = read(path)
    cuts = [0, 0.95, 1.9, np.inf]
    spans = [read(path, start=start, stop=stop) for start, stop in itertools.pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate([span[2] for span in spans]), times)
    for ours, whole in zip([frame for span in spans for frame in span[1]], frames, strict=True):
        np.testing.assert_array_equal(ours, whole)
    assert sum((span[0].reading for span in spans[1:]), spans[0][0].reading).warnings() == []


def test_the_lead_is_given_and_not_counted(tmp_path, encode_video):
    video, _, times = read(encode_video(tmp_path / "a.mp4", frames=60), start=1, stop=1.5, lead=0.5)
    np.testing.assert_allclose(times, np.arange(15, 45) / 30, atol=1e-3)
    assert video.reading.decoded == 15


def test_a_span_that_is_not_there(tmp_path, encode_video):
    video, frames, _ = read(encode_video(tmp_path / "a.mp4"), start=10, stop=20)
    assert (frames, video.reading.decoded) == ([], 0)


@pytest.mark.parametrize("fps", [1, 7.5, 10, 29, 30, 60])
def test_fewer_frames_a_second(tmp_path, encode_video, fps):
    """The first one of each interval, wherever a span begins; none is made up."""
    path = encode_video(tmp_path / "a.mp4", frames=90)
    _, _, times = read(path, fps=fps)
    assert len(times) == min(90, round(3 * fps)) if fps != 7.5 else len(times) in (22, 23)
    intervals = np.floor(times * fps + 1e-3)
    assert len(np.unique(intervals)) == len(intervals)
    _, _, late = read(path, start=2, fps=fps)
    np.testing.assert_array_equal(late, times[times >= 2])


@pytest.mark.parametrize(
    ("suffix", "fps", "frames"), [(".mkv", 30, 90), (".mkv", 15, 45), (".mkv", 10, 30), (".flv", 15, 45)]
)
def test_times_that_are_rounded_to_milliseconds(tmp_path, encode_video, suffix, fps, frames):
    codec = "flv1" if suffix == ".flv" else "libx264"
    video, _, times = read(encode_video(tmp_path / f"a{suffix}", codec, frames=90), fps=fps)
    assert len(times) == frames
    assert np.ptp(np.diff(times)) < 0.0021  # even, to the millisecond
    assert video.reading.warnings() == []


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("late", [0, 2])
def test_pictures_that_begin_after_the_sound(tmp_path, suffix, late):
    """As after a cut without encoding; players count from the sound's start."""
    with av.open(str(tmp_path / f"a{suffix}"), "w") as container:
        video, sound = container.add_stream("libx264", rate=30), container.add_stream("aac", rate=8000)
        video.width, video.height = 64, 48
        for i in range(40):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 8000, 1024 * i
            container.mux(sound.encode(frame))
        for i in range(30):
            picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            picture.pts, picture.time_base = 30 * late + i, Fraction(1, 30)
            container.mux(video.encode(picture))
        container.mux(video.encode())
        container.mux(sound.encode())
    video, frames, times = read(tmp_path / f"a{suffix}")
    assert (len(frames), times[0]) == (30, 0)
    assert video.starts_at == pytest.approx(late, abs=0.15)  # an encoder of sound has a delay


ONE = 1 << 16  # in a display matrix: a, b, u, c, d, v, x, y, w
SHOWN = {
    "as it is": ((ONE, 0, 0, 0, ONE), lambda image: image),
    "mirrored": ((-ONE, 0, 0, 0, ONE), lambda image: image[:, ::-1]),
    "upside down": ((ONE, 0, 0, 0, -ONE), lambda image: image[::-1]),
    "half a turn": ((-ONE, 0, 0, 0, -ONE), lambda image: image[::-1, ::-1]),
    "clockwise": ((0, ONE, 0, -ONE, 0), lambda image: np.rot90(image, -1)),
    "counter-clockwise": ((0, -ONE, 0, ONE, 0), np.rot90),
    "mirrored, then clockwise": ((0, ONE, 0, ONE, 0), lambda image: np.rot90(image[:, ::-1], 1)),
    "mirrored, then counter-clockwise": ((0, -ONE, 0, -ONE, 0), lambda image: np.rot90(image[:, ::-1], -1)),
}


@pytest.mark.parametrize("way", SHOWN)
def test_turned_and_mirrored_as_a_viewer_shows_it(tmp_path, encode_video, way):
    """x' = a x + c y and y' = b x + d y (ISO/IEC 14496-12), from the picture's middle."""
    matrix, shown = SHOWN[way]
    path = encode_video(tmp_path / "a.mp4", frames=1)
    _, (plain,), _ = read(path)
    movie = bytearray(path.read_bytes())
    at = movie.index(b"tkhd") + 4 + 40
    movie[at : at + 36] = struct.pack(">9i", *matrix, 0, 0, 0, 1 << 30)
    path.write_bytes(movie)
    _, (frame,), _ = read(path)
    np.testing.assert_array_equal(frame, shown(plain))
    a, b, _, c, d = (number // ONE for number in matrix)
    y, x = 2 * np.mgrid[:48, :64] + 1 - np.array([48, 64])[:, None, None]
    height, width = frame.shape[:2]
    down, right = (b * x + d * y + height - 1) // 2, (a * x + c * y + width - 1) // 2
    np.testing.assert_array_equal(frame[down, right], plain)


def test_colours_of_a_palette(tmp_path):
    rng = np.random.default_rng(0)
    palette, index = rng.integers(0, 256, (256, 4), dtype=np.uint8), rng.integers(0, 256, (48, 64), dtype=np.uint8)
    palette[:, 0] = 255  # opaque
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("rawvideo", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "pal8"
        container.mux(stream.encode(av.VideoFrame.from_ndarray((index, palette), format="pal8")))
        container.mux(stream.encode())
    _, (frame,), _ = read(tmp_path / "a.avi")
    np.testing.assert_array_equal(frame, palette[index][..., 1:])


def test_frames_do_not_wait_for_the_garbage_collector(tmp_path, encode_video):
    path = encode_video(tmp_path / "a.mp4", frames=9)
    gc.collect()
    gc.disable()
    try:
        read(path)
        held = [thing for thing in gc.get_objects() if isinstance(thing, av.VideoFrame)]
    finally:
        gc.enable()
    assert max((frame.width for frame in held), default=0) <= 16


@pytest.mark.parametrize(("aspect", "size"), [("4/3", (85, 48)), ("8/9", (64, 54)), ("1/100", (64, 48))])
def test_pixels_are_squares(tmp_path, encode_video, aspect, size):
    _, (frame, *_), _ = read(encode_video(tmp_path / "a.mp4", frames=2, aspect=aspect))
    assert frame.shape == (size[1], size[0], 3)
    assert frame.flags.c_contiguous


@pytest.mark.parametrize("name", ["%03d.mp4", "-dash.mp4", "with space.mp4", "ünï.mp4", "file:x.mp4", "a#b?c.mp4"])
def test_odd_names(tmp_path, write_video, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", frames=3).rename(tmp_path / name)
    assert len(read(name)[1]) == 3


def test_a_name_that_is_no_text(tmp_path, write_video):
    name = os.fsencode(tmp_path) + b"/\xff.mp4"
    os.rename(write_video(tmp_path / "a.mp4"), name)
    assert len(read(os.fsdecode(name))[1]) == 6


def test_permission_denied(tmp_path, write_video):
    path = write_video(tmp_path / "a.mp4")
    path.chmod(0)
    for folder in [tmp_path, *tmp_path.parents][:3]:
        folder.chmod(0o755)
    nobody = 65534
    if os.geteuid() == 0:
        os.seteuid(nobody)
    try:
        with pytest.raises(PoseError, match="cannot be opened: permission denied"):
            Video(path)
    finally:
        os.seteuid(os.getuid())


def test_reasons(tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    for name, reason in {
        "missing.mp4": "there is no such file",
        "folder.mp4": "a folder",
        "pipe.mp4": "not a regular file",
    }.items():
        with pytest.raises(PoseError) as caught:
            Video(tmp_path / name)
        assert reason in str(caught.value)


@pytest.mark.parametrize("size", [2**40, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_box_that_promises_more_than_the_file_holds(tmp_path, size):
    path = tmp_path / "a.mp4"
    path.write_bytes(struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + struct.pack(">I4sQ", 1, b"mdat", size))
    with pytest.raises(PoseError, match=r"its index \(`moov`\) is missing"):
        Video(path)


def test_nothing_is_printed(tmp_path, capfd):
    (tmp_path / "text.mp4").write_text("x")
    with pytest.raises(PoseError):
        Video(tmp_path / "text.mp4")
    assert capfd.readouterr() == ("", "")
