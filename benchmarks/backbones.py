"""How fast the backbones are: one clip, a batch, a training step, and how that grows with frames and joints.

Every model is measured once in every round, so that a ratio compares figures of the same seconds even where the
machine has other work. Inference runs the deployed form. CTR-GCN and ST-GCN++ are measured a second time in a plain
form: the same function of the same weights as it is commonly written, one convolution for each subset and branch,
frames averaged after they are convolved, norms apart. That the two are the same is checked before anything is timed.
Training is measured in bf16 autocast as well; the plain forms are not, so that its ratio says what both bring together.
One JSON file is written: medians and spread, ratios, parameters, multiply-accumulates, versions, threads, dtype, and
the load of the machine. The tables of docs/results.md are made from it.

    python benchmarks/backbones.py --out backbones.json
    python benchmarks/backbones.py --table backbones.json
    python benchmarks/backbones.py --device cuda --dtype bf16 --batch 256
    python benchmarks/backbones.py --peer my_module:make

A peer's module is looked for in the current folder too. Its factory is called as make(num_joints=, frames=,
num_classes=) and returns a module of (N, 3, T, V).
"""

from __future__ import annotations

import argparse
import copy
import importlib
import io
import json
import logging
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plain_form import plain_form
from torch import Tensor, nn

import gcn
from piumr.training.memory import keep_freed_memory

CHANNELS, CLASSES = 3, 52
PACKAGES = ("torch", "numpy", "onnxruntime")
PLAIN = ("ctrgcn", "stgcnpp")
FIGURES = {
    "batch_1_ms": "batch 1, ms",
    "onnx_batch_1_ms": "ONNX Runtime, ms",
    "clips_per_s": "batch, clips/s",
    "training_clips_per_s": "training, clips/s",
    "bf16_training_clips_per_s": "in bf16",
}
SWEEP_FRAMES, SWEEP_JOINTS = (32, 64, 128, 256), (17, 25, 52, 75)


def skeleton(joints: int) -> dict[str, Any]:
    """Five limbs on one root, of as many joints as asked for."""
    return {"edges": [], "parents": [max(joint - 5, 0) for joint in range(joints)]}


