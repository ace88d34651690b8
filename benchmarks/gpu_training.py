"""A whole training of MA-52's size: how long it takes, how busy the device is, and what a step waits for.

11,250 clips of 52 classes, 47 joints (mediapipe-micro), 64 frames, 65 epochs: clips of the synthetic generator,
repeated with a little noise each, which cost what real ones do; what is recognised says nothing. The training is
:func:`piumr.training.fit.fit` itself. After it, its two parts are measured apart on the same device: making a batch
(gather, crop, warp, augment) and the model's step (forward, backward, optimiser). What a step of the training takes
beyond their sum is spent by Lightning or waited for. One JSON file is written, with the time of every epoch.

    python benchmarks/gpu_training.py --out gpu_training.json
    python benchmarks/gpu_training.py --clips 130 --epochs 2 --steps 2 --backbone stgcnpp-small --frames 16  # on a CPU
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from piumr.data.batches import ClipBatches
from piumr.data.store import ClipStore
from piumr.layouts import get_layout
from piumr.model import ModelConfig
from piumr.synthetic import synthetic_set
from piumr.training.config import OptimConfig, TrainConfig
from piumr.training.fit import fit, make_net
from piumr.training.module import ActionModule, parameter_count

PERSONS = 4
NOISE = 0.002
"""Standard deviation added to each repetition, in image heights."""
QUERY = "--query-gpu=utilization.gpu,memory.used,power.draw"


def make_store(clips: int, frames: int) -> ClipStore:
    """The generator's clips, repeated to ``clips`` of them."""
    base = synthetic_set(persons=PERSONS, takes=1, seed=0).in_layout(get_layout("mediapipe-micro"))
    repeated = base.subset(np.arange(clips) % len(base))
    repeated.points[:] += NOISE * np.random.default_rng(0).standard_normal(repeated.points.shape, dtype=np.float32)
    return ClipStore.pack(repeated, frames)


class EpochClock(Callback):
    """Seconds of every epoch, until the device has done its work."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start."""
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Stop."""
        synchronise()
        self.seconds.append(time.perf_counter() - self._started)


class Monitor:
    """Samples of nvidia-smi while something runs: utilisation in percent, memory in MiB, power in watts."""

    def __enter__(self) -> Monitor:
        self.samples: list[list[float]] = []
        self._process = None
        if torch.cuda.is_available():
            command = ["nvidia-smi", QUERY, "--format=csv,noheader,nounits", "--loop-ms=500"]
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            self._thread = threading.Thread(target=self._read, daemon=True)
            self._thread.start()
        return self

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            fields = [float(text) if text.strip().replace(".", "", 1).isdigit() else 0.0 for text in line.split(",")]
            self.samples.append(fields)

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._thread.join()

    def summary(self) -> dict[str, Any] | None:
        """Spread of each figure; None without a GPU."""
        if not self.samples:
            return None
        columns = zip(*self.samples, strict=True)
        names = ("utilisation_percent", "memory_mib", "power_w")
        found = {name: spread(list(column)) for name, column in zip(names, columns, strict=True)}
        return {"samples": len(self.samples), **found}


def synchronise() -> None:
    """Wait for the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def spread(values: list[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def milliseconds(act: Callable[[], object], steps: int, rounds: int = 5) -> dict[str, float]:
    """Time of one act, from rounds of so many acts each, after one for warming up."""
    found = []
    for _ in range(rounds + 1):
        synchronise()
        started = time.perf_counter()
        for _ in range(steps):
            act()
        synchronise()
        found.append(1e3 * (time.perf_counter() - started) / steps)
    return spread(found[1:])


def parts(store: ClipStore, config: TrainConfig, steps: int) -> dict[str, Any]:
    """Milliseconds of a batch's making and of the model's step, apart."""
    data = ClipBatches(
        store,
        np.arange(len(store)),
        None,
        batch_size=config.optim.batch_size,
        augmentation=config.augmentation,
        seed=0,
    )
    indices = next(iter(data.train_dataloader())).to(store.device)
    batch = data.training_batch(indices)
    # outside a trainer there is nothing to log to
    module = ActionModule(make_net(store, config), config, data.steps_per_epoch).to(store.device).train()
    module.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
    optimizer = module.configure_optimizers()["optimizer"]  # type: ignore[index, call-overload]
    half = config.precision == "bf16-mixed" or (
        config.precision == "auto" and store.device.type == "cuda" and torch.cuda.is_bf16_supported()
    )

    def step() -> None:
        with torch.autocast(store.device.type, torch.bfloat16, enabled=half):
            loss = module.training_step(batch, 0)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), config.optim.gradient_clip)
        optimizer.step()

    return {
        "batch_ms": milliseconds(lambda: data.training_batch(indices), steps),
        "model_ms": milliseconds(step, steps),
        "steps_per_epoch": data.steps_per_epoch,
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train, then take the step apart."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    started = time.perf_counter()
    store = make_store(arguments.clips, arguments.frames)
    made = time.perf_counter() - started
    started = time.perf_counter()
    store = store.to(device)
    synchronise()
    moved = time.perf_counter() - started
    config = TrainConfig(
        method=arguments.method,
        model=ModelConfig(backbone=arguments.backbone, frames=arguments.frames),
        optim=OptimConfig(epochs=arguments.epochs, batch_size=arguments.batch_size),
        precision=arguments.precision,
    )
    clock = EpochClock()
    started, began = time.perf_counter(), time.process_time()
    with Monitor() as monitor:
        outcome = fit(store, np.arange(len(store)), config, callbacks=[clock])
    wall, cpu = time.perf_counter() - started, time.process_time() - began
    memory = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else None
    apart = parts(store, config, arguments.steps)
    later = clock.seconds[1:] or clock.seconds  # the first one compiles and chooses kernels
    step_ms = 1e3 * statistics.median(later) / apart["steps_per_epoch"]
    return {
        "make_the_clips_s": made,
        "move_them_to_the_device_s": moved,
        "clips_gb": (store.points.nbytes + store.valid.nbytes) / 2**30,
        "training_wall_s": wall,
        "training_cpu_s": cpu,
        "epoch_s": spread(later),
        "first_epoch_s": clock.seconds[0],
        "clips_per_s": len(store) / statistics.median(later),
        "step_ms": step_ms,
        **apart,
        "beyond_the_parts_ms": step_ms - apart["batch_ms"]["median"] - apart["model_ms"]["median"],
        "gpu": monitor.summary(),
        "peak_allocated_gb": memory,
        "parameters": parameter_count(outcome.net),
        "last_loss": outcome.history[-1]["loss"],
        "epochs_s": clock.seconds,
    }


def main() -> None:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, help="the JSON file to write; standard output as well")
    parser.add_argument("--clips", type=int, default=11_250)
    parser.add_argument("--epochs", type=int, default=65)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--backbone", default="stgcnpp")
    parser.add_argument("--method", default="tfam")
    parser.add_argument("--precision", default="auto", choices=("auto", "32-true", "bf16-mixed"))
    parser.add_argument("--steps", type=int, default=50, help="steps in a round of the parts")
    arguments = parser.parse_args()
    before = os.getloadavg()
    results = measure(arguments)
    report = {
        "what": {name: value for name, value in vars(arguments).items() if name != "out"},
        "results": results,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine(),
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "cuda": torch.version.cuda,
            **{name: version(name) for name in ("torch", "lightning", "numpy")},
        },
        "load": {"before": before, "after": os.getloadavg()},
    }
    text = json.dumps(report, indent=2)
    if arguments.out:
        arguments.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
