import numpy as np
import pytest

from piumr.errors import PiumrError
from piumr.layouts import LAYOUTS, get_layout
from piumr.preprocessing import _median, image_points, normalise, resample


def random_clip(layout, frames=20, channels=2, missing=0.3, seed=0):
    rng = np.random.default_rng(seed)
    points = np.cumsum(rng.normal(size=(frames, len(layout), channels)), axis=0).astype(np.float32)
    return points, rng.random((frames, len(layout))) > missing


def test_image_points_make_a_circle_a_circle():
    angle = np.linspace(0, 2 * np.pi, 33)
    pixels = np.stack([960 + 100 * np.cos(angle), 540 + 100 * np.sin(angle)], axis=-1)
    landmarks = np.zeros((1, 33, 4), np.float32)
    landmarks[0, :, :2] = pixels / (1920, 1080)
    landmarks[..., 3] = 1
    points, valid = image_points(landmarks, np.ones((1, 33), bool), 1920, 1080)
    radius = np.linalg.norm(points[0] - points[0].mean(axis=0, where=np.arange(33)[:, None] < 32), axis=-1)
    np.testing.assert_allclose(radius, 100 / 1080, rtol=1e-4)
    assert valid.all()


def test_image_points_drop_landmarks_out_of_view_and_nan():
    landmarks = np.ones((2, 3, 4), np.float32)
    landmarks[0, 0, 3], landmarks[0, 1, 3], landmarks[1, 2] = 0.49, 0.5, np.nan
    points, valid = image_points(landmarks, np.ones((2, 3), bool), 4, 2)
    assert valid.tolist() == [[False, True, True], [True, True, False]]
    assert np.isfinite(points).all()


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_holes_are_filled_as_numpy_interpolates(layout):
    points, valid = random_clip(layout)
    filled, kept = normalise(points, valid, layout)
    assert kept is valid
    # origin and unit are one affine map a clip, which linear interpolation commutes with
    for joint in range(len(layout)):
        seen = np.flatnonzero(valid[:, joint])
        for channel in range(points.shape[-1]):
            expected = np.interp(np.arange(len(points)), seen, filled[seen, joint, channel])
            np.testing.assert_allclose(filled[:, joint, channel], expected, atol=1e-5)


def test_garbage_in_missing_points_changes_nothing():
    layout = get_layout("mediapipe-33")
    points, valid = random_clip(layout)
    garbage = np.where(valid[..., None], points, np.nan).astype(np.float32)
    np.testing.assert_array_equal(normalise(points, valid, layout)[0], normalise(garbage, valid, layout)[0])


def test_the_order_in_memory_changes_nothing():
    """Choosing joints of a clip gives arrays in another order."""
    layout = get_layout("mediapipe-33")
    points, valid = random_clip(layout)
    for order in (np.asfortranarray(points), points.transpose(1, 0, 2).copy().transpose(1, 0, 2)):
        np.testing.assert_array_equal(normalise(order, valid, layout)[0], normalise(points, valid, layout)[0])


def test_place_and_size_of_the_person_do_not_matter():
    layout = get_layout("mediapipe-75")
    points, valid = random_clip(layout)
    moved = (points * 3.7 + [11, -5]).astype(np.float32)
    np.testing.assert_allclose(normalise(points, valid, layout)[0], normalise(moved, valid, layout)[0], atol=1e-4)


def test_motion_through_space_is_kept():
    layout = get_layout("kinect-20")
    points, _ = random_clip(layout, frames=1, channels=3)
    rising = np.repeat(points, 10, axis=0) + np.linspace(0, 1, 10, dtype=np.float32)[:, None, None]
    out, _ = normalise(rising, np.ones((10, 20), bool), layout)
    assert (np.diff(out[:, 0, 1]) > 0).all()


