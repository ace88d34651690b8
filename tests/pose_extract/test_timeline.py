"""Rows of what was seen when, and the mark of the present."""

import numpy as np
import pytest

from pose_extract.drawing import GAP, confidence_colours
from pose_extract.timeline import Timeline, clip_seconds, timeline_height

JOINTS = ["nose", "left_hand_wrist", "right_hand_wrist"]
LEFT, RIGHT = 78, 640 - 6  # of the rows, in pixels


def panel(sequence, index=0, width=640):
    image = np.zeros((timeline_height(sequence), width, 3), np.uint8)
    Timeline(sequence, width).draw(image, index)
    return image


def row(image, number):
    return image[3 + 16 * number + 5, LEFT:RIGHT]


def position(image):
    """The column of the white line, from the rows' left end, above the first row."""
    columns = np.flatnonzero((image[2, LEFT:RIGHT] == 255).all(axis=1))
    assert len(columns) == 1
    return columns[0]


@pytest.fixture
def sequence(make_sequence):
    """A second and a third of 40 frames: the left hand in the first half only, the right hand never."""
    clip = make_sequence(T=40, V=3)
    clip.meta["joints"] = JOINTS
    clip.landmarks[..., 3] = 1
    clip.valid[20:, 1] = False
    clip.valid[:, 2] = False
    return clip


def test_rows_show_what_was_seen_when(sequence):
    image = panel(sequence, index=39)
    span = RIGHT - LEFT
    assert (row(image, 0)[: span - 20] == confidence_colours("body", np.float32(1))).all()
    assert (row(image, 1)[: span // 2 - 1] == confidence_colours("left_hand", np.float32(1))).all()
    assert (row(image, 1)[span // 2 + 1 : span - 20] == GAP).all()
    assert (row(image, 2)[: span - 20] == GAP).all()


def test_a_row_is_as_bright_as_its_part_is_sure(sequence):
    sequence.landmarks[:, 0, 3] = 0.25
    assert (row(panel(sequence), 0)[5:] == confidence_colours("body", np.float32(0.25))).all()


@pytest.mark.parametrize("frames", [100, 100_000])
def test_a_gap_of_one_frame_shows_in_a_clip_of_any_length(make_sequence, frames):
    clip = make_sequence(T=frames, V=2)
    assert not (row(panel(clip), 0) == GAP).all(axis=1).any()
    clip.valid[frames // 3] = False
    columns = np.flatnonzero((row(panel(clip), 0) == GAP).all(axis=1))
    assert columns.mean() == pytest.approx((RIGHT - LEFT) / 3, abs=4)


def test_rows_follow_the_clock_and_not_the_frame_number(make_sequence):
    times = np.append(np.arange(30) / 30, np.arange(1, 31))  # a second at 30 frames/s, then 30 s at 1 frame/s
    clip = make_sequence(T=60, V=2, timestamps=times)
    clip.valid[30:] = False
    seen = (row(panel(clip, index=59), 0) != GAP).any(axis=1)
    assert seen[:-30].mean() == pytest.approx(1 / 30, abs=0.01)
    assert position(panel(clip, index=29)) < 20
    assert position(panel(clip, index=44)) == pytest.approx((RIGHT - LEFT) / 2, abs=12)


def test_the_mark_moves_from_the_first_frame_to_the_last(sequence):
    places = [position(panel(sequence, index)) for index in range(40)]
    assert places == sorted(set(places))
    assert places[0] == 0
    assert places[-1] == pytest.approx((RIGHT - LEFT) * 39 / 40, abs=1)


@pytest.mark.parametrize(
    ("joints", "rows"), [(JOINTS, 3), (["nose", "left_wrist"], 1), (["left_hand_wrist", "nose"], 2)]
)
def test_the_height_follows_from_the_parts_and_is_even(make_sequence, joints, rows):
    clip = make_sequence(V=len(joints))
    clip.meta["joints"], clip.meta["edges"] = joints, []
    assert timeline_height(clip) == 16 * rows + 24
    assert timeline_height(clip) % 2 == 0


def test_a_single_frame_and_equal_times_are_a_clip(make_sequence):
    for clip in (make_sequence(T=1), make_sequence(T=3, timestamps=np.zeros(3))):
        assert clip_seconds(clip) > 0
        assert (row(panel(clip), 0)[5:] != GAP).any(axis=1).all()
