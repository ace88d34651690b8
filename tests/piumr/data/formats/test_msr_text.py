import numpy as np
import pytest

from piumr.data.declaration import load_declaration
from piumr.data.formats import read_set
from piumr.errors import PiumrError
from piumr.layouts import get_layout

MSR = load_declaration("msr_action3d")
LAYOUT = get_layout("kinect-20")


def write(folder, name, points, confidence=1.0):
    """A file as Microsoft's: joints in the files' order, 20 lines a frame."""
    order = [LAYOUT.joints.index(joint) for joint in MSR.format.joints]
    lines = np.concatenate([points[:, order], np.full((*points.shape[:2], 1), confidence)], axis=2).reshape(-1, 4)
    np.savetxt(folder / f"{name}_skeleton3D.txt", lines, fmt="%.6f")


def test_joints_labels_and_persons(data):
    points = np.random.default_rng(0).normal(size=(7, 20, 3))
    write(data, "a20_s03_e02", points)
    clips = read_set(MSR, data)
    assert clips.names == ("a20_s03_e02_skeleton3D",)
    assert clips.class_names[clips.labels[0]] == "pickup and throw"
    assert clips.persons == ("03",)
    assert clips.valid.all()
    np.testing.assert_allclose(clips.points, points, atol=1e-6)


def test_zeros_are_missing_and_confidence_is_not_used(data):
    points = np.ones((4, 20, 3))
    points[1] = 0
    points[2, 5] = 0
    write(data, "a01_s01_e01", points, confidence=0)
    expected = np.ones((4, 20), dtype=bool)
    expected[1] = expected[2, 5] = False
    np.testing.assert_array_equal(read_set(MSR, data).valid, expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "20 lines of 4 numbers for every frame, but got 0"),
        ("1 2 3 1\n" * 19, "but got 76 numbers"),
        ("1 2 3\n" * 20, "but got 60 numbers"),
        ("1 2 x 1\n" * 20, "numbers only"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_files_that_do_not_fit_are_refused(data, text, message):
    content = text if isinstance(text, bytes) else text.encode()
    (data / "a01_s01_e01_skeleton3D.txt").write_bytes(content)
    with pytest.raises(PiumrError, match=message) as error:
        read_set(MSR, data)
    assert "a01_s01_e01_skeleton3D.txt" in str(error.value)
    assert "\n" not in str(error.value)


def test_large_files_are_refused(data, monkeypatch):
    monkeypatch.setattr("piumr.data.formats.msr_text.MAX_BYTES", 100)
    write(data, "a01_s01_e01", np.ones((4, 20, 3)))
    with pytest.raises(PiumrError, match="at most 100 bytes"):
        read_set(MSR, data)


def test_no_files_and_strange_names(data):
    with pytest.raises(PiumrError, match=r"Expected _skeleton3D\.txt files under .*MSRAction3DSkeletonReal3D"):
        read_set(MSR, data)
    write(data, "b01_s01_e01", np.ones((4, 20, 3)))
    with pytest.raises(PiumrError, match="label in clip name 'b01_s01_e01_skeleton3D'"):
        read_set(MSR, data)


def test_real_msr_action3d(shared_data, data):
    """The real set, written back into its own text form."""
    with np.load(shared_data / "skeletons" / "msr_action3d.npz", allow_pickle=False) as real:
        frames, offsets, names = real["frames"], real["offsets"], real["sample_id"]
        label, subject, used = real["label"], real["subject"], real["used557"]
        class_names = tuple(real["class_names"])
    for i in range(0, len(names), 7):  # 81 clips
        write(data, names[i], frames[offsets[i] : offsets[i + 1]])
    clips = read_set(MSR, data)
    assert clips.class_names == class_names
    assert len(clips) == 81
    index = {f"{name}_skeleton3D": i for i, name in enumerate(names)}
    for i, name in enumerate(clips.names):
        j = index[name]
        assert clips.labels[i] == label[j]
        assert int(clips.persons[i]) == subject[j]
        points, valid = clips.clip(i)
        real_frames = frames[offsets[j] : offsets[j + 1]]
        np.testing.assert_array_equal(valid, real_frames.any(axis=2))
        np.testing.assert_allclose(points[valid], real_frames[valid], atol=1e-6)
    whole = [(label[j], subject[j] % 2) for j in range(len(names)) if used[j]]
    assert (sum(odd for _, odd in whole), sum(not odd for _, odd in whole)) == (284, 273)
    (split,) = MSR.protocols["odd-even"].split(clips)
    assert split.person_disjoint
    head, foot = (clips.layout.joints.index(name) for name in ("head", "left_foot"))
    seen = clips.valid[:, head] & clips.valid[:, foot]
    assert (clips.points[seen, head, 1] > clips.points[seen, foot, 1]).mean() > 0.99


def test_the_real_container_is_the_same_set(shared_data):
    declaration = load_declaration("msr_action3d/npz")
    clips = read_set(declaration, shared_data / "skeletons")
    assert (len(clips), len(clips.class_names), len(set(clips.persons))) == (567, 20, 10)
    (split,) = declaration.protocols["odd-even"].split(clips)
    assert split.person_disjoint
    assert len(split.train) + len(split.test) == 567
    assert sum(not clips.clip(i)[1].any() for i in range(567)) == 1
