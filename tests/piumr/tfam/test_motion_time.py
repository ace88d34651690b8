"""Frame mass and arc-length time, and the interpolation of missing frames."""

import numpy as np
import pytest
import torch

from piumr.tfam.motion_time import arc_length_time, frame_mass, interpolation_matrix

PATTERNS = ["1111111", "0111110", "1000001", "0010000", "0100110", "1101011"]


def frames(*patterns):
    return torch.tensor([[c == "1" for c in pattern] for pattern in patterns])


def test_interpolation_equals_numpy_interp():
    present = frames(*PATTERNS)
    x = torch.randn(len(PATTERNS), 7, dtype=torch.float64)
    filled = (interpolation_matrix(present, torch.float64) @ x.unsqueeze(2)).squeeze(2)
    for row, values, seen in zip(filled, x.numpy(), present.numpy(), strict=True):
        np.testing.assert_allclose(row, np.interp(np.arange(7), np.flatnonzero(seen), values[seen]), atol=1e-14)


def test_interpolation_of_complete_and_of_empty_clips():
    matrix = interpolation_matrix(frames("11111", "00000"))
    assert torch.equal(matrix[0], torch.eye(5))
    assert torch.equal(matrix[1], torch.zeros(5, 5))


def path_mass(path, seen):
    """The formula, frame by frame, in NumPy."""
    index = np.flatnonzero(seen)
    steps = np.linalg.norm(np.diff(path[:, index], axis=1), axis=0)
    mass = np.zeros(len(seen))
    mass[index] = (np.append(0, steps) + np.append(steps, 0)) / 2 + 0.1 * steps.mean()
    return mass / mass.sum()


def test_mass_by_hand():
    present = frames(*[p for p in PATTERNS if p.count("1") > 1])
    x = torch.randn(len(present), 4, 7, dtype=torch.float64)
    expected = [path_mass(path, seen) for path, seen in zip(x.numpy(), present.numpy(), strict=True)]
    np.testing.assert_allclose(frame_mass(x, interpolation_matrix(present, x.dtype)), expected, rtol=1e-4)
    np.testing.assert_allclose(
        frame_mass(x), [path_mass(path, np.ones(7, dtype=bool)) for path in x.numpy()], rtol=1e-4
    )


@pytest.mark.parametrize("kind", ["motion", "uniform"])
def test_missing_frames_have_no_mass_whatever_they_hold(kind):
    present = frames(*PATTERNS)
    x = torch.randn(len(PATTERNS), 4, 7)
    mass = frame_mass(x, interpolation_matrix(present), kind)
    assert torch.equal(mass > 0, present)
    torch.testing.assert_close(mass.sum(1), torch.ones(len(PATTERNS)))
    assert torch.equal(frame_mass(torch.where(present.unsqueeze(1), x, 1e4), interpolation_matrix(present), kind), mass)
    assert torch.equal(frame_mass(x, torch.zeros(len(x), 7, 7), kind), torch.zeros(len(PATTERNS), 7))


def test_mass_is_uniform_where_nothing_moves_and_takes_no_gradient():
    x = torch.randn(2, 4, 1).expand(2, 4, 7).clone().requires_grad_()
    mass = frame_mass(x, interpolation_matrix(frames("1111111", "0110110")))
    torch.testing.assert_close(mass, torch.tensor([[1 / 7] * 7, [0, 1 / 4, 1 / 4, 0, 1 / 4, 1 / 4, 0]]))
    torch.testing.assert_close(frame_mass(torch.zeros(1, 4, 5)), torch.full((1, 5), 0.2))
    assert not mass.requires_grad


def test_time_is_a_frames_place_along_the_path():
    mass = torch.rand(3, 9, dtype=torch.float64)
    mass /= mass.sum(1, keepdim=True)
    expected = [[row[:t].sum() + row[t] / 2 for t in range(9)] for row in mass.numpy()]
    np.testing.assert_allclose(arc_length_time(mass), expected, atol=1e-15)


def test_a_pause_takes_frames_but_little_time():
    """Doubling the number of frames by a pause moves arc-length time far less than the clock."""
    position = torch.cat((torch.linspace(0, 1, 8), torch.ones(16), torch.linspace(1, 2, 8)))
    time = arc_length_time(frame_mass(position.reshape(1, 1, -1)))[0]
    assert time[24] - time[7] < 0.2 < (24 - 7) / 32
