from dataclasses import replace

import numpy as np
import pytest

from piumr.data.declaration import load_declaration, own_clips
from piumr.data.formats import PoseCache, read_set
from piumr.errors import PiumrError


def test_folders_are_classes_and_persons(tmp_path, write_cache):
    for name in ("nod/anna/1", "nod/ben/1", "wave/anna/1"):
        write_cache(tmp_path / f"{name}.npz")
    clips = read_set(own_clips(), poses=tmp_path)
    assert clips.names == ("nod/anna/1", "nod/ben/1", "wave/anna/1")
    assert clips.persons == ("anna", "ben", "anna")
    assert clips.class_names == ("nod", "wave")
    assert clips.labels.tolist() == [0, 0, 1]
    assert clips.layout.name == "mediapipe-33"
    assert clips.points.shape == (12, 33, 2)


def test_one_folder_level_has_no_persons(tmp_path, write_cache):
    write_cache(tmp_path / "nod" / "1.npz")
    write_cache(tmp_path / "wave" / "1.npz")
    assert read_set(own_clips(), poses=tmp_path).persons is None


def test_labels_csv_beats_folders_and_a_named_file_beats_both(tmp_path, write_cache):
    for name in ("a/1", "b/2"):
        write_cache(tmp_path / f"{name}.npz")
    (tmp_path / "labels.csv").write_text("clip,label,person\na/1.mp4,nod,x\n2.mp4,nod,y\n")
    clips = read_set(own_clips(), poses=tmp_path)
    assert clips.class_names == ("nod",)
    assert clips.persons == ("x", "y")
    (tmp_path / "other.txt").write_text("1.mp4 7\n2.mp4 12\n")
    clips = read_set(own_clips(), poses=tmp_path, labels=tmp_path / "other.txt")
    assert clips.class_names == ("7", "12")
    assert clips.persons is None


def test_points_have_the_image_aspect_and_missing_is_not_zero(tmp_path, write_cache):
    from pose_extract.schema import read_poses

    write_cache(tmp_path / "nod" / "1.npz")
    write_cache(tmp_path / "nod" / "unseen.npz", seen=False)
    clips = read_set(own_clips(), poses=tmp_path)
    landmarks = read_poses(tmp_path / "nod" / "1.npz").landmarks
    np.testing.assert_allclose(clips.clip(0)[0], landmarks[..., :2] * [2, 1], rtol=1e-6)
    assert clips.clip(0)[1].all()
    assert not clips.clip(1)[1].any()


def test_ma52_by_label_file(tmp_path, write_cache, caplog):
    for name in ("0030_01_0002", "0078_01_0005", "0078_01_0006"):
        write_cache(tmp_path / f"{name}.npz", layout="mediapipe-75")
    (tmp_path / "six.txt").write_text("0030_01_0002.mp4 0\n0078_01_0005.mp4 3\n0001_01_0001.mp4 3\n")
    clips = read_set(load_declaration("ma52"), poses=tmp_path, labels=tmp_path / "six.txt")
    assert clips.persons == ("0030", "0078")
    assert clips.labels.tolist() == [0, 3]
    assert len(clips.class_names) == 52
    assert clips.coarse_names[clips.coarse[8]] == "head"
    assert clips.mirror
    assert clips.splits is None
    assert "1 clips named by" in caplog.text
    assert "0001_01_0001.mp4" in caplog.text
    assert "1 clips have no label" in caplog.text


