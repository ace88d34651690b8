"""The temporal branch: what alignment does to time warps, and the formula of its attention."""

import numpy as np
import pytest
import torch

from piumr.tfam.motion_time import frame_mass
from piumr.tfam.temporal import TemporalBranch, joint_mean


def branch(channels=16, **options):
    torch.manual_seed(0)
    made = TemporalBranch(channels, **options)
    torch.nn.init.normal_(made.attention, 0, 0.5)
    return made.eval()


def executions(time, clips=12, channels=16, joints=10):
    """Smooth random movements read at times (T,) of 0..1; the same movements for every call."""
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(clips, channels, 6, joints, generator=generator)
    waves = torch.stack([torch.sin(torch.pi * k * time + k) / k for k in range(1, 7)])
    return torch.einsum("nckv,kt->nctv", weights, waves)


def aligned(made, x):
    found = made(x)
    return x.shape[2] * found.path @ found.plan.mT


def moved(a, b):
    return ((a - b).norm() / (a - a.mean(2, keepdim=True)).norm()).item()


@pytest.mark.parametrize("warp", [0.15, -0.15])
def test_a_time_warp_moves_the_aligned_course_less(warp):
    clock = torch.linspace(0, 1, 16)
    fast = clock + warp * torch.sin(torch.pi * clock)
    a, b = executions(clock), executions(fast)
    by_clock = moved(a.mean(3), b.mean(3))
    made = branch(still_share=0.05).requires_grad_(False)
    learned = moved(aligned(made, a), aligned(made, b))
    torch.nn.init.zeros_(made.attention)
    arc = moved(aligned(made, a), aligned(made, b))
    uniform = branch(mass="uniform").requires_grad_(False)
    torch.nn.init.zeros_(uniform.attention)
    assert moved(aligned(uniform, a), aligned(uniform, b)) == pytest.approx(by_clock, rel=1e-4)
    assert by_clock > 0.25
    assert arc < 0.5 * by_clock
    assert learned < 0.6 * by_clock


def test_attention_is_its_formula():
    made, x = branch(), torch.randn(3, 16, 9, 4)
    valid = torch.rand(3, 9, 4) > 0.3
    valid[:, 2] = False
    found = made(x, valid)
    path, present = joint_mean(x, valid)
    torch.testing.assert_close(found.path, path)
    motion = frame_mass(path, present, still_share=0.3)
    for n in range(3):
        f = path[n] - (path[n] * motion[n]).sum(1, keepdim=True)
        f = f / (f.square().sum(0) * motion[n]).sum().sqrt()
        mass = motion[n] * torch.exp(2 * torch.tanh(made.attention @ f))
        torch.testing.assert_close(found.mass[n], mass / mass.sum(), rtol=1e-3, atol=1e-5)
        distance = (found.mass[n] - motion[n]).cumsum(0).abs().mean()
        torch.testing.assert_close(found.distance[n], distance)
    assert found.distance.min() > 0.01
    torch.testing.assert_close(found.plan.sum(1), found.mass)
    torch.testing.assert_close(found.plan.sum(2), torch.full((3, 9), 1 / 9))


def test_it_begins_with_arc_length_time():
    found = TemporalBranch(16)(torch.randn(3, 16, 9, 4))
    torch.testing.assert_close(found.mass, frame_mass(found.path))
    assert torch.equal(found.distance, torch.zeros(3))


def test_a_missing_frame_carries_no_mass_and_its_content_no_weight():
    made, x = branch(), torch.randn(2, 16, 9, 4)
    valid = torch.ones(2, 9, 4, dtype=torch.bool)
    valid[:, 3] = False
    other = x.clone()
    other[:, :, 3] += 5
    a, b = made(x, valid), made(other, valid)
    assert (a.mass[:, 3] == 0).all()
    torch.testing.assert_close(a.plan, b.plan)
    torch.testing.assert_close(a.path @ a.plan.mT, b.path @ b.plan.mT)


def test_joint_mean_is_over_valid_joints():
    x, valid = torch.randn(2, 3, 4, 5), torch.rand(2, 4, 5) > 0.4
    valid[0, 1] = False
    mean, present = joint_mean(x, valid)
    expected = np.where(valid.numpy()[:, None], x.numpy(), np.nan)
    with pytest.warns(RuntimeWarning, match="empty slice"):
        expected = np.nan_to_num(np.nanmean(expected, axis=3))
    np.testing.assert_allclose(mean, expected, atol=1e-6)
    assert torch.equal(present, valid.any(2))
    assert joint_mean(x, None)[1] is None


def test_a_clip_without_a_frame_has_no_mass_and_finite_gradients():
    made, x = branch(), torch.randn(2, 16, 9, 4).requires_grad_()
    valid = torch.ones(2, 9, 4, dtype=torch.bool)
    valid[0] = False
    found = made(x, valid)
    assert not found.mass[0].any()
    assert not found.plan[0].any()
    sum((10 * part).sum() for part in found).backward()
    assert x.grad.isfinite().all()
    assert made.attention.grad.isfinite().all()


def test_gradients_stay_bounded_where_nothing_moves():
    made = branch()
    x = (1e-4 * torch.randn(2, 16, 9, 4)).requires_grad_()
    found = made(x)
    (found.plan.square().sum() + found.distance.sum()).backward()
    assert x.grad.isfinite().all()
    assert made.attention.grad.isfinite().all()
    still = torch.ones(2, 16, 9, 4).requires_grad_()
    made(still).plan.square().sum().backward()
    assert still.grad.isfinite().all()
