"""How fast a deployed model is: one clip, by runtime and threads; with its preprocessing; ten thousand cached clips.

Every case is measured once in every round, so that a ratio compares figures of the same seconds even where the machine
has other work. That the runtimes compute the same is checked before anything is timed. OpenVINO takes part where it can
be imported. One JSON file is written: medians and spread, what the time inside the network goes into, versions,
threads, and the load of the machine.

    python benchmarks/inference.py --out inference.json
    python benchmarks/inference.py --out folder.json --rounds 0 --clips 10000      # throughput on a folder alone
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from backbones import Load, spread

from gcn import deploy
from piumr.export import export_onnx
from piumr.inference import DEFAULT_MODEL, ModelCard, Recognizer
from piumr.layouts import get_layout
from piumr.model import ActionNet, ModelConfig
from piumr.synthetic.generator import generate_clip
from piumr.synthetic.persons import sample_person
from piumr.synthetic.repertoire import ACTIONS
from pose_extract.schema import PoseSequence, write_poses

SIZES = ("nano", "base")
LAYOUTS = ("ntu-25", "mediapipe-33", "mediapipe-micro", "mediapipe-75")
THREADS = (1, 2)
CLASSES = 52
DISTINCT = 50
"""Clips that are generated; the folder repeats them."""


def make_model(size: str, layout: str, frames: int, tfam: bool, folder: Path) -> tuple[ActionNet, Path]:
    """An untrained network with statistics away from their initial values, and its deployed file."""
    torch.manual_seed(0)
    joints = get_layout(layout)
    metric = layout == "ntu-25"
    config = ModelConfig(f"microgcn-{size}", frames=frames)
    net = ActionNet(joints, CLASSES, 3 if metric else 2, config, tfam=tfam).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight, 1, 0.2)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    path = folder / f"{size}-{layout}-{'tfam' if tfam else 'plain'}.onnx"
    names = tuple(f"class {i}" for i in range(CLASSES))
    export_onnx(net, ModelCard(names, joints, frames, "metric" if metric else "image"), path)
    return net, path


Run = Callable[[dict[str, np.ndarray]], np.ndarray]


def onnx_runtime(path: Path, threads: int, spinning: bool = True) -> Run:
    """The file as ONNX Runtime runs it; without spinning its threads sleep between operators."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda feed: session.run(["logits"], feed)[0]


def eager_torch(net: ActionNet, threads: int) -> Run:
    """The deployed network in torch."""
    deployed = deploy(net)

    def run(feed: dict[str, np.ndarray]) -> np.ndarray:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            return deployed(*(torch.from_numpy(feed[name]) for name in ("points", "valid"))).logits.numpy()

    return run


def openvino(path: Path, threads: int) -> Run | None:
    """The file as OpenVINO runs it, in full precision; None where it cannot be imported."""
    try:
        import openvino as ov
    except ImportError:
        return None
    hints = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = ov.Core().compile_model(path, "CPU", hints)
    request = compiled.create_infer_request()
    return lambda feed: request.infer(feed)["logits"]


def example(layout: str, frames: int, batch: int = 1) -> dict[str, np.ndarray]:
    """Inputs of one shape, a tenth of the joints missing."""
    rng, joints = np.random.default_rng(0), len(get_layout(layout))
    channels = 3 if layout == "ntu-25" else 2
    points = rng.normal(size=(batch, channels, frames, joints)).astype(np.float32)
    return {"points": points, "valid": rng.random((batch, frames, joints)) > 0.1}


def network_cases(options: argparse.Namespace, folder: Path) -> dict[str, Callable[[], Any]]:
    """What is timed: networks by size, joints, runtime and threads, on inputs that are ready."""
    cases: dict[str, Callable[[], Any]] = {}
    for size in SIZES:
        for layout in LAYOUTS:
            feed = example(layout, options.frames)
            for tfam in (True, False) if layout == LAYOUTS[0] else (True,):
                net, path = make_model(size, layout, options.frames, tfam, folder)
                runs: dict[str, Run | None] = {f"onnxruntime, {n} threads": onnx_runtime(path, n) for n in THREADS}
                if layout == LAYOUTS[0]:
                    runs["onnxruntime, 2 threads, no spinning"] = onnx_runtime(path, 2, spinning=False)
                    runs |= {f"torch, {n} threads": eager_torch(net, n) for n in THREADS}
                    runs |= {f"openvino, {n} threads": openvino(path, n) for n in THREADS}
                expected = None
                for name, run in runs.items():
                    if run is None:
                        continue
                    got = run(feed)
                    expected = got if expected is None else expected
                    if np.abs(got - expected).max() > 1e-3 * np.abs(expected).max():
                        raise SystemExit(f"Expected {name} to compute what ONNX Runtime does, but it differs: {path}.")
                    key = f"{size}, {layout}, {'TFAM' if tfam else 'plain'}: {name}"
                    cases[key] = lambda run=run, feed=feed: run(feed)
    return cases


