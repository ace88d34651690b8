"""The DCT against SciPy, the perturbation against its formula, and the gate."""

import numpy as np
import pytest
import scipy.fft
import torch

from piumr.tfam.frequency import FrequencyBranch, dct_matrix, perturb_spectrum


@pytest.mark.parametrize("length", [2, 8, 31])
def test_dct_and_inverse_equal_scipy(length):
    x = np.random.default_rng(0).normal(size=(length, 5))
    basis = dct_matrix(length).numpy()
    np.testing.assert_allclose(basis @ x, scipy.fft.dct(x, axis=0, norm="ortho"), atol=2e-6)
    np.testing.assert_allclose(basis.T @ x, scipy.fft.idct(x, axis=0, norm="ortho"), atol=2e-6)


def test_gate_filters_frequencies_and_starts_as_the_identity():
    branch = FrequencyBranch(3, 8).eval()
    x = torch.randn(2, 3, 8, 5)
    torch.testing.assert_close(branch(x), x)
    with torch.no_grad():
        branch.gate_logits[:, 3:] = -100.0
    assert branch.gate[:, 3:].max() < 1e-6
    spectrum = scipy.fft.dct(x.numpy(), axis=2, norm="ortho")
    spectrum[:, :, 3:] = 0
    np.testing.assert_allclose(branch(x).detach(), scipy.fft.idct(spectrum, axis=2, norm="ortho"), atol=1e-5)


def test_missing_frames_are_filled_before_the_transform():
    fill = torch.rand(2, 8, 8)
    x = torch.randn(2, 3, 8, 5)
    torch.testing.assert_close(
        FrequencyBranch(3, 8).eval()(x, fill), torch.einsum("nst,nctv->ncsv", fill, x), rtol=0, atol=2e-5
    )


def test_perturbation_follows_its_formula(monkeypatch):
    spectrum = torch.randn(6, 3, 8, 5)
    noise = torch.randn(6, 3, 8, 1)
    monkeypatch.setattr(torch, "randn_like", lambda like: noise.expand_as(like))  # the draw, not the formula
    s, e = spectrum.numpy(), noise.numpy()
    sigma = np.abs(s).std(axis=0)
    expected = np.sign(s) * np.maximum(np.abs(s) + 0.7 * e * sigma, 0)
    np.testing.assert_allclose(perturb_spectrum(spectrum, probability=1, scale=0.7), expected, atol=1e-6)


def test_noise_is_drawn_per_sample_channel_and_frequency_and_shared_by_joints():
    torch.manual_seed(0)
    spectrum = torch.rand(64, 4, 8, 5) + 10  # far from zero, so that nothing is cut
    change = (perturb_spectrum(spectrum, 1, 0.5) - spectrum) / spectrum.std(0, correction=0) / 0.5
    torch.testing.assert_close(change, change[..., :1].expand_as(change), rtol=0, atol=1e-3)
    noise = change[..., 0]
    assert abs(float(noise.mean())) < 0.1
    assert float(noise.std()) == pytest.approx(1, abs=0.1)
    for dim in range(3):  # independent along samples, channels and frequencies
        rolled = noise.roll(1, dim)
        assert abs(float((noise * rolled).mean())) < 0.1


def test_probability_is_the_share_of_perturbed_clips():
    torch.manual_seed(0)
    spectrum = torch.randn(400, 2, 4, 3)
    assert torch.equal(perturb_spectrum(spectrum, 0, 0.5), spectrum)
    changed = (perturb_spectrum(spectrum, 0.25, 0.5) != spectrum).flatten(1).any(1)
    assert float(changed.float().mean()) == pytest.approx(0.25, abs=0.08)


def test_sign_is_kept_or_zero():
    torch.manual_seed(0)
    spectrum = torch.randn(32, 2, 4, 3)
    perturbed = perturb_spectrum(spectrum, 1, 3.0)
    assert ((perturbed.sign() == spectrum.sign()) | (perturbed == 0)).all()
    assert (perturbed == 0).any()


def test_a_batch_of_one_is_not_perturbed():
    spectrum = torch.randn(1, 2, 4, 3)
    assert torch.equal(perturb_spectrum(spectrum, 1, 0.5), spectrum)


def test_perturbation_is_for_training_only():
    torch.manual_seed(0)
    branch, x = FrequencyBranch(3, 8, probability=1), torch.randn(4, 3, 8, 5)
    assert not torch.allclose(branch.train()(x), x, atol=1e-2)
    assert torch.equal(branch.eval()(x), branch.eval()(x))
