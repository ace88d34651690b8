"""The fused training forms equal the plain ones that the benchmark measures them against, gradients included."""

import argparse
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import gcn

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "backbones.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_backbones", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)
        spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["ctrgcn", "stgcnpp"])
def test_output_gradients_and_statistics_are_those_of_the_plain_form(benchmark, name):
    torch.manual_seed(0)
    options = {"channels": (16, 32), "depths": (2, 1), "strides": (1, 2)}
    net = gcn.create_backbone(name, 3, 7, **benchmark.skeleton(9), **options)
    for module in net.modules():
        if hasattr(module, "gain"):
            nn.init.normal_(module.gain)
    nn.init.normal_(net.classifier.weight)
    plain = benchmark.plain_form(net).double()
    net = net.double()
    assert len(list(plain.modules())) > len(list(net.modules()))  # one convolution a subset and branch
    inputs = [torch.randn(3, 3, 12, 9).double().requires_grad_() for _ in range(2)]
    inputs[1].data.copy_(inputs[0].data)
    outputs = [model.train()(x) for model, x in zip((net, plain), inputs, strict=True)]
    torch.testing.assert_close(*outputs)
    for output in outputs:
        output.square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    shared = dict(plain.named_parameters())
    for key, parameter in net.named_parameters():
        if key in shared and shared[key].shape == parameter.shape:
            torch.testing.assert_close(shared[key].grad, parameter.grad, msg=key)
    x = inputs[0].detach()
    torch.testing.assert_close(net.eval()(x), plain.eval()(x))  # the running statistics, too


def test_the_benchmark_writes_what_it_promises(benchmark, tmp_path, monkeypatch, capsys):
    (tmp_path / "peer.py").write_text(
        "from torch import nn\n\n\ndef make(num_joints, frames, num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3 * frames * num_joints, num_classes))\n"
    )
    out = tmp_path / "figures.json"
    command = ["backbones.py", "--out", str(out), "--models", "microgcn-nano", "--peer", "peer:make"]
    command += ["--sweep", "microgcn-nano"]
    monkeypatch.setattr(benchmark, "SWEEP_FRAMES", (2, 4))
    monkeypatch.setattr(benchmark, "SWEEP_JOINTS", (3, 5))
    command += ["--rounds", "1", "--batch", "2", "--frames", "8", "--joints", "7", "--threads", "1"]
    monkeypatch.setattr("sys.argv", command)
    monkeypatch.chdir(tmp_path)  # where a peer's module lies
    monkeypatch.setattr("sys.path", [*sys.path])
    benchmark.main()
    printed = capsys.readouterr().out
    report = json.loads(out.read_text())
    for model in ("microgcn-nano", "peer:make"):
        assert all(report["results"][model][figure]["median"] > 0 for figure in report["results"][model])
        assert f"| {model} |" in printed
    assert report["cost"]["peer:make"] == {"parameters": 3 * 8 * 7 * 52 + 52, "macs": 3 * 8 * 7 * 52}
    assert "onnx_batch_1_ms" in report["results"]["microgcn-nano"]
    assert {"versions", "load", "machine", "options"} <= report.keys()
    assert np.isfinite(list(report["growth"]["microgcn-nano"].values())).all()
    monkeypatch.setattr("sys.argv", ["backbones.py", "--table", str(out)])
    benchmark.main()
    assert capsys.readouterr().out == printed  # the table is made from the file alone


@pytest.mark.parametrize("name", ["nothing_of_this_name:make", "json:make", ":make", "json"])
def test_a_peer_that_is_not_there_is_one_line(benchmark, monkeypatch, name):
    monkeypatch.setattr("sys.path", [*sys.path])
    with pytest.raises(SystemExit, match=f"MODULE:NAME, but got '{name}'"):
        benchmark.load_peer(name)


def test_what_is_exported_computes_the_same(benchmark):
    net = gcn.create_backbone("microgcn-nano", 3, 52, **benchmark.skeleton(4)).deploy()
    run = benchmark.session(net, argparse.Namespace(frames=8, joints=4, threads=1))
    x = torch.randn(1, 3, 8, 4)
    torch.testing.assert_close(torch.from_numpy(run(x)), net(x), rtol=1e-4, atol=1e-5)


def test_growth_is_that_of_the_times(benchmark):
    times = {f"V={v}": {f"T={t}": 0.01 * t**0.9 * v**1.5 for t in (32, 64, 128, 256)} for v in (17, 25, 52, 75)}
    growth = benchmark.exponents(times)
    assert growth == pytest.approx({"frames": 0.9, "joints": 1.5, "frames_at_most": 0.9, "joints_at_most": 1.5})


def test_ratios_compare_the_same_rounds(benchmark, monkeypatch):
    """bf16 training of the fused form is set against full precision of the plain one."""
    times = iter([8.0, 16.0, 4.0, 2.0, 1.0, 0.5, 6.0])  # batch 1, batch, training; ours before plain, bf16 after ours
    monkeypatch.setattr(benchmark, "seconds", lambda *_: next(times))
    options = argparse.Namespace(rounds=1, seconds=1, batch=2, frames=4, joints=3, device="cpu")
    report = benchmark.measure(
        dict.fromkeys(["ctrgcn", "ctrgcn, plain"], argparse.Namespace(onnx=None)), options, benchmark.Load()
    )
    ratios = {figure: each["median"] for figure, each in report["ctrgcn"]["times_the_plain_form"].items()}
    assert ratios == {
        "batch_1_ms": 2.0,
        "clips_per_s": 0.5,
        "training_clips_per_s": 6.0,
        "bf16_training_clips_per_s": 12.0,
    }
    assert "bf16_training_clips_per_s" not in report["ctrgcn, plain"]
