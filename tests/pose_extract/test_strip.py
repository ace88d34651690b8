"""Which moments a strip shows, what part of the image, and where the skeleton lies in it."""

import numpy as np
import pytest

from pose_extract.drawing import GAP, confidence_colours
from pose_extract.strip import AREA, Strip, person_box, worst_frame


def test_seven_even_moments_and_the_worst(make_sequence):
    clip = make_sequence(T=700)
    clip.valid[210:240] = False
    strip = Strip(clip)
    assert 210 <= worst_frame(clip) < 240
    assert strip.frames == sorted({50, 150, 250, 350, 450, 550, 650, worst_frame(clip)})


def test_a_long_spell_of_doubt_is_worse_than_a_blink(make_sequence):
    clip = make_sequence(T=300)
    clip.landmarks[..., 3] = 1
    clip.valid[40] = False
    clip.landmarks[200:260, :, 3] = 0.2
    assert 200 <= worst_frame(clip) < 260


@pytest.mark.parametrize(("frames", "expected"), [(1, [0]), (3, [0, 1, 2]), (7, list(range(7)))])
def test_short_clips_show_every_frame_once(make_sequence, frames, expected):
    assert Strip(make_sequence(T=frames)).frames == expected


def seated(make_sequence, width=1000, height=500):
    """A person between 0.4 and 0.6 of the width, 0.2 and 0.8 of the height, and one stray point."""
    clip = make_sequence(T=400, V=2)
    clip.meta.update(width=width, height=height)
    clip.landmarks[:, 0] = [0.4, 0.2, 0, 1]
    clip.landmarks[:, 1] = [0.6, 0.8, 0, 1]
    clip.landmarks[7, 0, :2] = [0.0, 0.0]
    return clip


def test_the_crop_holds_the_person_and_not_stray_or_unsure_points(make_sequence):
    clip = seated(make_sequence)
    clip.landmarks[300:, 1] = [1, 1, 0, 0.1]
    left, top, right, bottom = person_box(clip)
    assert 0.2 < left < 0.4 < 0.6 < right < 0.8
    assert 0.05 < top < 0.2 < 0.8 < bottom < 0.95


def test_without_a_person_the_whole_image_is_shown(make_sequence):
    clip = make_sequence(T=4)
    clip.valid[:] = False
    clip.landmarks[:] = np.nan
    np.testing.assert_array_equal(person_box(clip), [0, 0, 1, 1])


@pytest.mark.parametrize("size", [(1000, 500), (500, 1000), (16, 16), (8192, 16), (16, 8192)])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (-3.0, 40.0)])
def test_crops_stay_inside_the_image_and_pictures_keep_their_area(make_sequence, size, place):
    clip = seated(make_sequence, *size)
    clip.landmarks[..., :2] = place
    left, top, right, bottom = person_box(clip)
    assert 0 <= left < right <= 1
    assert 0 <= top < bottom <= 1
    strip = Strip(clip)
    strip.offer(strip.frames[0], np.zeros((size[1], size[0], 3), np.uint8))
    height, width, _ = strip.image().shape
    assert width * height == pytest.approx(AREA, rel=0.02)
    assert 0.49 < width / height < 2.02


def test_the_skeleton_lies_where_it_does_in_the_frame(make_sequence):
    clip = seated(make_sequence)
    frame = np.zeros((500, 1000, 3), np.uint8)
    frame[399:401, 599:601] = 255  # under joint 1; hidden by it if that is drawn where it should be
    strip = Strip(clip)
    strip.offer(strip.frames[-1], frame)
    picture = strip.image()
    left, top, right, bottom = person_box(clip)
    x = (0.6 - left) / (right - left) * picture.shape[1] - 0.5
    y = (0.8 - top) / (bottom - top) * picture.shape[0] - 0.5
    np.testing.assert_array_equal(picture[round(y), round(x)], confidence_colours("body", np.float32(1)))
    assert not (picture[: round(y) - 30] == 255).all(axis=2).any()


def test_pictures_stand_side_by_side_and_a_missing_body_has_a_red_border(make_sequence):
    clip = seated(make_sequence)
    clip.valid[100:200] = False
    strip = Strip(clip)
    for index in range(len(clip)):
        strip.offer(index, np.zeros((500, 1000, 3), np.uint8))
    image = strip.image()
    width = (image.shape[1] + 4) // len(strip.frames)
    red = [tuple(image[0, width * i].tolist()) == GAP for i in range(len(strip.frames))]
    assert red == [not clip.valid[index].any() for index in strip.frames]
    assert any(red)
    assert not all(red)
