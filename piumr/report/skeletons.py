"""Which clips the page plays, and their skeletons in few bytes.

A class's **typical** clip is, among its test clips that are recognised, the one whose confidence is nearest to their
median: neither the easiest nor the hardest. Where none is recognised it is the clip in which the model came nearest.
**Errors** are the wrong predictions of the highest confidence, at most :data:`SAME` of one confusion, or more where
there are few confusions. What is played is what the model saw: the clip after normalising and resampling, holes filled.
"""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from piumr.evaluation.result import Evaluation
from piumr.layouts import Layout
from piumr.metrics import best_classes

ERRORS = 24
"""Errors that are played, at most."""

SAME = 2
"""Errors of one confusion, at most, where there are confusions enough."""

TYPICAL = 80
"""Classes whose typical clip is played, at most: the worst."""

TOP = 3
"""Predictions that are named beside a clip, at most."""

FRAMES = 64
"""Frames of a clip that are kept, at most."""

BUDGET = 6 << 20
"""Bytes that all skeletons may take."""

FPS = 30.0
"""Assumed where a set does not say."""

STEPS = 65_535
"""A coordinate is one of so many steps along the longer side of the clip's box: far less than a pixel."""


def skeletons(evaluation: Evaluation) -> dict[str, Any]:
    """The clips to play with their skeletons, and which of them are errors and which typical."""
    layout, frames = evaluation.store.layout, min(evaluation.store.frames, FRAMES)
    room = max(2, BUDGET // (frames * len(layout) * 4))
    errors, same = choose_errors(evaluation, min(ERRORS, room // 3))
    typical = choose_typical(evaluation, errors, min(TYPICAL, room - len(errors)))
    rows = list(dict.fromkeys([*errors, *typical.values()]))
    place = {row: i for i, row in enumerate(rows)}
    wrong = int((evaluation.probabilities.argmax(dim=1).numpy() != evaluation.clips.labels).sum())
    return {
        "layout": {"edges": [list(edge) for edge in layout.edges], "sides": [_side(part) for part in layout.parts]},
        "played": _play(evaluation, rows, frames),
        "errors": [place[row] for row in errors],
        "typical": [None if c not in typical else place[typical[c]] for c in range(len(evaluation.clips.class_names))],
        "wrong": wrong,
        "same": same,
        "fps": evaluation.fps,
        "modelFrames": evaluation.store.frames,
    }


def choose_errors(evaluation: Evaluation, limit: int) -> tuple[list[int], int]:
    """Rows of the wrong predictions of the highest confidence, and how many of one confusion there may be."""
    confidence, predicted = (values.numpy() for values in evaluation.probabilities.max(dim=1))
    labels = evaluation.clips.labels
    confusions = len(set(zip(labels.tolist(), predicted.tolist(), strict=True)) - {(c, c) for c in labels.tolist()})
    same = max(SAME, math.ceil(limit / max(confusions, 1)))
    seen: dict[tuple[int, int], int] = {}
    chosen: list[int] = []
    for row in np.argsort(-confidence, kind="stable"):
        pair = int(labels[row]), int(predicted[row])
        if pair[0] == pair[1] or seen.get(pair, 0) == same:
            continue
        if len(chosen) == limit:
            break
        seen[pair] = seen.get(pair, 0) + 1
        chosen.append(int(row))
    return chosen, same


def choose_typical(evaluation: Evaluation, errors: list[int], limit: int) -> dict[int, int]:
    """The typical clip's row of each class that has a test clip, in the order of the classes.

    Where the classes are more than ``limit``, those that take part in the errors come first, then the worst.
    """
    probabilities, labels = evaluation.probabilities.numpy(), evaluation.clips.labels
    predicted = probabilities.argmax(axis=1)
    needed = dict.fromkeys(int(c) for row in errors for c in (labels[row], predicted[row]))
    worst = np.argsort(np.array(evaluation.classes.f1), kind="stable").tolist()
    found: dict[int, int] = {}
    for c in dict.fromkeys([*needed, *worst]):
        members = np.flatnonzero(labels == c)
        if not len(members) or len(found) == limit:
            continue
        right = members[predicted[members] == c]
        if len(right):
            confidence = probabilities[right, c]
            found[c] = int(right[np.abs(confidence - np.median(confidence)).argmin()])
        else:
            found[c] = int(members[probabilities[members, c].argmax()])
    return dict(sorted(found.items()))


def _play(evaluation: Evaluation, rows: list[int], frames: int) -> list[dict[str, Any]]:
    """Each clip with what is said about it and its skeleton."""
    store, clips = evaluation.store, evaluation.clips
    if not rows:
        return []
    batch, mask = store.evaluation(evaluation.rows[rows])
    kept = np.linspace(0, store.frames - 1, frames).round().astype(int)
    points = front_view(
        batch.cpu().numpy()[:, :, kept].transpose(0, 2, 3, 1), mask.cpu().numpy()[:, kept], store.layout
    )
    seen = mask.cpu().numpy()[:, kept]
    lengths = np.diff(store.offsets.cpu().numpy())[evaluation.rows[rows]]
    best = best_classes(evaluation.probabilities[rows], TOP)
    found = []
    for i, row in enumerate(rows):
        scores = evaluation.probabilities[row]
        found.append(
            {
                "name": clips.names[row],
                "person": None if clips.persons is None else clips.persons[row],
                "label": int(clips.labels[row]),
                "top": [[c, round(float(scores[c]), 4)] for c in best[i].tolist()],
                "share": round(float(scores[int(clips.labels[row])]), 4),
                "seconds": round(float(lengths[i]) / (evaluation.fps or FPS), 3),
                "frames": frames,
                **quantise(points[i], seen[i]),
            }
        )
    return found


def quantise(points: NDArray[np.float32], seen: NDArray[np.bool_]) -> dict[str, Any]:
    """A skeleton in its box: ``points`` as 16-bit steps, ``seen`` as bits, both base64, and the box's sides in 0..1.

    Args:
        points: float32 (T, V, 2), right and down.
        seen: bool (T, V).
    """
    shown = points[seen] if seen.any() else points.reshape(-1, 2)
    low, high = shown.min(axis=0), shown.max(axis=0)
    first, last = np.percentile(shown, [1, 99], axis=0)
    room = (last - first) / 2  # a joint that was lost for a moment must not shrink the person to a dot
    low, high = np.maximum(low, first - room), np.minimum(high, last + room)
    span = max(float((high - low).max()), 1e-6)
    steps = np.clip((points - low) / span, 0, 1) * STEPS
    return {
        "points": _base64(steps.round().astype("<u2").tobytes()),
        "seen": _base64(np.packbits(seen.ravel(), bitorder="little").tobytes()),
        "box": [round(float(side) / span, 4) for side in high - low],
    }


def front_view(points: NDArray[np.float32], seen: NDArray[np.bool_], layout: Layout) -> NDArray[np.float32]:
    """Points of clips as a viewer sees them, to the right and down.

    Images stay as they are. Of points in space the axis along which heads are farthest from legs is up, and the one
    along which left and right joints are farthest apart is across, the person's left on the viewer's right.

    Args:
        points: float32 (N, T, V, 2 or 3).
        seen: bool (N, T, V).
        layout: the V joints.

    Returns:
        float32 (N, T, V, 2).
    """
    if points.shape[-1] == 2:
        return points
    count = seen.sum(axis=(0, 1)).clip(min=1)[:, None]
    mean = np.where(seen[..., None], points, 0).sum(axis=(0, 1), dtype=np.float64) / count  # (V, 3)
    parts = np.array(layout.parts)
    head = parts == "head"
    low = np.isin(parts, ["left leg", "right leg"])
    low = low if low.any() else parts == "torso"
    rise = mean[head].mean(axis=0) - mean[low].mean(axis=0) if head.any() and low.any() else np.array([0, 1, 0])
    up = int(np.abs(rise).argmax())
    left = [i for i, name in enumerate(layout.joints) if "left" in name.split("_") and layout.partners[i] != i]
    width = np.mean([mean[i] - mean[layout.partners[i]] for i in left], axis=0) if left else np.array([1, 0, 0])
    across = max((axis for axis in range(3) if axis != up), key=lambda axis: abs(width[axis]))
    signs = np.array([math.copysign(1, width[across]), -math.copysign(1, rise[up])], dtype=np.float32)
    return points[..., [across, up]] * signs


def _side(part: str) -> str:
    return next((side for side in ("left", "right") if part.startswith(side)), "body")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
