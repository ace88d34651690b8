"""The model in the package does what it says: it knows persons it was never trained on, and only synthetic ones."""

import json
import os

import numpy as np
import onnx
import pytest

from piumr.commands.console import run_command
from piumr.errors import PiumrError
from piumr.inference import DEFAULT_MODEL, Recognizer, shipped_models
from piumr.inference.shipped import find_model
from piumr.layouts import get_layout
from piumr.synthetic.generator import generate_clip
from piumr.synthetic.persons import sample_person
from piumr.synthetic.repertoire import ACTIONS
from pose_extract.schema import PoseSequence, write_poses


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer(threads=1)


def as_poses(clip, joints=75):
    """A synthetic clip as piumr-extract writes it: with hands, or the body alone."""
    layout, frames = get_layout(f"mediapipe-{joints}"), len(clip.valid)
    meta = {"layout": layout.name, "joints": list(layout.joints), "edges": [list(edge) for edge in layout.edges]}
    meta |= {"width": clip.width, "height": clip.height}
    world = np.full((frames, 33, 3), np.nan, np.float32)
    landmarks, valid = clip.landmarks[:, :joints], clip.valid[:, :joints]
    return PoseSequence(landmarks, world, valid, np.arange(frames) / clip.fps, meta)


def correct(recognizer, persons, actions):
    """Which clips are recognised, of persons that the card says were not in training."""
    seed = recognizer.card.summary["data_seed"]
    clips = [generate_clip(sample_person(seed, person), action, 0, seed) for person in persons for action in actions]
    predictions = recognizer.stream(map(as_poses, clips))
    return [prediction.label == clip.action for prediction, clip in zip(predictions, clips, strict=True)]


def test_it_is_the_default_and_says_what_it_knows(recognizer):
    assert shipped_models() == (DEFAULT_MODEL,)
    assert recognizer.card == Recognizer(DEFAULT_MODEL).card
    card = recognizer.card
    assert "only synthetic persons" in card.notice
    assert "Synthetic persons" in card.trained_on
    assert card.licence
    assert card.summary["person_disjoint"]
    assert card.class_names == tuple(action.name for action in ACTIONS)


def test_it_is_small_and_its_figures_lie_beside_it(recognizer):
    path = find_model(DEFAULT_MODEL)
    assert path.stat().st_size < 1_500_000
    stated = json.loads(path.with_suffix(".json").read_text())
    assert stated["bytes"] == path.stat().st_size
    assert stated["notice"] == recognizer.card.notice
    assert {key: stated[key] for key in recognizer.card.summary} == recognizer.card.summary


def test_it_is_valid_onnx_of_the_stated_opset(recognizer):
    model = onnx.load(find_model(DEFAULT_MODEL))
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", recognizer.card.opset)]


def test_it_recognises_persons_it_has_never_seen(recognizer):
    persons = recognizer.card.summary["test_persons"][:2]
    right = correct(recognizer, persons, recognizer.card.class_names[::2])
    assert np.mean(right) > 0.25  # chance is 0.02


@pytest.mark.slow
def test_its_stated_accuracy_is_true(recognizer):
    summary = recognizer.card.summary
    right = correct(recognizer, summary["test_persons"], recognizer.card.class_names)
    assert len(right) == summary["test_clips"]
    assert np.mean(right) == pytest.approx(summary["accuracy"], abs=1.5 / len(right))


def test_it_takes_poses_with_hands_and_without(recognizer):
    clip = generate_clip(sample_person(5, 0), "waving", 0, 5)
    whole, body = recognizer.predict([as_poses(clip), as_poses(clip, 33)])
    np.testing.assert_allclose(whole.probabilities, body.probabilities, rtol=1e-5)


def test_the_command_finds_it_by_name(tmp_path, capfd):
    write_poses(tmp_path / "clip.npz", as_poses(generate_clip(sample_person(5, 0), "waving", 0, 5)))
    with pytest.raises(SystemExit) as left:
        run_command("piumr-infer", "piumr.commands.infer", "infer", [DEFAULT_MODEL, str(tmp_path)])
    assert left.value.code == 0
    (line,) = capfd.readouterr().out.splitlines()
    assert json.loads(line)["label"] in Recognizer().card.class_names


def test_a_file_goes_before_a_shipped_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_model(DEFAULT_MODEL).is_absolute()
    (tmp_path / DEFAULT_MODEL).mkdir()  # a folder of poses, say
    assert find_model(DEFAULT_MODEL).is_absolute()
    (tmp_path / DEFAULT_MODEL).rmdir()
    (tmp_path / DEFAULT_MODEL).write_bytes(b"mine")
    assert os.fspath(find_model(DEFAULT_MODEL)) == DEFAULT_MODEL
    with pytest.raises(PiumrError, match=f"shipped model.*{DEFAULT_MODEL}"):
        find_model("another")
