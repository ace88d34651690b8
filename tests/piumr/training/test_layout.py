"""Training on some of a set's joints, and inference on poses that have all of them."""

import json

import numpy as np
import pytest
from rich.console import Console

from piumr.data.source import DataConfig, load_set
from piumr.errors import PiumrError
from piumr.inference import Recognizer
from piumr.layouts import get_layout
from piumr.model import ModelConfig
from piumr.synthetic import generate_clip, sample_person
from piumr.training.config import OptimConfig, TrainConfig
from piumr.training.run import train_run
from pose_extract import PoseSequence, read_poses

MICRO, WIDE = get_layout("mediapipe-micro"), get_layout("mediapipe-75")
CONFIG = TrainConfig(
    model=ModelConfig(backbone_options={"channels": (8, 8), "depths": (1, 1), "strides": (2, 2)}, frames=8),
    optim=OptimConfig(epochs=1, warmup_epochs=0),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("few")
    (folder / "dataset.toml").write_text(
        'title = "few"\ncitation = ""\nlicence = ""\nsource = ""\nformat = "synthetic"\nprotocol = "person-folds"\n'
        "[options]\npersons = 2\ntakes = 1\n"
    )
    return DataConfig(dataset=str(folder / "dataset.toml"), layout="mediapipe-micro")


def as_cache(clip):
    """A generated clip as the extractor would have cached it, with all 75 joints."""
    meta = {"layout": WIDE.name, "joints": list(WIDE.joints), "edges": [list(edge) for edge in WIDE.edges]}
    world = np.full((len(clip.valid), 33, 3), np.nan, dtype=np.float32)
    meta |= {"width": clip.width, "height": clip.height}
    return PoseSequence(clip.landmarks, world, clip.valid, np.arange(len(clip.valid)) / clip.fps, meta)


def test_the_set_has_the_joints_of_the_layout_asked_for(data):
    _, small = load_set(data)
    _, wide = load_set(DataConfig(dataset=data.dataset))
    assert small.layout == MICRO
    for place, name in enumerate(MICRO.joints):
        joint = WIDE.joints.index(name)
        assert np.array_equal(small.points[:, place], wide.points[:, joint])
        assert np.array_equal(small.valid[:, place], wide.valid[:, joint])


def test_a_model_trained_so_takes_poses_with_all_joints(data, tmp_path):
    run = train_run(data, CONFIG, "last", tmp_path / "run", Console(quiet=True))
    recognizer = Recognizer(run.folder / "model.onnx", threads=1)
    assert recognizer.card.layout == MICRO
    clip = generate_clip(sample_person(0, 1), "waving", 0, 0)
    of_the_cache = recognizer.predict(as_cache(clip))[0]
    _, clips = load_set(data)
    of_the_set = recognizer.predict_clips([clips.clip(clips.names.index("person001/waving/0"))])[0]
    assert np.array_equal(of_the_cache.probabilities, of_the_set.probabilities)
    example = read_poses(next((run.folder / "examples").glob("*.npz")))
    assert example.meta["joints"] == list(MICRO.joints)
    assert recognizer.predict(example)[0].label is not None
    assert json.loads((run.folder / "metrics.json").read_text())["test"]["accuracy"] >= 0


def test_layouts_that_do_not_fit_are_refused(data):
    with pytest.raises(PiumrError, match=r"Expected a layout among .*mediapipe-micro.*, but got 'tiny'"):
        load_set(DataConfig(dataset=data.dataset, layout="tiny"))
    with pytest.raises(PiumrError, match="layout kinect-20, but 8 are not there, such as 'hip_center'"):
        load_set(DataConfig(dataset=data.dataset, layout="kinect-20"))
