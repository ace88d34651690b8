"""The GPU benchmark runs to its end on a CPU, and what it computes is right."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from torch import nn

import gcn

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_gpu", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_operators_are_counted_by_their_closed_form(benchmark):
    net = nn.Sequential(nn.Linear(5, 7, bias=False), nn.ReLU(), nn.Unflatten(1, (7, 1)))
    x = torch.randn(3, 5)
    with torch.no_grad(), benchmark.Operators() as operators:
        net(x)
    # the product, then the ReLU; the transposed weights and the last view move nothing
    assert operators.work == [(2 * 3 * 5 * 7, 4 * (15 + 35 + 21)), (0, 4 * (21 + 21))]
    assert operators.seconds(flops=210, bandwidth=284 / 2) == pytest.approx(2 + 168 / 142)


@pytest.mark.parametrize("name", ["microgcn-nano", "ctrgcn"])
def test_operations_are_those_that_the_backbone_reports(benchmark, name):
    net = gcn.create_backbone(name, 3, 7, edges=[], parents=[0, 0, 1, 2]).eval()
    x = torch.randn(2, 3, 16, 4)
    with torch.no_grad(), benchmark.Operators() as operators:
        net(x)
    assert sum(flops for flops, _ in operators.work) == 2 * gcn.network_cost(net, x).macs
    net.train()
    with benchmark.Operators() as training:
        net(x).sum().backward()
    # backwards a product is two: for its input, which the norm before the first one wants as well, and its weights
    assert sum(f for f, _ in training.work) == 3 * sum(f for f, _ in operators.work)


def test_it_writes_every_figure(benchmark, tmp_path, monkeypatch, capsys):
    out, trace = tmp_path / "gpu.json", tmp_path / "trace.json"
    command = "gpu.py --device cpu --models microgcn-nano --batches 1 2 --frames 8 --joints 5 --clips 6 --epochs 1"
    command += f" --epoch-batch 3 --no-compile --seconds 0.001 --size 16 --out {out} --profile {trace}"
    monkeypatch.setattr("sys.argv", command.split())
    precision = torch.get_float32_matmul_precision()
    benchmark.main()
    torch.set_float32_matmul_precision(precision)
    report = json.loads(out.read_text())
    assert len(report["throughput"]) == 8  # inference and training, two batches, two types
    for row in report["throughput"]:
        assert row["clips_per_s"] > 0
        assert 0 < row["operator_bound_clips_per_s"] <= row["fused_bound_clips_per_s"]
    inference, training = (
        next(row for row in report["throughput"] if row["training"] == on and row["dtype"] == "fp32")
        for on in (False, True)
    )
    assert training["operator_megabytes_per_clip"] > 2 * inference["operator_megabytes_per_clip"]
    assert [row["model"] for row in report["epochs"]] == ["microgcn-nano"]
    assert json.loads(trace.read_text())["traceEvents"]
    assert "| microgcn-nano | training | 2 | bf16 | no |" in capsys.readouterr().out
    assert report["versions"]["torch"] == torch.__version__


def test_what_does_not_fit_into_the_memory_is_left_out(benchmark, tmp_path, monkeypatch, capsys):
    measure = benchmark.ways

    def limited(name, forms, batch, *others):
        if batch == 2:
            raise torch.OutOfMemoryError
        return measure(name, forms, batch, *others)

    monkeypatch.setattr(benchmark, "ways", limited)
    out = tmp_path / "gpu.json"
    command = "gpu.py --device cpu --models microgcn-nano --batches 1 2 --frames 8 --joints 5 --clips 6 --epochs 0"
    monkeypatch.setattr("sys.argv", f"{command} --no-compile --seconds 0.001 --size 16 --out {out}".split())
    precision = torch.get_float32_matmul_precision()
    benchmark.main()
    torch.set_float32_matmul_precision(precision)
    report = json.loads(out.read_text())
    assert [row["batch"] for row in report["throughput"]] == 4 * [1]
    assert report["epochs"] == []
    assert capsys.readouterr().err.count("batch 2, fp32") == 2


def test_without_a_gpu_it_says_so(benchmark, monkeypatch):
    monkeypatch.setattr("sys.argv", ["gpu.py"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="--device cpu"):
        benchmark.main()
