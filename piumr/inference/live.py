"""Live recognition: poses from one process, recognised and shown in this one, dropping frames rather than lagging."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from piumr.errors import PiumrError
from piumr.inference.live_pose import ENDING, PoseProcess, Shot
from piumr.inference.live_view import BARS, Board, Show
from piumr.inference.recognizer import Recognizer
from piumr.inference.recordings import as_poses
from piumr.inference.windows import Timeline, Window, Windows, predict_windows, window_seconds
from pose_extract import PoseError
from pose_extract.drawing import Image

STRIDE = 0.1
"""Seconds from one answer to the next by default."""

Open = Callable[[Image], AbstractContextManager[Show]]
"""Opens a view of a canvas: :func:`piumr.inference.live_view.window`, or ``overlay`` with its path."""


@dataclass
class LiveReport:
    """How a live run went.

    Attributes:
        frames: frames whose pose was estimated.
        dropped: frames that were dropped because a newer one had come.
        seconds: time of the last frame.
        answers: answers given.
        delays: for each answer, seconds from its newest frame to the moment at which it was shown; one that is given
            only because the recording ended before a window was full has none.
        error: why it ended before its time, or ``None``.
    """

    frames: int = 0
    dropped: int = 0
    seconds: float = 0.0
    answers: int = 0
    delays: list[float] = field(default_factory=list)
    error: str | None = None

    def __str__(self) -> str:
        """One line for people."""
        text = f"{self.seconds:.1f} s, {self.frames} frames, {self.dropped} dropped, {self.answers} answers"
        if self.delays:
            middle, high = np.percentile(self.delays, [50, 95]) * 1000
            text += f"; from frame to answer {middle:.0f} ms (median), {high:.0f} ms (95 %)"
        return text


def run_live(
    recognizer: Recognizer,
    process: PoseProcess,
    answer: Callable[[dict[str, Any]], None],
    views: Sequence[Open] = (),
    seconds: float | None = None,
    stride: float = STRIDE,
    top: int = BARS,
) -> LiveReport:
    """Recognise what a camera sees, or a video played as one, until it ends, a view is closed or a signal comes.

    A window of the last seconds is recognised every ``stride``. Frames that come while the estimator is busy are
    dropped; a window's frames are put at equal distances in time.

    Args:
        recognizer: the model.
        process: of the camera or video, entered; it sends pictures if there are views.
        answer: called with each answer as plain types for JSON.
        views: what opens the views.
        seconds: length of a window; ``None`` is that of the model.
        stride: seconds from one answer to the next.
        top: classes that an answer names.

    Raises:
        PiumrError: if a length is out of range.
    """
    windows = Windows(window_seconds(recognizer) if seconds is None else seconds, stride)
    report, latest = LiveReport(), None
    with _stopped_by_signals() as stop, ExitStack() as stack:
        screen: _Screen | None = None
        try:
            for shots in process.shots(stop):
                new = _newest_answer(recognizer, windows, shots, process)
                latest = new or latest
                report.frames += len(shots)
                report.dropped, report.seconds = shots[-1].dropped, shots[-1].seconds
                if views:
                    screen = screen or _Screen(shots[-1], process, views, stack)
                    if not screen.show(shots[-1], latest, report):
                        stop.set()
                if new is not None:
                    report.delays.append(time.monotonic() - shots[-1].taken)
                    report.answers += 1
                    answer(_as_dict(new, top, report.delays[-1]))
            if not report.delays and (rest := list(windows.finish())):  # shorter than a window
                report.answers += 1
                answer(_as_dict(predict_windows(recognizer, rest[-1:]), top, None))
        except (PiumrError, PoseError) as error:  # what was shown so far is kept
            report.error = str(error)
    return report


class _Screen:
    """The canvas and its views."""

    def __init__(self, shot: Shot, process: PoseProcess, views: Sequence[Open], stack: ExitStack) -> None:
        assert shot.picture is not None
        self._board = Board(shot.picture, process.landmark_set.joints, process.landmark_set.edges)
        self._shows = [stack.enter_context(view(self._board.canvas)) for view in views]

    def show(self, shot: Shot, latest: Timeline | None, report: LiveReport) -> bool:
        assert shot.picture is not None
        late = f"{np.median(report.delays[-10:]) * 1000:.0f} ms late" if report.delays else "no answer yet"
        status = f"{shot.seconds:.1f} s   {late}   {report.dropped} frames dropped"
        self._board.draw(shot.picture, shot.landmarks, None if latest is None else _top(latest, BARS), status)
        open_still = [show(shot.seconds) for show in self._shows]  # all of them are shown, whichever is closed
        return all(open_still)


def _newest_answer(
    recognizer: Recognizer, windows: Windows, shots: Sequence[Shot], process: PoseProcess
) -> Timeline | None:
    """What the model says of the last window that these shots complete, if they do."""
    complete: list[Window] = []
    for shot in shots:
        poses = as_poses(process.landmark_set, [shot.seconds], [shot.landmarks], shot.size)
        complete += windows.push(poses.timestamps, *recognizer.points_of(poses))
    return predict_windows(recognizer, complete[-1:]) if complete else None


def _top(timeline: Timeline, count: int) -> list[tuple[str, float]]:
    """The best classes of the last window, none where nobody was seen."""
    row = timeline.probabilities[-1]
    if not timeline.seen[-1]:
        return []
    return [(timeline.class_names[i], float(row[i])) for i in np.argsort(-row, kind="stable")[:count]]


def _as_dict(timeline: Timeline, count: int, delay: float | None) -> dict[str, Any]:
    top = [{"label": name, "probability": round(p, 6)} for name, p in _top(timeline, count)]
    return {
        "start": round(float(timeline.starts[-1]), 3),
        "end": round(float(timeline.ends[-1]), 3),
        "label": top[0]["label"] if top else None,
        "confidence": top[0]["probability"] if top else None,
        "top": top,
        "delay_ms": None if delay is None else round(delay * 1000, 1),
    }


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that the signals that end a run set, so that nothing is torn apart in the middle."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only the main thread has signals
        yield stop
        return
    under_nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    wanted = [number for number in ENDING if number != signal.SIGHUP or not under_nohup]
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in wanted}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