def test_origin_is_mid_hip_where_visible_else_mid_shoulder():
    layout = get_layout("mediapipe-33")
    points, valid = random_clip(layout, missing=0)
    out, _ = normalise(points, valid, layout)
    np.testing.assert_allclose(np.median(out[:, [23, 24]].mean(axis=1), axis=0), 0, atol=1e-5)
    valid[:, 23] = False
    out, _ = normalise(points, valid, layout)
    np.testing.assert_allclose(np.median(out[:, [11, 12]].mean(axis=1), axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(np.median(np.linalg.norm(out[:, 11] - out[:, 12], axis=-1)), 1, rtol=1e-5)


def test_a_joint_never_seen_takes_its_parents_position():
    layout = get_layout("mediapipe-75")
    points, valid = random_clip(layout, missing=0)
    valid[:, 33:54] = False  # the left hand
    valid[:, 0] = False  # the root
    out, kept = normalise(points, valid, layout)
    np.testing.assert_array_equal(out[:, 33:54], np.repeat(out[:, 15:16], 21, axis=1))
    assert (out[:, 0] == 0).all()
    assert not kept[:, 33:54].any()


def test_a_clip_without_any_landmark_is_zero_and_finite():
    layout = get_layout("kinect-20")
    out, valid = normalise(np.full((4, 20, 3), np.nan, np.float32), np.zeros((4, 20), bool), layout)
    assert not out.any()
    assert not valid.any()


@pytest.mark.parametrize("length", [1, 2, 31, 64, 200])
def test_resampling_equals_numpy_interp(length):
    rng = np.random.default_rng(length)
    points = rng.normal(size=(length, 5, 2)).astype(np.float32)
    valid = rng.random((length, 5)) > 0.5
    out, mask = resample(points, valid, 64)
    position = np.linspace(0, length - 1, 64)
    expected = np.interp(position, np.arange(length), points[:, 3, 1])
    np.testing.assert_allclose(out[:, 3, 1], expected, atol=1e-5)
    nearest = np.minimum(np.floor(position + 0.5), length - 1).astype(int)
    assert (mask == valid[nearest]).mean() > 0.95  # equal but for rounding at exact halves
    assert out.dtype == np.float32


@pytest.mark.parametrize(
    ("points", "valid", "message"),
    [
        (np.zeros((3, 19, 2), np.float32), np.ones((3, 19), bool), r"\(T, 20, C\).*kinect-20"),
        (np.zeros((3, 20, 2), np.float32), np.ones((3, 19), bool), "`valid`"),
        (np.full((3, 20, 2), np.nan, np.float32), np.ones((3, 20), bool), "finite.*but got nan"),
        (np.full((3, 20, 2), -np.inf, np.float32), np.ones((3, 20), bool), "finite.*but got -inf"),
        (np.full((3, 20, 2), 1e30, np.float32), np.ones((3, 20), bool), r"finite.*but got 1e\+30"),
    ],
)
def test_wrong_input_is_refused(points, valid, message):
    with pytest.raises(PiumrError, match=message):
        normalise(points, valid, get_layout("kinect-20"))


def test_the_largest_points_over_the_smallest_unit_stay_finite():
    layout = get_layout("kinect-20")
    points = np.random.default_rng(0).normal(size=(3, 20, 3)).astype(np.float32)
    for pair in layout.units:
        points[:, pair] = np.array([[0, 0, 0], [1.1e-6, 0, 0]], np.float32)
    points[0, 19] = 0.99e12
    out, _ = normalise(points, np.ones((3, 20), bool), layout)
    assert np.isfinite(np.square(out).sum(axis=-1)).all()
    assert np.abs(out).max() > 1e15


def test_resampling_refuses_an_empty_clip():
    with pytest.raises(PiumrError, match="at least one frame"):
        resample(np.zeros((0, 20, 2), np.float32), np.zeros((0, 20), bool), 8)


@pytest.mark.parametrize("layout", ["mediapipe-75", "kinect-20"])
@pytest.mark.parametrize("frames", [1, 2, 17])
def test_clips_at_once_are_the_clips_one_by_one(layout, frames):
    """With gaps of all kinds: joints, frames and whole groups that are never seen, and a clip without anybody."""
    layout = get_layout(layout)
    rng = np.random.default_rng(frames)
    channels = 2 if layout.name == "mediapipe-75" else 3
    points = np.cumsum(rng.normal(size=(40, frames, len(layout), channels)), axis=1).astype(np.float32)
    valid = rng.random(points.shape[:3]) > rng.uniform(0, 0.9, (40, 1, 1))
    valid[5:10][:, :, rng.random(len(layout)) < 0.5] = False
    valid[10:14][:, :, [joint for group in layout.centres for joint in group]] = False
    valid[14:18][:, :, [joint for pair in layout.units for joint in pair]] = False
    valid[18:20] = False
    points[~valid] = np.nan
    together, kept = normalise(points, valid, layout)
    assert kept is valid
    resampled, mask = resample(together, valid, 24)
    for i in range(40):
        alone, _ = normalise(points[i], valid[i], layout)
        np.testing.assert_allclose(together[i], alone, atol=1e-6, rtol=1e-6)
        clip, clip_mask = resample(alone, valid[i], 24)
        np.testing.assert_allclose(resampled[i], clip, atol=1e-6, rtol=1e-6)
        np.testing.assert_array_equal(mask[i], clip_mask)
    assert np.isfinite(together).all()


def test_the_median_is_numpys_over_the_frames_that_show_the_joints():
    rng = np.random.default_rng(0)
    values, shown = rng.normal(size=(30, 12, 3)), rng.random((30, 12)) < 0.6
    shown[:, 0] = True
    expected = [np.median(clip[mask], axis=0) for clip, mask in zip(values, shown, strict=True)]
    np.testing.assert_allclose(_median(values, shown), expected, rtol=1e-12)
