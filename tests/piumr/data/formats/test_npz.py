import zipfile

import numpy as np
import pytest

from piumr.data.declaration import load_declaration
from piumr.data.formats import read_set
from piumr.errors import PiumrError
from piumr.layouts import get_layout

TOML = """
title = "Mine"
citation = ""
licence = ""
source = ""
format = "npz"
layout = "{layout}"
[options]
file = "mine.npz"
{options}
"""


def declare(folder, layout="kinect-20", options="", extra=""):
    (folder / "dataset.toml").write_text(TOML.format(layout=layout, options=options) + extra)
    return load_declaration(folder)


def container(**changes):
    rng = np.random.default_rng(0)
    arrays = {
        "frames": rng.normal(size=(12, 20, 3)).astype(np.float32),
        "offsets": np.array([0, 5, 12]),
        "label": np.array([1, 0]),
        "subject": np.array([3, 10]),
        "class_names": np.array(["nod", "wave"]),
        "joint_names": np.array(get_layout("kinect-20").joints),
        "sample_id": np.array(["one", "two"]),
    }
    return {key: value for key, value in {**arrays, **changes}.items() if value is not None}


def test_packed_metres(tmp_path):
    arrays = container()
    arrays["frames"][4] = 0
    arrays["frames"][6, 2, 1] = np.nan
    np.savez(tmp_path / "mine.npz", **arrays)
    clips = read_set(declare(tmp_path))
    assert clips.names == ("one", "two")
    assert clips.persons == ("3", "10")
    assert clips.class_names == ("nod", "wave")
    assert clips.labels.tolist() == [1, 0]
    expected = np.ones((12, 20), dtype=bool)
    expected[4] = False
    expected[6, 2] = False
    np.testing.assert_array_equal(clips.valid, expected)
    np.testing.assert_array_equal(clips.points[expected], arrays["frames"][expected])


def test_further_arrays_are_columns_that_protocols_may_split_by(tmp_path):
    arrays = container(view=np.array([1, 2]), age=np.array(["adult", "child"]), weight=np.array([1.5, 2.0]))
    np.savez(tmp_path / "mine.npz", **arrays)
    protocol = '[protocols.ages]\nkind = "attribute"\ncolumn = "age"\ntrain = ["adult"]\ntest = ["child"]\n'
    declaration = declare(tmp_path, extra=protocol)
    clips = read_set(declaration)
    assert clips.columns["view"] == ("1", "2")
    assert "weight" not in clips.columns
    (split,) = declaration.protocols["ages"].split(clips)
    assert (split.train.tolist(), split.test.tolist(), split.person_disjoint) == ([0], [1], True)


def test_only_frames_offsets_and_labels_are_needed(tmp_path):
    np.savez(tmp_path / "mine.npz", **{key: container()[key] for key in ("frames", "offsets", "label")})
    clips = read_set(declare(tmp_path))
    assert clips.persons is None
    assert clips.class_names == ("0", "1")
    assert clips.names == ("clip 0", "clip 1")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint64, np.int16])
def test_labels_are_integers_of_any_kind(tmp_path, dtype):
    np.savez(tmp_path / "mine.npz", **container(label=np.array([2, 0], dtype), class_names=None))
    clips = read_set(declare(tmp_path))
    assert clips.labels.tolist() == [2, 0]
    assert clips.class_names == ("0", "1", "2")


def test_clips_without_a_valid_point_are_warned_of(tmp_path, caplog):
    arrays = container()
    arrays["frames"][:5] = 0
    np.savez(tmp_path / "mine.npz", **arrays)
    read_set(declare(tmp_path))
    assert "1 clips show no person in any frame: one." in caplog.text
    np.savez(tmp_path / "mine.npz", **container(frames=np.full((12, 20, 3), np.nan)))
    assert not read_set(declare(tmp_path)).valid.any()
    assert "2 clips show no person in any frame: one, two." in caplog.text


def test_image_landmarks_of_equal_length_from_several_arrays(tmp_path):
    rng = np.random.default_rng(0)
    pose = rng.random((2, 4, 33, 4)).astype(np.float32)
    hands = rng.random((2, 2, 4, 21, 3)).astype(np.float32)
    hands[1, 0, 2] = 0
    np.savez(tmp_path / "mine.npz", pose=pose, left_hand=hands[0], right_hand=hands[1], label=[0, 1])
    options = 'joints = ["pose", "left_hand", "right_hand"]\nwidth = 640\nheight = 480'
    clips = read_set(declare(tmp_path, "mediapipe-75", options))
    assert clips.points.shape == (8, 75, 2)
    assert clips.offsets.tolist() == [0, 4, 8]
    points, valid = clips.clip(0)
    np.testing.assert_array_equal(valid[:, :33], pose[0, ..., 3] >= 0.5)
    assert valid[:, 33:54].all()
    assert valid[:, 54:].all(axis=1).tolist() == [True, True, False, True]
    np.testing.assert_allclose(points[:, 33:54], hands[0, 0, ..., :2] * [640 / 480, 1], rtol=1e-6)


