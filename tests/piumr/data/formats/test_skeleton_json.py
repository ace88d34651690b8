import json

import numpy as np
import pytest

from piumr.data.declaration import load_declaration
from piumr.data.formats import read_set
from piumr.errors import PiumrError

UCLA = load_declaration("nw_ucla")


def write(folder, name="a01_s02_e03_v01", points=None, **content):
    points = np.ones((4, 20, 3)) if points is None else points
    content = content or {"file_name": name, "skeletons": np.asarray(points).tolist(), "label": 1}
    (folder / f"{name}.json").write_text(json.dumps(content))


def test_names_say_action_person_and_camera(data):
    points = np.random.default_rng(0).normal(size=(5, 20, 3)).round(6)
    for action, camera in (("01", 1), ("08", 3), ("12", 2)):
        write(data, f"a{action}_s10_e00_v0{camera}", points)
    clips = read_set(UCLA, data)
    assert [clips.class_names[i] for i in clips.labels] == ["pick up with one hand", "donning", "carry"]
    assert clips.persons == ("10", "10", "10")
    np.testing.assert_allclose(clips.clip(0)[0], points, rtol=1e-6)
    (split,) = UCLA.protocols["cross-view"].split(clips)
    assert (split.train.tolist(), split.test.tolist()) == ([0, 2], [1])
    assert not split.person_disjoint


def test_leaving_a_person_out_takes_all_cameras_along(data):
    for person in ("01", "02", "03"):
        for camera in (1, 2, 3):
            write(data, f"a01_s{person}_e00_v0{camera}")
    splits = UCLA.protocols[UCLA.protocol].split(read_set(UCLA, data))
    assert [len(split.test) for split in splits] == [3, 3, 3]
    assert all(split.person_disjoint for split in splits)


def test_an_action_that_does_not_exist_is_refused(data):
    write(data, "a07_s01_e00_v01")
    with pytest.raises(PiumrError, match=r"label in clip name 'a07_s01_e00_v01' to be one of 01, .*12, but got '07'"):
        read_set(UCLA, data)


def test_missing_joints(data):
    points = np.ones((3, 20, 3))
    points[1, 4] = 0
    points[2, 5, 1] = np.nan
    write(data, points=points)
    expected = np.ones((3, 20), dtype=bool)
    expected[1, 4] = expected[2, 5] = False
    np.testing.assert_array_equal(read_set(UCLA, data).valid, expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"skeleton": []}, "key `skeletons`"),
        ({"skeletons": []}, r"shape \(T, 20, 3\), but got another list"),
        ({"skeletons": np.ones((2, 25, 3)).tolist()}, r"but got \(2, 25, 3\)"),
        ({"skeletons": [[1, 2], [3]]}, "another list"),
        ({"skeletons": "abc"}, "another list"),
        ({"skeletons": [[[10**400] * 3] * 20]}, "another list"),
    ],
)
def test_files_that_do_not_fit_are_refused(data, content, message):
    write(data, **content)
    with pytest.raises(PiumrError, match=message) as error:
        read_set(UCLA, data)
    assert "a01_s02_e03_v01.json" in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "3", '{"skeletons": ' + "9" * 5000 + "}"])
def test_damaged_files_give_one_line(data, text):
    (data / "a01_s02_e03_v01.json").write_text(text)
    with pytest.raises(PiumrError, match="expected") as error:
        read_set(UCLA, data)
    assert "\n" not in str(error.value)
