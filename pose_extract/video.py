"""Frames and their times from a video file, with PyAV (FFmpeg).

What a file says of itself is not to be trusted: frame counts are promises, a truncated file ends without an error, and
damaged data give garbage frames. So frames are read until none comes, and what was wrong with them is counted.
PyAV, not OpenCV: at equal cost and with equal pixels it decodes AV1, gives the container's own times, can seek, and
tells of frames that the decoder had to invent.
"""

from __future__ import annotations

import codecs
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import PoseError
from pose_extract.reading import Reading

if TYPE_CHECKING:
    import av

FALLBACK_FPS = 30.0
"""Rate assumed where a container states none."""

MAX_PIXELS = 2**26
"""Largest frame that is decoded, in pixels: twice 8K. A small file can promise a frame that no memory holds."""

_ROUNDING = 6e-4
"""Seconds: a frame so little early is in time. Many containers round times to milliseconds."""

MAX_ASPECT = 4
"""Widest or tallest pixel that is made square; beyond it the file is taken to be wrong."""

_STEPS_BACK = (0.0, 1.0, 4.0, 16.0)
"""Seconds to seek before a span until a key frame lies in between."""

_LISTS = {"hls", "concat", "dash", "applehttp"}
"""What FFmpeg also opens: text files that name other files."""