def test_the_person_is_read_by_pattern(tmp_path):
    np.savez(tmp_path / "mine.npz", **container())
    declaration = declare(tmp_path, extra="[person]\npattern = '^(?P<person>.)'")
    assert read_set(declaration).persons == ("o", "t")
    declaration = declare(tmp_path, extra="[person]\npattern = '^(?P<person>x)'")
    with pytest.raises(PiumrError, match="person in clip name 'one'"):
        read_set(declaration)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": None}, "expected an array `label`"),
        ({"offsets": None}, "expected an array `offsets`"),
        ({"offsets": np.array([0, 5, 13])}, "offsets"),
        ({"offsets": np.array([0.0, 5, 12])}, "`offsets` to hold integers"),
        ({"offsets": np.array([0]), "width": np.empty(0), "height": np.empty(0)}, "at least one clip, but got none"),
        ({"offsets": np.array([], int)}, "at least one clip, but got none"),
        ({"frames": np.ones((0, 6, 20, 3))}, "at least one clip, but got none"),
        ({"frames": np.ones((2, 6, 0, 3))}, "20 joints of layout kinect-20"),
        ({"label": np.array([0, 2])}, r"labels within 0\.\.1"),
        ({"label": np.array([[0, 1]])}, "`label` to hold integers"),
        ({"label": np.array([0, 100_001]), "class_names": None}, "labels up to 100000, but got 100001"),
        ({"label": np.array([0, 2**64 - 1], np.uint64), "class_names": None}, "label"),
        ({"joint_names": np.array("hip_center")}, "but got 20 joints of an unknown layout"),
        ({"subject": np.array([1])}, r"`subject` to have shape \(2,\)"),
        ({"frames": np.zeros((12, 20))}, "`frames` to hold numbers of shape"),
        ({"frames": np.array([["a"]])}, "`frames` to hold numbers"),
        ({"joint_names": np.array(["a"] * 20)}, "layout kinect-20.*an unknown layout"),
        (
            {"frames": np.ones((12, 33, 3)), "joint_names": np.array(get_layout("mediapipe-33").joints)},
            "20 joints of layout kinect-20.*33 joints of mediapipe-33",
        ),
    ],
)
def test_containers_that_do_not_fit_are_refused(tmp_path, changes, message):
    np.savez(tmp_path / "mine.npz", **container(**changes))
    with pytest.raises(PiumrError, match=message) as error:
        read_set(declare(tmp_path))
    assert "mine.npz" in str(error.value)


def declare_classes(folder, *names):
    rows = [f"{i},{name}" for i, name in enumerate(names)]
    (folder / "classes.csv").write_text("\n".join(["id,name", *rows]))
    (folder / "dataset.toml").write_text(
        TOML.format(layout="kinect-20", options="").replace("[options]", 'classes = "classes.csv"\n[options]')
    )
    return load_declaration(folder)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (["nod", "wave"], r"3 declared classes, but got 2 in `class_names`: \['more'\] are missing, \[\] are not"),
        (["nod", "wave", "less"], r"\['more'\] are missing, \['less'\] are not declared"),
        (["nod", "wave", "wave"], r"\['more'\] are missing"),
        ([], "3 declared classes, but got 0"),
    ],
)
def test_other_classes_than_declared_are_refused(tmp_path, found, message):
    np.savez(tmp_path / "mine.npz", **container(class_names=np.array(found, dtype=str)))
    with pytest.raises(PiumrError, match=message):
        read_set(declare_classes(tmp_path, "nod", "wave", "more"))


def test_classes_are_those_of_their_names_whatever_the_order(tmp_path):
    np.savez(tmp_path / "mine.npz", **container())
    clips = read_set(declare_classes(tmp_path, "wave", "nod"))
    assert [clips.class_names[label] for label in clips.labels] == ["wave", "nod"]
    for label in ([-1, 0], [0, 2]):
        np.savez(tmp_path / "mine.npz", **container(label=np.array(label)))
        with pytest.raises(PiumrError, match=r"labels within 0\.\.1, but got"):
            read_set(declare_classes(tmp_path, "wave", "nod"))


def test_numbers_for_names_are_those_of_the_declared_classes(tmp_path):
    """As piumr-convert writes them from a pickle, which has no names."""
    np.savez(tmp_path / "mine.npz", **container(class_names=np.array(["0", "1"])))
    clips = read_set(declare_classes(tmp_path, "wave", "nod"))
    assert (clips.labels.tolist(), clips.class_names) == ([1, 0], ("wave", "nod"))


