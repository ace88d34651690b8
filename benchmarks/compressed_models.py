"""What int8 and fp16 would cost and gain: accuracy on persons never seen, milliseconds, bytes.

A nano network is trained on UTD-MHAD's odd persons and exported; its file is then quantised statically (8 bits, every
operator that has such a form, or the convolutions alone), calibrated on training clips, and converted to half
precision. All four are tested on the even persons and timed in interleaved rounds. A form ships only if it pays.

    python benchmarks/compressed_models.py --data ../shared/data/skeletons --out compressed.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from backbones import Load, spread
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from piumr.data.protocols import make_splits
from piumr.data.source import DataConfig, coordinates, load_set
from piumr.data.store import ClipStore
from piumr.export import export_onnx
from piumr.inference import ModelCard
from piumr.model import ModelConfig
from piumr.training.config import OptimConfig, TrainConfig
from piumr.training.fit import fit

CALIBRATION = 128


class Clips(CalibrationDataReader):
    """Training clips one by one, as the quantiser asks for them."""

    def __init__(self, points: np.ndarray, valid: np.ndarray) -> None:
        self.feeds: Iterator[dict[str, np.ndarray]] = (
            {"points": points[i : i + 1], "valid": valid[i : i + 1]} for i in range(len(points))
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next clip, None after the last."""
        return next(self.feeds, None)


def compress(full: Path, points: np.ndarray, valid: np.ndarray) -> dict[str, Path]:
    """The file in all forms."""
    prepared = full.with_name("prepared.onnx")
    quant_pre_process(full, prepared, skip_symbolic_shape=True)
    forms = {"fp32": full}
    for name, operators in {"int8": None, "int8, convolutions": ["Conv"]}.items():
        forms[name] = full.with_name(f"{name.replace(', ', '-')}.onnx")
        quantize_static(
            prepared,
            forms[name],
            Clips(points, valid),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=operators,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
    forms["fp16"] = full.with_name("fp16.onnx")
    onnx.save(convert_float_to_float16(onnx.load(full), keep_io_types=True), forms["fp16"])
    return forms


def session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """The file in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def milliseconds(forms: dict[str, Path], feed: dict[str, np.ndarray], rounds: int, load: Load) -> dict[str, Any]:
    """One clip, one thread; the process's own time, which other work on the machine disturbs less."""
    sessions = {name: session(path, 1) for name, path in forms.items()}
    found: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(rounds):
        for name, each in sessions.items():
            times = []
            for _ in range(25):
                started = time.process_time()
                each.run(["logits"], feed)
                times.append(1e3 * (time.process_time() - started))
            found[name].append(statistics.median(times))
        load.note()
    return {name: spread(values) for name, values in found.items()}


def main() -> None:
    """Train, compress, test, time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of utd_mhad/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    declaration, clips = load_set(DataConfig(dataset="utd_mhad", data=options.data / "utd_mhad"))
    (split,) = make_splits(clips, declaration.protocols, "odd-even")
    config = TrainConfig(
        method="piumr",
        model=ModelConfig("microgcn-nano", frames=options.frames),
        optim=OptimConfig(epochs=options.epochs),
    )
    config = replace(config, augmentation=config.augmentation.for_set(clips))
    store = ClipStore.pack(clips, options.frames)
    net = fit(store, split.train, config, progress=False).net
    chosen = np.random.default_rng(0).permutation(split.train)[:CALIBRATION]
    calibration = tuple(tensor.numpy() for tensor in store.evaluation(chosen))
    points, valid = (tensor.numpy() for tensor in store.evaluation(split.test))
    labels, load, before = clips.labels[split.test], Load(), os.getloadavg()
    with tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / "fp32.onnx"
        card = ModelCard(clips.class_names, clips.layout, options.frames, coordinates(store.dimensions))
        export_onnx(net, card, full)
        forms = compress(full, *calibration)
        times = milliseconds(forms, {"points": points[:1], "valid": valid[:1]}, options.rounds, load)
        results = {}
        for name, path in forms.items():
            (logits,) = session(path, 2).run(["logits"], {"points": points, "valid": valid})
            results[name] = {
                "accuracy": float((logits.argmax(1) == labels).mean()),
                "cpu_ms": times[name],
                "bytes": path.stat().st_size,
            }
    report = {
        "results": results,
        "test_clips": len(labels),
        "options": {key: str(value) for key, value in vars(options).items() if key != "out"},
        "threads": 1,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("onnxruntime", "onnx", "torch", "numpy")},
        "load": {"before": before, "after": os.getloadavg(), "share_of_others": spread(load.shares)},
    }
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