class Video:
    """A video file, or a span of it, that is open for one pass over its frames.

    Iterating gives each frame with its time: seconds from the file's first frame, strictly increasing, and RGB, uint8
    (height, width, 3), C-contiguous, as a viewer shows it: turned and mirrored as the file says, with square pixels.
    :attr:`reading` counts what was read.

    Args:
        path: the file.
        start: time of the first frame to give, seconds. The file is sought there, exactly, where it can be.
        stop: no frame at or after this time is given.
        lead: seconds before ``start`` whose frames are given as well but not counted.
        fps: give at most this many frames a second, the first one of each interval ``[k / fps, (k + 1) / fps)``.
        on_skip: called after every frame that is passed over: it may take long to reach a span.

    Attributes:
        fps: frames per second as the container states, else 30.
        duration: seconds that the container promises, 0 where it does not.
        reading: what was read so far; ``promised`` is of the whole file.
        starts_at: seconds from the file's start, where its sound may begin and players count from, to the first frame;
            known when a frame was read.

    Raises:
        PoseError: with the reason, if no video can be opened there.
    """

    def __init__(
        self,
        path: str | Path,
        start: float = 0.0,
        stop: float = math.inf,
        lead: float = 0.0,
        fps: float | None = None,
        on_skip: Callable[[], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self._start, self._first, self._stop, self._every = start, max(start - lead, 0.0), stop, fps
        self._on_skip = on_skip or (lambda: None)
        _require_content(self.path)
        self._container = _open(self.path)
        try:
            self._stream = _video_stream(self._container, self.path)
            self._first_pts: int | None = None
            self._orientation: tuple[float, NDArray[np.int32]] | None = None  # a frame's rotation, its display matrix
            self.starts_at = 0.0
        except BaseException:
            self._container.close()
            raise
        self._is_avi = self._container.format.name == "avi"
        stream = self._stream
        self.fps = float(stream.average_rate or stream.guessed_rate or FALLBACK_FPS)
        if not 0 < self.fps <= 1000:
            self.fps = FALLBACK_FPS
        length = stream.duration * stream.time_base if stream.duration and stream.time_base else 0
        self.duration = max(float(length or (self._container.duration or 0) / 1_000_000), 0.0)
        # where it states no count, its length is what it promises
        self.reading = Reading(stream.frames or None, length=0.0 if stream.frames else self.duration)

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Give the frames of the span that can be decoded.

        Raises:
            PoseError: if none of the whole file can be, or a frame is too large.
        """
        before, interval = -math.inf, -1
        for frame in self._from_start():
            seconds = self._seconds(frame)
            untimed = seconds is None or seconds <= before
            if untimed:
                seconds = before + 1 / self.fps if before >= 0 else 0.0
            assert seconds is not None
            before = seconds
            if seconds >= self._stop:
                break
            if seconds < self._first:
                self._on_skip()
                continue
            if seconds >= self._start:
                if self._start > 0 and self.reading.decoded == 0:  # what was passed over belongs to the span before
                    self.reading.undecodable = self.reading.discarded = 0
                # a frame without a time is nothing unusual in AVI, whose rate is constant
                self.reading.count(frame.is_corrupt, untimed and not self._is_avi, (frame.width, frame.height), seconds)
            if self._every is not None:
                if (now := math.floor((seconds + _ROUNDING) * self._every)) == interval:
                    self._on_skip()
                    continue
                interval = now
            yield seconds, self._rgb(frame)
        if self._first_pts is None and self.reading.decoded == 0:
            raise PoseError(
                f"{self.path} opens but gives no frame: its data are damaged, or it is encrypted (codec "
                f"{self._stream.codec_context.name})."
            )

    def can_seek(self) -> bool:
        """Whether a pass may start in the middle: the container gives times and a length. Reads the first frame."""
        if self._first_pts is None:
            next(self._decode(), None)
            self._reopen()
        return self._first_pts is not None and self.duration > 0

    def _from_start(self) -> Iterator[av.VideoFrame]:
        """Frames from the last key frame before the span on; from the file's start where seeking fails."""
        if self._first > 0 and self.can_seek():
            for back in _STEPS_BACK:  # a transport stream is sought to any frame, not to a key frame
                frames = self._seek(self._first - back)
                key = self._next_key(frames)
                seconds = None if key is None else self._seconds(key)
                if key is not None and seconds is not None and seconds <= self._first:
                    yield key
                    yield from frames
                    return
            self._reopen()
        yield from self._decode()

    def _next_key(self, frames: Iterator[av.VideoFrame]) -> av.VideoFrame | None:
        for frame in frames:
            if frame.key_frame:
                return frame
            self._on_skip()
        return None

    def _seek(self, seconds: float) -> Iterator[av.VideoFrame]:
        import av

        assert self._first_pts is not None
        try:
            self._container.seek(self._first_pts + int(seconds / self._stream.time_base), stream=self._stream)
        except av.FFmpegError:
            return iter(())
        return self._decode()

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Every frame from here on; data that cannot be decoded are counted and passed over."""
        import av

        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                self.reading.discarded += packet.is_discard
                frames = packet.decode()
            except (av.InvalidDataError, EOFError) as error:
                self.reading.undecodable += 1
                if isinstance(error, EOFError):
                    return
                continue
            except av.FFmpegError as error:
                if self.reading.decoded:  # what came so far is good
                    self.reading.undecodable += 1
                    return
                raise PoseError(f"{self.path} cannot be decoded: {error.strerror}.") from None
            for frame in frames:
                if self._first_pts is None:
                    self._begin(frame)
                yield frame

    def _begin(self, frame: av.VideoFrame) -> None:
        self._first_pts = self._pts(frame)
        if self._first_pts is not None and frame.time_base is not None and self._container.start_time is not None:
            first = float(self._first_pts * frame.time_base)
            self.starts_at = max(first - self._container.start_time / 1_000_000, 0.0)

    def _seconds(self, frame: av.VideoFrame) -> float | None:
        pts = self._pts(frame)
        if pts is None or self._first_pts is None or frame.time_base is None:
            return None
        return float((pts - self._first_pts) * frame.time_base)

    def _pts(self, frame: av.VideoFrame) -> int | None:
        # AVI stores no presentation times: FFmpeg's guess is wrong for codecs that reorder frames
        return frame.dts if self._is_avi else frame.pts

    def _rgb(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        width, height = self._shown_size(frame.width, frame.height)
        if max(frame.width * frame.height, width * height) > MAX_PIXELS:
            raise _too_large(self.path, width, height)
        image: NDArray[np.uint8] = frame.to_ndarray(format="rgb24", width=width, height=height)
        if self._orientation is None or self._orientation[0] != frame.rotation:
            # side data and its frame refer to each other and stay until Python looks for cycles: let it be a small one
            matrix = frame.reformat(16, 16, "rgb24").side_data.get("DISPLAYMATRIX")
            numbers = np.array([1, 0, 0, 0, 1]) if matrix is None else np.frombuffer(bytes(matrix), dtype=np.int32)[:5]
            self._orientation = frame.rotation, numbers
        return np.ascontiguousarray(_oriented(image, self._orientation[1]))  # PyAV's rows may be padded

    def _shown_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height in square pixels, none fewer than there are."""
        aspect = float(self._stream.sample_aspect_ratio or 1)
        if not 1 / MAX_ASPECT <= aspect <= MAX_ASPECT:
            return width, height
        return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))

    def _reopen(self) -> None:
        self._container.close()
        self._container = _open(self.path)
        self._stream = _video_stream(self._container, self.path)
        self.reading.discarded = self.reading.undecodable = 0


