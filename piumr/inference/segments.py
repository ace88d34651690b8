"""From what a model says over time to what happened when: smoothing, a background threshold, segments."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from piumr.errors import PiumrError
from piumr.inference.windows import Timeline

THRESHOLD = 0.5
"""Below this confidence nothing is said to happen."""


@dataclass(frozen=True)
class Segment:
    """A stretch of time with one action.

    Attributes:
        start: seconds.
        end: seconds, after ``start``.
        action: name of the class.
        confidence: mean probability of the action over the segment, 0..1.
    """

    start: float
    end: float
    action: str
    confidence: float


def smooth(timeline: Timeline, seconds: float) -> Timeline:
    """Average the probabilities over neighbouring windows, weighted by a Hann bell ``seconds`` wide.

    Windows in which nobody was seen have no weight and stay without an answer.
    """
    if len(timeline) < 2:
        return timeline
    times, seen = timeline.times, timeline.seen
    known = np.where(seen[:, None], timeline.probabilities, np.float32(0))
    total, weight = known.copy(), seen.astype(np.float32)
    reach = min(int(seconds / 2 / np.diff(times).min()), len(times) - 1)
    for offset in range(1, reach + 1):
        distance = times[offset:] - times[:-offset]
        bell = np.where(distance < seconds / 2, np.cos(np.pi * distance / seconds) ** 2, 0).astype(np.float32)
        early, late = slice(None, -offset), slice(offset, None)
        total[early] += bell[:, None] * known[late]
        total[late] += bell[:, None] * known[early]
        weight[early] += bell * seen[late]
        weight[late] += bell * seen[early]
    mean = total / np.maximum(weight, 1e-9)[:, None]
    return replace(timeline, probabilities=np.where(seen[:, None], mean, np.float32(np.nan)))


def find_segments(
    timeline: Timeline, threshold: float = THRESHOLD, smoothing: float | None = None, shortest: float = 0.0
) -> list[Segment]:
    """What happened when.

    A window speaks for the time around its centre, up to half way to its neighbours' centres; the first and the last
    one before a gap speak for all of their outer halves.

    Args:
        timeline: at least one window.
        threshold: background threshold, 0..1: where the best class is below it, nothing happened.
        smoothing: width of :func:`smooth`, seconds; ``None`` is half of a window.
        shortest: segments below this length, seconds, are left out.

    Returns:
        segments that do not overlap, in order.

    Raises:
        PiumrError: if an argument is out of range.
    """
    if not 0 <= threshold <= 1:
        raise PiumrError(f"Expected `threshold` to lie in 0..1, but got {threshold:g}.")
    if not 0 <= shortest < np.inf:
        raise PiumrError(f"Expected `shortest` to be 0 seconds or more, but got {shortest:g}.")
    smoothed = smooth(timeline, float(timeline.ends[0] - timeline.starts[0]) / 2 if smoothing is None else smoothing)
    filled = np.nan_to_num(smoothed.probabilities, nan=-1.0)
    best, confidence = filled.argmax(axis=1), filled.max(axis=1)
    best = np.where(timeline.seen & (confidence >= threshold), best, -1)
    low, high, gap = _cells(timeline)
    first = np.flatnonzero(np.concatenate([[True], (best[1:] != best[:-1]) | gap]))
    last = np.append(first[1:], len(best)) - 1
    return [
        Segment(
            float(low[a]), float(high[b]), timeline.class_names[best[a]], float(confidence[a : b + 1].mean(dtype=float))
        )
        for a, b in zip(first, last, strict=True)
        if best[a] >= 0 and high[b] - low[a] >= shortest
    ]


def _cells(timeline: Timeline) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Start and end of what each window speaks for, (W,), and whether a gap follows it, (W - 1,)."""
    times = timeline.times
    middle = (times[1:] + times[:-1]) / 2
    gap = timeline.starts[1:] > timeline.ends[:-1] + 1e-6
    low = np.concatenate([timeline.starts[:1], np.where(gap, timeline.starts[1:], middle)])
    high = np.concatenate([np.where(gap, timeline.ends[:-1], middle), timeline.ends[-1:]])
    return low, high, gap
