import io
import json
import os
import re
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

from pose_extract import PoseError, read_poses, write_poses
from pose_extract.schema import read_meta


@pytest.fixture
def cache(tmp_path, make_sequence):
    path = tmp_path / "a.npz"
    write_poses(path, make_sequence())
    return path


def rewrite(path, **entries):
    """Replace entries of an .npz by other arrays or by raw bytes."""
    with zipfile.ZipFile(path) as old:
        content = {name: old.read(name) for name in old.namelist()}
    for key, value in entries.items():
        if not isinstance(value, bytes):
            buffer = io.BytesIO()
            np.save(buffer, value, allow_pickle=True)
            value = buffer.getvalue()
        content[f"{key}.npy"] = value
    with zipfile.ZipFile(path, "w") as new:
        for name, data in content.items():
            new.writestr(name, data)


def test_round_trip_is_exact(tmp_path, make_sequence):
    written = make_sequence(meta=make_sequence().meta | {"warnings": ["ü\udc80"], "fps": 29.97})
    write_poses(tmp_path / "new folder" / "a.npz", written)
    read = read_poses(tmp_path / "new folder" / "a.npz")
    for key in ("landmarks", "world", "valid", "timestamps"):
        np.testing.assert_array_equal(getattr(read, key), getattr(written, key))
        assert getattr(read, key).dtype == getattr(written, key).dtype
    assert read.meta == written.meta
    assert read_meta(tmp_path / "new folder" / "a.npz") == written.meta


def test_plain_numpy_reads_the_file(cache):
    with np.load(cache, allow_pickle=False) as file:
        assert set(file) == {"landmarks", "world", "valid", "timestamps", "meta"}
        assert json.loads(file["meta"].item())["schema"] == 1


def test_compressed_files_are_read_too(cache):
    with np.load(cache) as file:
        np.savez_compressed(cache.with_name("b.npz"), **file)
    np.testing.assert_array_equal(read_poses(cache).landmarks, read_poses(cache.with_name("b.npz")).landmarks)


def test_reading_needs_numpy_only(cache):
    code = (
        "import sys; from pose_extract import read_poses, write_poses, PoseSequence, PoseError;"
        f"read_poses({str(cache)!r});"
        "print(*sorted({'cv2', 'mediapipe', 'scipy', 'rich', 'torch', 'pebble'} & set(sys.modules)))"
    )
    root = os.path.dirname(os.path.dirname(sys.modules["pose_extract"].__file__))
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": root}, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.strip() == b""


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"landmarks": np.zeros((5, 3, 4))}, "landmarks"),
        ({"landmarks": np.zeros((4, 3, 4), np.float32)}, "landmarks"),
        ({"landmarks": np.zeros((5, 2, 4), np.float32)}, "landmarks"),
        ({"landmarks": np.full((5, 3, 4), np.nan, np.float32)}, "finite and below 10000 wherever `valid`"),
        ({"landmarks": np.full((5, 3, 4), 3e38, np.float32)}, r"below 10000.*but got 3e\+38"),
        ({"landmarks": np.full((5, 3, 4), -np.inf, np.float32)}, "but got -inf"),
        ({"world": np.zeros((5, 3), np.float32)}, "world"),
        ({"valid": np.ones((5, 3), np.uint8)}, "valid"),
        ({"timestamps": np.zeros((0,))}, "at least one frame"),
        ({"timestamps": np.array([0, 1, 2, 3, np.nan])}, "timestamps"),
        ({"timestamps": np.array([0.0, 2, 1, 3, 4])}, "never decrease"),
    ],
)
def test_wrong_arrays_are_named(make_sequence, changes, named):
    with pytest.raises(PoseError, match=named):
        make_sequence(**changes)


def test_hours_are_checked_to_the_end_without_a_copy(make_sequence):
    frames = 100_000
    landmarks = np.zeros((frames, 3, 4), np.float32)
    arrays = {
        "landmarks": landmarks,
        "world": np.zeros((frames, 0, 3), np.float32),
        "valid": np.ones((frames, 3), bool),
        "timestamps": np.arange(frames) / 30,
    }
    meta = make_sequence().meta | {"layout": "mine"}
    tracemalloc.start()
    make_sequence(**arrays, meta=meta)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < landmarks.nbytes / 2
    landmarks[-1, 2, 0] = np.nan
    with pytest.raises(PoseError, match="finite and below"):
        make_sequence(**arrays, meta=meta)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("layout", None),
        ("joints", []),
        ("joints", ["a", "a", "b"]),
        ("joints", [["a"], "b", "c"]),
        ("edges", [[0, 3]]),
        ("edges", [[0]]),
        ("width", 0),
        ("width", 2**20 + 1),
        ("height", 2**20 + 1),
        ("height", 48.5),
    ],
)
def test_wrong_meta_is_named(make_sequence, key, value):
    with pytest.raises(PoseError, match=f"'{key}'"):
        make_sequence(meta=make_sequence().meta | {key: value})


