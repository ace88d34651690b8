import numpy as np
import pytest
from scipy.io import savemat

from piumr.data.declaration import load_declaration
from piumr.data.formats import read_set
from piumr.errors import PiumrError


def write(folder, name="a27_s8_t4", skeleton=None, **variables):
    rng = np.random.default_rng(0)
    skeleton = rng.normal(size=(20, 3, 6)) if skeleton is None else skeleton
    savemat(folder / f"{name}_skeleton.mat", variables or {"d_skel": skeleton})
    return skeleton


def test_joints_are_reordered_by_name_and_the_name_is_read(tmp_path):
    skeleton = write(tmp_path)
    clips = read_set(load_declaration("utd_mhad"), tmp_path)
    assert clips.names == ("a27_s8_t4_skeleton",)
    assert clips.persons == ("8",)
    assert clips.class_names[clips.labels[0]] == "squat (two arms stretch out)"
    points, valid = clips.clip(0)
    assert valid.all()
    assert clips.layout.joints[:4] == ("hip_center", "spine", "shoulder_center", "head")
    # the files begin with head, shoulder_center, spine, hip_center; the other joints have the layout's order
    np.testing.assert_allclose(points[:, [3, 2, 1, 0]], skeleton.transpose(2, 0, 1)[:, :4], rtol=1e-6)
    np.testing.assert_allclose(points[:, 4:], skeleton.transpose(2, 0, 1)[:, 4:], rtol=1e-6)


def test_frames_of_zeros_are_missing(tmp_path):
    skeleton = np.ones((20, 3, 4))
    skeleton[:, :, 1] = 0
    write(tmp_path, skeleton=skeleton)
    assert read_set(load_declaration("utd_mhad"), tmp_path).valid.all(axis=1).tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"other": np.ones((20, 3, 4))}, "variable `d_skel`, but got other"),
        ({"d_skel": np.ones((25, 3, 4))}, r"\(20, 3, T\) for layout kinect-20, but got \(25, 3, 4\)"),
        ({"d_skel": np.ones((20, 3))}, r"\(20, 3, T\)"),
        ({"d_skel": np.full((20, 3, 4), "a", dtype=object)}, "numbers"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, variables, message):
    write(tmp_path, **variables)
    with pytest.raises(PiumrError, match=message):
        read_set(load_declaration("utd_mhad"), tmp_path)


def test_damaged_files_give_one_line(tmp_path):
    write(tmp_path)
    path = tmp_path / "a27_s8_t4_skeleton.mat"
    whole = path.read_bytes()
    for damaged in (b"", b"no mat file" * 50, whole[:200], whole[: len(whole) - 100]):
        path.write_bytes(damaged)
        with pytest.raises(PiumrError, match=r"a27_s8_t4_skeleton\.mat: expected") as error:
            read_set(load_declaration("utd_mhad"), tmp_path)
        assert "\n" not in str(error.value)


def test_folders_without_files_and_strange_names_are_refused(tmp_path):
    with pytest.raises(PiumrError, match=r"Expected \.mat files under"):
        read_set(load_declaration("utd_mhad"), tmp_path)
    with pytest.raises(PiumrError, match="folder of data set utd_mhad"):
        read_set(load_declaration("utd_mhad"), tmp_path / "none")
    write(tmp_path, name="clip")
    with pytest.raises(PiumrError, match="label in clip name 'clip_skeleton'"):
        read_set(load_declaration("utd_mhad"), tmp_path)


def test_a_label_out_of_range_is_refused(tmp_path):
    write(tmp_path, name="a28_s1_t1")
    with pytest.raises(PiumrError, match=r"labels within 0\.\.26"):
        read_set(load_declaration("utd_mhad"), tmp_path)


def test_real_utd_mhad(shared_data):
    declaration = load_declaration("utd_mhad")
    clips = read_set(declaration, shared_data / "skeletons" / "utd_mhad")
    assert (len(clips), len(set(clips.labels)), len(set(clips.persons))) == (861, 27, 8)
    (split,) = declaration.protocols["odd-even"].split(clips)
    assert (len(split.train), len(split.test)) == (431, 430)
    assert split.person_disjoint
    height = np.median(clips.points, axis=0)[:, 1]
    joints = clips.layout.joints
    order = [height[joints.index(name)] for name in ("head", "shoulder_center", "hip_center", "left_knee", "left_foot")]
    assert order == sorted(order, reverse=True)
