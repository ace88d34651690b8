"""``piumr-infer`` and what it may write: an output never costs a model, a source or an earlier result."""

import json
import os

import numpy as np
import pytest
import torch

from piumr.checkpoint import save_checkpoint
from piumr.commands.console import run_command
from piumr.export import export_onnx
from piumr.inference import ModelCard
from piumr.layouts import get_layout
from piumr.model import ActionNet, ModelConfig
from pose_extract.schema import PoseSequence, write_poses

LAYOUT = get_layout("mediapipe-33")


def run(command, *arguments):
    """Exit code of a command, in this process."""
    with pytest.raises(SystemExit) as left:
        run_command(f"piumr-{command}", f"piumr.commands.{command}", command, [os.fspath(a) for a in arguments])
    return left.value.code


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run folder of an untrained network."""
    torch.manual_seed(0)
    config = ModelConfig(backbone_options={"channels": [12], "depths": [1], "strides": [2]}, frames=8)
    net = ActionNet(LAYOUT, 2, 2, config, tfam=False)
    card = ModelCard(("nod", "wave"), LAYOUT, 8, "image")
    folder = tmp_path_factory.mktemp("run")
    save_checkpoint(folder / "checkpoint.pt", net, card)
    export_onnx(net, card, folder / "model.onnx")
    return folder


@pytest.fixture
def clip(tmp_path):
    landmarks = np.random.default_rng(0).uniform(0.2, 0.8, (10, 33, 4)).astype(np.float32)
    landmarks[..., 3] = 1
    meta = {"layout": LAYOUT.name, "joints": list(LAYOUT.joints), "edges": [list(e) for e in LAYOUT.edges]}
    meta |= {"width": 640, "height": 480}
    path = tmp_path / "clip.npz"
    world = np.zeros((10, 33, 3), np.float32)
    write_poses(path, PoseSequence(landmarks, world, np.ones((10, 33), bool), np.arange(10) / 30, meta))
    return path


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("victim", ["model.onnx", "clip.npz"])
def test_out_never_replaces_what_is_read(trained, clip, capfd, victim, linked):
    model = clip.with_name("model.onnx")
    model.write_bytes((trained / "model.onnx").read_bytes())
    target = clip.with_name(victim)
    before = target.read_bytes()
    out = target
    if linked:
        out = clip.with_name("link")
        out.symlink_to(target)
    assert run("infer", model, clip.parent, "--out", out) == 2
    assert "choose another name" in capfd.readouterr().err
    assert target.read_bytes() == before


@pytest.mark.parametrize("out", ["folder", "missing/lines.jsonl"])
def test_an_out_that_cannot_be_written_is_refused_before_anything_runs(trained, clip, capfd, out):
    clip.with_name("folder").mkdir()
    clip.write_bytes(b"torn")  # would be reported, if it were read
    assert run("infer", trained / "model.onnx", clip, "--out", clip.parent / out) == 2
    printed = capfd.readouterr().err
    assert printed.count("\n") == 1
    assert "`out`" in printed
    assert not clip.with_name("missing").exists()


def test_an_earlier_result_stays_until_the_run_has_finished(trained, clip, monkeypatch):
    out = clip.with_name("lines.jsonl")
    out.write_text("earlier\n")

    def interrupted(path):
        assert out.read_text() == "earlier\n"
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("piumr.commands.infer.read_poses", interrupted)
        assert run("infer", trained / "model.onnx", clip, "--out", out) == 130
    assert out.read_text() == "earlier\n"
    assert run("infer", trained / "model.onnx", clip, "--out", out) == 0
    assert json.loads(out.read_text())["frames"] == 10
    assert sorted(path.name for path in clip.parent.iterdir()) == ["clip.npz", "lines.jsonl"]


@pytest.mark.parametrize("threads", ["0", "-1", str((os.cpu_count() or 1) + 1)])
def test_threads_are_as_many_as_processors_at_most(trained, clip, capfd, threads):
    assert run("infer", trained / "model.onnx", clip, f"--threads={threads}") == 2
    assert "`threads`" in capfd.readouterr().err


def test_a_cache_may_have_an_upper_case_suffix(trained, clip, capfd):
    upper = clip.rename(clip.with_name("CLIP.NPZ"))
    assert run("infer", trained / "model.onnx", upper.parent) == 0
    assert json.loads(capfd.readouterr().out)["source"] == str(upper)


def test_names_that_are_no_text_end_in_no_traceback(trained, clip, capfd):
    strange = clip.rename(clip.with_name(os.fsdecode(b"caf\xe9.npz")))
    for name in (b"video\xe9.mp4", b"torn\xe9\n.npz"):
        strange.with_name(os.fsdecode(name)).write_bytes(b"\0")
    assert run("infer", trained / "model.onnx", strange.parent) == 1
    printed = capfd.readouterr()
    assert json.loads(printed.out)["source"] == f"{strange.parent}/caf?.npz"
    errors = printed.err.splitlines()
    assert len(errors) == 3  # one a file, and the count
    assert any("video?.mp4" in line and "it is not a video" in line for line in errors)
    assert any("torn??.npz" in line for line in errors)


def test_export_refuses_an_out_before_it_starts(trained, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("torch.onnx.export", lambda *_, **__: pytest.fail("the export started"))
    before = (trained / "checkpoint.pt").read_bytes()
    for out in (tmp_path, tmp_path / "missing" / "model.onnx", trained / "checkpoint.pt"):
        assert run("export", trained, "--out", out) == 2
        assert "`out`" in capfd.readouterr().err
    assert (trained / "checkpoint.pt").read_bytes() == before
    assert not (tmp_path / "missing").exists()
