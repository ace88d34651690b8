"""The frequency branch against SciPy's DCT, its invariances, and the perturbation's formula and randomness."""

import numpy as np
import pytest
import torch
from scipy.fft import dct

from piumr.tfam.frequency import FrequencyBranch, dct_matrix, octaves, perturb_amplitudes

IDENTITY = (torch.eye(16) / 16)[None]


@pytest.mark.parametrize("length", [2, 7, 16])
def test_dct_and_inverse_equal_scipy(length):
    x = np.random.default_rng(0).normal(size=(length, 5))
    basis = dct_matrix(length).double().numpy()
    np.testing.assert_allclose(basis @ x, dct(x, axis=0, norm="ortho"), atol=1e-6)
    np.testing.assert_allclose(basis.T @ basis, np.eye(length), atol=1e-6)


def test_octaves_double():
    bands = [row.argmax().item() for row in octaves(16, 9)]
    assert bands == [0, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4]
    assert octaves(16, 9).sum() == 16
    assert [row.argmax().item() for row in octaves(16, 3)] == [0, 1] + 14 * [2]
    assert octaves(2, 4).shape == (2, 2)


def test_amplitudes_equal_scipy():
    path = torch.randn(3, 5, 16)
    found = FrequencyBranch(16, bands=4).eval()(path, IDENTITY)
    power = dct(path.numpy(), axis=2, norm="ortho") ** 2
    expected = [power[..., :1], power[..., 1:2], power[..., 2:4], power[..., 4:]]
    np.testing.assert_allclose(found, np.stack([np.sqrt(p.sum(2) + 1e-6) for p in expected], 2), rtol=1e-4)


def test_all_power_is_in_some_band():
    """Parseval: the bands of a course hold its square norm."""
    path = torch.randn(3, 5, 16)
    found = FrequencyBranch(16, bands=4).eval()(path, IDENTITY)
    torch.testing.assert_close(found.square().sum(2), path.square().sum(2), rtol=1e-4, atol=1e-4)


def test_the_second_of_two_bands_is_the_deviation():
    path = torch.randn(3, 5, 16)
    found = FrequencyBranch(16, bands=2).eval()(path, IDENTITY)
    torch.testing.assert_close(found[..., 0], 4 * path.mean(2).abs(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found[..., 1], 4 * path.std(2, correction=0), rtol=1e-4, atol=1e-4)


def test_amplitudes_do_not_see_the_direction_of_time_and_hardly_a_delay():
    time = torch.arange(16) / 16
    course = lambda delay: torch.exp(-0.5 * ((time - 0.45 - delay) / 0.08) ** 2)[None, None]  # noqa: E731
    branch = FrequencyBranch(16, bands=4).eval()
    at, late = branch(course(0), IDENTITY), branch(course(1 / 16), IDENTITY)
    torch.testing.assert_close(branch(course(0).flip(2), IDENTITY), at, rtol=1e-4, atol=1e-4)
    assert (late - at).norm() / at.norm() < 0.3 < (course(1 / 16) - course(0)).norm() / course(0).norm()


def test_the_plan_lays_the_course_first():
    path, plan = torch.randn(2, 5, 16), torch.rand(2, 16, 16) / 16
    branch = FrequencyBranch(16, bands=4).eval()
    torch.testing.assert_close(branch(path, plan), branch(16 * path @ plan.mT, IDENTITY), rtol=1e-4, atol=1e-4)


def test_perturbation_follows_its_formula(monkeypatch):
    amplitudes = torch.rand(6, 4, 3)
    noise = torch.randn(6, 4, 3)
    monkeypatch.setattr(torch, "randn_like", lambda x: noise[tuple(slice(s) for s in x.shape)])
    found = perturb_amplitudes(amplitudes, 1.0, 0.7)
    spread = amplitudes.numpy().std(0)
    np.testing.assert_allclose(found, np.maximum(amplitudes.numpy() + 0.7 * noise.numpy() * spread, 0), atol=1e-6)
    assert (found == 0).any()


def test_noise_is_drawn_per_sample_channel_and_band():
    amplitudes = torch.rand(2000, 2, 2) + 10
    change = (perturb_amplitudes(amplitudes, 1.0, 1.0) - amplitudes) / amplitudes.std(0, correction=0)
    correlation = np.corrcoef(change.flatten(1).T.numpy())
    np.testing.assert_allclose(correlation, np.eye(4), atol=0.1)
    np.testing.assert_allclose(change.std(0), np.ones((2, 2)), atol=0.1)


def test_probability_is_the_share_of_perturbed_clips():
    amplitudes = torch.rand(2000, 3, 4) + 10
    changed = (perturb_amplitudes(amplitudes, 0.3, 0.5) != amplitudes).flatten(1)
    assert changed.any(1).float().mean() == pytest.approx(0.3, abs=0.04)
    assert torch.equal(changed.any(1), changed.all(1))


def test_a_batch_of_one_is_not_perturbed():
    amplitudes = torch.rand(1, 4, 8)
    assert torch.equal(perturb_amplitudes(amplitudes, 1.0, 5.0), amplitudes)


def test_perturbation_is_for_training_only():
    path, branch = torch.randn(4, 5, 16), FrequencyBranch(16, probability=1.0)
    assert torch.equal(branch.eval()(path, IDENTITY), branch(path, IDENTITY))
    assert not torch.allclose(branch.train()(path, IDENTITY), branch.eval()(path, IDENTITY))
