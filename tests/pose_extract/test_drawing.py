"""Skeletons on pictures: what is drawn where, in which colour, and what is not."""

import numpy as np
import pytest

from pose_extract.drawing import GAP, Painter, confidence_colours, draw_border, fit, mark_missing, part_masks

JOINTS = ["nose", "left_wrist", "left_hand_wrist", "left_hand_thumb_tip", "right_hand_wrist", "right_hand_thumb_tip"]
EDGES = [(0, 1), (2, 3), (4, 5)]
PLACES = [(0.2, 0.2), (0.8, 0.2), (0.2, 0.5), (0.8, 0.5), (0.2, 0.8), (0.8, 0.8)]


def skeleton(confidence=1.0):
    landmarks = np.full((6, 4), confidence, np.float32)
    landmarks[:, :2] = PLACES
    return landmarks, np.ones(6, bool)


def drawn(landmarks, valid, size=(1000, 1500), edges=EDGES):
    image = np.zeros((*size, 3), np.uint8)
    Painter(JOINTS, edges).draw(image, landmarks, valid)
    return image


def at(image, x, y):
    return tuple(image[int(y * image.shape[0] - 0.5), int(x * image.shape[1] - 0.5)].tolist())


def test_each_part_has_the_colour_of_its_scale_at_its_joints_and_along_its_edges():
    image = drawn(*skeleton())
    for part, y in (("body", 0.2), ("left_hand", 0.5), ("right_hand", 0.8)):
        expected = tuple(confidence_colours(part, np.float32(1)).tolist())
        assert {at(image, x, y) for x in (0.2, 0.5, 0.8)} == {expected}
    assert len({tuple(confidence_colours(p, np.float32(1)).tolist()) for p in ("body", "left_hand", "right_hand")}) == 3


@pytest.mark.parametrize("part", ["body", "left_hand", "right_hand"])
def test_confidence_sets_the_colour_and_more_is_brighter(part):
    shades = confidence_colours(part, np.linspace(0, 1, 11)).astype(int)
    assert (np.diff(shades @ [299, 587, 114]) > 0).all()  # luma, ITU-R BT.601
    np.testing.assert_array_equal(confidence_colours(part, np.array([-1.0, 7.0])), shades[[0, -1]])


def test_an_edge_is_as_sure_as_its_less_sure_end():
    landmarks, valid = skeleton()
    landmarks[1, 3] = 0.3
    image = drawn(landmarks, valid)
    assert at(image, 0.5, 0.2) == tuple(confidence_colours("body", np.float32(0.3)).tolist())
    assert at(image, 0.2, 0.2) == tuple(confidence_colours("body", np.float32(1)).tolist())


def test_what_is_not_valid_is_not_drawn_and_neither_are_its_edges():
    landmarks, valid = skeleton()
    landmarks[1], valid[1] = np.nan, False
    image = drawn(landmarks, valid)
    assert at(image, 0.2, 0.2) != (0, 0, 0)
    assert not image[:350, 400:].any()
    assert not drawn(np.full((6, 4), np.nan, np.float32), np.zeros(6, bool)).any()


def test_an_edge_between_hand_and_body_is_drawn_as_the_bodys():
    landmarks, valid = skeleton()
    landmarks[2:, 3] = 0  # what is not the body's is dark
    image = drawn(landmarks, valid, edges=[(1, 2)])
    middle = tuple(np.mean([PLACES[1], PLACES[2]], axis=0))
    assert at(image, *middle) == tuple(confidence_colours("body", np.float32(0)).tolist())


def test_a_layout_without_edges_shows_its_joints():
    image = drawn(*skeleton(), edges=[])
    assert at(image, 0.8, 0.5) != (0, 0, 0)
    assert at(image, 0.5, 0.5) == (0, 0, 0)


def test_points_far_outside_the_image_are_harmless():
    landmarks, valid = skeleton()
    landmarks[0, :2], landmarks[2, :2] = (-9999, 9999), (9999, 9999)
    image = drawn(landmarks, valid)
    assert at(image, 0.8, 0.8) != (0, 0, 0)


def test_a_tenth_of_a_pixel_of_motion_is_seen():
    landmarks, valid = skeleton()
    moved = landmarks.copy()
    moved[0, 0] += 0.1 / 1500
    assert (drawn(landmarks, valid) != drawn(moved, valid)).any()


def test_lines_are_in_proportion_to_the_image():
    thickness = {
        side: (drawn(*skeleton(), size=(side, side))[: side // 3, side // 2].any(axis=1)).sum() for side in (300, 1200)
    }
    assert thickness[1200] >= 2 * thickness[300] - 2
    assert thickness[1200] > thickness[300]


def test_parts_are_those_that_the_layout_has():
    assert list(part_masks(JOINTS)) == ["body", "left_hand", "right_hand"]
    assert list(part_masks(["nose"])) == ["body"]
    assert list(part_masks(["right_hand_wrist"])) == ["right_hand"]


@pytest.mark.parametrize("size", [(54, 36), (50, 31), (1, 1), (500, 400)])
def test_fitting_keeps_a_plain_image_plain(size):
    image = np.full((108, 162, 3), (10, 120, 230), np.uint8)
    fitted = fit(image, *size)
    assert fitted.shape == (size[1], size[0], 3)
    assert (fitted == (10, 120, 230)).all()


def test_fitting_averages_a_fine_pattern():
    image = np.indices((400, 400)).sum(axis=0)[..., None].repeat(3, axis=2) % 2 * 255
    fitted = fit(image.astype(np.uint8), 90, 70)
    assert np.abs(fitted.astype(int) - 127).max() <= 1


def test_a_missing_body_is_marked_with_a_red_border():
    image = np.zeros((60, 90, 3), np.uint8)
    mark_missing(image)
    for corner in (image[0, 0], image[-1, -1]):
        assert tuple(corner) == GAP
    draw_border(image, (1, 2, 3))
    assert tuple(image[30, 0]) == (1, 2, 3)
    assert tuple(image[30, 2]) == (0, 0, 0)