def predict_cases(folder: Path, clip: PoseSequence) -> dict[str, Callable[[], Any]]:
    """Whole predictions of a cached clip of mediapipe-75, preprocessing and all."""
    cases: dict[str, Callable[[], Any]] = {}
    for size in SIZES:
        for layout in LAYOUTS[1:]:
            recognizer = Recognizer(folder / f"{size}-{layout}-tfam.onnx", threads=1)
            cases[f"{size}, {layout}: predict, 1 threads"] = lambda r=recognizer: r.predict(clip)
            cases[f"{size}, {layout}: mapping and normalising"] = lambda r=recognizer: r._prepare(*r.points_of(clip))
    return cases


def measure(cases: dict[str, Callable[[], Any]], options: argparse.Namespace, load: Load) -> dict[str, Any]:
    """Milliseconds of every case: wall clock, and the process's own time over all threads."""
    wall: dict[str, list[float]] = {name: [] for name in cases}
    cpu: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(options.rounds):
        for name, run in cases.items():
            for _ in range(3):
                run()
            walls, cpus = [], []
            for _ in range(options.repeats):
                started, used = time.perf_counter(), time.process_time()
                run()
                walls.append(1e3 * (time.perf_counter() - started))
                cpus.append(1e3 * (time.process_time() - used))
            wall[name].append(statistics.median(walls))
            cpu[name].append(statistics.median(cpus))
        load.note()
    return {name: {"wall_ms": spread(wall[name]), "cpu_ms": spread(cpu[name])} for name in cases}


def cost_of_tfam(folder: Path, frames: int, rounds: int = 20, repeats: int = 50) -> dict[str, Any]:
    """What TFAM adds to one clip with one thread of ONNX Runtime, call about call with the same network without it."""
    feed, found = example(LAYOUTS[0], frames), {}
    for size in SIZES:
        runs = [onnx_runtime(folder / f"{size}-{LAYOUTS[0]}-{kind}.onnx", 1) for kind in ("tfam", "plain")]
        ratios = []
        for _ in range(rounds):
            used: tuple[list[float], list[float]] = ([], [])
            for _ in range(repeats):
                for run, times in zip(runs, used, strict=True):
                    started = time.process_time()
                    run(feed)
                    times.append(time.process_time() - started)
            ratios.append(statistics.median(used[0]) / statistics.median(used[1]))
        found[size] = spread(ratios)
    return found