class Case:
    """A model in the forms that are measured; ``onnx`` runs what is exported, if anything is."""

    def __init__(
        self,
        inference: nn.Module,
        training: nn.Module,
        options: argparse.Namespace,
        onnx: Callable[[Tensor], Any] | None = None,
    ) -> None:
        self.options, self.onnx = options, onnx
        self.inference, self.training = inference.eval(), training.train()
        self.optimizer = torch.optim.SGD(self.training.parameters(), lr=1e-4)

    def autocast(self, half: bool = False) -> Any:
        """Half precision where asked for."""
        return torch.autocast(self.options.device, torch.bfloat16, enabled=half or self.options.dtype == "bf16")

    def infer(self, x: Tensor) -> None:
        """One forward pass."""
        with torch.inference_mode(), self.autocast():
            self.inference(x)

    def train(self, x: Tensor, half: bool = False) -> None:
        """One step."""
        labels = torch.arange(len(x), device=x.device) % CLASSES
        with self.autocast(half):
            loss = nn.functional.cross_entropy(self.training(x), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def session(net: nn.Module, options: argparse.Namespace) -> Callable[[Tensor], Any]:
    """One clip through ONNX Runtime: what is deployed runs there."""
    import onnxruntime

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of every library that is not installed
    example, file = torch.randn(1, CHANNELS, options.frames, options.joints), io.BytesIO()
    exported = torch.onnx.export(net.eval(), (example,), dynamo=True, verbose=False)
    assert exported is not None
    exported.save(file)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    ready = onnxruntime.InferenceSession(file.getvalue(), settings, providers=["CPUExecutionProvider"])
    name = ready.get_inputs()[0].name
    return lambda x: ready.run(None, {name: x.numpy()})[0]


def seconds(run: Callable[[], None], repeats: int, options: argparse.Namespace) -> float:
    """Median time of a call after one that is not counted."""
    clock = time.process_time if options.clock == "cpu" else time.perf_counter
    run()
    found = []
    for _ in range(repeats):
        if options.device == "cuda":
            torch.cuda.synchronize()
        started = clock()
        run()
        if options.device == "cuda":
            torch.cuda.synchronize()
        found.append(clock() - started)
    return statistics.median(found)


def spread(values: list[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def cpu_ticks() -> tuple[int, int]:
    """Busy and all ticks of the machine's cores; zeros where the system does not tell."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0, 0
    ticks = [int(field) for field in stat.read_text().split("\n", 1)[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


class Load:
    """Share of the cores' time that others took between two calls."""

    def __init__(self) -> None:
        self.shares: list[float] = []
        self.last = (*cpu_ticks(), sum(os.times()[:2]))

    def note(self) -> None:
        """One more interval."""
        now = (*cpu_ticks(), sum(os.times()[:2]))
        busy, whole, own = (b - a for a, b in zip(self.last, now, strict=True))
        share = max(busy - own * os.sysconf("SC_CLK_TCK"), 0) / whole if whole else float("nan")
        self.shares.append(share)
        self.last = now


def check_same(name: str, net: nn.Module, other: nn.Module, x: Tensor) -> None:
    """Refuse to compare two forms that do not compute the same."""
    with torch.inference_mode():
        expected, found = net.eval()(x), other.eval()(x)
    difference = float((expected - found).abs().max() / expected.abs().max())
    if difference > 1e-4:
        raise SystemExit(f"Expected the forms of {name} to compute the same, but they differ by {difference:.1e}.")


def load_peer(name: str) -> Callable[..., nn.Module]:
    """The factory ``module:name``, from the current folder or from what is installed."""
    module, _, factory = name.partition(":")
    sys.path.append(str(Path.cwd()))
    try:
        found: Callable[..., nn.Module] = getattr(importlib.import_module(module), factory)
    except (ImportError, AttributeError, ValueError) as error:
        raise SystemExit(f"Expected --peer to name a factory as MODULE:NAME, but got {name!r}: {error}.") from None
    return found


def make_cases(options: argparse.Namespace) -> tuple[dict[str, Case], dict[str, Any]]:
    """The models, and what they cost."""
    example = torch.randn(1, CHANNELS, options.frames, options.joints)
    cases, costs = {}, {}
    for name in options.models:
        net = gcn.create_backbone(name, CHANNELS, CLASSES, **skeleton(options.joints))
        costs[name] = gcn.network_cost(net, example)._asdict()
        forms = {name: (net.deploy(), net)}
        if name in PLAIN:
            plain = plain_form(net)
            forms[f"{name}, plain"] = plain, copy.deepcopy(plain)
        for key, (inference, training) in forms.items():
            check_same(key, net, inference, example)
            cases[key] = inference, training
    for peer in options.peer:
        net = load_peer(peer)(num_joints=options.joints, frames=options.frames, num_classes=CLASSES)
        costs[peer] = gcn.network_cost(net, example)._asdict()
        cases[peer] = net, copy.deepcopy(net)
    # what another one's model needs to be exported is not known
    names = options.models if (options.device, options.dtype) == ("cpu", "fp32") else []
    exported = {name: session(cases[name][0], options) for name in names}
    placed = {}
    for key, pair in cases.items():
        inference, training = (net.to(options.device) for net in pair)
        if options.compile:
            inference, training = (torch.compile(net, dynamic=False) for net in (inference, training))
        placed[key] = Case(inference, training, options, exported.get(key))
    return placed, costs


def measure(cases: dict[str, Case], options: argparse.Namespace, load: Load) -> dict[str, Any]:
    """All figures of all cases, one of each in every round."""
    one, many = (
        torch.randn(n, CHANNELS, options.frames, options.joints, device=options.device) for n in (1, options.batch)
    )
    figures = list(FIGURES)
    found: dict[str, dict[str, list[float]]] = {name: {figure: [] for figure in figures} for name in cases}
    started = time.perf_counter()
    for index in range(options.rounds):
        if index and time.perf_counter() - started > options.seconds:
            break
        print(f"round {index + 1} of {options.rounds}", file=sys.stderr)
        for name, case in cases.items():
            found[name]["batch_1_ms"].append(1e3 * seconds(lambda: case.infer(one), 7, options))  # noqa: B023
            if case.onnx is not None:
                found[name]["onnx_batch_1_ms"].append(1e3 * seconds(lambda: case.onnx(one), 7, options))  # noqa: B023
        for name, case in cases.items():
            rate = options.batch / seconds(lambda: case.infer(many), 2, options)  # noqa: B023
            found[name]["clips_per_s"].append(rate)
        for name, case in cases.items():
            rate = options.batch / seconds(lambda: case.train(many), 1, options)  # noqa: B023
            found[name]["training_clips_per_s"].append(rate)
            if not name.endswith(", plain"):
                rate = options.batch / seconds(lambda: case.train(many, half=True), 1, options)  # noqa: B023
                found[name]["bf16_training_clips_per_s"].append(rate)
        load.note()
    print(f"{len(load.shares)} rounds in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    results: dict[str, Any] = {
        name: {figure: spread(values) for figure, values in each.items() if values} for name, each in found.items()
    }
    for name in set(PLAIN) & set(found):
        plain = found[f"{name}, plain"]
        results[name]["times_the_plain_form"] = {
            figure: spread([b / a if figure == "batch_1_ms" else a / b for a, b in zip(values, other, strict=True)])
            for figure, values in found[name].items()
            if figure != "onnx_batch_1_ms"
            for other in [plain[figure] or plain["training_clips_per_s"]]
        }
    return results


def sweep(name: str, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Milliseconds of one clip by joints and frames, interleaved; the median over at most three rounds."""
    nets, found = {}, {}
    for joints in SWEEP_JOINTS:
        net = gcn.create_backbone(name, CHANNELS, CLASSES, **skeleton(joints)).deploy().to(options.device)
        for frames in SWEEP_FRAMES:
            nets[joints, frames] = Case(net, nn.Linear(1, 1), options)
            found[joints, frames] = []
    for _ in range(min(options.rounds, 3)):
        for (joints, frames), case in nets.items():
            x = torch.randn(1, CHANNELS, frames, joints, device=options.device)
            found[joints, frames].append(1e3 * seconds(lambda: case.infer(x), 3, options))  # noqa: B023
    return {
        f"V={joints}": {f"T={frames}": statistics.median(found[joints, frames]) for frames in SWEEP_FRAMES}
        for joints in SWEEP_JOINTS
    }


def exponents(times: dict[str, dict[str, float]]) -> dict[str, float]:
    """Least-squares p and q of ms = c T^p V^q over the whole sweep, and between its two largest T and V alone."""
    grid = np.array([[times[f"V={joints}"][f"T={frames}"] for frames in SWEEP_FRAMES] for joints in SWEEP_JOINTS])
    ms, (v, t) = np.log(grid), np.log(np.meshgrid(SWEEP_JOINTS, SWEEP_FRAMES, indexing="ij"))
    terms = np.stack([np.ones(ms.size), t.ravel(), v.ravel()], axis=1)
    _, p, q = np.linalg.lstsq(terms, ms.ravel(), rcond=None)[0]
    return {
        "frames": float(p),
        "joints": float(q),
        "frames_at_most": float((ms[-1, -1] - ms[-1, -2]) / (t[-1, -1] - t[-1, -2])),
        "joints_at_most": float((ms[-1, -1] - ms[-2, -1]) / (v[-1, -1] - v[-2, -1])),
    }


def table(report: dict[str, Any]) -> str:
    """The medians as Markdown, and how the time of one clip grows where that was measured."""
    growth = report["growth"]
    heads = ["model", "M parameters", "M MACs", *FIGURES.values()]
    if growth:
        heads += ["time grows with", "up to T = 256, V = 75"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, each in report["results"].items():
        cost = report["cost"][name.removesuffix(", plain")]
        cells = [name, f"{cost['parameters'] / 1e6:.2f}", f"{cost['macs'] / 1e6:.0f}"]
        for figure in FIGURES:
            digits = 1 if figure.endswith("_ms") else 0
            value = f"{each[figure]['median']:.{digits}f}" if figure in each else ""
            times = each.get("times_the_plain_form", {}).get(figure)
            cells.append(value + (f" ({times['median']:.2f} x)" if times else ""))
        if growth:
            fit = growth.get(name)
            cells += ["", ""] if fit is None else [f"T^{fit['frames']:.2f} V^{fit['joints']:.2f}"]
            if fit is not None:
                cells.append(f"T^{fit['frames_at_most']:.2f} V^{fit['joints_at_most']:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="the JSON file to write; standard output if not given")
    parser.add_argument("--models", nargs="+", default=gcn.list_backbones(), choices=gcn.list_backbones())
    parser.add_argument("--peer", action="append", default=[], metavar="MODULE:FACTORY", help="another's model")
    parser.add_argument("--sweep", nargs="*", default=gcn.list_backbones(), choices=gcn.list_backbones())
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--joints", type=int, default=25)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=600, help="begin no further round after so long")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("fp32", "bf16"), default="fp32", help="bf16: autocast")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: for a busy machine, --threads 1")
    parser.add_argument("--compile", action="store_true", help="torch.compile both forms")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print the table of this JSON file and do no more")
    options = parser.parse_args()
    if options.table:
        print(table(json.loads(options.table.read_text())))
        return
    keep_freed_memory()  # as the trainer does
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    load = Load()
    before = os.getloadavg()
    cases, costs = make_cases(options)
    results = measure(cases, options, load)
    del cases
    times = {name: sweep(name, options) for name in options.sweep}
    report = {
        "results": results,
        "rounds": len(load.shares),
        "cost": costs,
        "sweep_batch_1_ms": times,
        "growth": {name: exponents(each) for name, each in times.items()},
        "options": {key: value for key, value in vars(options).items() if key not in ("out", "table")},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
        },
        "load": {"before": before, "after": os.getloadavg(), "share_of_others": spread(load.shares)},
    }
    text = json.dumps(report, indent=2)
    if options.out:
        options.out.write_text(text + "\n")
        print(table(report))
    else:
        print(text)


if __name__ == "__main__":
    main()
