"""The whole way on real videos: extract, label, train, export, predict. A check of the wiring: all clips train."""

import json
import subprocess
import sys

import pytest

TRAINED_ON_BODY = ("--optim.epochs", "80", "--optim.batch_size", "6", "--protocol", "all")


def run(entry, *arguments):
    """A command in a process of its own; its standard output."""
    module, function = entry.split(":")
    code = f"import {module} as m; m.{function}()"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_six_real_clips_are_all_named(shared_data, tmp_path):
    videos = shared_data / "videos" / "ma52"
    declaration = tmp_path / "body" / "dataset.toml"
    declaration.parent.mkdir()
    declaration.write_text(
        'title = "six clips"\ncitation = "-"\nlicence = "-"\nsource = "-"\nformat = "pose_cache"\n'
        'layout = "mediapipe-33"\n[person]\npattern = "^(?P<person>[0-9]{4})_"\n'
    )
    run("pose_extract.cli:main", videos, "--out", tmp_path / "poses", "--landmarks", "body")
    labels = ("--poses", tmp_path / "poses", "--labels", videos / "labels.txt")
    run("piumr.commands:train", "--dataset", declaration, *labels, *TRAINED_ON_BODY, "--out", tmp_path / "run")
    lines = run("piumr.commands:infer", tmp_path / "run" / "model.onnx", tmp_path / "poses").splitlines()
    predicted = {json.loads(line)["source"].rsplit("/", 1)[1].removesuffix(".npz"): json.loads(line) for line in lines}
    truth = dict(line.split() for line in (videos / "labels.txt").read_text().splitlines())
    assert len(truth) == 6
    for clip, label in truth.items():
        assert predicted[clip.removesuffix(".mp4")]["label"] == label
    # and from a video at once, as the cache says
    (line,) = run("piumr.commands:infer", tmp_path / "run" / "model.onnx", videos / "0019_02_0078.mp4").splitlines()
    assert json.loads(line)["label"] == truth["0019_02_0078.mp4"]