def profile(path: Path, layout: str, frames: int, runs: int = 60) -> dict[str, Any]:
    """Microseconds of each kind of operator in one run: the sum of its nodes' medians over many."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.enable_profiling = 1, True
    options.profile_file_prefix = str(path.with_suffix(""))
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = example(layout, frames)
    for _ in range(runs):
        session.run(["logits"], feed)
    file = Path(session.end_profiling())
    times: dict[tuple[str, str], list[int]] = collections.defaultdict(list)
    for event in json.loads(file.read_text()):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            times[event["args"]["op_name"], event["name"]].append(event["dur"])
    found: dict[str, list[float]] = collections.defaultdict(list)
    for (operator, _), durations in times.items():
        found[operator].append(statistics.median(durations))
    ranked = sorted(found.items(), key=lambda item: -sum(item[1]))
    return {operator: {"nodes": len(each), "us": round(sum(each), 1)} for operator, each in ranked}


def synthetic_poses(number: int) -> PoseSequence:
    """A synthetic clip as piumr-extract would have written it."""
    action = ACTIONS[number % len(ACTIONS)].name
    clip = generate_clip(sample_person(2, number % 7), action, 0, 2)
    layout, frames = get_layout("mediapipe-75"), len(clip.valid)
    return PoseSequence(
        landmarks=clip.landmarks,
        world=np.full((frames, 33, 3), np.nan, dtype=np.float32),
        valid=clip.valid,
        timestamps=np.arange(frames) / clip.fps,
        meta={
            "layout": layout.name,
            "joints": list(layout.joints),
            "edges": [list(edge) for edge in layout.edges],
            "width": clip.width,
            "height": clip.height,
        },
    )


def throughput(clips: int, folder: Path) -> dict[str, Any]:
    """piumr-infer with the shipped model on a folder of cached clips: clips a second, and memory over time."""
    poses = folder / "poses"
    poses.mkdir()
    for number in range(min(clips, DISTINCT)):
        write_poses(poses / f"{number:05d}.npz", synthetic_poses(number))
    for number in range(DISTINCT, clips):  # a link is read as a file of its own
        os.link(poses / f"{number % DISTINCT:05d}.npz", poses / f"{number:05d}.npz")
    out = folder / "lines.jsonl"
    code = "import piumr.commands as commands; commands.infer()"
    command = [sys.executable, "-c", code, DEFAULT_MODEL, str(poses), "--out", str(out), "--threads", "1"]
    started, used, samples = time.perf_counter(), os.times(), []
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            rollup = Path(f"/proc/{process.pid}/smaps_rollup")
            try:
                text = rollup.read_text()
            except OSError:  # it has just ended
                break
            pss = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
            if pss:
                samples.append((round(time.perf_counter() - started, 1), round(int(pss[1]) / 1024, 1)))
            time.sleep(0.5)
    wall = time.perf_counter() - started
    written = sum(1 for _ in out.open())
    if process.returncode or written != clips:
        raise SystemExit(f"Expected {clips} lines and exit code 0, but got {written} and {process.returncode}.")
    later = [pss for at, pss in samples if at > 0.2 * wall]
    cpu = sum(os.times()[2:4]) - sum(used[2:4])
    return {
        "clips": clips,
        "seconds": round(wall, 1),
        "clips_per_s": round(clips / wall, 1),
        "cpu_seconds": round(cpu, 1),
        "clips_per_cpu_s": round(clips / cpu, 1),
        "pss_mb": {"first_fifth_over": later[0], "end": later[-1], "highest": max(later)} if later else None,
        "pss_mb_over_time": samples[:: max(1, len(samples) // 20)],
    }


def versions() -> dict[str, str]:
    """Of Python and what is compared."""
    found = {"python": platform.python_version()}
    for name in ("numpy", "onnxruntime", "torch", "openvino"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Measure and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7, help="0: only what --clips asks for")
    parser.add_argument("--repeats", type=int, default=15, help="runs of a case in a round; their median counts")
    parser.add_argument("--clips", type=int, default=0, help="cached clips to predict in a folder")
    options = parser.parse_args()
    load, before = Load(), os.getloadavg()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        results, profiles, costs = {}, {}, {}
        if options.rounds:
            cases = network_cases(options, folder)
            cases |= predict_cases(folder, synthetic_poses(0))
            results = measure(cases, options, load)
            costs = cost_of_tfam(folder, options.frames)
            names = [f"{size}-{LAYOUTS[0]}-{kind}" for size in SIZES for kind in ("tfam", "plain")]
            profiles = {name: profile(folder / f"{name}.onnx", LAYOUTS[0], options.frames) for name in names}
        sizes = {path.stem: path.stat().st_size for path in sorted(folder.glob("*.onnx"))}
        folders = throughput(options.clips, folder) if options.clips else None
    load.note()
    report = {
        "results": results,
        "times_without_tfam": costs,
        "profile": profiles,
        "bytes": sizes,
        "throughput": folders,
        "options": {key: value for key, value in vars(options).items() if key != "out"},
        "versions": versions(),
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "load": {"before": before, "after": os.getloadavg(), "share_of_others": spread(load.shares)},
    }
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for name, each in results.items():
        print(f"{name:60} {each['wall_ms']['median']:7.2f} ms wall, lowest {each['wall_ms']['lowest']:6.2f}", end="")
        print(f", {each['cpu_ms']['median']:7.2f} ms of processors, lowest {each['cpu_ms']['lowest']:6.2f}")
    for size, ratio in costs.items():
        low, middle, high = (ratio[key] for key in ("lowest", "median", "highest"))
        print(f"with TFAM, {size} takes {middle:.3f} times as long as without ({low:.3f} to {high:.3f})")
    if folders:
        print(json.dumps(folders))


if __name__ == "__main__":
    main()
