"""Frame mass, arc-length time, and transport in one dimension against linear programming and SciPy."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.stats import wasserstein_distance

from piumr.tfam.motion_time import arc_length_time, frame_mass, monotone_plan, transport_distance

PATTERNS = ["1111111", "0111110", "1000001", "0010000", "0100110", "1101011"]


def frames(*patterns):
    return torch.tensor([[c == "1" for c in pattern] for pattern in patterns])


def masses(*shape, missing=0.0):
    mass = torch.rand(*shape, dtype=torch.float64)
    mass *= torch.rand(*shape) >= missing
    return mass / mass.sum(-1, keepdim=True)


def path_mass(path, seen):
    """The formula, frame by frame, in NumPy."""
    T = len(seen)
    steps = np.array([np.linalg.norm(path[:, t + 1] - path[:, t]) * (seen[t] and seen[t + 1]) for t in range(T - 1)])
    mean = steps.sum() / max(1, (seen[1:] & seen[:-1]).sum())
    mass = ((np.append(0, steps) + np.append(steps, 0)) / 2 + 0.3 * mean) * seen
    return mass / mass.sum()


def test_mass_by_hand():
    present = frames(*[p for p in PATTERNS if "11" in p])
    x = torch.randn(len(present), 4, 7, dtype=torch.float64)
    expected = [path_mass(path, seen) for path, seen in zip(x.numpy(), present.numpy(), strict=True)]
    np.testing.assert_allclose(frame_mass(x, present), expected, rtol=1e-4)
    whole = [path_mass(path, np.ones(7, dtype=bool)) for path in x.numpy()]
    np.testing.assert_allclose(frame_mass(x), whole, rtol=1e-4)


@pytest.mark.parametrize("kind", ["motion", "uniform"])
def test_missing_frames_have_no_mass_whatever_they_hold(kind):
    present = frames(*PATTERNS)
    x = torch.randn(len(PATTERNS), 4, 7)
    mass = frame_mass(x, present, kind)
    assert torch.equal(mass > 0, present)
    torch.testing.assert_close(mass.sum(1), torch.ones(len(PATTERNS)))
    filled = frame_mass(torch.where(present.unsqueeze(1), x, 5), present, kind)
    torch.testing.assert_close(filled, mass, rtol=1e-3, atol=1e-5)  # their size enters the rounding floor alone
    assert torch.equal(frame_mass(x, torch.zeros(len(x), 7, dtype=torch.bool), kind), torch.zeros(len(PATTERNS), 7))


def test_mass_is_uniform_where_nothing_moves_and_takes_no_gradient():
    x = torch.randn(2, 4, 1).expand(2, 4, 7).clone().requires_grad_()
    mass = frame_mass(x, frames("1111111", "0110110"))
    torch.testing.assert_close(mass, torch.tensor([[1 / 7] * 7, [0, 1 / 4, 1 / 4, 0, 1 / 4, 1 / 4, 0]]))
    torch.testing.assert_close(frame_mass(torch.zeros(1, 4, 5)), torch.full((1, 5), 0.2))
    assert not mass.requires_grad


def test_time_is_a_frames_place_along_the_path():
    mass = masses(3, 9)
    expected = [[row[:t].sum() + row[t] / 2 for t in range(9)] for row in mass.numpy()]
    np.testing.assert_allclose(arc_length_time(mass), expected, atol=1e-15)


def test_a_pause_takes_frames_but_little_time():
    """Doubling the number of frames by a pause moves time by the mass far less than by the clock."""
    position = torch.cat((torch.linspace(0, 1, 8), torch.ones(16), torch.linspace(1, 2, 8)))
    time = arc_length_time(frame_mass(position.reshape(1, 1, -1), still_share=0.1))[0]
    assert time[24] - time[7] < 0.2 < (24 - 7) / 32


@pytest.mark.parametrize(("M", "T"), [(5, 7), (7, 5), (6, 6), (1, 4), (4, 1)])
def test_plan_is_the_optimum_of_the_linear_program(M, T):
    """For every convex price of leaving the order of time; here for the square and for a power of 1.5."""
    for mass in masses(4, T, missing=0.0 if T == 1 else 0.3).nan_to_num(1 / T):
        plan = monotone_plan(mass[None], M)[0].numpy()
        np.testing.assert_allclose(plan.sum(1), 1 / M, atol=1e-12)
        np.testing.assert_allclose(plan.sum(0), mass, atol=1e-12)
        for power in (2, 1.5):
            cost = np.abs((np.arange(M)[:, None] + 0.5) / M - (np.arange(T) + 0.5) / T) ** power
            rows = np.kron(np.eye(M), np.ones(T))
            columns = np.kron(np.ones(M), np.eye(T))
            best = linprog(
                cost.ravel(), A_eq=np.vstack((rows, columns)), b_eq=np.concatenate((np.full(M, 1 / M), mass))
            )
            assert (plan * cost).sum() == pytest.approx(best.fun, abs=1e-9)


def test_a_clip_without_mass_has_no_plan():
    assert torch.equal(monotone_plan(torch.zeros(1, 4), 3), torch.zeros(1, 3, 4))


def test_uniform_mass_is_left_where_it_is():
    torch.testing.assert_close(monotone_plan(torch.full((1, 8), 1 / 8), 8)[0], torch.eye(8) / 8)


def test_plan_and_distance_differentiate():
    weight, other = torch.rand(2, 6, dtype=torch.float64).requires_grad_(), masses(2, 6)
    assert torch.autograd.gradcheck(lambda w: monotone_plan(w / w.sum(1, keepdim=True), 4), weight)
    assert torch.autograd.gradcheck(lambda w: transport_distance(w / w.sum(1, keepdim=True), other), weight)


def test_distance_equals_scipy():
    a, b = masses(5, 9, missing=0.3), masses(5, 9)
    time = np.arange(9) / 9
    expected = [wasserstein_distance(time, time, u, v) for u, v in zip(a.numpy(), b.numpy(), strict=True)]
    np.testing.assert_allclose(transport_distance(a, b), expected, atol=1e-12)
