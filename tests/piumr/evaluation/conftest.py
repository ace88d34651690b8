"""Run folders without the minutes of training: networks as they begin, tested on cached poses."""

import csv

import numpy as np
import pytest
import torch
import yaml

from piumr.checkpoint import save_checkpoint
from piumr.data.cache import load_packed
from piumr.data.protocols import make_splits
from piumr.data.source import DataConfig
from piumr.inference.model_card import ModelCard
from piumr.model import ActionNet, ModelConfig
from piumr.predictions import write_predictions
from piumr.streams import STREAMS
from piumr.training.fit import predict
from pose_extract.schema import WORLD_POINTS, PoseSequence, write_poses

BACKBONE = {"channels": [12, 16], "depths": [1, 1], "strides": [1, 2]}
FRAMES = 16


def write_set(folder, clips, labels=None):
    """Clips as cached poses with a labels.csv; their coordinates are in a square image."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [["clip", "label", "person"]]
    for i, name in enumerate(clips.names):
        points, valid = clips.clip(i)
        landmarks = np.concatenate([points / 3, np.zeros_like(points[..., :1]), np.ones_like(points[..., :1])], axis=-1)
        landmarks[~valid] = np.nan
        meta = {
            "layout": clips.layout.name,
            "joints": list(clips.layout.joints),
            "edges": [list(edge) for edge in clips.layout.edges],
            "width": 500,
            "height": 500,
        }
        world = np.full((len(points), WORLD_POINTS, 3), np.nan, dtype=np.float32)
        path = folder / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_poses(path, PoseSequence(landmarks, world, valid, np.arange(len(points)) / 30, meta))
        label = clips.class_names[clips.labels[i]] if labels is None else labels[i]
        lines.append([name, label, clips.persons[i]])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return folder


def make_run(
    folder, poses, *, protocol="leave-one-person-out", fold=1, seed=0, streams=STREAMS, layout="", frames=FRAMES
):
    """A run folder with what training leaves there, but no model.onnx."""
    data = DataConfig(poses=poses, protocol=protocol, fold=fold, layout=layout)
    declaration, table, store = load_packed(data, frames)
    split = make_splits(table, declaration.protocols, protocol)[fold - 1]
    torch.manual_seed(seed)
    config = ModelConfig(frames=frames, backbone_options=BACKBONE, streams=streams)
    net = ActionNet(store.layout, store.num_classes, 2, config, tfam=False).eval()
    for parameter in net.parameters():  # so that a class is preferred here and there
        parameter.data += 0.3 * torch.randn_like(parameter)
    card = ModelCard(
        class_names=table.class_names,
        layout=store.layout,
        frames=frames,
        coordinates="image",
        summary={"dataset": declaration.name, "method": "erm", "seed": seed, "train_clips": len(split.train)},
    )
    folder.mkdir(parents=True)
    save_checkpoint(folder / "checkpoint.pt", net, card)
    values = {"dataset": None, "data": None, "poses": str(poses), "labels": None}
    values |= {"protocol": protocol, "fold": fold, "layout": layout, "method": "erm", "optim": {"epochs": 3}}
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    (folder / "history.csv").write_text("epoch,loss,accuracy\n1,1.5,0.2\n2,1.25,0.4\n3,,0.5\n")
    probabilities = predict(net, store, split.test).softmax(1)
    write_predictions(folder / "predictions.csv", table.subset(split.test), probabilities)
    return folder


@pytest.fixture(scope="session")
def set_writer():
    return write_set


@pytest.fixture(scope="session")
def run_maker():
    return make_run


@pytest.fixture(scope="session")
def poses(tmp_path_factory, toy_set):
    """The toy set as cached poses: 4 persons, 3 classes, 4 takes."""
    return write_set(tmp_path_factory.mktemp("set") / "poses", toy_set)


@pytest.fixture(scope="session")
def folds(tmp_path_factory, poses):
    """Two streams of four folds, one person each."""
    root = tmp_path_factory.mktemp("runs")
    return {
        (stream, fold): make_run(root / f"{stream}{fold}", poses, fold=fold, seed=fold, streams=(stream,))
        for stream in ("joint", "motion")
        for fold in range(1, 5)
    }
