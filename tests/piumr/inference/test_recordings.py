"""Recordings at the times that a player shows for them."""

import numpy as np
import pytest

from piumr.inference.recordings import Recording, on_players_clock
from pose_extract.schema import PoseSequence, write_poses


def make_poses(**meta):
    meta |= {"layout": "two", "joints": ["a", "b"], "edges": [], "width": 64, "height": 48}
    landmarks = np.zeros((5, 2, 4), np.float32)
    world = np.zeros((5, 0, 3), np.float32)
    return PoseSequence(landmarks, world, np.ones((5, 2), bool), np.arange(5) / 30, meta)


@pytest.mark.parametrize(("starts_at", "shift"), [(2.0, 2.0), (0.0, 0), (None, 0), ("2", 0), (-1.0, 0), (1e300, 0)])
def test_times_count_from_the_files_start(tmp_path, starts_at, shift):
    poses = make_poses(starts_at=starts_at)
    np.testing.assert_array_equal(on_players_clock(poses).timestamps, np.arange(5) / 30 + shift)
    write_poses(tmp_path / "a.npz", poses)
    recording = Recording(tmp_path / "a.npz", None)  # poses are taken from any model's layout
    assert recording.seconds == pytest.approx(4 / 30 + shift)
    (chunk,) = recording
    np.testing.assert_array_equal(chunk.timestamps, np.arange(5) / 30 + shift)
