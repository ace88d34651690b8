"""Sliding windows: what a model says over the time of a long recording, in memory that does not grow with it.

A model knows clips of some length, so a recording is shown to it in overlapping windows of that length. Frames come in
any chunks: from a cache, from a video that is being read, or one by one from a camera.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from piumr.errors import PiumrError
from piumr.inference.recognizer import BATCH, Recognizer
from piumr.preprocessing import Mask, Points
from pose_extract.schema import PoseSequence

SECONDS = 2.0
"""Length of a window where the model's card does not say how long its training clips were (``clip_seconds``)."""

STRIDES = 8
"""By default a window begins every 1 / 8 of its length."""

MIN_SECONDS, MAX_SECONDS = 0.05, 120.0
"""Shortest and longest window."""

LATEST = 1e10
"""Times must stay below, seconds: three hundred years, and float64 still tells microseconds apart."""

SEEN = 0.5
"""Share of a window's time in which somebody must be seen for it to have an answer. A step from one frame to the next
that is longer than that is a gap: time without frames, in which nobody is seen."""

STEP = 0.1
"""Seconds. A step that is no longer is never a gap, however short the windows are: slow cameras take so long."""

CHUNK = 1024
"""Frames of a cached sequence that are turned into model coordinates at once."""

Times = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Timeline:
    """What a model says over time: W windows, K classes.

    Attributes:
        starts: float64 (W,), seconds, increasing; windows overlap. There is none in a gap without any frame.
        ends: float64 (W,), seconds.
        recorded: float64 (W, 2), seconds, from when to when a window has frames: all of it, or up to or from a gap.
        probabilities: float32 (W, K); rows sum to one, or are NaN where nobody was seen for half of the time.
        class_names: K names.
    """

    starts: Times
    ends: Times
    recorded: Times
    probabilities: NDArray[np.float32]
    class_names: tuple[str, ...]

    @property
    def times(self) -> Times:
        """Centres of the windows, seconds, (W,)."""
        return (self.starts + self.ends) / 2

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Windows that have an answer, (W,)."""
        return ~np.isnan(self.probabilities[:, 0])

    def __len__(self) -> int:
        """Number of windows W."""
        return len(self.starts)

    @classmethod
    def join(cls, parts: Sequence[Timeline]) -> Timeline:
        """One timeline from consecutive ones, at least one."""
        return cls(
            np.concatenate([part.starts for part in parts]),
            np.concatenate([part.ends for part in parts]),
            np.concatenate([part.recorded for part in parts]),
            np.concatenate([part.probabilities for part in parts]),
            parts[0].class_names,
        )


@dataclass(frozen=True, eq=False)
class Window:
    """The frames of one window in model coordinates.

    Attributes:
        start: seconds.
        end: seconds; frames lie in ``[start, end)``.
        points: float32 (T, V, C) at equal distances in time.
        valid: bool (T, V).
        recorded: seconds, from when to when there are frames: all of it, or up to or from a gap.
        missing: seconds of it that lie in gaps.
    """

    start: float
    end: float
    points: Points
    valid: Mask
    recorded: tuple[float, float]
    missing: float = 0.0


class Windows:
    """Cuts frames that come in chunks into windows; holds no more than one window, one chunk and a frame before them.

    Window k is ``[first + k stride, first + k stride + seconds)``, where ``first`` is the time of the first frame. It
    is complete when a frame at or after its end has come. The last one of all ends with the recording.

    Args:
        seconds: length of a window, :data:`MIN_SECONDS` to :data:`MAX_SECONDS`.
        stride: from the start of one to the start of the next; ``None`` is 1 / :data:`STRIDES` of the length.

    Raises:
        PiumrError: if one of them is out of range.
    """

    def __init__(self, seconds: float, stride: float | None = None) -> None:
        self.seconds, self.stride = seconds, seconds / STRIDES if stride is None else stride
        if not MIN_SECONDS <= self.seconds <= MAX_SECONDS:  # so written, NaN is wrong as well
            raise PiumrError(
                f"Expected `window` to lie in {MIN_SECONDS:g}..{MAX_SECONDS:g} seconds, but got {self.seconds:g}."
            )
        if not self.seconds / 1000 <= self.stride <= self.seconds:
            raise PiumrError(
                f"Expected `stride` to lie in {self.seconds / 1000:g}..{self.seconds:g} seconds, a thousandth of the "
                f"window to all of it, but got {self.stride:g}."
            )
        self._first: float | None = None
        self._next = 0  # number k of the next window
        self._end = -math.inf  # of the last window that was cut
        self._times, self._points, self._valid = np.empty(0), np.empty(0, np.float32), np.empty(0, bool)

    def push(self, times: Times, points: Points, valid: Mask) -> Iterator[Window]:
        """Take the next frames and give the windows that are complete with them.

        Args:
            times: float64 (T,), seconds, never decreasing, also from call to call.
            points: float32 (T, V, C), model coordinates.
            valid: bool (T, V).

        Raises:
            PiumrError: if a time goes back or is beyond :data:`LATEST`.
        """
        if np.abs(times).max() > LATEST or (len(self._times) and times[0] < self._times[-1]):
            raise PiumrError(f"Expected times that never decrease and stay below {LATEST:g} s, but got others.")
        if self._first is None:
            self._first, self._times, self._points, self._valid = float(times[0]), times, points, valid
        else:
            self._times = np.concatenate([self._times, times])
            self._points = np.concatenate([self._points, points])
            self._valid = np.concatenate([self._valid, valid])
        yield from self._complete(float(self._times[-1]))

    def finish(self) -> Iterator[Window]:
        """The windows up to the recording's end, also between two strides; one where it is shorter than a window."""
        if self._first is None:
            return
        steps = np.diff(self._times)
        steps = steps[(steps > 0) & (steps <= self._gap)]
        # the last frame stands as long as the others do, but no longer than it stays in a window that ends then
        end = float(self._times[-1] + min(np.median(steps) if len(steps) else 1 / 30, self.seconds / 2))
        yield from self._complete(end + 1e-6)  # times are rounded
        if self._end < end - 1e-6:
            yield self._window(max(end - self.seconds, self._first), max(end, self._first + 1e-3))

    def _complete(self, until: float) -> Iterator[Window]:
        """Cut the windows that end at ``until`` or before, and forget the frames that no later one needs."""
        while (end := self._start() + self.seconds) <= until:
            low, high = np.searchsorted(self._times, [self._start(), end])
            if low < high:
                self._end = end
                yield self._window(self._start(), end)
                self._next += 1
            else:  # a gap: go on with the first window that has the next frame, however far it is
                assert self._first is not None
                ahead = (self._times[low] - self.seconds - self._first) / self.stride if low < len(self._times) else 0
                self._next = max(self._next + 1, math.floor(ahead) + 1)
        # the frame before a window tells whether it begins in a gap
        needed = min(self._start(), self._times[-1] - self.seconds)  # the latter by the last one of all
        first = max(np.searchsorted(self._times, needed) - 1, 0)
        self._times, self._points, self._valid = self._times[first:], self._points[first:], self._valid[first:]

    @property
    def _gap(self) -> float:
        """Seconds beyond which a step from one frame to the next is a gap."""
        return max(SEEN * self.seconds, STEP)

    def _window(self, start: float, end: float) -> Window:
        """The window of these seconds, in which there is at least one frame."""
        low, high = np.searchsorted(self._times, [start, end])
        times = self._times[max(low - 1, 0) : high + 1]  # with the frames before and after it
        gap = np.diff(times) > self._gap
        missing = np.diff(np.clip([times[:-1][gap], times[1:][gap]], start, end), axis=0).sum()
        first = self._times[low] if low > 0 and gap[0] else start
        last = self._times[high - 1] if high < len(self._times) and gap[-1] else end
        frames = at_equal_times(self._times[low:high], self._points[low:high], self._valid[low:high])
        return Window(start, end, *frames, (float(first), float(last)), float(missing))

    def _start(self) -> float:
        assert self._first is not None
        return self._first + self._next * self.stride


