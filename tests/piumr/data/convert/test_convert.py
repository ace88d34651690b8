"""Round trips between the formats, of random clips and of real ones."""

import csv
import pickle
from dataclasses import replace

import numpy as np
import pytest

from piumr.data.convert import Clip, Collection, read_collection, write_collection
from piumr.data.declaration import load_declaration, own_clips
from piumr.data.formats import read_set
from piumr.errors import PiumrError
from piumr.layouts import get_layout
from pose_extract.schema import read_poses

LABELS = ("nod", "shake, slowly")


def landmark_clips(layout="mediapipe-33", count=4, known=True):
    """Clips in pictures of several sizes, a fifth of the joints missing."""
    rng = np.random.default_rng(0)
    joints = get_layout(layout)
    clips = []
    for i in range(count):
        frames = int(rng.integers(3, 9))
        values = rng.uniform(0.01, 1.2, (frames, len(joints), 4)).astype(np.float32)
        values[rng.random(values.shape[:2]) < 0.2] = np.nan
        times = np.cumsum(rng.uniform(0.02, 0.05, frames))
        clip = Clip(f"p{i % 2}/clip{i}", values, (1080 + i, 720 - i))
        if known:
            clip = replace(clip, timestamps=times, label=LABELS[i % 2], person=f"person {i % 2}")
        clips.append(clip)
    return Collection(tuple(clips), joints, LABELS if known else None)


def metric_clips():
    rng = np.random.default_rng(1)
    clips = []
    for i in range(3):
        values = rng.normal(size=(4 + i, 20, 3)).astype(np.float32)
        values[1] = np.nan
        values[2, 5] = np.nan
        clips.append(Clip(f"clip{i}", values, label=("a", "b")[i % 2], person=str(i), split=("train", "test")[i % 2]))
    return Collection(tuple(clips), get_layout("kinect-20"), ("a", "b"))


def seen_only(collection):
    """Without the joints of low visibility, which count as missing."""
    clips = [
        replace(clip, joints=np.where(clip.joints[..., 3:] >= 0.5, clip.joints, np.float32(np.nan)))
        for clip in collection.clips
    ]
    return replace(collection, clips=tuple(clips))


def trip(collection, path, layout=None):
    notes = write_collection(collection, path, 25.0, "a test")
    return read_collection(path, layout), notes


def assert_same(got, expected, but=(), tolerance=0.0):
    """Clips are the same in everything except ``but``, whatever their order."""
    assert got.layout == expected.layout
    by_name = {clip.name: clip for clip in got.clips}
    assert set(by_name) == {clip.name for clip in expected.clips}
    for clip in expected.clips:
        other = by_name[clip.name]
        np.testing.assert_array_equal(other.valid, clip.valid)
        columns = [i for i in range(clip.joints.shape[2]) if not (i == 2 and "z" in but)]
        np.testing.assert_allclose(other.joints[..., columns], clip.joints[..., columns], rtol=0, atol=tolerance)
        for key in {"size", "label", "person", "split"} - set(but):
            assert getattr(other, key) == getattr(clip, key), key
        if "timestamps" not in but:
            np.testing.assert_array_equal(other.timestamps, clip.timestamps)
    if "class_names" not in but:
        assert got.class_names == expected.class_names


def test_cache_to_container_and_back_is_exact(tmp_path):
    clips = landmark_clips()
    cached, _ = trip(clips, tmp_path / "poses")
    assert_same(cached, clips)
    contained, notes = trip(cached, tmp_path / "set.npz")
    assert_same(contained, clips)
    assert notes == [f"{tmp_path / 'set.npz'} does not carry world coordinates and the record of extraction."]
    again, notes = trip(contained, tmp_path / "again")
    assert_same(again, clips)
    assert notes == []


