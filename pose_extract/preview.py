"""What the estimator saw: an overlay video and a strip of pictures beside a cache. Needs OpenCV, PyAV and SciPy.

The video has no sound: what is said in an interview is nobody's business here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_extract.atomic import atomic_write
from pose_extract.drawing import Image, Painter, fit, mark_missing, part_masks
from pose_extract.errors import PoseError
from pose_extract.schema import PoseSequence
from pose_extract.strip import Strip
from pose_extract.timeline import Timeline, timeline_height

HEIGHT = 720
"""Largest height of an overlay video in pixels, timeline included."""

WIDTH = 1280
"""Largest width."""

TICKS = 90_000
"""Per second: MPEG's usual clock."""

_NARROWEST = 320  # pixels that the timeline needs; smaller pictures are enlarged, very narrow ones get side bars
_CODEC = {
    "preset": "veryfast",
    "crf": "24",
    "subq": "1",  # with the next: a third less time at the same size and quality, on our clips
    "me_method": "dia",
    "g": "60",  # a key frame every two seconds: jumping about is quick
}


def preview_file(cache: Path) -> Path:
    """Where the overlay video of a cache ``<name>.npz`` is: ``<name>.preview.mp4``."""
    return cache.with_name(f"{cache.name.removesuffix('.npz')}.preview.mp4")


def strip_file(cache: Path) -> Path:
    """Where the strip of a cache ``<name>.npz`` is: ``<name>.strip.jpg``."""
    return cache.with_name(f"{cache.name.removesuffix('.npz')}.strip.jpg")


def is_preview(path: Path) -> bool:
    """Whether a file is the overlay video of a cache beside it, and so not a video to extract.

    Its strip is there as well: a user's own video may be called like a preview.
    """
    cache = path.with_name(f"{path.name.removesuffix('.preview.mp4')}.npz")
    return path.name.endswith(".preview.mp4") and cache.exists() and strip_file(cache).exists()


def is_current(cache: Path) -> bool:
    """Whether a cache has both files of a preview and neither is older than itself."""
    try:
        made = cache.stat().st_mtime_ns
        return all(path(cache).stat().st_mtime_ns >= made for path in (preview_file, strip_file))
    except (OSError, ValueError):
        return False


def write_preview(cache: Path, frames: Iterable[tuple[float, Image]], sequence: PoseSequence) -> None:
    """Write ``<name>.preview.mp4`` and ``<name>.strip.jpg`` beside a cache, each whole or not at all.

    The video is H.264 that every browser plays, at most 1280 x 720, with the cache's frames at the cache's times, the
    skeleton, and a :class:`~pose_extract.timeline.Timeline`; a frame without a body has a red border. The strip is
    described in :mod:`pose_extract.strip`. Memory does not grow with the clip's length. Write the cache first:
    a preview that is older than its cache counts as stale (:func:`is_current`).

    Args:
        cache: the cache's path, ``<name>.npz``.
        frames: seconds and RGB uint8 image of the frames that the cache has, as :class:`pose_extract.video.Video`
            gives them. If they end early, so does the preview.
        sequence: what the cache holds.

    Raises:
        PoseError: if there is no frame.
        OSError: if a file cannot be written, for example because the disk is full.
    """
    meta = sequence.meta
    painter = Painter(meta["joints"], meta["edges"])
    body = part_masks(meta["joints"]).get("body", np.ones(len(meta["joints"]), bool))
    canvas, picture, panel = _lay_out(sequence)
    timeline, strip = Timeline(sequence, panel.shape[1]), Strip(sequence)
    ticks = _ticks(sequence.timestamps)
    step = int(np.median(np.diff(ticks))) if len(ticks) > 1 else TICKS // 30
    with video_encoder(preview_file(cache), canvas, step) as encode:
        index = -1
        for index, (_, frame) in zip(range(len(sequence)), frames, strict=False):
            picture[:] = fit(frame, picture.shape[1], picture.shape[0])
            valid = sequence.valid[index]
            painter.draw(picture, sequence.landmarks[index], valid)
            if not valid[body].any():
                mark_missing(picture)
            timeline.draw(panel, index)
            encode(int(ticks[index]))
            strip.offer(index, frame)
        if index < 0:
            raise PoseError(f"Expected `frames` to hold the frames of {cache}, but got none.")
        with atomic_write(strip_file(cache)) as file:  # before the video takes its name: see is_preview
            file.write(_jpeg(strip.image()))


def _lay_out(sequence: PoseSequence) -> tuple[Image, Image, Image]:
    """A canvas, and the parts of it (views) that hold the picture and the timeline."""
    width, height = sequence.meta["width"], sequence.meta["height"]
    rows = timeline_height(sequence)
    scale = min(WIDTH / width, (HEIGHT - rows) / height, max(1, _NARROWEST / width))
    width, height = (2 * max(1, round(side * scale / 2)) for side in (width, height))  # H.264 wants even sizes
    canvas = np.zeros((height + rows, max(width, _NARROWEST), 3), np.uint8)
    left = (canvas.shape[1] - width) // 2
    return canvas, canvas[:height, left : left + width], canvas[height:]


@contextmanager
def video_encoder(path: Path, canvas: Image, step: int) -> Iterator[Callable[[int], None]]:
    """Write a video atomically; gives what appends the canvas as the frame of a time, in whole :data:`TICKS`.

    Args:
        path: the file, ``.mp4``.
        canvas: RGB, of even width and height; drawn on by the caller between two calls.
        step: usual time from a frame to the next, in ticks. Times may be any that increase strictly.
    """
    import av
    import cv2
    from av.video.reformatter import ColorRange, Colorspace

    # opened by name: moving the index to the front (faststart) reads the file again
    with atomic_write(path) as file, av.open(file.name, "w", format="mp4", options={"movflags": "faststart"}) as video:
        stream = video.add_stream("libx264", rate=Fraction(TICKS, step), options=_CODEC)
        stream.height, stream.width = canvas.shape[:2]
        stream.pix_fmt = "yuv420p"
        codec = stream.codec_context
        codec.colorspace, codec.color_range = Colorspace.ITU601, ColorRange.MPEG  # OpenCV's RGB2YUV
        codec.thread_count = 1  # there is a process for each core already
        stream.time_base = codec.time_base = Fraction(1, TICKS)

        def encode(tick: int) -> None:
            frame = av.VideoFrame.from_ndarray(cv2.cvtColor(canvas, cv2.COLOR_RGB2YUV_I420), format="yuv420p")
            frame.pts, frame.duration, frame.time_base = tick, step, stream.time_base
            video.mux(stream.encode(frame))

        yield encode
        video.mux(stream.encode(None))


def _ticks(timestamps: NDArray[np.float64]) -> NDArray[np.int64]:
    """Times as whole numbers that increase strictly, as a container wants them: equal times are put a tick apart."""
    ticks = np.round((timestamps - timestamps[0]) * TICKS).astype(np.int64)
    return np.maximum.accumulate(ticks - np.arange(len(ticks))) + np.arange(len(ticks))


def _jpeg(image: Image) -> bytes:
    import cv2

    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])[1].tobytes()