def slide(
    recognizer: Recognizer, poses: PoseSequence, seconds: float | None = None, stride: float | None = None
) -> Timeline:
    """What a model says over the time of a recording.

    Beyond the poses themselves the memory is that of :func:`slide_chunks` and 4 K bytes for each window.

    Args:
        recognizer: the model.
        poses: the recording, of a layout that the model takes.
        seconds: length of a window; ``None`` is that of the model's training clips, else :data:`SECONDS`.
        stride: from the start of one window to the start of the next; ``None`` is an eighth of the length.

    Returns:
        the timeline, at least one window.

    Raises:
        PiumrError: if a length is out of range or the model does not take the poses.
    """
    return Timeline.join(list(slide_chunks(recognizer, chunks_of(poses), seconds, stride)))


def slide_chunks(
    recognizer: Recognizer,
    chunks: Iterable[PoseSequence],
    seconds: float | None = None,
    stride: float | None = None,
) -> Iterator[Timeline]:
    """The same for a recording that comes in consecutive chunks, whose times go on from one to the next.

    Memory does not grow with the recording: held are the frames of a window and of a chunk, and 64 windows.

    Args:
        recognizer: see :func:`slide`, as for ``seconds``, ``stride`` and the errors.
        chunks: the recording.
        seconds: there.
        stride: there.

    Yields:
        the timeline in consecutive parts of 1 to 64 windows, as soon as each is known.
    """
    windows = Windows(window_seconds(recognizer) if seconds is None else seconds, stride)
    waiting: list[Window] = []
    for chunk in chunks:
        for window in windows.push(chunk.timestamps, *recognizer.points_of(chunk)):
            waiting.append(window)
            if len(waiting) == BATCH:
                yield predict_windows(recognizer, waiting)
                waiting = []
    waiting += windows.finish()
    for first in range(0, len(waiting), BATCH):
        yield predict_windows(recognizer, waiting[first : first + BATCH])


