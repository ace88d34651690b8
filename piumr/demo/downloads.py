"""The files that the page offers: segments for annotators, predictions over time, the poses themselves."""

from __future__ import annotations

import base64
import csv
import io
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from piumr.inference import Prediction
from piumr.inference.annotations import FORMATS
from piumr.inference.segments import Segment
from piumr.inference.windows import Timeline
from pose_extract.schema import PoseSequence, write_poses


def make_downloads(
    clip: Prediction, timeline: Timeline, segments: Sequence[Segment], poses: PoseSequence
) -> list[dict[str, str]]:
    """Files as ``suffix`` (to the video's name), ``title`` and content: ``text``, or ``base64`` of bytes.

    Args:
        clip: the prediction for all of it.
        timeline: the predictions over time.
        segments: what happened when.
        poses: what they were made from; its cache is what ``piumr-infer`` and ``read_poses`` take.
    """
    annotations = [
        {"suffix": f".segments{suffix}", "title": title, "text": FORMATS[suffix](segments, None, Path(suffix))}
        for suffix, title in _SEGMENTS.items()
    ]
    return [
        {"suffix": ".json", "title": "Everything (JSON)", "text": _json(clip, timeline, segments)},
        {"suffix": ".windows.csv", "title": "Probabilities over time (CSV)", "text": _csv(timeline)},
        *annotations,
        {"suffix": ".npz", "title": "Poses (.npz)", "base64": _cache(poses)},
    ]


_SEGMENTS = {".csv": "Segments (CSV)", ".eaf": "Segments for ELAN (.eaf)", ".vtt": "Subtitles (WebVTT)"}


def _json(clip: Prediction, timeline: Timeline, segments: Sequence[Segment]) -> str:
    windows: list[dict[str, Any]] = []
    for start, end, row, seen in zip(
        timeline.starts.tolist(), timeline.ends.tolist(), timeline.probabilities, timeline.seen.tolist(), strict=True
    ):
        shares = dict(zip(timeline.class_names, np.round(row.astype(float), 6).tolist(), strict=True)) if seen else None
        windows.append({"start": round(start, 4), "end": round(end, 4), "probabilities": shares})
    everything = {"clip": clip.to_dict(), "segments": [asdict(segment) for segment in segments], "windows": windows}
    return json.dumps(everything, ensure_ascii=False, allow_nan=False, indent=1)


def _csv(timeline: Timeline) -> str:
    """A line for each window; its probabilities are empty where nobody was seen."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["start", "end", *timeline.class_names])
    for start, end, row in zip(timeline.starts, timeline.ends, timeline.probabilities, strict=True):
        shares = ["" if np.isnan(share) else f"{share:.6f}" for share in row]
        writer.writerow([f"{start:.4f}", f"{end:.4f}", *shares])
    return text.getvalue()


def _cache(poses: PoseSequence) -> str:
    with tempfile.TemporaryDirectory(prefix="piumr-demo-") as folder:
        path = Path(folder) / "poses.npz"
        write_poses(path, poses)
        return base64.b64encode(path.read_bytes()).decode()
