"""How near the backbones come to what a GPU can do, and how long an epoch over an MA-52-sized set takes.

Clips per second of inference and training by batch size, in fp32 and bf16, compiled and not, each beside a bound
computed from the network's floating point operations and bytes and from the speeds of the device, which are measured
first: products of large matrices, and copying. Two bounds are given. The *fused* one reads the input and the weights
once and writes the logits, as if everything between stayed on the chip. The *operator* one counts what each operator
of the plain network reads and writes, the larger of its two times each: what can be had without fusing. Then the real
trainer runs over as many clips as MA-52's training set has (11,250, made up, of 30 to 90 frames) held on the device,
and the time of a further epoch is taken.

    python benchmarks/gpu.py --out gpu.json
    python benchmarks/gpu.py --device cpu --models microgcn-nano --batches 16 --clips 256

Run it again with --profile FILE to have the trainer's steps as a Chrome trace: a gap there is a step that waits.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import gcn
from gcn.cost import flop_counter
from piumr.data.store import ClipStore
from piumr.layouts import Layout
from piumr.model import ModelConfig
from piumr.training.config import OptimConfig, TrainConfig
from piumr.training.fit import fit

CHANNELS, CLASSES = 6, 52
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Device:
    """A device, what it reaches, and its clock.

    Args:
        name: cuda or cpu.
        size: rows of the matrices that are multiplied to measure it; four times their numbers are copied.
        least: seconds that a measurement takes at least.
    """

    def __init__(self, name: str, size: int, least: float) -> None:
        self.name, self.least = name, least
        self.bandwidth = self._bandwidth(size)
        self.flops = {key: self._flops(size, dtype) for key, dtype in DTYPES.items()}

    def wait(self) -> None:
        """Until everything asked for is done."""
        if self.name == "cuda":
            torch.cuda.synchronize()

    def seconds(self, run: Callable[[], Any]) -> float:
        """Median time of a call, of five or more, after three that are not counted."""
        for _ in range(3):
            run()
        self.wait()
        found: list[float] = []
        while sum(found) < self.least or len(found) < 5:
            started = time.perf_counter()
            run()
            self.wait()
            found.append(time.perf_counter() - started)
        return statistics.median(found)

    def _bandwidth(self, size: int) -> float:
        x = torch.ones(4 * size * size, device=self.name)
        y = torch.empty_like(x)
        return 2 * x.numel() * x.element_size() / self.seconds(lambda: y.copy_(x))

    def _flops(self, size: int, dtype: torch.dtype) -> float:
        a = torch.ones(size, size, dtype=dtype, device=self.name)
        return 2 * size**3 / self.seconds(lambda: a @ a)


class Operators(TorchDispatchMode):
    """Counts floating point operations and bytes of what runs inside it, operator by operator."""

    def __init__(self) -> None:
        super().__init__()
        self.work: list[tuple[int, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator and note what it costs; one that only looks at memory in another way costs nothing."""
        with flop_counter() as counter:
            out = func(*args, **(kwargs or {}))
        flops = counter.get_total_flops()
        if func is torch.ops.aten.convolution_backward.default:  # torch counts the groups' weights as if dense
            grad, _, weight, *_, wanted = args
            flops = 2 * grad.numel() * weight[0].numel() * sum(wanted[:2])
        if not func.is_view and func.overloadpacket not in (torch.ops.aten.detach, torch.ops.aten.empty):
            tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor)]
            self.work.append((flops, sum(t.numel() * t.element_size() for t in tensors)))
        return out

    def seconds(self, flops: float, bandwidth: float) -> float:
        """Least time of all operators, one after the other."""
        return sum(max(each / flops, moved / bandwidth) for each, moved in self.work)


def autocast(device: str, dtype: str) -> Any:
    """Half precision where asked for."""
    return torch.autocast(device, torch.bfloat16) if dtype == "bf16" else nullcontext()


