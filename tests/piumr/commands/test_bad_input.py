"""Input that cannot be trained on: one clear line with what came and what to do, exit code 2, no run folder."""

import csv

import numpy as np
import pytest
import torch

from piumr.checkpoint import save_checkpoint
from piumr.commands.console import run_command
from piumr.inference.model_card import ModelCard
from piumr.layouts import get_layout
from piumr.model import ActionNet, ModelConfig
from pose_extract.schema import PoseSequence, write_poses

LAYOUT = get_layout("mediapipe-33")
DECLARED = """
title = "Two"
citation = ""
licence = ""
source = ""
format = "pose_cache"
layout = "mediapipe-33"
classes = "classes.csv"
protocol = "anna-ben"
[options.lists]
train = "train.txt"
[protocols.anna-ben]
kind = "persons"
train = ["anna"]
test = ["ben"]
"""


@pytest.fixture
def refuse(tmp_path, monkeypatch, capfd):
    """Run a command in a folder of its own and return the one line that refuses it."""
    monkeypatch.chdir(tmp_path)

    def run(program, *arguments):
        with pytest.raises(SystemExit) as left:
            run_command(f"piumr-{program}", f"piumr.commands.{program.split('-')[0]}", program.split("-")[0], arguments)
        lines = capfd.readouterr().err.strip().splitlines()
        assert left.value.code == 2, lines
        assert not list(tmp_path.glob("runs/*"))
        errors = [line for line in lines if not line.startswith(("warning:", "No --dataset given"))]
        assert len(errors) == 1, lines
        assert errors[0].startswith("error: Expected")
        return errors[0]

    return run


@pytest.fixture
def write_clips(tmp_path):
    """Write cached poses."""

    def write(*names):
        for seed, name in enumerate(names):
            landmarks = np.random.default_rng(seed).uniform(0.2, 0.8, (9, len(LAYOUT), 4)).astype(np.float32)
            meta = {"layout": LAYOUT.name, "joints": list(LAYOUT.joints), "edges": [list(e) for e in LAYOUT.edges]}
            path = tmp_path / "poses" / f"{name}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            valid, times, world = (
                np.ones(landmarks.shape[:2], bool),
                np.arange(9) / 30,
                np.zeros((9, 33, 3), np.float32),
            )
            write_poses(path, PoseSequence(landmarks, world, valid, times, {**meta, "width": 640, "height": 480}))

    return write


def write_labels(path, *rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("clip", "label", "person"), *rows])


@pytest.fixture
def declared(tmp_path, write_clips):
    """A declared set with a closed list of classes, of clips that have labels of their own."""
    write_clips("a", "b", "c", "d")
    (tmp_path / "dataset.toml").write_text(DECLARED)
    (tmp_path / "classes.csv").write_text("id,name\n0,nod\n1,wave\n")

    def label(*rows):
        write_labels(tmp_path / "labels.csv", *rows)
        return ("train", "--dataset=dataset.toml", "--labels=labels.csv")

    return label


def test_a_class_that_is_not_declared(refuse, declared):
    arguments = declared(("a", "nod", "anna"), ("b", "waves", "anna"), ("c", "nod", "ben"))
    assert "class id in 0..1 or a class name (such as 'wave'), but got 'waves'" in refuse(*arguments)


def test_one_person(refuse, write_clips):
    write_clips(*(f"{label}/anna/{take}" for label in ("nod", "wave") for take in range(2)))
    line = refuse("train")
    assert "at least two persons for a protocol by person, but got only 'anna'" in line
    assert "protocol random" in line


@pytest.mark.parametrize(
    ("persons", "options", "expected"),
    [
        (("anna", "ben"), ["--select=persons"], "two training persons for --select persons, but got only 'ben'"),
        (("anna", "ben"), ["--method=jtt", '--terms.rival_options={"shares": 1}'], "unexpected keyword argument"),
        ((), ["--select=persons"], "known persons for --select persons"),
        ((), ["--method=vrex"], "persons are known for method vrex"),
    ],
)
def test_what_training_would_refuse_is_refused_before_a_folder_is_made(
    refuse, write_clips, persons, options, expected, tmp_path
):
    takes = [f"{label}{take}" for label in ("nod", "wave") for take in range(4)]
    write_clips(*takes)
    people = [(persons or ("",))[number % max(len(persons), 1)] for number in range(len(takes))]
    rows = zip(takes, (take[:-1] for take in takes), people, strict=True)
    header = ("clip", "label", "person") if persons else ("clip", "label")
    with (tmp_path / "poses" / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *(row[: len(header)] for row in rows)])
    arguments = [*options, "--model.frames=8"]
    assert expected in refuse("train", *arguments)


def test_a_protocol_with_an_empty_side(refuse, declared):
    arguments = declared(("a", "nod", "anna"), ("b", "wave", "anna"), ("c", "nod", "cleo"))
    line = refuse(*arguments)
    assert "no test clip: it names the persons ben, while the clips have anna, cleo" in line
    assert "--protocol" in line


def test_a_fold_that_trains_one_class_only(refuse, declared):
    arguments = declared(("a", "nod", "anna"), ("b", "nod", "anna"), ("c", "wave", "ben"))
    assert "at least two classes in split 'persons', but got only 'nod'" in refuse(*arguments)


def test_a_class_that_no_training_clip_shows_is_told_of(declared, tmp_path, monkeypatch, capfd):
    """No error: other classes can be learned, and the missed one counts as missed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "classes.csv").write_text("id,name\n0,nod\n1,wave\n2,shrug\n")
    arguments = declared(("a", "nod", "anna"), ("b", "wave", "anna"), ("c", "wave", "ben"), ("d", "shrug", "ben"))
    tiny = (
        '--model.backbone_options={"channels": [8], "depths": [1], "strides": [2]}',
        "--model.tfam_stage=0",
        "--model.frames=8",
    )
    with pytest.raises(SystemExit) as left:
        run_command("piumr-train-gcn", "piumr.commands.train", "train", [*arguments[1:], *tiny, "--optim.epochs=1"])
    assert left.value.code == 0
    assert "Note: No training clip shows shrug." in " ".join(capfd.readouterr().err.split())


def test_poses_that_no_line_of_the_list_means(refuse, write_clips, tmp_path):
    write_clips("day1/Anna_01", "day1/Anna_02")
    (tmp_path / "list.txt").write_text("train/anna_01.mp4 nod\ntrain/anna_02.mp4 wave\n")
    line = refuse("train", "--labels=list.txt")
    assert "none of 2 matches: it names 'train/anna_01.mp4', while there is 'day1/Anna_01'" in line
    assert "2 of 2 would match but for the folders and upper and lower case" in line


@pytest.mark.parametrize("program", ["export", "train"])
def test_a_run_of_an_older_version(refuse, tmp_path, program):
    (tmp_path / "old").mkdir()
    path = tmp_path / "old" / "checkpoint.pt"
    model = ModelConfig(backbone_options={"channels": [8], "depths": [1], "strides": [1]}, frames=8)
    net = ActionNet(LAYOUT, 2, 2, model, tfam=False)
    save_checkpoint(path, net, ModelCard(("a", "b"), LAYOUT, 8, "image", version="0.0.1"))
    torch.save({**torch.load(path, weights_only=True), "format": 0}, path)
    line = refuse(program, *(("old",) if program == "export" else ("--dataset=synthetic", "--init=old")))
    assert "format 1, but got 0: 'old/checkpoint.pt' was written by piumr 0.0.1" in line
    assert "train again" in line