def test_cache_to_pyskl_and_back_says_what_is_lost(tmp_path):
    clips = landmark_clips()
    cached, _ = trip(clips, tmp_path / "poses")
    pickled, notes = trip(cached, tmp_path / "set.pkl", clips.layout)
    assert notes[1:] == [
        "A PYSKL pickle carries no joint names, z, timestamps, persons, class names.",
        "Joints of visibility below 0.5 have score 0, so that they stay unseen.",
    ]
    lost = ("z", "timestamps", "person", "label", "class_names")
    clips = seen_only(clips)
    assert_same(pickled, clips, lost, tolerance=1e-6)
    assert {(clip.name, LABELS[int(clip.label)]) for clip in pickled.clips} == {(c.name, c.label) for c in clips.clips}
    again, notes = trip(pickled, tmp_path / "again")
    assert_same(again, clips, lost, tolerance=1e-6)
    assert notes == ["The source has no timestamps: they are frame numbers / 25 (--fps)."]
    np.testing.assert_allclose(again.clips[0].timestamps, np.arange(len(again.clips[0].joints)) / 25)


def test_container_to_pyskl_and_back_in_metres(tmp_path):
    clips = metric_clips()
    contained, _ = trip(clips, tmp_path / "set.npz")
    assert_same(contained, clips, ("timestamps",))
    pickled, notes = trip(contained, tmp_path / "set.pkl", clips.layout)
    assert notes == ["A PYSKL pickle carries no joint names, persons, class names."]
    assert_same(pickled, clips, ("timestamps", "person", "label", "class_names"))


def test_a_cache_of_metres_is_refused(tmp_path):
    with pytest.raises(PiumrError, match=r"joints in metres: convert them to \.npz or \.pkl"):
        write_collection(metric_clips(), tmp_path / "poses", 30, "a test")
    assert not (tmp_path / "poses").exists()


def test_clips_without_labels_stay_without(tmp_path):
    clips = landmark_clips(known=False)
    clips = replace(clips, clips=tuple(replace(clip, name=clip.name.replace("/", "-")) for clip in clips.clips))
    cached, _ = trip(clips, tmp_path / "poses")
    assert not cached.has("label")
    contained, _ = trip(cached, tmp_path / "set.npz")
    assert not contained.has("label")
    pickled, _ = trip(contained, tmp_path / "set.pkl", clips.layout)
    assert_same(pickled, seen_only(clips), ("z", "timestamps"), tolerance=1e-6)


def test_what_is_written_can_be_trained_on(tmp_path):
    clips = landmark_clips()
    write_collection(clips, tmp_path / "poses", 30, "a test")
    cached = read_set(own_clips(), poses=tmp_path / "poses")
    assert cached.class_names == LABELS
    assert set(cached.persons) == {"person 0", "person 1"}
    toml = (
        'title = "t"\ncitation = ""\nlicence = ""\nsource = ""\nformat = "{}"\nlayout = "mediapipe-33"\n[options]\n{}\n'
    )
    for format, file in (("npz", "set.npz"), ("pyskl", "set.pkl")):
        write_collection(clips, tmp_path / file, 30, "a test")
        (tmp_path / "dataset.toml").write_text(toml.format(format, f'file = "{file}"'))
        got = read_set(load_declaration(tmp_path))
        for i, name in enumerate(got.names):
            j = cached.names.index(name)
            points, valid = got.clip(i)
            np.testing.assert_array_equal(valid, cached.clip(j)[1])
            np.testing.assert_allclose(points[valid], cached.clip(j)[0][valid], atol=1e-5)
            assert got.labels[i] == cached.labels[j]


def test_pickles_hold_nothing_but_builtins_and_numpy(tmp_path):
    write_collection(landmark_clips(), tmp_path / "set.pkl", 30, "a test")

    class Strict(pickle.Unpickler):
        def find_class(self, module, name):
            assert module.split(".")[0] in ("numpy", "builtins"), f"{module}.{name}"
            return super().find_class(module, name)

    with (tmp_path / "set.pkl").open("rb") as file:
        content = Strict(file).load()
    entry = content["annotations"][0]
    assert set(entry) == {
        *("frame_dir", "label", "total_frames", "img_shape", "original_shape", "keypoint", "keypoint_score")
    }
    assert entry["keypoint"].shape == (1, entry["total_frames"], 33, 2)
    assert entry["img_shape"] == (720, 1080)
    assert type(entry["label"]) is int


