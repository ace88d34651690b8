import numpy as np
import pytest

from piumr.layouts import LAYOUTS, get_layout
from piumr.layouts.mapping import LayoutMapping, find_mapping
from piumr.preprocessing import normalise


def random_clip(layout, frames=6, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(frames, len(layout), 2)).astype(np.float32)
    valid = rng.random((frames, len(layout))) < 0.7
    return np.where(valid[..., None], points, np.float32(0)), valid


def missing(source, target):
    mapping = find_mapping(get_layout(source).joints, get_layout(target))
    return {get_layout(target).joints[i] for i, joints in enumerate(mapping.sources) if not joints}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_maps_to_itself_unchanged(name):
    layout = get_layout(name)
    points, valid = random_clip(layout)
    mapped, seen = find_mapping(layout.joints, layout)(points, valid)
    np.testing.assert_array_equal(mapped, points)
    np.testing.assert_array_equal(seen, valid)


@pytest.mark.parametrize(
    ("source", "target", "absent"),
    [
        ("mediapipe-33", "coco-17", set()),
        ("mediapipe-75", "coco-17", set()),
        ("mediapipe-33", "openpose-18", set()),
        ("mediapipe-75", "openpose-28", set()),
        ("mediapipe-75", "imigue-22", set()),
        ("mediapipe-75", "mediapipe-33", set()),
        ("mediapipe-75", "openpose-60", set()),
        ("mediapipe-33", "openpose-25", {"left_small_toe", "right_small_toe"}),
        (
            "mediapipe-75",
            "halpe-44",
            {"head", "left_small_toe", "right_small_toe", "nose_bridge", "nose_base", "upper_lip", "lower_lip"},
        ),
        ("openpose-67", "imigue-22", set()),
        ("openpose-25", "coco-17", set()),
        ("halpe-44", "coco-17", set()),
        ("ntu-25", "kinect-20", set()),
        ("kinect-20", "ntu-25", {"left_hand_tip", "left_thumb", "right_hand_tip", "right_thumb"}),
    ],
)
def test_what_has_no_counterpart(source, target, absent):
    assert missing(source, target) == absent


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("mediapipe-33", "openpose-28"),  # a body has no fingertips
        ("mediapipe-33", "mediapipe-75"),
        ("mediapipe-75", "kinect-20"),  # a depth camera's joints lie elsewhere in the body
        ("mediapipe-75", "ntu-25"),
        ("mediapipe-75", "ui-prmd-22"),
        ("mediapipe-75", "hand-21"),  # which hand?
        ("coco-17", "halpe-44"),
    ],
)
def test_layouts_that_share_too_little_have_no_mapping(source, target):
    assert find_mapping(get_layout(source).joints, get_layout(target)) is None


def test_joints_of_one_name_are_copied_with_their_validity():
    source, target = get_layout("mediapipe-75"), get_layout("openpose-28")
    points, valid = random_clip(source)
    mapped, seen = find_mapping(source.joints, target)(points, valid)
    for joint in ("nose", "right_wrist", "left_ear", "left_hand_thumb_tip", "right_hand_pinky_tip"):
        i, j = source.joints.index(joint), target.joints.index(joint)
        np.testing.assert_array_equal(mapped[:, j], points[:, i])
        np.testing.assert_array_equal(seen[:, j], valid[:, i])


def test_a_neck_is_the_mean_of_the_shoulders_and_valid_only_if_both_are():
    source, target = get_layout("mediapipe-33"), get_layout("openpose-18")
    points, valid = random_clip(source)
    mapped, seen = find_mapping(source.joints, target)(points, valid)
    left, right, neck = (
        source.joints.index("left_shoulder"),
        source.joints.index("right_shoulder"),
        target.joints.index("neck"),
    )
    np.testing.assert_array_equal(seen[:, neck], valid[:, left] & valid[:, right])
    both = seen[:, neck]
    assert 0 < both.sum() < len(both)
    np.testing.assert_allclose(mapped[both, neck], (points[both, left] + points[both, right]) / 2, rtol=1e-6)
    assert not mapped[~both, neck].any()


@pytest.mark.parametrize(("source", "target"), [("kinect-20", "ntu-25"), ("ntu-25", "kinect-20")])
def test_a_body_of_one_kinect_has_the_same_place_and_size_as_one_of_the_other(source, target):
    source, target = get_layout(source), get_layout(target)
    points = np.random.default_rng(0).normal(size=(6, len(source), 3)).astype(np.float32)
    valid = np.ones(points.shape[:2], dtype=bool)
    before, _ = normalise(points, valid, source)
    after, _ = normalise(*find_mapping(source.joints, target)(points, valid), target)
    same = [name for name in source.joints if name in target.joints]
    assert len(same) == 17
    np.testing.assert_array_equal(
        before[:, [source.joints.index(name) for name in same]], after[:, [target.joints.index(name) for name in same]]
    )


def test_a_kinect_neck_is_between_spine_and_head():
    source, target = get_layout("kinect-20"), get_layout("ntu-25")
    points = np.zeros((1, len(source), 3), dtype=np.float32)
    heights = {"shoulder_center": 0.4, "head": 0.6, "left_shoulder": 0.3, "right_shoulder": 0.3}  # metres, of UTD-MHAD
    for name, height in heights.items():
        points[0, source.joints.index(name), 1] = height
    mapped, _ = find_mapping(source.joints, target)(points, np.ones((1, len(source)), dtype=bool))
    places = [target.joints.index(name) for name in ("spine_shoulder", "neck", "head")]
    np.testing.assert_allclose(mapped[0, places, 1], [0.4, 0.5, 0.6], rtol=1e-6)


def test_joints_without_counterpart_are_never_valid():
    source, target = get_layout("mediapipe-75"), get_layout("halpe-44")
    points, _ = random_clip(source)
    _, seen = find_mapping(source.joints, target)(points, np.ones(points.shape[:2], dtype=bool))
    np.testing.assert_array_equal(
        seen.all(axis=0), [name not in missing("mediapipe-75", "halpe-44") for name in target.joints]
    )


def test_mapping_commutes_with_mirroring():
    for target in (get_layout(name) for name in ("coco-17", "openpose-28", "halpe-44", "imigue-22")):
        source = get_layout("mediapipe-75")
        points, valid = random_clip(source)
        mapping = find_mapping(source.joints, target)
        first, last = list(source.partners), list(target.partners)
        mirrored = mapping(points[:, first], valid[:, first])
        expected = [array[:, last] for array in mapping(points, valid)]
        np.testing.assert_allclose(mirrored[0], expected[0], rtol=1e-6)
        np.testing.assert_array_equal(mirrored[1], expected[1])


def test_three_coordinates_map_as_well():
    mapped, seen = LayoutMapping(((0, 1), ()))(np.ones((2, 2, 3), dtype=np.float32), np.ones((2, 2), dtype=bool))
    assert mapped.shape == (2, 2, 3)
    assert seen.tolist() == [[True, False]] * 2
