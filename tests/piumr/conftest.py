"""A small labelled set that a network learns in seconds: each class moves another limb."""

import numpy as np
import pytest

from piumr.data.clips import SkeletonSet
from piumr.layouts import get_layout

CLASSES = ("left arm", "right arm", "nod")


def make_toy_set(persons=4, takes=4, layout="mediapipe-33", seed=0):
    """Clips of 12-24 frames, a tenth of the joints missing."""
    rng = np.random.default_rng(seed)
    layout = get_layout(layout)
    rest = rng.uniform(0, 1, (len(layout), 2))
    movers = [[i for i, part in enumerate(layout.parts) if part == name] for name in ("left arm", "right arm", "head")]
    points, lengths, labels, names, people = [], [], [], [], []
    for person in range(persons):
        body = rest * rng.uniform(0.8, 1.2, 2)
        for take in range(takes):
            for label in range(len(CLASSES)):
                frames = int(rng.integers(12, 25))
                clip = np.repeat(body[None], frames, axis=0) + rng.normal(0, 0.005, (frames, len(layout), 2))
                clip[:, movers[label], 1] += 0.3 * np.sin(np.linspace(0, 6, frames))[:, None]
                points.append(clip.astype(np.float32))
                lengths.append(frames)
                labels.append(label)
                names.append(f"p{person}/c{label}_t{take}")
                people.append(f"p{person}")
    packed = np.concatenate(points)
    return SkeletonSet(
        points=packed,
        valid=rng.random(packed.shape[:2]) > 0.1,
        offsets=np.cumsum([0, *lengths]),
        labels=np.array(labels),
        names=tuple(names),
        persons=tuple(people),
        splits=None,
        class_names=CLASSES,
        layout=layout,
        coarse=(0, 0, 1),
        coarse_names=("arm", "head"),
    )


@pytest.fixture(scope="session")
def toy_set():
    return make_toy_set()