def _oriented(image: NDArray[np.uint8], matrix: NDArray[np.int32]) -> NDArray[np.uint8]:
    """An image (height, width, 3) as a display matrix (ISO/IEC 14496-12, section 8.3.2) shows it, to quarter turns.

    The nine numbers are a, b, u, c, d, v, x, y, w: x' is along a x + c y, y' along b x + d y.
    """
    a, b, _, c, d = matrix[:5]
    if abs(a) < abs(b):
        image, a, d = image.swapaxes(0, 1), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _open(path: Path) -> Any:
    import av

    try:
        # "file:" and an absolute path: a name may look like a protocol; the list keeps FFmpeg from opening others
        container = av.open(
            f"file:{path.absolute()}", metadata_errors="replace", options={"protocol_whitelist": "file"}
        )
    except av.FFmpegError:
        raise PoseError(f"{path} cannot be opened: {_why_unreadable(path)}.") from None
    if _LISTS & set(container.format.name.split(",")):
        container.close()
        raise PoseError(f"{path} cannot be opened: it is a list of other files, not a video.")
    return container


def _video_stream(container: Any, path: Path) -> Any:
    import av

    pictures = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & pictures]
    if not streams:
        raise PoseError(f"{path} cannot be opened: it holds no video stream.")
    stream = streams[0]
    context = stream.codec_context
    if context is None:
        raise PoseError(f"{path} cannot be decoded: FFmpeg has no decoder for its codec.")
    if context.width * context.height > MAX_PIXELS:
        raise _too_large(path, context.width, context.height)
    context.options = {"max_pixels": str(MAX_PIXELS)}
    # one video per process and one process per core: threads of the decoder only cost
    context.thread_type, context.thread_count = "NONE", 1
    return stream


def _too_large(path: Path, width: int, height: int) -> PoseError:
    return PoseError(f"{path} has frames of {width} x {height} pixels, more than the {MAX_PIXELS} that are decoded.")


def _require_content(path: Path) -> None:
    reason = None
    if path.is_symlink() and not path.exists():
        reason = "the link points to a file that does not exist"
    elif not path.exists():
        reason = "there is no such file"
    elif not path.is_file():
        reason = "it is a folder, not a file" if path.is_dir() else "it is not a regular file"
    elif not os.access(path, os.R_OK):
        reason = "permission denied"
    elif path.stat().st_size == 0:
        reason = "the file is empty (0 bytes)"
    if reason:
        raise PoseError(f"{path} cannot be opened: {reason}.")


def _why_unreadable(path: Path) -> str:
    """Best guess at why FFmpeg refused a file that is there and has content."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    if head[4:8] == b"ftyp":
        if b"moov" not in _mp4_boxes(path):
            return "its index (`moov`) is missing: an unfinished recording or download"
        return "it holds no video stream, or a damaged one"
    if _is_text(head):
        return "it is a text file, not a video"
    return "it is not a video, or is damaged"


def _is_text(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # incremental: the last character may be cut
    except UnicodeDecodeError:
        return False
    return b"\0" not in head


def _mp4_boxes(path: Path) -> set[bytes]:
    """Names of the top-level boxes of an ISO base media file (ISO/IEC 14496-12, section 4.2)."""
    names: set[bytes] = set()
    with path.open("rb") as file:
        end = os.fstat(file.fileno()).st_size
        while len(header := file.read(16)) >= 8:
            size, name = int.from_bytes(header[:4]), header[4:8]
            if size == 1:  # the real size follows in 8 bytes
                size = int.from_bytes(header[8:])
            names.add(name)
            following = file.tell() - len(header) + size
            if size < 8 or following > end:  # 0: up to the end of the file; else nonsense, or the file is cut off
                break
            file.seek(following)
    return names