def window_seconds(recognizer: Recognizer) -> float:
    """Length of a window that suits a model: that of its training clips where its card says so, else 2 s."""
    known = getattr(recognizer.card, "clip_seconds", None)
    return min(max(float(known), MIN_SECONDS), MAX_SECONDS) if known else SECONDS


def predict_windows(recognizer: Recognizer, windows: Sequence[Window]) -> Timeline:
    """What a model says of windows, at least one."""
    predictions = recognizer.predict_clips([(window.points, window.valid) for window in windows])
    probabilities = np.stack([prediction.probabilities for prediction in predictions])
    starts, ends = np.array([window.start for window in windows]), np.array([window.end for window in windows])
    shares = np.array([window.valid.any(axis=1).mean() for window in windows])  # of the time that has frames
    seen = shares * (1 - np.array([window.missing for window in windows]) / (ends - starts)) >= SEEN
    return Timeline(
        starts,
        ends,
        np.array([window.recorded for window in windows]),
        np.where(seen[:, None], probabilities, np.float32(np.nan)),
        recognizer.card.class_names,
    )


def chunks_of(poses: PoseSequence, frames: int = CHUNK) -> Iterator[PoseSequence]:
    """A sequence in consecutive chunks of at most ``frames`` frames; views, not copies."""
    for first in range(0, len(poses), frames):
        part = slice(first, first + frames)
        yield PoseSequence(
            poses.landmarks[part], poses.world[part], poses.valid[part], poses.timestamps[part], poses.meta
        )


def at_equal_times(times: Times, points: Points, valid: Mask) -> tuple[Points, Mask]:
    """As many frames at equal distances in time: a model counts frames, and cameras skip some.

    Linear between two frames where a joint is valid in both, else the joint of the nearer one.

    Args:
        times: float64 (T,), never decreasing.
        points: float32 (T, V, C).
        valid: bool (T, V).
    """
    count = len(times)
    if count < 3 or times[0] == times[-1]:
        return points, valid
    position = np.interp(np.linspace(times[0], times[-1], count), times, np.arange(count))
    before = np.minimum(position.astype(np.int64), count - 2)
    weight = (position - before).astype(np.float32)
    nearest = np.where(weight < 0.5, before, before + 1)
    both = valid[before] & valid[before + 1]
    share = weight[:, None, None]
    between = points[before] * (1 - share) + points[before + 1] * share
    return np.where(both[..., None], between, points[nearest]), valid[nearest]
