"""From what a model says over time to what happened when: the best course of actions, as segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from piumr.errors import PiumrError
from piumr.inference.windows import Timeline

THRESHOLD = 0.1
"""Where no class is more probable than this for long enough, nothing is said to happen."""

SWITCH = 0.15
"""Price of a change, in units of log K: what it takes to name one of K classes by chance. The best compromise between
27 classes of UTD-MHAD and 3 signs (``benchmarks/long_recordings.py``)."""

_LEAST, _NEVER = 1e-6, -1e9  # probability that stands for zero, log-probability of what cannot be


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


def find_segments(
    timeline: Timeline, threshold: float = THRESHOLD, switch: float = SWITCH, shortest: float = 0.0
) -> list[Segment]:
    """What happened when: the most probable course of actions, and of stretches without one.

    A window speaks for the time around its centre, up to half way to its neighbours' centres; the first and the last
    one before a gap speak for all of their outer halves. None speaks for time without frames.

    Args:
        timeline: at least one window.
        threshold: background threshold, 0..1: probability that "nothing happens" competes with.
        switch: price of a change, see :func:`decode`.
        shortest: segments below this length, seconds, are left out.

    Returns:
        segments that do not overlap, in order.

    Raises:
        PiumrError: if an argument is out of range.
    """
    if not 0 <= shortest < np.inf:
        raise PiumrError(f"Expected `shortest` to be 0 seconds or more, but got {shortest:g}.")
    labels = decode(timeline, threshold, switch)
    low, high, gap = _cells(timeline)
    first = np.flatnonzero(np.concatenate([[True], (labels[1:] != labels[:-1]) | gap]))
    last = np.append(first[1:], len(labels)) - 1
    return [
        Segment(
            float(low[a]),
            float(high[b]),
            timeline.class_names[labels[a]],
            float(timeline.probabilities[a : b + 1, labels[a]].mean(dtype=float)),
        )
        for a, b in zip(first, last, strict=True)
        if labels[a] >= 0 and high[b] - low[a] >= shortest
    ]


def decode(timeline: Timeline, threshold: float = THRESHOLD, switch: float = SWITCH) -> NDArray[np.int64]:
    """The class of each window, (W,), -1 for none: the best path of a hidden Markov model (Viterbi, 1967).

    A path's score is ``sum_w (stride / length) log p_w(class) - switch log K (number of changes)``. Windows overlap and
    repeat each other's evidence, hence the factor: the result hardly depends on the stride. "Nothing happens" is a
    class of its own, whose probability is ``threshold`` everywhere, and 1 where nobody was seen. Changes at gaps are
    free.

    Raises:
        PiumrError: if an argument is out of range.
    """
    if not 0 <= threshold <= 1:
        raise PiumrError(f"Expected `threshold` to lie in 0..1, but got {threshold:g}.")
    if not 0 <= switch < np.inf:
        raise PiumrError(f"Expected `switch` to be 0 or more, but got {switch:g}.")
    seen, length = timeline.seen, timeline.ends[0] - timeline.starts[0]
    evidence = np.full((len(timeline), len(timeline.class_names) + 1), _NEVER)
    evidence[seen, :-1] = np.log(np.maximum(timeline.probabilities[seen], _LEAST))
    if threshold > 0:
        evidence[:, -1] = np.log(threshold)
    evidence[~seen, -1] = 0
    if len(timeline) > 1:
        evidence *= min(np.median(np.diff(timeline.starts)) / length, 1)
    price = np.where(_cells(timeline)[2], 0, switch * np.log(len(timeline.class_names)))
    stays = np.empty(evidence.shape, bool)  # from the window before
    best = np.empty(len(timeline), np.int64)  # class of the best path up to the window before
    score = evidence[0]
    for i in range(1, len(timeline)):
        best[i] = score.argmax()
        changed = score[best[i]] - price[i - 1]
        stays[i] = score >= changed
        score = np.where(stays[i], score, changed) + evidence[i]
    path = np.empty(len(timeline), np.int64)
    path[-1] = score.argmax()
    for i in range(len(timeline) - 1, 0, -1):
        path[i - 1] = path[i] if stays[i, path[i]] else best[i]
    return np.where(path == len(timeline.class_names), -1, path)


def _cells(timeline: Timeline) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Start and end of what each window speaks for, (W,), and whether a gap follows it, (W - 1,)."""
    times, (first, last) = timeline.times, timeline.recorded.T
    middle = (times[1:] + times[:-1]) / 2
    gap = first[1:] > last[:-1] + 1e-6
    low = np.concatenate([first[:1], np.where(gap, first[1:], middle)])
    high = np.concatenate([np.where(gap, last[:-1], middle), last[-1:]])
    # beside a gap without an answer of its own, half way may lie in the gap
    return np.maximum(low, first), np.minimum(high, last), gap
