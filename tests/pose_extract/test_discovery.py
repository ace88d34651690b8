import os

import pytest

from pose_extract.discovery import find_jobs
from pose_extract.schema import PoseError


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def outputs(videos, out):
    return {job.source: job.output.relative_to(out).as_posix() for job in find_jobs(videos, out)}


def test_recursive_any_case_sorted_and_only_videos(tmp_path):
    touch(tmp_path, "b/c/Z.MP4", "a.avi", "notes.txt", "b/x.Mov", ".hidden.mp4", "._a.mp4", ".cache/y.mp4", "mp4")
    assert outputs(tmp_path, tmp_path / "o") == {"a.avi": "a.npz", "b/c/Z.MP4": "b/c/Z.npz", "b/x.Mov": "b/x.npz"}


def test_videos_that_share_a_stem_all_keep_their_suffix(tmp_path):
    touch(tmp_path, "a.mp4", "a.avi", "b.mp4", "sub/a.mp4")
    assert outputs(tmp_path, tmp_path / "o") == {
        "a.avi": "a.avi.npz",
        "a.mp4": "a.mp4.npz",
        "b.mp4": "b.npz",
        "sub/a.mp4": "sub/a.npz",
    }


def test_names_are_unique_even_where_a_kept_suffix_meets_a_stem(tmp_path):
    touch(tmp_path, "a.mp4", "a.avi", "a.mp4.mov")
    found = outputs(tmp_path, tmp_path / "o")
    assert len(set(found.values())) == 3
    assert found["a.mp4.mov"] == "a.mp4.mov.npz"


def test_odd_names_stay_inside_the_output_folder(tmp_path):
    names = ["-dash.mp4", "%03d.mp4", "a b.mp4", "ü.mp4", "x..mp4", "new\nline.mp4", os.fsdecode(b"\xff.mp4")]
    touch(tmp_path / "v", *names)
    out = tmp_path / "o"
    jobs = find_jobs(tmp_path / "v", out)
    assert {job.source for job in jobs} == set(names)
    assert all(job.output.parent == out for job in jobs)


def test_a_folder_named_like_a_video_is_a_folder(tmp_path):
    touch(tmp_path, "a.mp4/b.mp4")
    assert outputs(tmp_path, tmp_path / "o") == {"a.mp4/b.mp4": "a.mp4/b.npz"}


def test_links_are_followed_and_circles_end(tmp_path):
    touch(tmp_path, "far/b.mp4", "v/a.mp4")
    (tmp_path / "v" / "file.mp4").symlink_to(tmp_path / "far" / "b.mp4")
    (tmp_path / "v" / "folder").symlink_to(tmp_path / "far")
    (tmp_path / "v" / "broken.mp4").symlink_to("nowhere")
    (tmp_path / "v" / "circle").symlink_to(tmp_path / "v")
    (tmp_path / "far" / "back").symlink_to(tmp_path / "v")
    assert set(outputs(tmp_path / "v", tmp_path / "o")) == {"a.mp4", "broken.mp4", "file.mp4", "folder/b.mp4"}


def test_the_output_folder_is_no_input(tmp_path):
    touch(tmp_path, "a.mp4", "poses/overlay.mp4")
    assert set(outputs(tmp_path, tmp_path / "poses")) == {"a.mp4"}


def test_one_file_is_taken_whatever_its_suffix(tmp_path):
    touch(tmp_path, "clip.bin")
    assert outputs(tmp_path / "clip.bin", tmp_path / "o") == {"clip.bin": "clip.npz"}


def test_nothing_to_do_is_one_line(tmp_path):
    with pytest.raises(PoseError, match="nothing at"):
        find_jobs(tmp_path / "none", tmp_path / "o")
    with pytest.raises(PoseError, match=r"no video.*\.mkv"):
        find_jobs(tmp_path, tmp_path / "o")


def test_output_beside_the_videos(tmp_path):
    touch(tmp_path, "a.mp4", "sub/b.mp4")
    assert outputs(tmp_path, tmp_path) == {"a.mp4": "a.npz", "sub/b.mp4": "sub/b.npz"}
