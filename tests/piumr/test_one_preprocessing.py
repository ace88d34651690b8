"""Training and inference see the same numbers: whatever the clip, its length, its gaps and its layout."""

import csv

import numpy as np
import pytest
import torch

from piumr.data.cache import load_packed
from piumr.data.clips import SkeletonSet
from piumr.data.source import DataConfig
from piumr.data.store import ClipStore
from piumr.inference import Recognizer
from piumr.layouts import LAYOUTS, get_layout
from piumr.preprocessing import normalise, resample
from pose_extract.schema import PoseSequence, write_poses

LENGTHS = (1, 2, 3, 7, 31, 32, 33, 64, 65, 200, 777, 2000)
FRAMES = 64


def clip(layout, frames, rng):
    """A walk of the joints with gaps: single landmarks, frames, joints for good, the groups a clip is centred on."""
    points = rng.uniform(0, 1, (len(layout), 2)) + np.cumsum(rng.normal(0, 0.01, (frames, len(layout), 2)), axis=0)
    valid = rng.random((frames, len(layout))) > rng.uniform(0, 0.6)
    valid &= rng.random((frames, 1)) > rng.choice([0, 0.3])
    valid &= rng.random(len(layout)) > rng.choice([0, 0.3])
    if rng.random() < 0.3:
        valid[:, list(layout.centres[0])] = False
    return points.astype(np.float32), valid


def packed(layout, clips):
    """A set of them, all of one class."""
    return SkeletonSet(
        points=np.concatenate([points for points, _ in clips]),
        valid=np.concatenate([valid for _, valid in clips]),
        offsets=np.cumsum([0, *(len(valid) for _, valid in clips)]),
        labels=np.zeros(len(clips), dtype=np.int64),
        names=tuple(map(str, range(len(clips)))),
        persons=None,
        splits=None,
        class_names=("one",),
        layout=layout,
    )


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("frames", [1, FRAMES])
def test_a_packed_set_is_what_inference_computes(name, frames):
    layout, rng = get_layout(name), np.random.default_rng(len(name))
    clips = [clip(layout, length, rng) for length in LENGTHS]
    clips.append((clips[5][0], np.zeros_like(clips[5][1])))  # nobody
    store = ClipStore.pack(packed(layout, clips), frames)
    everything = np.arange(len(clips))
    trained, trained_valid = store.sample(torch.from_numpy(everything))
    evaluated, evaluated_valid = store.evaluation(everything)
    for i, (points, valid) in enumerate(clips):
        expected, mask = resample(*normalise(points, valid, layout), frames)
        expected = expected.transpose(2, 0, 1)
        for got, got_valid in ((trained, trained_valid), (evaluated, evaluated_valid)):
            np.testing.assert_allclose(got[i].numpy(), expected, atol=1e-6, rtol=1e-6)
            np.testing.assert_array_equal(got_valid[i].numpy(), mask)
    assert np.abs(expected).max() == 0
    assert trained[5:-1].abs().amax(dim=(1, 2, 3)).min() > 0.1


@pytest.mark.parametrize("name", ["mediapipe-33", "mediapipe-75"])
def test_cached_poses_reach_the_network_as_they_did_in_training(name, tmp_path, monkeypatch):
    """By files: extracted poses, labels, the packed set kept on disk; and the recogniser on the same files."""
    source, rng = get_layout(name), np.random.default_rng(0)
    recognizer = Recognizer(threads=1)
    poses = {}
    folder = tmp_path / "poses"
    folder.mkdir()
    for number, length in enumerate(LENGTHS):
        points, valid = clip(source, length, rng)
        landmarks = np.concatenate([points, rng.uniform(0, 1, points.shape)], axis=2).astype(np.float32)
        landmarks[~valid] = np.nan
        meta = {"layout": name, "joints": list(source.joints), "edges": [list(edge) for edge in source.edges]}
        meta |= {"width": 1080, "height": 1296}
        world = np.full((length, 33, 3), np.nan, np.float32)
        poses[f"clip{number:02d}"] = PoseSequence(landmarks, world, valid, np.arange(length) / 30, meta)
        write_poses(folder / f"clip{number:02d}.npz", poses[f"clip{number:02d}"])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("clip", "label"), *((stem, f"class {i % 2}") for i, stem in enumerate(poses))])
    monkeypatch.setenv("PIUMR_CACHE", str(tmp_path / "cache"))
    for _ in range(2):  # read, then from the cache
        config = DataConfig(poses=folder, layout=recognizer.card.layout.name)
        _, table, store = load_packed(config, recognizer.card.frames)
        points, valid = store.evaluation(np.arange(len(store)))
        given = {}

        def run(outputs, feed, given=given):
            given |= feed
            return [np.zeros((len(feed["points"]), len(recognizer.card.class_names)), np.float32)]

        with monkeypatch.context() as patch:
            patch.setattr(recognizer, "_session", type("Session", (), {"run": staticmethod(run)}))
            recognizer.predict(poses[name] for name in table.names)
        np.testing.assert_allclose(given["points"], points.numpy(), atol=1e-6, rtol=1e-6)
        np.testing.assert_array_equal(given["valid"], valid.numpy())
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert np.abs(given["points"]).max() > 0.1
