"""The commands as a user types them: what they print, what they leave, how they exit."""

import json
import shutil

import numpy as np
import pytest
import torch
import yaml

from piumr.checkpoint import load_checkpoint
from piumr.commands.console import fail, run_command
from piumr.layouts import get_layout
from pose_extract.schema import PoseSequence, write_poses

LAYOUT = get_layout("mediapipe-33")
TINY = (
    '--model.backbone_options={"channels": [12, 16], "depths": [1, 1], "strides": [1, 2]}',
    "--model.frames=16",
    "--optim.epochs=2",
    "--optim.batch_size=6",
)


def run(command, *arguments):
    """Exit code of a command, in this process."""
    modules = {"train": "piumr-train-gcn", "export": "piumr-export", "infer": "piumr-infer"}
    with pytest.raises(SystemExit) as left:
        run_command(modules[command], f"piumr.commands.{command}", command, [str(a) for a in arguments])
    return left.value.code


def write_clip(path, seed, layout=LAYOUT):
    rng = np.random.default_rng(seed)
    landmarks = rng.uniform(0.2, 0.8, (15, len(layout), 4)).astype(np.float32)
    landmarks[..., 3] = 1
    meta = {
        "layout": layout.name,
        "joints": list(layout.joints),
        "edges": [list(e) for e in layout.edges],
        "width": 640,
        "height": 480,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    world = np.zeros((15, 33, 3), np.float32)
    write_poses(path, PoseSequence(landmarks, world, np.ones((15, len(layout)), bool), np.arange(15) / 30, meta))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folders label/person/clip of cached poses, and a run trained on them."""
    root = tmp_path_factory.mktemp("own")
    for seed, (label, person, take) in enumerate(
        (label, person, take) for label in ("nod", "wave") for person in ("anna", "ben", "cleo") for take in range(2)
    ):
        write_clip(root / "poses" / label / person / f"{take}.npz", seed)
    code = run("train", "--poses", root / "poses", "--out", root / "run", *TINY)
    assert code == 0
    return root


def test_own_folders_train_with_classes_and_persons_from_their_names(trained):
    report = json.loads((trained / "run" / "metrics.json").read_text())
    assert report["protocol"] == "person-folds"
    assert report["person_disjoint"] is True
    assert report["train_clips"] + report["test_clips"] == 12


def test_a_run_repeats_from_its_configuration_bit_for_bit(trained, tmp_path):
    config = yaml.safe_load((trained / "run" / "config.yaml").read_text())
    assert config["poses"] == str(trained / "poses")
    assert run("train", "--config", trained / "run" / "config.yaml", "--out", tmp_path / "again") == 0
    first, again = (json.loads((p / "metrics.json").read_text()) for p in (trained / "run", tmp_path / "again"))
    assert first["test"] == again["test"]
    one, two = (load_checkpoint(p / "checkpoint.pt")[0].state_dict() for p in (trained / "run", tmp_path / "again"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_finished_work_is_not_overwritten_unasked(trained, capfd):
    before = (trained / "run" / "model.onnx").read_bytes()
    assert run("train", "--poses", trained / "poses", "--out", trained / "run", *TINY) == 2
    assert "--overwrite" in capfd.readouterr().err
    assert (trained / "run" / "model.onnx").read_bytes() == before


def test_infer_writes_a_json_line_a_source(trained, capfd):
    model = trained / "run" / "model.onnx"
    assert run("infer", model, trained / "poses" / "nod", "--top", 1) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert len(lines) == 6
    assert all(line["label"] in ("nod", "wave") and len(line["top"]) == 1 for line in lines)


def test_infer_lists_what_fails_and_goes_on(trained, tmp_path, capfd):
    write_clip(tmp_path / "good.npz", 99)
    write_clip(tmp_path / "other.npz", 99, get_layout("kinect-20"))
    (tmp_path / "torn.npz").write_bytes((tmp_path / "good.npz").read_bytes()[:500])
    (tmp_path / "text.npz").write_text("hello")
    assert run("infer", trained / "run" / "model.onnx", tmp_path, "--out", tmp_path / "lines.jsonl") == 1
    printed = capfd.readouterr().err
    assert "mediapipe-33" in printed
    assert "kinect-20" in printed
    assert "torn.npz" in printed
    assert "3 of 4" in printed
    assert [json.loads(line)["source"] for line in (tmp_path / "lines.jsonl").open()] == [str(tmp_path / "good.npz")]


def test_export_makes_the_model_again(trained, tmp_path):
    assert run("export", trained / "run", "--out", tmp_path / "again.onnx") == 0
    assert run("infer", tmp_path / "again.onnx", trained / "poses" / "nod") == 0


def test_bad_usage_is_one_clear_line_and_exit_code_2(trained, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    flat = tmp_path / "flat"
    write_clip(flat / "clip.npz", 0)
    broken = tmp_path / "broken"
    shutil.copytree(trained / "run", broken)
    (broken / "checkpoint.pt").write_bytes(b"nothing")
    labels = tmp_path / "labels.csv"
    labels.write_text("clip,label\nsomething_else,nod\n")
    model = trained / "run" / "model.onnx"
    for arguments, message in (
        (("train", "--poses", "nowhere"), "piumr-extract"),
        (("train", "--poses", "empty"), "piumr-extract"),
        (("train", "--poses", flat), "clip,label,person"),
        (("train", "--poses", flat, "--labels", labels), "something_else"),
        (("train", "--poses", flat, "--labels", "none.csv"), "none.csv"),
        (("train", "--dataset", "imaginary"), "utd_mhad"),
        (("train", "--dataset", "utd_mhad", "--data", "empty"), "empty"),
        (("train", "--poses", trained / "poses", "--protocol", "odd"), "person-folds"),
        (("train", "--poses", trained / "poses", "--optim.epochs", "0"), "epochs"),
        (("train", "--poses", trained / "poses", "--model.backbone", "resnet"), "stgcnpp"),
        (("train", "--method", "magic"), "erm"),
        (("train", "--frobnicate"), "frobnicate"),
        (("export", "empty"), "checkpoint.pt"),
        (("export", broken), "cannot be read"),
        (("infer", "no.onnx", flat), "no.onnx"),
        (("infer", labels, flat), "labels.csv"),
        (("infer", model, "nowhere"), "nowhere"),
        (("infer", model, "empty"), "empty"),
        (("infer", model, flat, "--top", 0), "top"),
    ):
        assert run(*arguments) == 2, arguments
        printed = capfd.readouterr().err
        assert message in printed, arguments
        assert "Traceback" not in printed
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").rglob("model.onnx"))


def test_a_full_disk_stops_before_training(trained, tmp_path, capfd, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    assert run("train", "--poses", trained / "poses", "--out", tmp_path / "run", *TINY) == 1
    assert "disk is full" in capfd.readouterr().err


def test_a_missing_extra_names_itself(capfd, monkeypatch):
    import sys

    for module in [m for m in sys.modules if m.startswith("piumr.commands.export")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, "piumr.export", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)  # what an import of a package that is not installed does
    assert run("export", "anything") == 2
    assert "piumr[train]" in capfd.readouterr().err


def test_square_brackets_in_a_name_are_text(capfd):
    fail("no class '[/red]a' in [b]")
    assert "[/red]a' in [b]" in capfd.readouterr().err


def test_colons_in_a_name_are_text(capfd):
    fail("no file 'rec:100:x'")
    assert "rec:100:x" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model:\n  # backbone: stgcnpp\n", "`model` to be a table of options, but got None"),
        ("optim: 3\n", "`optim` to be a table of options, but got 3"),
        ("terms: []\n", "`terms` to be a table"),
        ("model:\n  streams: null\n", "`model.streams` to have a value (by default ('joint', 'bone', 'motion'))"),
        ("seed: null\n", "`seed` to have a value (by default 0), but got null"),
    ],
)
def test_what_a_configuration_leaves_empty_is_named(tmp_path, capfd, text, message):
    (tmp_path / "config.yaml").write_text(text)
    assert run("train", "--config", tmp_path / "config.yaml", "--poses", "nowhere") == 2
    assert message in capfd.readouterr().err


def test_a_configuration_that_is_no_text_is_refused(tmp_path, capfd):
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe\x00binary")
    assert run("train", "--config", tmp_path / "config.yaml") == 2
    printed = capfd.readouterr().err
    assert "config" in printed
    assert "Traceback" not in printed
