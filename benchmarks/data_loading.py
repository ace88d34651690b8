"""How fast training gets its clips: an MA-52-sized set is packed, loaded from the cache, and served in batches.

11,250 clips of 60 frames in the mean (45 to 75), 75 joints, 2-D, hands missing for a while in half of the clips, as a
container on disk. Every stage runs in a process of its own, whose peak memory is taken; batches come from the order of
the real data loader and go through the real code. One JSON file is written: median and spread of every figure,
versions, threads, and the load of the machine before and after.

    python benchmarks/data_loading.py --out data_loading.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

CLIPS, SHORTEST, LONGEST, JOINTS, CLASSES, FRAMES = 11_250, 45, 75, 75, 52, 64
BARS = {
    "load_s": ("at most", 2.0),
    "plain_clips_per_s": ("at least", 20_000),
    "augmented_clips_per_s": ("at least", 8_000),
    "peak_gb": ("at most", 2.5),
}
DECLARATION = """
title = "A set of MA-52's size"
citation = ""
licence = ""
source = ""
format = "npz"
layout = "mediapipe-75"
mirror = true
[options]
file = "clips.npz"
"""


def make_set(folder: Path) -> None:
    """Write the declaration and the container."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(SHORTEST, LONGEST + 1, CLIPS)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    frames = rng.normal(size=(offsets[-1], JOINTS, 2)).astype(np.float32)
    for clip in np.flatnonzero(rng.random(CLIPS) < 0.5):
        start, end = np.sort(rng.integers(offsets[clip], offsets[clip + 1] + 1, 2))
        frames[start:end, 33:54] = np.nan
    (folder / "dataset.toml").write_text(DECLARATION)
    labels, persons = rng.integers(CLASSES, size=CLIPS), rng.integers(186, size=CLIPS)
    np.savez(folder / "clips.npz", frames=frames, offsets=offsets, label=labels, subject=persons)


def load(folder: Path) -> tuple[Any, float]:
    """The packed set, and the seconds until it was there."""
    from piumr.data.cache import load_packed
    from piumr.data.source import DataConfig

    started = time.perf_counter()
    _, _, store = load_packed(DataConfig(dataset=str(folder / "dataset.toml")), FRAMES)
    return store, time.perf_counter() - started


def normalise(folder: Path) -> float:
    """Clips per second that are normalised and packed, reading and writing apart."""
    from piumr.data.source import DataConfig, load_set
    from piumr.data.store import ClipStore

    _, clips = load_set(DataConfig(dataset=str(folder / "dataset.toml")))
    started = time.perf_counter()
    ClipStore.pack(clips, FRAMES)
    return len(clips) / (time.perf_counter() - started)


def serve(folder: Path, batch_size: int, repeats: int) -> dict[str, Any]:
    """Seconds to load, and clips per second of every epoch after the first, without and with augmentation."""
    import torch

    from piumr.data.augment import Augmentation
    from piumr.data.batches import ClipBatches

    store, seconds = load(folder)
    started = time.perf_counter()
    store.points.sum(), store.valid.sum()  # every page once: mapping alone reads nothing
    found: dict[str, Any] = {"load_s": seconds, "first_touch_s": time.perf_counter() - started}
    data = ClipBatches(store, np.arange(len(store)), None, batch_size=batch_size, augmentation=Augmentation(), seed=0)
    if not repeats:
        return found
    with torch.inference_mode():
        for name, make in (("plain", store.sample), ("augmented", data.training_batch)):
            rates, costs = [], []
            for _ in range(repeats + 1):
                started, began, served = time.perf_counter(), time.process_time(), 0
                for indices in data.train_dataloader():
                    served += len(make(indices)[0])
                rates.append(served / (time.perf_counter() - started))
                costs.append((time.process_time() - began) / served * 1e6)
            found[f"{name}_clips_per_s"], found[f"{name}_cpu_us_per_clip"] = rates[1:], costs[1:]
    return found


def stage(arguments: argparse.Namespace) -> None:
    """What a child process does; its figures go to standard output."""
    import torch

    torch.set_num_threads(arguments.threads)
    if arguments.stage == "pack":
        found: dict[str, Any] = {"pack_s": load(arguments.folder)[1]}
    else:
        found = serve(arguments.folder, arguments.batch_size, arguments.repeats if arguments.stage == "serve" else 0)
    found["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if arguments.stage == "pack":
        found["normalised_clips_per_s"] = [normalise(arguments.folder) for _ in range(min(arguments.repeats, 3))]
    print(json.dumps(found))


def run(name: str, folder: Path, arguments: argparse.Namespace, batch_size: int = 32) -> dict[str, Any]:
    """Run a stage in a process of its own."""
    command = [sys.executable, __file__, "--stage", name, "--folder", str(folder), "--batch_size", str(batch_size)]
    command += ["--threads", str(arguments.threads), "--repeats", str(arguments.repeats)]
    threads = {"OMP_NUM_THREADS": str(arguments.threads), "MKL_NUM_THREADS": str(arguments.threads)}
    environment = {**os.environ, **threads, "PIUMR_CACHE": str(folder / "cache")}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def spread(values: list[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def main() -> None:
    """Make the set, run the stages, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="the JSON file to write; standard output if not given")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5, help="loads, and epochs after a first one, of each figure")
    parser.add_argument("--stage", choices=("pack", "load", "serve"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--batch_size", type=int, default=32, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        stage(arguments)
        return
    before = os.getloadavg()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_set(folder)
        packed = run("pack", folder, arguments)
        results: dict[str, Any] = {
            "first_load_s, reading and writing": packed["pack_s"],
            "first_load_peak_gb": packed["peak_gb"],
            "normalised_clips_per_s": spread(packed["normalised_clips_per_s"]),
        }
        loads = []
        for batch_size in (32, 128):
            served = run("serve", folder, arguments, batch_size)
            for name in ("plain", "augmented"):
                for figure in ("clips_per_s", "cpu_us_per_clip"):  # the latter also on a machine with other work
                    results[f"{name}_{figure}, batch {batch_size}"] = spread(served[f"{name}_{figure}"])
            loads.append(served)
        loads += [run("load", folder, arguments) for _ in range(arguments.repeats - 2)]
        for name in ("load_s", "first_touch_s", "peak_gb"):
            results[name] = spread([one[name] for one in loads])
    report = {
        "what": f"{CLIPS} clips of {SHORTEST} to {LONGEST} frames, {JOINTS} joints, batches at {FRAMES} frames",
        "results": results,
        "bars": BARS,
        "threads": arguments.threads,
        "repeats": arguments.repeats,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("torch", "numpy")}},
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "load": {"before": before, "after": os.getloadavg()},
    }
    text = json.dumps(report, indent=2)
    if arguments.out:
        arguments.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
