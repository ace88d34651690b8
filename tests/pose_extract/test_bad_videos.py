"""Every kind of bad or odd video, in one run as a user has it; `docs/bad_videos.md` is the table of the outcomes."""

import json
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from pose_extract import extract, read_poses

DOCS = Path(__file__).resolve().parents[2] / "docs" / "bad_videos.md"
MATRIX = 40  # bytes from the name of an mp4's `tkhd` box, version 0, to its transformation
VARIABLE = [0, 0.033, 0.1, 0.333, 0.4, 0.433, 0.6, 0.633, 0.667, 0.9]

OUTCOMES = {
    # name: (what becomes of it, frames (or their least and most), words of the reason or of a warning)
    "zero.mp4": ("failed", 0, "the file is empty (0 bytes)"),
    "text.mp4": ("failed", 0, "it is a text file, not a video"),
    "random.mp4": ("failed", 0, "it is not a video, or is damaged"),
    "playlist.mp4": ("failed", 0, "cannot be opened"),
    "no_moov.mp4": ("failed", 0, "its index (`moov`) is missing"),
    "audio_only.mp4": ("failed", 0, "it holds no video stream"),
    "empty_stream.avi": ("failed", 0, "gives no frame"),
    "truncated.mp4": ("extracted", (10, 55), "60 frames promised by the container"),
    "zeroed_middle.mp4": ("extracted", (20, 60), "frames are damaged|could not be decoded|promised"),
    "flipped_bytes.mp4": ("extracted", (30, 60), "frames are damaged|could not be decoded"),
    "av1.mp4": ("extracted", 30, None),
    "png.mp4": ("extracted", 1, None),
    "transport.ts": ("extracted", 30, None),
    "matroska.mkv": ("extracted", 30, None),
    "variable.mp4": ("extracted", 10, "variable frame rate: gaps of 33 to 233 ms"),
    "rotated.mp4": ("extracted", 30, None),
    "mirrored.mp4": ("extracted", 30, None),
    "anamorphic.mp4": ("extracted", 30, None),
    "tiny.mp4": ("extracted", 30, None),
    "odd.mp4": ("extracted", 30, None),
    "ten_bit.mp4": ("extracted", 30, None),
    "hevc.mp4": ("extracted", 30, None),
    "vp9.webm": ("extracted", 30, None),
    "animated.gif": ("extracted", 30, None),
    "8k.mp4": ("extracted", 2, None),
    "bomb.mp4": ("failed", 0, "more than the 67108864 that are decoded"),
    "ünïcödé ☂.mp4": ("extracted", 3, None),
    "two words.mp4": ("extracted", 3, None),
    "%03d.mp4": ("extracted", 3, None),
    "-dash.mp4": ("extracted", 3, None),
    "http:name.mp4": ("extracted", 3, None),
    "link.mp4": ("failed", 0, "the link points to a file that does not exist"),
}


def zero(data, start, end):
    return data[:start] + bytes(end - start) + data[end:]


