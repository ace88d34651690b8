"""Overlay videos: what is in them, read back with PyAV; and what happens when something goes wrong."""

import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

from pose_extract.drawing import GAP
from pose_extract.preview import is_current, is_preview, preview_file, strip_file, write_preview
from pose_extract.schema import PoseError, read_poses, write_poses
from pose_extract.timeline import timeline_height

GREY = 90
REPOSITORY = Path(__file__).resolve().parents[2]


def plain_frames(count, size=(64, 48), colour=(GREY, GREY, GREY)):
    for index in range(count):
        yield index / 30, np.full((size[1], size[0], 3), colour, np.uint8)


def read_back(path):
    """Times and RGB pictures of a video."""
    import av

    with av.open(str(path)) as video:
        assert video.streams.video[0].codec_context.name == "h264"
        assert not video.streams.audio
        frames = list(video.decode(video=0))
    return [frame.time for frame in frames], [frame.to_ndarray(format="rgb24") for frame in frames]


@pytest.fixture
def clip(make_sequence):
    """Twelve frames at a variable rate; the body is missing in frames 4 to 6."""
    times = np.array([0, 1, 2, 3, 5, 8, 9, 10.5, 20, 21, 22, 60]) / 30
    clip = make_sequence(T=12, timestamps=times)
    clip.valid[4:7] = False
    return clip


def test_frames_have_the_clips_own_times_and_a_mark_where_the_body_is_missing(tmp_path, clip):
    cache = tmp_path / "deep" / "a.npz"
    write_preview(cache, plain_frames(12), clip)
    times, pictures = read_back(cache.with_name("a.preview.mp4"))
    np.testing.assert_allclose(times, clip.timestamps, atol=1 / 90_000)
    corners = np.array([picture[:2, :40].reshape(-1, 3).mean(axis=0) for picture in pictures])
    red = np.abs(corners - GAP).max(axis=1) < 40
    np.testing.assert_array_equal(red, ~clip.valid.any(axis=1))
    assert sorted(path.name for path in cache.parent.iterdir()) == ["a.preview.mp4", "a.strip.jpg"]


@pytest.mark.parametrize("colour", [(200, 40, 40), (30, 190, 60), (20, 60, 220), (128, 128, 128)])
def test_colours_survive(tmp_path, make_sequence, colour):
    clip = make_sequence(T=3)
    clip.landmarks[..., :2] = 0.9
    write_preview(tmp_path / "a.npz", plain_frames(3, colour=colour), clip)
    _, pictures = read_back(tmp_path / "a.preview.mp4")
    np.testing.assert_allclose(pictures[1][20:60, 20:60].mean(axis=(0, 1)), colour, atol=6)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1080, 1296), (566, 720)),
        ((1920, 1080), (1208, 720)),
        ((640, 480), (640, 520)),
        ((16, 16), (320, 360)),
        ((17, 15), (320, 322)),
        ((4096, 32), (1280, 50)),
        ((16, 2000), (320, 720)),
    ],
)
def test_sizes_are_even_bounded_and_wide_enough_for_the_timeline(tmp_path, make_sequence, size, expected):
    clip = make_sequence(T=2)
    clip.meta.update(width=size[0], height=size[1])
    write_preview(tmp_path / "a.npz", plain_frames(2, size), clip)
    _, pictures = read_back(tmp_path / "a.preview.mp4")
    height, width, _ = pictures[0].shape
    assert (width, height) == expected
    assert timeline_height(clip) == 40


def test_a_frame_of_another_size_takes_the_first_ones(tmp_path, clip):
    frames = [*plain_frames(6), *plain_frames(6, (48, 64))]
    write_preview(tmp_path / "a.npz", frames, clip)
    assert len({picture.shape for picture in read_back(tmp_path / "a.preview.mp4")[1]}) == 1


def test_equal_times_stay_in_order(tmp_path, make_sequence):
    write_preview(tmp_path / "a.npz", plain_frames(5), make_sequence(T=5, timestamps=np.zeros(5)))
    times, _ = read_back(tmp_path / "a.preview.mp4")
    assert len(times) == len(set(times)) == 5
    assert times[-1] < 0.001


@pytest.mark.parametrize(("given", "shown"), [(7, 7), (20, 12)])
def test_frames_and_sequence_are_shown_as_far_as_both_go(tmp_path, clip, given, shown):
    write_preview(tmp_path / "a.npz", plain_frames(given), clip)
    assert len(read_back(tmp_path / "a.preview.mp4")[0]) == shown
    assert strip_file(tmp_path / "a.npz").exists()


