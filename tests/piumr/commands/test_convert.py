"""``piumr-convert`` as a user types it, and a data set that exists only as files: no line of Python for it."""

import json
import os
import pickle

import numpy as np
import pytest

from piumr.commands.console import run_command
from piumr.data.declaration import own_clips
from piumr.data.formats import read_set
from piumr.layouts import get_layout
from pose_extract.schema import PoseSequence, write_poses

TINY = (
    '--model.backbone_options={"channels": [12], "depths": [1], "strides": [2]}',
    "--model.tfam_stage=0",
    "--model.frames=8",
    "--optim.epochs=1",
    "--optim.batch_size=6",
)

DECLARATION = """
title = "Two gestures of four persons, as PYSKL has them"
citation = "nobody"
licence = "none"
source = "here"
format = "pyskl"
layout = "coco-17"
classes = "classes.csv"
mirror = true
protocol = "a-to-b"

[options]
file = "gestures.pkl"

[person]
pattern = '^(?P<person>[a-d])_'

[protocols.a-to-b]
kind = "persons"
train = ["a", "b", "c"]
test = ["d"]
"""


def run(command, *arguments):
    with pytest.raises(SystemExit) as left:
        run_command(f"piumr-{command}", f"piumr.commands.{command}", command, [os.fspath(a) for a in arguments])
    return left.value.code


@pytest.fixture
def poses(tmp_path):
    """Four cached clips, label/person/clip."""
    layout = get_layout("mediapipe-75")
    for seed, name in enumerate(("nod/anna/1", "nod/ben/1", "wave/anna/1", "wave/ben/1")):
        rng = np.random.default_rng(seed)
        landmarks = rng.uniform(0.1, 0.9, (6, 75, 4)).astype(np.float32)
        valid = rng.random((6, 75)) > 0.1
        landmarks[~valid] = np.nan
        meta = {"layout": layout.name, "joints": list(layout.joints), "edges": [list(edge) for edge in layout.edges]}
        path = tmp_path / "poses" / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        world = np.full((6, 33, 3), np.nan, np.float32)
        write_poses(
            path, PoseSequence(landmarks, world, valid, np.arange(6) / 30, meta | {"width": 640, "height": 480})
        )
    return tmp_path / "poses"


def test_there_and_back(poses, tmp_path, capfd):
    assert run("convert", poses, tmp_path / "set.npz") == 0
    assert run("convert", tmp_path / "set.npz", tmp_path / "set.pkl") == 0
    assert run("convert", tmp_path / "set.pkl", tmp_path / "back", "--layout", "mediapipe-75", "--fps", "30") == 0
    printed = capfd.readouterr().err.splitlines()
    assert printed[0].endswith("set.npz: 4 clips, 24 frames, layout mediapipe-75.")
    assert "does not carry world coordinates and the record of extraction" in printed[1]
    assert printed[3] == "A PYSKL pickle carries no joint names, z, timestamps, persons, class names."
    assert printed[-1] == "The source has no timestamps: they are frame numbers / 30 (--fps)."
    before, after = (read_set(own_clips(), poses=folder) for folder in (poses, tmp_path / "back"))
    assert before.names == after.names
    np.testing.assert_array_equal(before.labels, after.labels)
    np.testing.assert_array_equal(before.valid, after.valid)
    np.testing.assert_allclose(before.points, after.points, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none", "set.npz"), "Expected `source` to be a file or a folder"),
        (("poses", "set.npz", "--layout", "coco"), "Expected a layout among"),
        (("poses", "set.npz", "--layout", "coco-17"), "in layout coco-17, but got mediapipe-75"),
        (("poses", "set.npz", "--fps", "0"), "Expected `fps` to be positive"),
        (("poses", "nowhere/set.npz"), "in a folder that exists"),
        (("poses", "poses"), "`target` to be outside of `source`"),
        (("poses", "poses/set.npz"), "`target` to be outside of `source`"),
        (("evil.pkl", "set.npz", "--layout", "coco-17"), "builtins only"),
        (("evil.pkl", "evil.pkl", "--layout", "coco-17"), "choose another name"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(poses, tmp_path, monkeypatch, capfd, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pkl").write_bytes(b"cos\nsystem\n(Vtouch victim\ntR.")
    assert run("convert", *arguments) == 2
    printed = capfd.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not (tmp_path / "victim").exists()
    assert not (tmp_path / "set.npz").exists()


def test_a_new_data_set_takes_no_python(tmp_path, poses, capfd):
    """Three files, of which two are text: it is trained on, evaluated on a person never seen, exported and predicts."""
    folder = tmp_path / "gestures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    annotations = [
        {
            "frame_dir": f"{person}_{take}",
            "total_frames": 9,
            "img_shape": (480, 640),
            "original_shape": (480, 640),
            "label": take % 2,
            "keypoint": rng.uniform(1, 480, (1, 9, 17, 2)).astype(np.float16),
            "keypoint_score": np.ones((1, 9, 17), dtype=np.float16),
        }
        for person in "abcd"
        for take in range(4)
    ]
    (folder / "gestures.pkl").write_bytes(pickle.dumps({"split": {}, "annotations": annotations}))
    (folder / "dataset.toml").write_text(DECLARATION)
    (folder / "classes.csv").write_text("id,name\n0,nod\n1,wave\n")
    with pytest.raises(SystemExit) as left:
        run_command(
            "piumr-train-gcn",
            "piumr.commands.train",
            "train",
            ["--dataset", str(folder / "dataset.toml"), "--out", str(tmp_path / "run"), *TINY],
        )
    assert left.value.code == 0
    report = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (report["dataset"], report["protocol"], report["person_disjoint"]) == ("gestures", "a-to-b", True)
    assert (report["train_clips"], report["test_clips"]) == (12, 4)
    # the model takes poses of the extractor, whose layout is another
    capfd.readouterr()
    assert run("infer", tmp_path / "run" / "model.onnx", poses) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert len(lines) == 4
    assert {line["label"] for line in lines} <= {"nod", "wave"}
