"""How far a run is: a live bar on a terminal, a line every half minute in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta

import rich.progress
from rich.console import Console
from rich.text import Text

from pose_extract.discovery import Job
from pose_extract.schedule import Step

LOG_SECONDS = 30.0
"""Time between lines where the output is no terminal."""


class Progress:
    """Shows videos done, frames per second and the time left. Use as a context manager.

    Args:
        sizes: every job of this run with its video's size in bytes; the time left is judged by bytes.
        frames: gives the number of frames done so far in what is not finished.
        skipped: videos that earlier runs dealt with.
        console: where to show it; standard error if none is given.
    """

    def __init__(
        self, sizes: Mapping[Job, int], frames: Callable[[], int], skipped: int, console: Console | None
    ) -> None:
        self._sizes, self._frames, self._skipped = sizes, frames, skipped
        self._done = self._failed = self._finished = 0
        self._bytes = 0.0
        self._console = console or Console(stderr=True)
        self._bar = rich.progress.Progress(
            rich.progress.BarColumn(),
            _Status(self.status),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("videos", total=len(sizes))

    def __enter__(self) -> Progress:
        self._started = self._logged = time.monotonic()
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, step: Step) -> None:
        """Count a video, or a span of one, as finished."""
        self._finished += step.frames
        self._bytes += self._sizes[step.job] * step.share
        if step.outcome is not None:
            self._done += 1
            self._failed += step.outcome.status == "failed"
        self._bar.update(self._task, completed=self._done)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._logged >= LOG_SECONDS:
            self._logged = now
            self._console.print(self.status(), markup=False, highlight=False)

    def status(self) -> str:
        """The line that is shown, for example ``12/40 videos  61 frames/s  0:01:10 left  2 failed``."""
        elapsed = time.monotonic() - self._started
        frames = self._finished + self._frames()
        parts = [f"{self._done}/{len(self._sizes)} videos", f"{frames / max(elapsed, 1.0):.0f} frames/s"]
        if self._done == len(self._sizes):
            parts.append(str(timedelta(seconds=round(elapsed))))
        elif self._bytes:
            left = elapsed * (sum(self._sizes.values()) - self._bytes) / self._bytes
            parts.append(f"{timedelta(seconds=round(left))} left")
        if self._failed:
            parts.append(f"{self._failed} failed")
        if self._skipped:
            parts.append(f"{self._skipped} done before")
        return "  ".join(parts)


class _Status(rich.progress.ProgressColumn):
    def __init__(self, status: Callable[[], str]) -> None:
        super().__init__()
        self._status = status

    def render(self, task: rich.progress.Task) -> Text:
        return Text(self._status())