def test_whatever_has_a_score_in_a_pickle_stays_seen(tmp_path):
    rng = np.random.default_rng(0)
    scores = np.where(rng.random((1, 5, 17)) < 0.8, rng.random((1, 5, 17)), 0).astype(np.float32)
    points = rng.uniform(1, 480, (1, 5, 17, 2)).astype(np.float32)
    entry = {"frame_dir": "one", "label": 0, "total_frames": 5, "img_shape": (480, 640), "keypoint": points}
    (tmp_path / "set.pkl").write_bytes(pickle.dumps([entry | {"keypoint_score": scores}]))
    read = read_collection(tmp_path / "set.pkl", get_layout("coco-17"))
    for target in ("again.pkl", "set.npz", "poses"):
        got, notes = trip(read, tmp_path / target, read.layout)
        assert "scores below 0.5, which are raised to it" in notes[0]
        np.testing.assert_array_equal(got.clips[0].seen, scores[0] > 0)
        np.testing.assert_array_equal(got.clips[0].joints[scores[0] >= 0.5, 3], scores[scores >= 0.5])


def test_splits_survive_where_they_can(tmp_path):
    clips = landmark_clips()
    clips = replace(clips, clips=tuple(replace(c, split=f"s{i % 2}") for i, c in enumerate(clips.clips)))
    contained, _ = trip(clips, tmp_path / "set.npz")
    assert [clip.split for clip in contained.clips] == ["s0", "s1", "s0", "s1"]
    pickled, _ = trip(contained, tmp_path / "set.pkl", clips.layout)
    assert [clip.split for clip in pickled.clips] == ["s0", "s1", "s0", "s1"]
    _, notes = trip(pickled, tmp_path / "poses")
    assert "The cache carries no splits." in notes


def cache_with(folder, *columns):
    """A cache whose labels.csv has further columns; returns a row of these for each clip."""
    write_collection(landmark_clips(), folder, 30, "a test")
    with (folder / "labels.csv").open(newline="") as file:
        rows = [row | {name: f"{name}, {i}" for name in columns} for i, row in enumerate(csv.DictReader(file))]
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return {row["clip"]: tuple(row[name] for name in columns) for row in rows}


def test_columns_of_the_labels_survive_where_they_can(tmp_path):
    expected = cache_with(tmp_path / "poses", "age", "camera")
    for source, target in (("poses", "set.npz"), ("set.npz", "again")):
        notes = write_collection(read_collection(tmp_path / source), tmp_path / target, 30, "a test")
        assert "age" not in " ".join(notes)
    (tmp_path / "dataset.toml").write_text(
        'title = "t"\ncitation = ""\nlicence = ""\nsource = ""\nformat = "npz"\nlayout = "mediapipe-33"\n'
        '[options]\nfile = "set.npz"\n'
    )
    for clips in (read_set(load_declaration(tmp_path)), read_set(own_clips(), poses=tmp_path / "again")):
        columns = zip(clips.columns["age"], clips.columns["camera"], strict=True)
        assert dict(zip(clips.names, columns, strict=True)) == expected
    notes = write_collection(read_collection(tmp_path / "again"), tmp_path / "set.pkl", 30, "a test")
    assert notes[-2].endswith("persons, class names, column age, column camera.")