def test_mediapipe_layouts_need_world_points(make_sequence):
    with pytest.raises(PoseError, match=re.escape("(5, 33, 3)")):
        make_sequence(layout="mediapipe-3", meta=make_sequence().meta | {"layout": "mediapipe-33"})


def test_meta_must_be_json(tmp_path, make_sequence):
    for value in (object(), float("nan")):
        with pytest.raises(PoseError, match="plain JSON"):
            write_poses(tmp_path / "a.npz", make_sequence(meta=make_sequence().meta | {"own": value}))
    assert list(tmp_path.iterdir()) == []


def test_shares_count_frames_with_any_joint_of_a_part(make_sequence):
    joints = ["nose", "left_hand_wrist", "left_hand_thumb_tip"]
    valid = np.array([[1, 0, 0], [1, 0, 1], [0, 0, 0], [0, 1, 1]], bool)
    sequence = make_sequence(T=4, valid=valid, meta=make_sequence().meta | {"joints": joints})
    assert sequence.shares() == {"body": 0.5, "left_hand": 0.5, "right_hand": None}


class Evil:
    def __reduce__(self):
        return (os._exit, (99,))


def header(text):
    """An .npy file that is only a header."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def big_header():
    buffer = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (2**40, 3, 4)}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"landmarks": np.array([Evil()], dtype=object)}, "damaged"),
        ({"meta": np.array(Evil(), dtype=object)}, "damaged"),
        ({"landmarks": big_header()}, "damaged"),
        ({"landmarks": b"no array"}, "damaged"),
        ({"landmarks": header("(" * 9000)}, "damaged"),
        ({"landmarks": header("{" * 20_000)}, "damaged"),
        ({"meta": header("'" * 3)}, "damaged"),
        ({"landmarks": np.zeros((), np.float32)}, "not a valid pose cache"),
        ({"timestamps": np.zeros(4)}, "not a valid pose cache"),
        ({"valid": np.array(["a"])}, "not a valid pose cache"),
        ({"meta": np.array("{")}, "not a pose cache"),
        ({"meta": np.array("[" * 100_000)}, "not a pose cache"),
        ({"meta": np.array("[]")}, "not a pose cache"),
        ({"meta": np.array(["{}", "{}"])}, "not a pose cache"),
        ({"meta": np.array('{"schema": 2}')}, "newer"),
        ({"meta": np.array('{"schema": 1}')}, "'layout'"),
    ],
)
def test_foreign_content_is_one_line(cache, entries, reason):
    rewrite(cache, **entries)
    with pytest.raises(PoseError, match=reason) as caught:
        read_poses(cache)
    assert "\n" not in str(caught.value)
    assert str(cache) in str(caught.value)


def test_a_header_that_promises_terabytes_takes_no_memory(cache):
    import resource

    rewrite(cache, landmarks=big_header() + b"\0" * 100)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PoseError, match="promises"):
        read_poses(cache)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def test_missing_and_other_files_are_one_line(tmp_path, cache):
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "empty.npz").touch()
    for name, reason in (
        ("none.npz", "No such file"),
        ("", "directory"),
        ("other.npz", "holds no landmarks"),
        ("text.npz", "damaged or not an .npz"),
        ("empty.npz", "damaged or not an .npz"),
    ):
        with pytest.raises(PoseError, match=reason) as caught:
            read_poses(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_any_damage_is_a_pose_error(cache):
    """Every cut, and random flipped bytes: read as written, or refused as damaged."""
    whole = cache.read_bytes()
    rng = np.random.default_rng(0)
    for cut in range(0, len(whole), 37):
        cache.write_bytes(whole[:cut])
        with pytest.raises(PoseError):
            read_poses(cache)
    refused = 0
    for _ in range(500):
        damaged = bytearray(whole)
        for position in rng.integers(0, len(whole), 3):
            damaged[position] ^= 1 << rng.integers(8)
        cache.write_bytes(bytes(damaged))
        try:
            read_poses(cache)
        except PoseError:
            refused += 1
    assert refused > 400
