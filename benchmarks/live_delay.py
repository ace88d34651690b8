"""How late live answers are: from the moment at which a frame is there to the moment at which its answer is shown.

A video is played as a camera: each frame is due at its own time, whether anybody is ready or not. The delay counts
decoding, waiting, the pose, the way to the other process, recognition, drawing and, where there is an overlay,
encoding; not the length of the window. The first answers, while caches warm up, are left out.

    python benchmarks/live_delay.py runs/1/model.onnx ../shared/data/videos/ma52/*.mp4
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from piumr.inference import Recognizer
from piumr.inference.live import Open, run_live
from piumr.inference.live_pose import PoseProcess
from piumr.inference.live_view import overlay
from piumr.inference.recordings import options_for

WARM_UP = 5
"""Answers of each run that are left out."""


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--window", type=float, default=0.5, help="seconds; short, so that short clips give answers")
    arguments = parser.parse_args()
    recognizer = Recognizer(arguments.model, threads=1)
    print(
        f"python {platform.python_version()}, mediapipe {version('mediapipe')}, onnxruntime {version('onnxruntime')}, "
        f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n"
    )
    print("| landmarks | overlay | answers | median ms | 95 % ms | frames | dropped |")
    print("|---|---|---|---|---|---|---|")
    options = options_for(recognizer)
    for shown in (False, True):
        delays: list[float] = []
        frames = dropped = 0
        for video in arguments.videos:
            with tempfile.TemporaryDirectory() as folder:
                views: list[Open] = [partial(overlay, path=Path(folder) / "o.mp4")] if shown else []
                with PoseProcess(video, options, shown) as process:
                    report = run_live(recognizer, process, lambda _: None, views, arguments.window)
            if report.error is not None:
                raise SystemExit(report.error)
            delays += report.delays[WARM_UP:]
            frames, dropped = frames + report.frames, dropped + report.dropped
        middle, high = np.percentile(delays, [50, 95]) * 1000
        print(
            f"| {options.landmarks} | {'yes' if shown else 'no'} | {len(delays)} | {middle:.0f} | {high:.0f} | "
            f"{frames} | {dropped} |"
        )


if __name__ == "__main__":
    main()
