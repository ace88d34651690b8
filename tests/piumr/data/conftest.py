"""Small sets that the data tests share."""

from pathlib import Path

import numpy as np
import pytest

from piumr.data.clips import SkeletonSet
from piumr.layouts import get_layout
from pose_extract.schema import PoseSequence, write_poses


@pytest.fixture
def make_set():
    """Build a random set: count persons x classes x takes clips of 5 to 20 frames, in an order that mixes them."""

    def build(count=6, classes=4, takes=3, layout="kinect-20", dimensions=3, seed=0, **changes):
        rng = np.random.default_rng(seed)
        table = [(p, c, t) for p in range(count) for c in range(classes) for t in range(takes)]
        table = [table[i] for i in rng.permutation(len(table))]
        lengths = rng.integers(5, 21, len(table))
        joints = get_layout(layout)
        fields = {
            "points": rng.normal(size=(lengths.sum(), len(joints), dimensions)).astype(np.float32),
            "valid": rng.random((lengths.sum(), len(joints))) < 0.9,
            "offsets": np.concatenate([[0], np.cumsum(lengths)]),
            "labels": np.array([c for _, c, _ in table]),
            "names": tuple(f"p{p}_c{c}_t{t}" for p, c, t in table),
            "persons": tuple(f"p{p}" for p, _, _ in table),
            "splits": None,
            "class_names": tuple(f"class {c}" for c in range(classes)),
            "layout": joints,
        }
        return SkeletonSet(**{**fields, **changes})

    return build


@pytest.fixture
def write_cache():
    """Write a cache file of a few random frames."""

    def write(path: Path, layout="mediapipe-33", frames=4, seen=True):
        joints = get_layout(layout)
        rng = np.random.default_rng(len(str(path.name)))
        landmarks = rng.random((frames, len(joints), 4)).astype(np.float32)
        landmarks[..., 3] = 1
        valid = np.full((frames, len(joints)), seen)
        landmarks[~valid] = np.nan
        path.parent.mkdir(parents=True, exist_ok=True)
        meta = {
            "layout": layout,
            "joints": list(joints.joints),
            "edges": [list(edge) for edge in joints.edges],
            "width": 200,
            "height": 100,
        }
        world = np.zeros((frames, 33, 3), dtype=np.float32)
        write_poses(path, PoseSequence(landmarks, world, valid, np.arange(frames) / 30, meta))

    return write