def calls(net: nn.Module, x: Tensor, dtype: str, training: bool) -> Callable[[], Any]:
    """One forward pass, or one forward and backward pass."""
    labels = torch.arange(len(x), device=x.device) % CLASSES

    def infer() -> None:
        with torch.no_grad(), autocast(x.device.type, dtype):
            net(x)

    def train() -> None:
        with autocast(x.device.type, dtype):
            loss = nn.functional.cross_entropy(net(x), labels)
        loss.backward()
        for parameter in net.parameters():
            parameter.grad = None

    return train if training else infer


def ways(
    name: str,
    forms: dict[bool, nn.Module],
    batch: int,
    dtype: str,
    training: bool,
    options: argparse.Namespace,
    device: Device,
) -> list[dict[str, Any]]:
    """Clips per second of a network, compiled or not (the key of ``forms``), beside its bounds."""
    net = forms[False]
    x = torch.randn(batch, CHANNELS, options.frames, options.joints, device=options.device)
    with Operators() as operators:
        calls(net, x, dtype, training)()
    flops = sum(each for each, _ in operators.work)
    # training reads the weights twice and writes their gradients
    held = sum(t.numel() * t.element_size() for t in [*net.parameters(), *net.buffers()])
    once = x.numel() * x.element_size() + held * (3 if training else 1)
    peak = device.flops[dtype]
    row = {
        "model": name,
        "training": training,
        "batch": batch,
        "dtype": dtype,
        "gflop_per_clip": flops / batch / 1e9,
        "operator_megabytes_per_clip": sum(moved for _, moved in operators.work) / batch / 1e6,
        "fused_megabytes_per_clip": once / batch / 1e6,
        "operator_bound_clips_per_s": batch / operators.seconds(peak, device.bandwidth),
        "fused_bound_clips_per_s": batch / max(flops / peak, once / device.bandwidth),
    }
    seconds = {compiled: device.seconds(calls(form, x, dtype, training)) for compiled, form in forms.items()}
    return [{**row, "compiled": compiled, "clips_per_s": batch / taken} for compiled, taken in seconds.items()]


def throughput(name: str, options: argparse.Namespace, device: Device) -> list[dict[str, Any]]:
    """Clips per second of one backbone in every way, beside its bounds."""
    skeleton = {"edges": [], "parents": [max(joint - 5, 0) for joint in range(options.joints)]}
    rows = []
    for training in (False, True):
        net = gcn.create_backbone(name, CHANNELS, CLASSES, **skeleton)
        net = (net if training else net.deploy()).to(options.device)
        forms = {False: net}
        if options.compile:
            forms[True] = torch.compile(net, dynamic=False)
        for batch, dtype in itertools.product(options.batches, DTYPES):
            try:
                rows += ways(name, forms, batch, dtype, training, options, device)
            except torch.OutOfMemoryError:
                print(f"{name}, batch {batch}, {dtype}, {training=}: out of memory, left out", file=sys.stderr)
    return rows


