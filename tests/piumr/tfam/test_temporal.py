"""The alignment: its cost, what it does to a time warp, and missing frames."""

import math

import pytest
import torch

from piumr.tfam.sinkhorn import column_error
from piumr.tfam.temporal import TemporalBranch, joint_mean, project


def branch(frames=16, channels=16, **options):
    torch.manual_seed(0)
    return TemporalBranch(channels, frames, **options)


def executions(time, clips=12, channels=16, joints=10):
    """Smooth random movements, sampled at the phases `time` (T,) of the movement: (N, C, T, V)."""
    generator = torch.Generator().manual_seed(3)
    shape = (3, clips, channels, 1, joints)
    amplitude, start = torch.randn(shape, generator=generator), 2 * math.pi * torch.rand(shape, generator=generator)
    rate = 2 * math.pi * torch.tensor([0.5, 1.0, 1.5]).reshape(3, 1, 1, 1, 1)
    return (amplitude * torch.sin(rate * time[:, None] + start)).sum(0)


def moved(a, b):
    """Mean over clips of the distance between two trajectories, relative to how far they move themselves."""
    spread = (a.var(2, keepdim=True, correction=0) + b.var(2, keepdim=True, correction=0)) / 2
    return float(((a - b).square().mean((1, 2, 3)) / spread.mean((1, 2, 3))).sqrt().mean().detach())


WARPS = {
    "slow-fast": lambda u: u**2,
    "fast-slow": lambda u: u**0.5,
    "ease": lambda u: u - 0.8 * torch.sin(2 * math.pi * u) / (2 * math.pi),
}


@pytest.mark.parametrize("warp", WARPS)
def test_a_time_warp_moves_the_aligned_trajectory_less(warp):
    time = torch.linspace(0, 1, 32)
    plain, warped = executions(time), executions(WARPS[warp](time))
    change = {
        mass: moved(*(branch(32, mass=mass)(x).features for x in (plain, warped))) for mass in ("motion", "uniform")
    }
    assert change["motion"] < 0.25 * moved(plain, warped)
    assert change["motion"] < 0.25 * change["uniform"]


def test_the_cost_is_its_formula():
    align = branch(8, 4, time_weight=0.7)
    x = torch.randn(2, 4, 8, 5)
    out = align(x)
    f = x.mean(3)
    f = f - (f * out.mass.unsqueeze(1)).sum(2, keepdim=True)
    cosine = torch.nn.functional.cosine_similarity(align.phases[None, :, None], f.mT[:, None], dim=3)
    phase_times = (torch.arange(8) + 0.5) / 8
    expected = 1 - cosine + 0.7 * (2 * (phase_times[:, None] - out.time[:, None])) ** 2
    torch.testing.assert_close(out.cost, expected, rtol=0, atol=1e-4)


def test_an_orthogonal_map_of_the_features_is_one_of_the_phases():
    """Why the module has none: cos(a, W f) = cos(W' a, f)."""
    a, f = torch.randn(8, 4), torch.randn(8, 4)
    w = torch.linalg.qr(torch.randn(4, 4)).Q
    cosine = torch.nn.functional.cosine_similarity
    torch.testing.assert_close(cosine(a, f @ w.T), cosine(a @ w, f))


def test_the_projection_is_barycentric():
    align = branch()
    out = align(executions(torch.linspace(0, 1, 16)))
    weights = 16 * out.plan
    torch.testing.assert_close(weights.sum(2), torch.ones(12, 16))
    assert (weights >= 0).all()
    assert column_error(out.plan, out.mass).max() < 0.1
    x = torch.randn(12, 3, 16, 5)
    expected = torch.einsum("nmt,nctv->ncmv", weights, x)
    torch.testing.assert_close(project(out.plan, x), expected)
    torch.testing.assert_close(project(out.plan, x[..., 0]), expected[..., 0])


def test_a_missing_frame_carries_no_mass_and_its_content_no_weight():
    align = branch()
    x = executions(torch.linspace(0, 1, 16))
    valid = torch.rand(12, 16, 10) > 0.3
    valid[:, [0, 5, 6, 15]] = False
    before = align(x, valid)
    x = x.clone()
    x[:, :, [0, 5, 6, 15]] = torch.randn(12, 16, 4, 10) * 50
    after = align(x, valid)
    assert torch.equal(before.mass[:, [0, 5, 6, 15]], torch.zeros(12, 4))
    assert torch.equal(before.plan[:, :, [0, 5, 6, 15]], torch.zeros(12, 16, 4))
    torch.testing.assert_close(before.features, after.features)


def test_joint_mean_is_over_valid_joints():
    x, valid = torch.randn(2, 3, 4, 5), torch.rand(2, 4, 5) > 0.5
    valid[0, 0] = False
    mean, present = joint_mean(x, valid)
    assert torch.equal(present, valid.any(2))
    assert torch.equal(mean[0, :, 0], torch.zeros(3))
    t = torch.where(valid[:, None], x, torch.nan).nanmean(3).nan_to_num()
    torch.testing.assert_close(mean, t)


def test_gradients_stay_bounded_where_nothing_moves():
    align = branch(8, 4)
    x = (torch.ones(2, 4, 8, 5) + 1e-7 * torch.randn(2, 4, 8, 5)).requires_grad_()
    out = align(x)
    ((out.plan * out.cost).sum() + out.features.square().sum()).backward()
    assert x.grad.abs().max() < 100
    assert align.phases.grad.isfinite().all()