def test_a_preview_that_fails_leaves_what_was_there(tmp_path, clip):
    def breaking():
        yield from plain_frames(5)
        raise PoseError("damaged")

    preview_file(tmp_path / "a.npz").write_bytes(b"earlier")
    with pytest.raises(PoseError, match="damaged"):
        write_preview(tmp_path / "a.npz", breaking(), clip)
    assert [path.name for path in tmp_path.iterdir()] == ["a.preview.mp4"]
    assert preview_file(tmp_path / "a.npz").read_bytes() == b"earlier"


def test_nothing_to_show_is_said(tmp_path, clip):
    with pytest.raises(PoseError, match="got none"):
        write_preview(tmp_path / "a.npz", iter([]), clip)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_an_oserror_and_leaves_nothing(tmp_path):
    """A limit on the size of a file stands in for the end of the disk."""
    script = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from pose_extract.preview import write_preview
from pose_extract.schema import PoseSequence
rng = np.random.default_rng(0)
meta = {"layout": "own-1", "joints": ["a", "b"], "edges": [[0, 1]], "width": 640, "height": 480}
clip = PoseSequence(rng.random((60, 2, 4), np.float32), np.zeros((60, 0, 3), np.float32), np.ones((60, 2), bool),
                    np.arange(60) / 30, meta)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    write_preview(Path(sys.argv[1]), ((0, rng.integers(0, 255, (480, 640, 3), np.uint8)) for _ in range(60)), clip)
except OSError as error:
    print(error.errno)
"""
    arguments = [sys.executable, "-c", script, str(tmp_path / "a.npz")]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "27", done.stderr  # EFBIG
    assert not list(tmp_path.iterdir())


def test_frames_are_not_kept(tmp_path, make_sequence):
    living, most = weakref.WeakSet(), 0

    class Frame(np.ndarray):
        """An array that can be told from its equals."""

        __hash__ = object.__hash__

    def counted():
        nonlocal most
        for seconds, image in plain_frames(300):
            frame = image.view(Frame)
            living.add(frame)
            most = max(most, len(living))
            yield seconds, frame
            del frame, image

    write_preview(tmp_path / "a.npz", counted(), make_sequence(T=300))
    assert most <= 3


def test_a_preview_is_known_by_cache_and_strip_beside_it(tmp_path):
    for name in ("a.npz", "a.strip.jpg", "a.preview.mp4", "b.preview.mp4", "c.npz", "c.preview.mp4", "a.mp4"):
        (tmp_path / name).touch()
    assert [path.name for path in sorted(tmp_path.iterdir()) if is_preview(path)] == ["a.preview.mp4"]
    assert preview_file(tmp_path / "a.mp4.npz").name == "a.mp4.preview.mp4"
    assert strip_file(tmp_path / "a.mp4.npz").name == "a.mp4.strip.jpg"


def test_a_preview_is_stale_once_its_cache_is_newer(tmp_path, clip):
    cache = tmp_path / "a.npz"
    assert not is_current(cache)
    write_poses(cache, clip)
    assert not is_current(cache)
    write_preview(cache, plain_frames(12), clip)
    assert is_current(cache)
    later = strip_file(cache).stat().st_mtime_ns + 1
    os.utime(cache, ns=(later, later))
    assert not is_current(cache)


@pytest.mark.slow
def test_a_real_clip(tmp_path, shared_data):
    from pose_extract.extraction import extract_video
    from pose_extract.video import Video

    video = shared_data / "videos" / "ma52" / "0078_01_0005.mp4"
    cache = tmp_path / "clip.npz"
    write_poses(cache, extract_video(video))
    clip = read_poses(cache)
    with Video(video) as frames:
        write_preview(cache, frames, clip)
    times, pictures = read_back(preview_file(cache))
    np.testing.assert_allclose(times, clip.timestamps, atol=1 / 90_000)
    assert pictures[0].shape == (720, 540, 3)
    with Video(video) as frames:
        originals = [frame[::2, ::2] for _, frame in frames]
    wrist = clip.meta["joints"].index("left_shoulder")
    for index in range(0, len(clip), 10):
        x, y = (clip.landmarks[index, wrist, :2] * (540, 648)).astype(int)
        np.testing.assert_allclose(pictures[index][y, x], (253, 231, 37), atol=60)  # sure: viridis's yellow
        corner = (slice(0, 40), slice(0, 40))
        np.testing.assert_allclose(pictures[index][corner].mean(), originals[index][corner].mean(), atol=3)
