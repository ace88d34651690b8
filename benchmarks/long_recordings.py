"""How well sliding windows find actions in long recordings: clips of test persons, one after the other.

Each test person's clips are put together in random order into one recording whose boundaries are known but not told.
Frame accuracy: share of frames with the right action (no action is wrong). Segment F1: a found segment is right where
it overlaps a not yet matched true one of its class with an intersection over union of 0.5 or more. Beside it the
accuracy on the clips with their boundaries told, which bounds what can be had. The first row has the default settings,
in the others one is changed.

    python benchmarks/long_recordings.py runs/1/model.onnx --data ../shared/data/skeletons/utd_mhad
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from piumr.data.protocols import make_splits
from piumr.data.source import DataConfig, load_set
from piumr.inference import Recognizer
from piumr.inference.segments import SWITCH, THRESHOLD, Segment, find_segments
from piumr.inference.windows import STRIDES, Timeline, Windows, predict_windows

FPS = 30.0
"""Frames per second of all sets used here."""


def long_recording(clips: Any, chosen: Any, rng: np.random.Generator) -> tuple[Any, Any, list[Segment]]:
    """Points, mask and true segments of clips in random order; neighbours of one class are one segment."""
    order = rng.permutation(chosen)
    parts = [clips.clip(i) for i in order]
    ends = np.cumsum([len(points) for points, _ in parts]) / FPS
    names = [clips.class_names[clips.labels[i]] for i in order]
    new = [i for i in range(len(names)) if i == 0 or names[i] != names[i - 1]]
    starts = np.concatenate([[0], ends])[[*new, len(names)]]
    truth = [Segment(starts[k], starts[k + 1], names[i], 1.0) for k, i in enumerate(new)]
    return np.concatenate([p for p, _ in parts]), np.concatenate([v for _, v in parts]), truth


def timeline_of(recognizer: Recognizer, points: Any, valid: Any, seconds: float, stride: float) -> Timeline:
    """As :func:`piumr.inference.windows.slide`, for points in model coordinates."""
    windows = Windows(seconds, stride)
    cut = [*windows.push(np.arange(len(points)) / FPS, points, valid), *windows.finish()]
    return Timeline.join([predict_windows(recognizer, cut[i : i + 64]) for i in range(0, len(cut), 64)])


def frame_accuracy(found: list[Segment], truth: list[Segment]) -> float:
    """Share of frames with the right action."""
    times = np.arange(round(truth[-1].end * FPS)) / FPS
    said, true = (np.full(len(times), "", dtype=object) for _ in range(2))
    for labels, segments in ((said, found), (true, truth)):
        for s in segments:
            labels[(times >= s.start) & (times < s.end)] = s.action
    return float((said == true).mean())


def hits(found: list[Segment], truth: list[Segment], overlap: float = 0.5) -> int:
    """Number of true segments that are found."""
    free, count = set(range(len(truth))), 0
    for f in found:
        for i in sorted(free):
            t = truth[i]
            both = min(f.end, t.end) - max(f.start, t.start)
            if t.action == f.action and both >= overlap * (max(f.end, t.end) - min(f.start, t.start)):
                free.remove(i)
                count += 1
                break
    return count


def measure(recordings: list[tuple[Timeline, list[Segment]]], threshold: float, switch: float) -> tuple[float, float]:
    """Frame accuracy and segment F1 over all recordings."""
    frames, right, given, there = [], 0, 0, 0
    for timeline, truth in recordings:
        found = find_segments(timeline, threshold, switch)
        frames.append((frame_accuracy(found, truth), truth[-1].end))
        right, given, there = right + hits(found, truth), given + len(found), there + len(truth)
    accuracies, lengths = np.array(frames).T
    return float(np.average(accuracies, weights=lengths)), 2 * right / max(given + there, 1)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--persons", nargs="+", help="only these test persons; all of them if not given")
    parser.add_argument("--data", type=Path, required=True, help="folder of the set that the model was trained on")
    arguments = parser.parse_args()
    recognizer = Recognizer(arguments.model, threads=1)
    trained = recognizer.card.summary
    declaration, clips = load_set(DataConfig(dataset=trained["dataset"], data=arguments.data))
    splits = make_splits(clips, declaration.protocols, trained["protocol"])
    split = next(split for split in splits if split.name == trained["split"])
    keep = [clips.layout.joints.index(joint) for joint in recognizer.card.layout.joints]
    seconds = float(np.median(np.diff(clips.offsets)[split.train]) / FPS)
    test = np.array([i for i in split.test if clips.persons[i] in (arguments.persons or clips.persons)])
    clip_hits = [
        prediction.label == clips.class_names[clips.labels[i]]
        for some in np.array_split(test, -(-len(test) // 64))
        for i, prediction in zip(
            some, recognizer.predict_clips([tuple(a[:, keep] for a in clips.clip(i)) for i in some]), strict=True
        )
    ]
    rng = np.random.default_rng(0)
    persons = np.array(clips.persons)[test]
    raw = [long_recording(clips, test[persons == person], rng) for person in dict.fromkeys(persons)]
    length = sum(truth[-1].end for *_, truth in raw)
    print(
        f"{trained['dataset']}, {trained['split']}: {len(raw)} recordings, {length / 60:.1f} min, {len(clip_hits)} "
        f"clips; clip accuracy with boundaries {np.mean(clip_hits):.1%}; clips of {seconds:.2f} s (median in training)"
    )
    print(
        f"python {platform.python_version()}, onnxruntime {onnxruntime.__version__}, 1 thread, load "
        f"{os.getloadavg()[0]:.1f}\n"
    )
    print("| window s | stride s | switch | threshold | frame accuracy | segment F1@0.5 | ms a window |")
    print("|---|---|---|---|---|---|---|")
    for window, strides in ((1.0, STRIDES), (1.0, STRIDES / 2), (0.75, STRIDES), (1.5, STRIDES)):
        started = time.perf_counter()
        recordings = [
            (timeline_of(recognizer, p[:, keep], v[:, keep], window * seconds, window * seconds / strides), truth)
            for p, v, truth in raw
        ]
        cost = (time.perf_counter() - started) * 1000 / sum(len(timeline) for timeline, _ in recordings)
        settings = [(SWITCH, THRESHOLD)]
        if (window, strides) == (1.0, STRIDES):
            settings += [(s, THRESHOLD) for s in (0.0, SWITCH / 2, SWITCH * 2)]
            settings += [(SWITCH, t) for t in (0.0, 2 * THRESHOLD, 4 * THRESHOLD)]
        for switch, threshold in settings:
            accuracy, f1 = measure(recordings, threshold, switch)
            print(
                f"| {window * seconds:.2f} | {window * seconds / strides:.2f} | {switch} | {threshold} | "
                f"{accuracy:.1%} | {f1:.1%} | {cost:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
