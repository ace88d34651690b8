"""What the page gets to show, as plain JSON values: of a model what it knows, of poses the skeleton and predictions."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from piumr.demo.downloads import make_downloads
from piumr.inference import ModelCard, Recognizer
from piumr.inference.recordings import on_players_clock
from piumr.inference.segments import THRESHOLD, find_segments
from piumr.inference.windows import Timeline, chunks_of, slide_chunks
from piumr.layouts import Layout
from piumr.preprocessing import VISIBILITY
from pose_extract.schema import PoseSequence, part_of

STEPS = 8192
"""Coordinates travel as int16 in this many steps of the image's size, a fifth of a pixel at 1080p; out to 4 images."""

MISSING = -(2**15)
"""In place of a coordinate that was not seen."""


def describe_model(card: ModelCard) -> dict[str, Any]:
    """What a model knows and how that was measured, for people to read."""
    groups: dict[str, list[str]] = {}
    parameters = card.summary.get("parameters")
    for index, name in enumerate(card.class_names):
        group = "" if card.coarse is None or card.coarse_names is None else card.coarse_names[card.coarse[index]]
        groups.setdefault(group, []).append(name)
    return {
        "knows": _knows(card),
        "notice": card.notice,
        "licence": card.licence,
        "measured": _measured(card.summary),
        "classes": [{"group": group, "names": names} for group, names in groups.items()],
        "layout": card.layout.name,
        "parameters": parameters if isinstance(parameters, int) else None,
        "version": card.version,
    }


def describe_skeleton(layout: Layout) -> dict[str, Any]:
    """What drawing needs: edges as pairs of joints, and for each of the V joints whether it is a hand's."""
    return {"edges": [list(edge) for edge in layout.edges], "parts": [part_of(joint) for joint in layout.joints]}


async def describe_poses(recognizer: Recognizer, poses: PoseSequence) -> dict[str, Any]:
    """The skeleton of every frame, and the predictions: of the clip, over time, and as segments.

    A thread computes it in steps of 64 windows; between two of them it can be cancelled.
    """
    shown, parts = on_players_clock(poses), []
    chunks = slide_chunks(recognizer, chunks_of(shown))
    while (part := await asyncio.to_thread(next, chunks, None)) is not None:
        parts.append(part)
    return await asyncio.to_thread(_describe, recognizer, poses, shown, Timeline.join(parts))


def _describe(recognizer: Recognizer, poses: PoseSequence, shown: PoseSequence, timeline: Timeline) -> dict[str, Any]:
    clip, segments = recognizer.predict(poses)[0], find_segments(timeline)
    rows = np.round(np.nan_to_num(timeline.probabilities).astype(np.float64), 4).tolist()
    return {
        "width": poses.meta["width"],
        "height": poses.meta["height"],
        "times": encode(shown.timestamps.astype("<f4")),
        "points": encode(compact(poses.landmarks, poses.valid)),
        "seen": float(poses.valid.any(axis=1).mean()),
        "warnings": poses.meta.get("warnings", []),
        "classes": list(timeline.class_names),
        "clip": clip.to_dict(),
        "threshold": THRESHOLD,
        "windows": {
            "times": np.round(timeline.times, 4).tolist(),
            "starts": np.round(timeline.starts, 4).tolist(),
            "ends": np.round(timeline.ends, 4).tolist(),
            "probabilities": [row if seen else None for row, seen in zip(rows, timeline.seen.tolist(), strict=True)],
        },
        "segments": [asdict(segment) for segment in segments],
        "files": make_downloads(clip, timeline, segments, poses),
    }


def compact(landmarks: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Image coordinates for drawing, little-endian int16 (..., V, 2); what models take as missing is :data:`MISSING`.

    Args:
        landmarks: float32 (..., V, 4), as in a cache.
        valid: bool (..., V).
    """
    shown = valid & (np.nan_to_num(landmarks[..., 3]) >= VISIBILITY)
    steps = np.clip(np.round(np.where(shown[..., None], landmarks[..., :2], 0) * STEPS), MISSING + 1, -MISSING - 1)
    return np.where(shown[..., None], steps, MISSING).astype("<i2")


def encode(array: NDArray[Any]) -> str:
    """An array's bytes as base64."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _knows(card: ModelCard) -> str:
    """One sentence: how many classes, learned from what."""
    trained_on = f"learned from “{card.trained_on}”" if card.trained_on else "and its file does not say from what"
    return f"It knows {len(card.class_names)} actions, {trained_on}."


def _measured(summary: dict[str, Any]) -> str:
    """One sentence: how well it does, and on whom."""
    accuracy, clips = summary.get("accuracy"), summary.get("test_clips")
    if not isinstance(accuracy, float | int) or not isinstance(clips, int):
        return "Its file states no accuracy."
    whom = "persons it was not trained on" if summary.get("person_disjoint") else "persons it was trained on as well"
    return f"On {clips:,} test clips of {whom}, its first answer was right for {100 * accuracy:.0f} %."
