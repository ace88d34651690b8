"""A declared data set of the toy clips, for commands."""

import numpy as np
import pytest

DECLARATION = """
title = "Toy"
citation = "ours"
licence = "none"
source = "made by a test"
format = "npz"
layout = "mediapipe-33"
protocol = "person-folds"
[options]
file = "toy.npz"
[person]
column = "subject"
"""


@pytest.fixture(scope="session")
def toy_data(tmp_path_factory, toy_set):
    """Path of a dataset.toml."""
    folder = tmp_path_factory.mktemp("toy")
    np.savez(
        folder / "toy.npz",
        frames=np.where(toy_set.valid[..., None], toy_set.points, 0),
        offsets=toy_set.offsets,
        label=toy_set.labels,
        subject=np.array(toy_set.persons),
        class_names=np.array(toy_set.class_names),
        joint_names=np.array(toy_set.layout.joints),
        sample_id=np.array(toy_set.names),
        edges=np.array(toy_set.layout.edges),
    )
    (folder / "dataset.toml").write_text(DECLARATION)
    return folder / "dataset.toml"