def test_columns_that_cannot_be_carried_are_said_to_be_lost(tmp_path):
    cache_with(tmp_path / "poses", "width", "file", "age")
    notes = write_collection(read_collection(tmp_path / "poses"), tmp_path / "set.npz", 30, "a test")
    assert notes[-1] == "The container carries no column width, column file."
    with np.load(tmp_path / "set.npz", allow_pickle=False) as container:
        arrays = dict(container)
    assert arrays["width"].tolist() == [1080, 1081, 1082, 1083]
    np.savez(tmp_path / "set.npz", **arrays, clip=arrays["age"], view=np.arange(4))
    notes = write_collection(read_collection(tmp_path / "set.npz"), tmp_path / "again", 30, "a test")
    assert notes == ["The cache carries no column clip."]
    assert list(read_set(own_clips(), poses=tmp_path / "again").columns) == ["age", "view"]
    np.savez(tmp_path / "set.npz", **{key: value for key, value in arrays.items() if key != "label"})
    notes = write_collection(read_collection(tmp_path / "set.npz"), tmp_path / "unlabelled", 30, "a test")
    assert notes == ["The cache carries no column age."]  # without labels it has no labels.csv


def test_labels_of_a_cache_from_a_file_of_ones_own(tmp_path):
    write_collection(landmark_clips(known=False), tmp_path / "poses", 30, "a test")
    (tmp_path / "list.txt").write_text("clip0.mp4 7\np1/clip1.mp4 9\n")
    got = read_collection(tmp_path / "poses", label_file=tmp_path / "list.txt")
    assert {clip.name: clip.label for clip in got.clips} == {"p0/clip0": "7", "p1/clip1": "9"}
    assert got.class_names == ("7", "9")


@pytest.mark.parametrize("name", ["../out", "/etc/x", "a/../../b", "", "..", "a\nb", "a\\..\\b"])
def test_names_never_lead_out_of_the_folder(tmp_path, name):
    clips = landmark_clips(count=1)
    clips = replace(clips, clips=(replace(clips.clips[0], name=name),))
    write_collection(clips, tmp_path / "set.npz", 30, "a test")
    with pytest.raises(PiumrError, match="relative paths"):
        write_collection(read_collection(tmp_path / "set.npz"), tmp_path / "in" / "poses", 30, "a test")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set.npz"]


def test_targets_that_are_not_free_are_refused(tmp_path):
    clips = landmark_clips(count=1)
    (tmp_path / "poses").mkdir()
    (tmp_path / "poses" / "mine.txt").touch()
    for target in (tmp_path / "poses", tmp_path / "poses" / "mine.txt"):
        with pytest.raises(PiumrError, match="new or an empty folder"):
            write_collection(clips, target, 30, "a test")
    twice = replace(clips, clips=clips.clips * 2)
    with pytest.raises(PiumrError, match="one twice"):
        write_collection(twice, tmp_path / "new", 30, "a test")