def made_up_set(options: argparse.Namespace) -> ClipStore:
    """Clips of 30 to 90 frames of random walks on a skeleton of as many joints as asked for."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(30, 91, options.clips)
    joints = options.joints
    shape = (int(lengths.sum()), 2, joints)
    layout = Layout(
        name="benchmark",
        joints=tuple(f"joint {i}" for i in range(joints)),
        edges=(),
        parents=tuple(max(i - 5, 0) for i in range(joints)),
        partners=tuple(range(joints)),
        parts=("torso",) * joints,
        centres=((0,),),
        units=(),
    )
    store = ClipStore(
        points=torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)),
        valid=torch.from_numpy(rng.random((shape[0], joints)) > 0.05),
        offsets=torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)])),
        labels=torch.from_numpy(rng.integers(0, CLASSES, options.clips)),
        persons=torch.full((options.clips,), -1),
        layout=layout,
        num_classes=CLASSES,
        frames=options.frames,
    )
    return store.to(options.device)


def training(name: str, compiled: bool, options: argparse.Namespace) -> TrainConfig:
    """A training of one backbone."""
    return TrainConfig(
        method=options.method,
        model=ModelConfig(backbone=name, frames=options.frames),
        optim=OptimConfig(epochs=65, batch_size=options.epoch_batch, learning_rate=1e-3),
        precision=options.precision,
        compile=compiled,
    )


def epoch_seconds(name: str, compiled: bool, store: ClipStore, options: argparse.Namespace) -> dict[str, Any]:
    """Time of an epoch of the real trainer: what further epochs add to a training of one."""
    config = training(name, compiled, options)
    indices = np.arange(len(store))
    taken = []
    for epochs in (1, 1, 1 + options.epochs):  # the first training pays for what is done once
        started = time.perf_counter()
        fit(store, indices, config, stop_after=epochs)
        taken.append(time.perf_counter() - started)
    epoch = (taken[2] - taken[1]) / options.epochs
    return {"model": name, "compiled": compiled, "epoch_s": epoch, "clips_per_s": len(store) / epoch}


def trace(name: str, store: ClipStore, options: argparse.Namespace) -> None:
    """The steps of one epoch of the trainer as a Chrome trace."""
    with torch.profiler.profile() as profile:
        fit(store, np.arange(len(store)), training(name, False, options), stop_after=1)
    profile.export_chrome_trace(str(options.profile))


def table(report: dict[str, Any]) -> str:
    """What was measured as Markdown."""
    lines = [
        "| model | | batch | dtype | compiled | clips/s | of the operator bound | of the fused bound |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in report["throughput"]:
        shares = [row["clips_per_s"] / row[f"{bound}_bound_clips_per_s"] for bound in ("operator", "fused")]
        lines.append(
            f"| {row['model']} | {'training' if row['training'] else 'inference'} | {row['batch']} | {row['dtype']} | "
            f"{'yes' if row['compiled'] else 'no'} | {row['clips_per_s']:.0f} | {shares[0]:.1%} | {shares[1]:.2%} |"
        )
    lines += ["", "| model | compiled | an epoch, s | clips/s |", "|---|---|---|---|"]
    lines += [
        f"| {row['model']} | {'yes' if row['compiled'] else 'no'} | {row['epoch_s']:.2f} | {row['clips_per_s']:.0f} |"
        for row in report["epochs"]
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="the JSON file to write; standard output if not given")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--models", nargs="+", default=["microgcn-nano", "microgcn-base", "stgcnpp", "ctrgcn"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 16, 64, 256, 1024])
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--joints", type=int, default=52)
    parser.add_argument("--clips", type=int, default=11250, help="of the set that an epoch is measured on")
    parser.add_argument("--epochs", type=int, default=5, help="further epochs that are timed; 0 leaves them out")
    parser.add_argument("--epoch-batch", type=int, default=128)
    parser.add_argument("--method", default="erm", choices=("erm", "tfam", "girl", "piumr"))
    parser.add_argument("--precision", default="auto", choices=("auto", "32-true", "bf16-mixed"), help="of the epoch")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="leave torch.compile out")
    parser.add_argument("--seconds", type=float, default=0.5, help="least time of each measurement")
    parser.add_argument("--size", type=int, default=8192, help="rows of the matrices that measure the device")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="write a trace of the first model's training")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("Expected a GPU that torch can use, but there is none: try --device cpu.")
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")  # TF32, as trainings on a GPU commonly run
    device = Device(options.device, options.size, options.seconds)
    store = made_up_set(options)
    report: dict[str, Any] = {
        "device": {
            "name": torch.cuda.get_device_name() if options.device == "cuda" else platform.processor(),
            "gigabytes_per_s": device.bandwidth / 1e9,
            "teraflops": {key: flops / 1e12 for key, flops in device.flops.items()},
        },
        "throughput": [],
        "epochs": [],
        "options": {key: value for key, value in vars(options).items() if not isinstance(value, Path)},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("torch", "lightning")}},
        "load": {"before": os.getloadavg()},
    }
    for name in options.models:
        report["throughput"] += throughput(name, options, device)
        if options.epochs:
            ways_to_run = (False, True) if options.compile else (False,)
            report["epochs"] += [epoch_seconds(name, compiled, store, options) for compiled in ways_to_run]
        report["load"]["after"] = os.getloadavg()
        if options.out:  # what is measured stays, whatever comes
            options.out.write_text(json.dumps(report, indent=2) + "\n")
    if options.profile:
        trace(options.models[0], store, options)
    print(table(report) if options.out else json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
