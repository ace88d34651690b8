"""What extraction costs, and what it could cost at best.

Per frame, CPU milliseconds of one process: decoding, conversion to RGB, the estimator, the whole of it with writing;
and the floors: decoding alone, and MediaPipe's graph alone on frames that are decoded already. Then frames per second
of one and of two workers, pinned to a core each and not. Every figure of a table comes from interleaved rounds of one
run, so that ratios hold on a noisy machine.

    python benchmarks/extraction.py CLIP.mp4 --out extraction.json
    python benchmarks/extraction.py CLIP.mp4 --scaling FOLDER_OF_CLIPS --out extraction.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import av

from pose_extract import Options, extract_video, write_poses
from pose_extract.graphs import body_graph
from pose_extract.landmarks import landmark_set
from pose_extract.video import Video

STEP = 1 / 30


def main() -> None:
    """Measure, print the tables, and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, help="a real clip of 1080 or so lines; a copy of 360 lines is made of it")
    parser.add_argument("--scaling", type=Path, help="folder of clips for one worker against two")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    report: dict[str, Any] = {"machine": machine(), "rounds": arguments.rounds, "cost": {}}
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "360.mp4"
        shrink(arguments.clip, small, 360)
        for name, clip in (("360", small), (str(frames_of(arguments.clip)[0].shape[0]), arguments.clip)):
            for landmarks in ("holistic", "body"):
                row = cost(clip, landmarks, arguments.rounds, Path(folder) / "poses.npz")
                report["cost"][f"{name} lines, {landmarks}"] = row
                print(f"{name} lines, {landmarks}: " + ", ".join(f"{k} {v['median']}" for k, v in row.items()))
        if arguments.scaling:
            report["scaling"] = scaling(arguments.scaling, arguments.rounds, Path(folder))
    report["load_after"] = os.getloadavg()
    arguments.out.write_text(json.dumps(report, indent=1))


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    packages = ("mediapipe", "av", "opencv-contrib-python", "numpy")
    return {
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in packages},
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg(),
    }


def shrink(clip: Path, out: Path, lines: int) -> None:
    """The same clip with fewer lines, H.264."""
    with Video(clip) as video, av.open(str(out), "w") as container:
        stream = container.add_stream("libx264", rate=round(video.fps), options={"crf": "18"})
        stream.pix_fmt = "yuv420p"
        for i, (_, frame) in enumerate(video):
            if i == 0:
                stream.height, stream.width = lines, round(frame.shape[1] * lines / frame.shape[0] / 2) * 2
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(picture.reformat(stream.width, stream.height)))
        container.mux(stream.encode())


def frames_of(clip: Path) -> list[Any]:
    """All frames, RGB."""
    with Video(clip) as video:
        return [frame for _, frame in video]


def cost(clip: Path, landmarks: str, rounds: int, out: Path) -> dict[str, dict[str, float]]:
    """CPU milliseconds a frame, median and range over rounds, and the ratio to the sum of the floors."""
    options = Options("holistic" if landmarks == "holistic" else "body")
    frames = frames_of(clip)
    landmark_set(hands=True)  # imports MediaPipe
    stages: dict[str, Callable[[], Any]] = {
        "decoding": lambda: decode(clip),
        "decoding to RGB": lambda: read(clip),
        "our graph": lambda: run_graph(frames, landmarks),
        "MediaPipe's own graph": lambda: run_solution(frames, landmarks),
        "extraction": lambda: extract_video(clip, options),
        "extraction and writing": lambda: write_poses(out, extract_video(clip, options)),
    }
    times: dict[str, list[float]] = {name: [] for name in stages}
    for round_ in range(rounds + 1):  # the first one is a warm-up
        for name, stage in stages.items():
            started = time.process_time()
            stage()
            if round_:
                times[name].append((time.process_time() - started) / len(frames) * 1e3)
    whole = times["extraction and writing"]
    for name in ("our graph", "MediaPipe's own graph"):
        floors = zip(times["decoding"], times[name], whole, strict=True)
        times[f"ratio to floors with {name}"] = [total / (decoding + graph) for decoding, graph, total in floors]
    return {name: spread(values) for name, values in times.items()}


def decode(clip: Path) -> None:
    """Decode all frames and look at none."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_type, stream.codec_context.thread_count = "NONE", 1
        for _ in container.decode(stream):
            pass


def read(clip: Path) -> None:
    """Decode all frames, convert them, and keep none."""
    with Video(clip) as video:
        for _ in video:
            pass


def run_graph(frames: list[Any], landmarks: str) -> None:
    """Our graph alone."""
    graph = body_graph(hands=landmarks == "holistic", smoothing=True)
    for i, frame in enumerate(frames):
        graph.run(frame, i * STEP)
    graph.close()


def run_solution(frames: list[Any], landmarks: str) -> None:
    """MediaPipe's `solutions` alone."""
    from mediapipe.python.solutions.holistic import Holistic
    from mediapipe.python.solutions.pose import Pose

    with (Holistic if landmarks == "holistic" else Pose)() as estimator:
        for frame in frames:
            estimator.process(frame)


def spread(values: list[float]) -> dict[str, float]:
    """Median and range."""
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


def scaling(folder: Path, rounds: int, scratch: Path) -> dict[str, dict[str, float]]:
    """Frames per second of the command, in steady state: the same clips by one process and by two."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    pinned = [["taskset", "-c", str(core)] for core in cores]
    runs = {
        "1 worker, pinned": [(pinned[0], ("--workers", "1"))],
        "2 workers, pinned": [(pin, ("--workers", "1", "--shard", f"{i}/2")) for i, pin in enumerate(pinned, 1)],
        "1 worker": [([], ("--workers", "1"))],
        "2 workers": [([], ("--workers", "2"))],
    }
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in range(rounds):
        for name, commands in runs.items():
            outs = [scratch / f"{round_}-{name.replace(' ', '')}-{i}" for i in range(len(commands))]
            processes = [
                subprocess.Popen(
                    [*prefix, sys.executable, "-m", "pose_extract.cli", folder, "--out", out, *arguments],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                for out, (prefix, arguments) in zip(outs, commands, strict=True)
            ]
            codes = [process.wait() for process in processes]
            if any(codes):
                raise SystemExit(f"the extraction of {folder} failed")
            rates[name].append(sum(steady_rate(out) for out in outs))
    for kind in (", pinned", ""):
        pairs = zip(rates[f"2 workers{kind}"], rates[f"1 worker{kind}"], strict=True)
        rates[f"2 against 1{kind}"] = [two / one for two, one in pairs]
    for name, values in rates.items():
        print(f"{name}: {spread(values)}")
    return {name: spread(values) for name, values in rates.items()}


def steady_rate(out: Path) -> float:
    """Frames per second from the first clip that was finished to the last: without the start of the processes."""
    rows = [json.loads(line) for line in (out / "index.jsonl").read_text().splitlines()]
    ends = sorted(((out / f"{row['name']}.npz").stat().st_mtime, row["frames"]) for row in rows)
    return sum(frames for _, frames in ends[1:]) / (ends[-1][0] - ends[0][0])


if __name__ == "__main__":
    main()