def picture_of(width, height):
    """A PNG of some hundred bytes that promises to become 9000 x 9000 pixels."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b"")


def make(folder, encode_video, write_video):
    """All of them, and a folder that is called like a video."""
    (folder / "folder.mp4").mkdir(parents=True)
    (folder / "zero.mp4").touch()
    (folder / "text.mp4").write_text("not a video\n" * 1000)
    (folder / "random.mp4").write_bytes(np.random.default_rng(0).bytes(50_000))
    (folder / "playlist.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhevc.mp4\n#EXT-X-ENDLIST\n")
    (folder / "link.mp4").symlink_to("nowhere")
    whole = encode_video(folder / "whole.mp4", frames=60, options={"movflags": "faststart"})
    data = whole.read_bytes()
    whole.unlink()
    picture = data.index(b"mdat") + 4
    middle = (picture + len(data)) // 2
    (folder / "truncated.mp4").write_bytes(data[:middle])
    (folder / "zeroed_middle.mp4").write_bytes(zero(data, middle, middle + (len(data) - picture) // 10))
    flipped = bytearray(data)
    rng = np.random.default_rng(0)
    for at in rng.integers(picture + 3000, len(data), 40):
        flipped[at] ^= 1 << int(rng.integers(8))
    (folder / "flipped_bytes.mp4").write_bytes(flipped)
    plain = encode_video(folder / "plain.mp4").read_bytes()
    (folder / "plain.mp4").unlink()
    (folder / "no_moov.mp4").write_bytes(plain[: plain.index(b"moov") - 4])
    (folder / "audio_only.mp4").write_bytes(plain.replace(b"vide", b"soun"))
    movie = bytearray(plain)
    matrix = movie.index(b"tkhd") + 4 + MATRIX
    one = 1 << 16
    movie[matrix : matrix + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)  # 90 degrees clockwise
    (folder / "rotated.mp4").write_bytes(movie)
    movie[matrix : matrix + 36] = struct.pack(">9i", 0, one, 0, one, 0, 0, 0, 0, 1 << 30)
    (folder / "mirrored.mp4").write_bytes(movie)
    encode_video(folder / "anamorphic.mp4", aspect="4/3")
    avi = write_video(folder / "empty_stream.avi", frames=3)
    content = avi.read_bytes()
    avi.write_bytes(content[: content.index(b"movi") + 4])
    (folder / "bomb.mp4").write_bytes(picture_of(9000, 9000))
    encode_video(folder / "av1.mp4", "libsvtav1")
    encode_video(folder / "png.mp4", "png", "rgb24", frames=1, format="image2")
    encode_video(folder / "transport.ts", "mpeg4")
    encode_video(folder / "matroska.mkv")
    encode_video(folder / "variable.mp4", frames=10, times=VARIABLE)
    encode_video(folder / "tiny.mp4", size=(16, 16))
    encode_video(folder / "odd.mp4", pixels="yuv444p", size=(65, 49))
    encode_video(folder / "ten_bit.mp4", pixels="yuv420p10le")
    encode_video(folder / "hevc.mp4", "libx265")
    encode_video(folder / "vp9.webm", "libvpx-vp9")
    encode_video(folder / "animated.gif", "gif", "rgb8")
    encode_video(folder / "8k.mp4", frames=2, size=(7680, 4320))
    for name in ("ünïcödé ☂.mp4", "two words.mp4", "%03d.mp4", "-dash.mp4", "http:name.mp4"):
        encode_video(folder / name, frames=3)


@pytest.fixture(scope="module")
def run(tmp_path_factory, encode_video, write_video):
    """The outcomes by name, and the folder of the caches."""
    folder = tmp_path_factory.mktemp("bad")
    make(folder / "videos", encode_video, write_video)
    summary = extract(folder / "videos", folder / "poses", "body", workers=2)
    rows = [json.loads(line) for line in (folder / "poses" / "index.jsonl").read_text().splitlines()]
    return {outcome.source: outcome for outcome in summary.outcomes}, {row["source"]: row for row in rows}, folder


def test_all_are_told_of(run):
    outcomes, rows, _ = run
    assert set(outcomes) == set(rows) == set(OUTCOMES)


@pytest.mark.parametrize("name", OUTCOMES)
def test_extracted_or_recorded_with_a_reason(run, name):
    outcomes, rows, _ = run
    status, frames, words = OUTCOMES[name]
    least, most = frames if isinstance(frames, tuple) else (frames, frames)
    # a detector may see somebody in noise
    assert outcomes[name].status in ({"failed"} if status == "failed" else {"done", "empty"})
    assert (rows[name]["status"] == "failed") == (status == "failed")
    assert least <= rows[name]["frames"] <= most
    said = [rows[name]["reason"]] if status == "failed" else rows[name]["warnings"]
    if words is None:
        assert said == []
    else:
        assert any(re.search(words, line) or words in line for line in said), said
    assert all("\n" not in line and "Error" not in line for line in said)


def test_times_of_a_variable_rate(run):
    poses = read_poses(run[2] / "poses" / "variable.npz")
    np.testing.assert_allclose(poses.timestamps, VARIABLE, atol=2e-3)


@pytest.mark.parametrize(("name", "size"), [("rotated", (48, 64)), ("mirrored", (48, 64)), ("anamorphic", (85, 48))])
def test_a_video_has_the_size_that_a_viewer_sees(run, name, size):
    meta = read_poses(run[2] / "poses" / f"{name}.npz").meta
    assert (meta["width"], meta["height"]) == size


def test_the_table_in_the_docs_has_them_all():
    named = set(re.findall(r"^\| `([^`]+)`", DOCS.read_text(), re.MULTILINE))
    assert set(OUTCOMES) <= named
