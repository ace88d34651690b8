"""Every augmentation changes its input, and keeps what it must keep."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from piumr.data.augment import Augmentation, drop_part, mirror, random_times, rotation, scaling, transform
from piumr.data.store import ClipStore
from piumr.errors import PiumrError
from piumr.layouts import get_layout

LAYOUT = get_layout("mediapipe-75")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def batch(dimensions=2, count=32, frames=12):
    rng = torch.Generator().manual_seed(7)
    points = torch.randn((count, dimensions, frames, len(LAYOUT)), generator=rng)
    return points, torch.rand((count, frames, len(LAYOUT)), generator=rng) < 0.9


def distances(points):
    rows = points.permute(0, 2, 3, 1)
    return (rows[:, :, :, None] - rows[:, :, None]).norm(dim=-1)


def test_times_rise_within_a_window_of_the_share_asked_for(generator):
    times = random_times(500, 64, crop=0.6, warp=0.9, generator=generator)
    assert times.shape == (500, 64)
    assert times.min() >= 0
    assert times.max() <= 1
    assert (times.diff() > 0).all()
    share = times[:, -1] - times[:, 0]
    assert share.min() >= 0.6
    assert share.std() > 0.05
    assert times[:, 0].std() > 0.05


def test_times_without_crop_and_warp_are_even(generator):
    times = random_times(3, 10, crop=1, warp=0, generator=generator)
    torch.testing.assert_close(times, torch.linspace(0, 1, 10).expand(3, 10))


def test_warp_changes_speed_by_no_more_than_asked_for(generator):
    speed = random_times(500, 201, crop=1, warp=0.5, generator=generator).diff() * 200
    assert speed.min() > 0.5 - 1e-3
    assert speed.max() < 1.5 + 1e-3
    assert speed.max() > 1.3


def test_cropped_sample_differs_from_the_whole_clip(make_set, generator):
    store = ClipStore.pack(make_set(), 16)
    indices = torch.arange(10)
    whole, _ = store.sample(indices)
    cropped, _ = store.sample(indices, random_times(10, 16, 0.7, 0.0, generator))
    assert (cropped - whole).abs().mean() > 0.05


def test_mirror_swaps_partners_and_twice_is_the_identity(generator):
    points, valid = batch()
    mirrored, mask = mirror(points, valid, 1.0, LAYOUT, generator)
    left, right = LAYOUT.joints.index("left_wrist"), LAYOUT.joints.index("right_wrist")
    torch.testing.assert_close(mirrored[:, 0, :, left], -points[:, 0, :, right])
    torch.testing.assert_close(mirrored[:, 1, :, left], points[:, 1, :, right])
    assert torch.equal(mask[..., left], valid[..., right])
    again, mask = mirror(mirrored, mask, 1.0, LAYOUT, generator)
    assert torch.equal(again, points)
    assert torch.equal(mask, valid)


def test_mirror_takes_whole_clips_at_its_rate(generator):
    points, valid = batch(count=400, frames=2)
    mirrored, _ = mirror(points, valid, 0.3, LAYOUT, generator)
    changed = (mirrored != points).flatten(1).any(1)
    assert 0.2 < changed.float().mean() < 0.4


def rotate(points, turn, tilt, generator):
    return transform(points, rotation(*points.shape[:2], turn, tilt, generator), 0.0, generator)


def test_scale_multiplies_each_axis_of_a_clip_by_one_factor(generator):
    points, _ = batch(3)
    matrix = torch.diag_embed(scaling(32, 3, 0.2, generator))
    factors = transform(points, matrix, 0.0, generator) / points
    assert (factors.flatten(2).std(dim=2) < 1e-5).all()
    assert 0.8 <= factors.min() < 0.85
    assert 1.15 < factors.max() <= 1.2 + 1e-6


@pytest.mark.parametrize("dimensions", [2, 3])
def test_rotation_keeps_distances_and_handedness(dimensions, generator):
    points, _ = batch(dimensions, count=4)
    turned = rotate(points, 30, 10, generator)
    assert (turned - points).abs().mean() > 0.02
    torch.testing.assert_close(distances(turned), distances(points), atol=1e-5, rtol=1e-5)
    basis = torch.eye(dimensions)[None, :, :, None].expand(20, -1, -1, -1)
    determinant = torch.linalg.det(rotate(basis, 30, 10, generator)[..., 0])
    torch.testing.assert_close(determinant, torch.ones(20))


def test_rotation_keeps_within_its_angles(generator):
    up = torch.tensor([0.0, 1.0, 0.0])[None, :, None, None].expand(500, -1, 1, 1)
    ahead = torch.tensor([0.0, 0.0, 1.0])[None, :, None, None].expand(500, -1, 1, 1)
    turned = rotate(up, 40, 0, generator)
    torch.testing.assert_close(turned, up)
    angle = torch.rad2deg(torch.acos(rotate(ahead, 40, 0, generator)[:, 2, 0, 0].clamp(-1, 1)))
    assert 35 < angle.max() <= 40.01
    plane = torch.rad2deg(torch.acos(rotate(up[:, :2], 40, 10, generator)[:, 1, 0, 0].clamp(-1, 1)))
    assert 9 < plane.max() <= 10.01


def test_jitter_is_independent_noise_of_its_strength(generator):
    points, _ = batch()
    noise = transform(points, torch.eye(2).expand(32, 2, 2), 0.01, generator) - points
    assert noise.std() == pytest.approx(0.01, rel=0.02)
    assert abs(np.corrcoef(noise[:, :, 1:].flatten(), noise[:, :, :-1].flatten())[0, 1]) < 0.02


def test_a_dropped_part_is_missing_for_a_while_and_held_in_a_line(generator):
    points, valid = batch()
    valid[:] = True
    dropped, mask = drop_part(points, valid, 1.0, 0.5, LAYOUT, generator)
    parts = np.array(LAYOUT.parts)
    seen = set()
    for n in range(len(points)):
        joints = np.flatnonzero(~mask[n].all(0).numpy())
        (part,) = set(parts[joints])
        seen.add(part)
        assert (parts == part).sum() == len(joints)
        gap = np.flatnonzero(~mask[n, :, joints[0]].numpy())
        assert 1 <= len(gap) <= 6
        assert (np.diff(gap) == 1).all()
        rest = np.delete(np.arange(12), gap)
        for joint in joints[:2]:
            curve = points[n, 0, :, joint].numpy()
            np.testing.assert_allclose(dropped[n, 0, :, joint], np.interp(np.arange(12), rest, curve[rest]), atol=1e-5)
    others = mask[:, None].expand_as(points)
    assert torch.equal(dropped[others], points[others])
    assert len(seen) == 8


def test_dropout_takes_clips_at_its_rate_and_only_ever_removes(generator):
    points, valid = batch(count=400)
    _, mask = drop_part(points, valid, 0.3, 0.5, LAYOUT, generator)
    assert not (mask & ~valid).any()
    assert 0.2 < (mask != valid).flatten(1).any(1).float().mean() < 0.4


def test_dropout_of_a_single_frame_leaves_it(generator):
    points, valid = batch(frames=1)
    dropped, mask = drop_part(points, valid, 1.0, 1.0, LAYOUT, generator)
    assert torch.equal(dropped, points)
    assert torch.equal(mask, valid)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_whole_changes_its_input_repeatably(dimensions):
    points, valid = batch(dimensions)
    kept = points.clone(), valid.clone()
    first = Augmentation()(points, valid, LAYOUT, torch.Generator().manual_seed(1))
    again = Augmentation()(points, valid, LAYOUT, torch.Generator().manual_seed(1))
    other = Augmentation()(points, valid, LAYOUT, torch.Generator().manual_seed(2))
    assert torch.equal(points, kept[0])
    assert torch.equal(valid, kept[1])
    assert first[0].shape == points.shape
    assert first[1].dtype == torch.bool
    assert torch.isfinite(first[0]).all()
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert (first[0] != points).flatten(1).any(1).all()


def test_switched_off_it_is_the_identity(generator):
    points, valid = batch(3)
    off = Augmentation(crop=1, warp=0, turn=0, tilt=0, scale=0, mirror=0, jitter=0, dropout=0)
    varied, mask = off(points, valid, LAYOUT, generator)
    torch.testing.assert_close(varied, points)
    assert torch.equal(mask, valid)


def test_mirror_only_where_the_set_allows_it(make_set):
    assert Augmentation().for_set(make_set(mirror=False)).mirror == 0
    assert Augmentation().for_set(make_set(mirror=True)) == Augmentation()
    assert replace(Augmentation(), mirror=0.0) == Augmentation().for_set(make_set(mirror=False))


@pytest.mark.parametrize("name", [field.name for field in fields(Augmentation)])
def test_impossible_strengths_are_refused(name):
    with pytest.raises(PiumrError, match=name):
        Augmentation(**{name: -0.1})


def test_gaps_are_the_same_where_all_clips_are_gone_through(generator, monkeypatch):
    """As on a GPU, which does not say how many were chosen."""
    points, valid = batch(count=40)
    state = generator.get_state()
    expected = drop_part(points, valid, 0.3, 0.5, LAYOUT, generator)
    monkeypatch.setattr("piumr.data.augment._where", lambda chosen: torch.arange(len(chosen)))
    found = drop_part(points, valid, 0.3, 0.5, LAYOUT, generator.set_state(state))
    assert not torch.equal(expected[0], points)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