def test_sources_that_cannot_be_read_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    clips = landmark_clips()
    write_collection(clips, tmp_path / "set.pkl", 30, "a test")
    write_collection(clips, tmp_path / "set.npz", 30, "a test")
    write_collection(clips, tmp_path / "poses", 30, "a test")
    coco = get_layout("coco-17")
    for source, layout, message in (
        ("empty", None, "Expected cached poses"),
        ("set.txt", None, "Expected `source` to be a folder"),
        ("set.pkl", None, "name their layout with --layout"),
        ("set.pkl", coco, "17 joints of layout coco-17 in 2 dimensions, but got 33"),
        ("set.npz", coco, "17 joints of layout coco-17, but got 33"),
        ("poses", coco, "in layout coco-17, but got mediapipe-33"),
        ("poses/p0/clip0.npz", None, "one cached clip: give the folder"),
    ):
        with pytest.raises(PiumrError, match=message) as error:
            read_collection(tmp_path / source, layout)
        assert "\n" not in str(error.value)
    (tmp_path / "poses" / "p0" / "clip0.npz").write_bytes(b"torn")
    with pytest.raises(PiumrError, match=r"clip0\.npz is damaged"):
        read_collection(tmp_path / "poses")
    for name, changes, message in (
        ("clips", {"sample_id": np.array(["a", "b", "c", "a"])}, "every clip once, but got 2 called 'a'"),
        ("classes", {"class_names": np.array(["a", "a"])}, "every class once, but got 2 called 'a'"),
    ):
        with np.load(tmp_path / "set.npz") as arrays:
            np.savez(tmp_path / f"{name}.npz", **{**arrays, **changes})
        with pytest.raises(PiumrError, match=message):
            read_collection(tmp_path / f"{name}.npz")
    with pytest.raises(PiumrError, match="its own labels"):
        read_collection(tmp_path / "set.npz", label_file=tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offsets": np.array([0, 3])}, "`offsets` to rise"),
        ({"offsets": np.array([0.0, 12])}, "integers `offsets`"),
        ({"frames": np.ones((12, 20))}, "numbers `frames`"),
        ({"frames": np.ones((12, 20, 4))}, "4 columns without these"),
        ({"label": np.array([3, 0])}, r"labels within 0\.\.1, but got 0\.\.3"),
        ({"label": np.array([1])}, "`label` to have an entry for each of the 2 clips"),
        ({"joint_names": np.array(["x"] * 20)}, "name it with --layout"),
        (
            {"width": np.array([0, 1]), "height": np.array([1, 1]), "frames": np.ones((12, 20, 4))},
            "`width` to be positive",
        ),
        ({"timestamps": np.ones(3)}, r"`timestamps` of shape \(12,\)"),
    ],
)
def test_containers_that_do_not_fit_are_refused(tmp_path, changes, message):
    arrays = {
        "frames": np.ones((12, 20, 3)),
        "offsets": np.array([0, 5, 12]),
        "label": np.array([0, 1]),
        "class_names": np.array(["a", "b"]),
        "joint_names": np.array(get_layout("kinect-20").joints),
    }
    np.savez(tmp_path / "set.npz", **{**arrays, **changes})
    with pytest.raises(PiumrError, match=message):
        read_collection(tmp_path / "set.npz")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint64])
def test_labels_are_integers_of_any_kind(tmp_path, dtype):
    write_collection(metric_clips(), tmp_path / "set.npz", 30, "a test")
    with np.load(tmp_path / "set.npz") as container:
        arrays = {key: container[key] for key in container.files if key != "class_names"}
    np.savez(tmp_path / "set.npz", **{**arrays, "label": np.array([0, 2, 1], dtype)})
    got = read_collection(tmp_path / "set.npz")
    assert [clip.label for clip in got.clips] == ["0", "2", "1"]
    assert got.class_names == ("0", "1", "2")


def test_a_label_that_is_no_class_does_not_become_as_many_classes(tmp_path):
    write_collection(metric_clips(), tmp_path / "set.npz", 30, "a test")
    with np.load(tmp_path / "set.npz") as container:
        arrays = {key: container[key] for key in container.files if key != "class_names"}
    np.savez(tmp_path / "set.npz", **{**arrays, "label": np.array([0, 1, 100_001])})
    with pytest.raises(PiumrError, match="labels up to 100000, but got 100001; number the classes from 0"):
        read_collection(tmp_path / "set.npz")


def test_real_containers_go_to_pyskl_and_back(tmp_path, shared_data):
    source = shared_data / "skeletons" / "msr_action3d.npz"
    real = read_collection(source, get_layout("kinect-20"))
    assert len(real.clips) == 567
    assert sum(not clip.valid.any() for clip in real.clips) == 1  # a13_s09_e02
    pickled, _ = trip(real, tmp_path / "msr.pkl", real.layout)
    assert_same(pickled, real, ("timestamps", "person", "label", "class_names"))
    with np.load(source, allow_pickle=False) as arrays:
        labels = {name: str(label) for name, label in zip(arrays["sample_id"], arrays["label"], strict=True)}
    assert {clip.name: clip.label for clip in pickled.clips} == labels


def test_the_record_says_where_a_converted_cache_comes_from(tmp_path):
    write_collection(landmark_clips(), tmp_path / "poses", 30, "set.pkl")
    poses = read_poses(tmp_path / "poses" / "p0" / "clip0.npz")
    assert poses.meta["warnings"] == ["converted from set.pkl"]
    with (tmp_path / "poses" / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {"clip": "p1/clip1", "label": "shake, slowly", "person": "person 1"}