def test_ma52_by_its_lists(tmp_path, write_cache):
    poses, data = tmp_path / "poses", tmp_path / "lists"
    data.mkdir()
    for name in ("train/0003_01_0001", "val/0003_01_0005"):
        write_cache(poses / f"{name}.npz", layout="mediapipe-75")
    (data / "train_list_videos.txt").write_text("0003_01_0001.mp4 9\n")
    declaration = load_declaration("ma52")
    with pytest.raises(PiumrError, match=r"val_list_videos.txt.*not there"):
        read_set(declaration, data, poses)
    (data / "val_list_videos.txt").write_text("0003_01_0005.mp4 8\n")
    clips = read_set(declaration, data, poses)
    assert clips.splits == ("train", "val")
    assert clips.persons == ("0003", "0003")
    assert clips.missing is None
    (data / "val_list_videos.txt").write_text("0003_01_0005.mp4 8\n0007_02_0001.mp4 3\n")
    lost = read_set(declaration, data, poses).missing
    assert (lost.names, lost.labels.tolist(), lost.persons) == (("0007_02_0001",), [3], ("0007",))
    (data / "val_list_videos.txt").write_text("0003_01_0005.mp4 52\n")
    with pytest.raises(PiumrError, match=r"0\.\.51.*but got '52'"):
        read_set(declaration, data, poses)
    with pytest.raises(PiumrError, match=r"train_list_videos.txt, val_list_videos.txt.*\(--data\)"):
        read_set(declaration, tmp_path, poses)


def test_lost_clips_of_a_class_that_nothing_declares_and_no_clip_shows(tmp_path, write_cache):
    write_cache(tmp_path / "a.npz")
    write_cache(tmp_path / "b.npz")
    declaration = replace(own_clips(), format=PoseCache(lists={"all": "all.txt"}))
    (tmp_path / "all.txt").write_text("a nod\nb wave\nc shrug\nd nod\n")
    clips = read_set(declaration, tmp_path, tmp_path)
    assert clips.class_names == ("nod", "wave")
    assert clips.missing.names == ("d",)


def test_another_layout_is_refused_by_both_names(tmp_path, write_cache):
    write_cache(tmp_path / "0030_01_0002.npz", layout="mediapipe-33")
    (tmp_path / "labels.csv").write_text("clip,label\n0030_01_0002,0\n")
    with pytest.raises(PiumrError, match=r"mediapipe-75.*mediapipe-33.*0030_01_0002\.npz"):
        read_set(load_declaration("ma52"), poses=tmp_path)


def test_caches_of_two_layouts_do_not_mix(tmp_path, write_cache):
    write_cache(tmp_path / "a" / "1.npz", layout="mediapipe-33")
    write_cache(tmp_path / "b" / "2.npz", layout="mediapipe-75")
    with pytest.raises(PiumrError, match=r"mediapipe-33.*mediapipe-75"):
        read_set(own_clips(), poses=tmp_path)


def test_poses_without_labels_give_an_example_of_the_file(tmp_path, write_cache):
    write_cache(tmp_path / "1.npz")
    with pytest.raises(PiumrError, match=r"clip,label,person.*one folder per class") as error:
        read_set(own_clips(), poses=tmp_path)
    assert "\n" not in str(error.value)


def test_no_poses_at_all(tmp_path):
    with pytest.raises(PiumrError, match="piumr-extract"):
        read_set(own_clips(), poses=tmp_path)


def test_a_corrupt_cache_is_left_out_and_named(tmp_path, write_cache, caplog):
    write_cache(tmp_path / "nod" / "1.npz")
    write_cache(tmp_path / "nod" / "2.npz")
    broken = tmp_path / "nod" / "2.npz"
    broken.write_bytes(broken.read_bytes()[:300])
    assert read_set(own_clips(), poses=tmp_path).names == ("nod/1",)
    assert "1 caches cannot be read" in caplog.text
    assert "2.npz" in caplog.text
    (tmp_path / "nod" / "1.npz").write_bytes(b"")
    with pytest.raises(PiumrError, match="readable cache with a label"):
        read_set(own_clips(), poses=tmp_path)


def test_persons_for_some_clips_only_are_refused(tmp_path, write_cache):
    for name in ("1", "2"):
        write_cache(tmp_path / f"{name}.npz")
    (tmp_path / "labels.csv").write_text("clip,label,person\n1,a,x\n2,b,\n")
    with pytest.raises(PiumrError, match="line 3"):
        read_set(own_clips(), poses=tmp_path)
