"""What an overlay video and its strip cost per frame, on frames that are decoded already.

CPU time of the whole process on one thread, divided by the frames; the median and the range of the repeats, after one
that does not count.

    python benchmarks/preview_cost.py ../shared/data/videos/ma52/0078_01_0005.mp4
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

from pose_extract import extract_video
from pose_extract.preview import preview_file, strip_file, write_preview
from pose_extract.video import Video


def main() -> None:
    """Measure one video and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    sequence = extract_video(arguments.video)
    with Video(arguments.video) as video:
        frames = list(video)
    milliseconds = []
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "clip.npz"
        for _ in range(arguments.repeats + 1):
            start = time.process_time()
            write_preview(cache, frames, sequence)
            milliseconds.append((time.process_time() - start) * 1000 / len(frames))
        sizes = {
            "video_kB": preview_file(cache).stat().st_size // 1000,
            "strip_kB": strip_file(cache).stat().st_size // 1000,
        }
    counted = milliseconds[1:]
    result = {
        "video": arguments.video.name,
        "frames": len(frames),
        "width": sequence.meta["width"],
        "height": sequence.meta["height"],
        "ms_per_frame": round(float(np.median(counted)), 2),
        "range": [round(min(counted), 2), round(max(counted), 2)],
        **sizes,
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version(name) for name in ("opencv-contrib-python", "av", "numpy")},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