def test_damaged_files_give_one_line(tmp_path):
    declaration = declare(tmp_path)
    with pytest.raises(PiumrError, match=r"mine\.npz, but it is not there"):
        read_set(declaration)
    np.savez(tmp_path / "mine.npz", **container())
    whole = (tmp_path / "mine.npz").read_bytes()
    for damaged in (b"", b"no zip", whole[: len(whole) // 2], whole.replace(b"NUMPY", b"NUMPX")):
        (tmp_path / "mine.npz").write_bytes(damaged)
        with pytest.raises(PiumrError, match="readable") as error:
            read_set(declaration)
        assert "\n" not in str(error.value)


def header(text):
    """An .npy file that is only a header."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize("text", ["(" * 9000, "{" * 20_000, "'" * 3])
def test_damaged_headers_give_one_line(tmp_path, text):
    np.savez(tmp_path / "mine.npz", **container(label=None))
    with zipfile.ZipFile(tmp_path / "mine.npz", "a") as archive:
        archive.writestr("label.npy", header(text))
    with pytest.raises(PiumrError, match="readable") as error:
        read_set(declare(tmp_path))
    assert "\n" not in str(error.value)


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "mine.npz", **container(sample_id=np.array([{}, {}], dtype=object)))
    with pytest.raises(PiumrError, match="allow_pickle"):
        read_set(declare(tmp_path))


def test_files_that_would_not_fit_into_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("piumr.data.formats.npz.MAX_BYTES", 1000)
    np.savez_compressed(tmp_path / "mine.npz", **container())
    with pytest.raises(PiumrError, match="at most 1000 bytes"):
        read_set(declare(tmp_path))


def test_a_label_file_makes_no_sense(tmp_path):
    with pytest.raises(PiumrError, match="its own labels"):
        read_set(declare(tmp_path), labels=tmp_path / "labels.csv")


def test_real_signs(shared_data):
    declaration = load_declaration("mp_holistic_signs")
    clips = read_set(declaration, shared_data / "skeletons")
    assert (len(clips), len(clips.class_names), len(set(clips.persons))) == (1260, 3, 13)
    assert clips.points.shape == (37800, 75, 2)
    hips = [clips.layout.joints.index(name) for name in ("left_hip", "right_hip")]
    assert clips.valid[:, hips].mean() < 0.1
    assert clips.valid[:, 0].mean() > 0.9


def test_pictures_of_several_sizes(tmp_path):
    """Sizes beside the clips, as piumr-convert writes them."""
    rng = np.random.default_rng(0)
    arrays = container(frames=rng.random((12, 33, 4)).astype(np.float32), joint_names=None)
    arrays |= {"width": np.array([640, 100]), "height": np.array([480, 200]), "split": np.array(["train", "val"])}
    arrays["frames"][3, 4] = np.nan
    np.savez(tmp_path / "mine.npz", **arrays)
    clips = read_set(declare(tmp_path, "mediapipe-33"))
    assert clips.splits == ("train", "val")
    valid = arrays["frames"][..., 3] >= 0.5
    np.testing.assert_array_equal(clips.valid, valid)
    scale = np.repeat([[640 / 480, 1], [0.5, 1]], [5, 7], axis=0)[:, None]
    np.testing.assert_allclose(clips.points[valid], (arrays["frames"][..., :2] * scale)[valid], rtol=1e-6)
    for changes in ({"width": np.array([640])}, {"height": np.array(["a", "b"])}):
        np.savez(tmp_path / "mine.npz", **{**arrays, **changes})
        with pytest.raises(PiumrError, match=r"`width` and `height` to be numbers of shape \(2,\)"):
            read_set(declare(tmp_path, "mediapipe-33"))


def test_real_ui_prmd(shared_data):
    declaration = load_declaration("ui_prmd")
    clips = read_set(declaration, shared_data / "skeletons")
    assert (len(clips), len(clips.class_names), len(set(clips.persons))) == (2000, 10, 10)
    assert clips.valid.all()
    splits = declaration.protocols[declaration.protocol].split(clips)
    assert [len(split.test) for split in splits] == [200] * 10
    assert all(split.person_disjoint for split in splits)
    standing = clips.points[clips.labels[np.repeat(np.arange(2000), np.diff(clips.offsets))] == 6]
    height = np.median(standing, axis=0)[:, 1]
    order = [
        height[clips.layout.joints.index(name)] for name in ("head", "chest", "waist", "lower_leg_left", "foot_left")
    ]
    assert order == sorted(order, reverse=True)
    for joint, parent in enumerate(clips.layout.parents):  # bones keep their length, so the names fit the points
        if joint != parent:
            lengths = np.linalg.norm(standing[:, joint] - standing[:, parent], axis=1)
            assert lengths.std() < 0.1
