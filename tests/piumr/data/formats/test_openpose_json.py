import json

import numpy as np
import pytest

from piumr.data.folds import PersonFolds
from piumr.data.formats import read_set
from piumr.errors import PiumrError
from piumr.layouts import get_layout


def entry(body, left=(), right=()):
    """A person as OpenPose writes one; arrays (V, 3)."""
    return {
        "person_id": [-1],
        "pose_keypoints_2d": np.asarray(body).ravel().tolist(),
        "face_keypoints_2d": [],
        "hand_left_keypoints_2d": np.asarray(left).ravel().tolist(),
        "hand_right_keypoints_2d": np.asarray(right).ravel().tolist(),
        "pose_keypoints_3d": [],
    }


def write(folder, frames):
    """A folder of a clip: a list of people a frame."""
    folder.mkdir(parents=True, exist_ok=True)
    for t, people in enumerate(frames):
        (folder / f"video_{t:012d}_keypoints.json").write_text(json.dumps({"version": 1.3, "people": people}))


def random_body(joints=25, x=300, seed=0, confidence=0.8):
    points = np.random.default_rng(seed).uniform(0, 200, (joints, 3)).round(3)
    points[:, 0] += x
    points[:, 2] = confidence
    return points


@pytest.mark.parametrize(("joints", "layout"), [(18, "openpose-18"), (25, "openpose-25")])
def test_a_body_as_it_is(declare, data, joints, layout):
    bodies = [random_body(joints, seed=t) for t in range(4)]
    write(data / "nod" / "one", [[entry(body)] for body in bodies])
    clips = read_set(declare("openpose_json", layout), data)
    assert clips.names == ("nod/one",)
    assert clips.class_names == ("nod",)
    np.testing.assert_allclose(clips.points, np.stack(bodies)[..., :2], rtol=1e-6)
    assert clips.valid.all()


@pytest.mark.parametrize("layout", ["openpose-60", "openpose-67", "openpose-28", "imigue-22", "coco-17"])
def test_joints_are_found_by_name(declare, data, layout):
    body = random_body(18 if layout in ("openpose-60", "openpose-28") else 25)
    hands = {"left": random_body(21, seed=1), "right": random_body(21, seed=2)}
    write(data / "nod" / "one", [[entry(body, hands["left"], hands["right"])]])
    clips = read_set(declare("openpose_json", layout), data)
    assert clips.valid.all()
    names = get_layout(f"openpose-{len(body)}").joints
    for joint, point in zip(clips.layout.joints, clips.points[0], strict=True):
        side, _, part = joint.partition("_hand_")
        source = hands[side][get_layout("hand-21").joints.index(part)] if part else body[names.index(joint)]
        np.testing.assert_allclose(point, source[:2], rtol=1e-6)


def number(folder, *numbers):
    """A folder of one body in frames of these numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in numbers:
        (folder / f"{name}_keypoints.json").write_text(json.dumps({"people": [entry(random_body())]}))


@pytest.mark.parametrize(
    ("numbers", "seen"),
    [
        (("take1_7", "take1_8", "take1_10"), [True, True, False, True]),  # not what sorting the names gives
        (("take1_0000", "take1_0005", "take1_0015"), [True, True, False, True]),  # --frame_step 5
        (("0012",), [True]),
        (("picture",), [True]),
    ],
)
def test_frames_are_placed_by_their_number(declare, data, numbers, seen):
    number(data / "nod" / "one", *numbers)
    clips = read_set(declare("openpose_json", "openpose-25"), data)
    assert clips.valid.all(axis=1).tolist() == seen


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (
            ("a_0", "a_1", "b_0"),
            r"one: expected the frames of one clip.*but got those of 'a_' and 'b_'; put every clip",
        ),
        (("a_1", "a_01"), "one: expected one file a frame, but got two with the number 1"),
        (("a_0", "a_1", "a_999999999"), "one: expected at most 100000 frames, but got 1000000000 by the numbers"),
    ],
)
def test_folders_that_are_no_clip_are_refused(declare, data, numbers, message):
    number(data / "nod" / "one", *numbers)
    with pytest.raises(PiumrError, match=message):
        read_set(declare("openpose_json", "openpose-25"), data)


def test_missing_joints_are_not_the_corner_of_the_picture(declare, data):
    body = random_body()
    body[8:15] = 0
    write(data / "nod" / "one", [[entry(body)], [], [entry(body)]])
    clips = read_set(declare("openpose_json", "openpose-25"), data)
    expected = np.ones((3, 25), dtype=bool)
    expected[:, 8:15] = expected[1] = False
    np.testing.assert_array_equal(clips.valid, expected)


def test_a_clip_without_people_stays(declare, data, caplog):
    write(data / "nod" / "one", [[], []])
    write(data / "nod" / "two", [[entry(random_body())]])
    clips = read_set(declare("openpose_json", "openpose-25"), data)
    assert len(clips) == 2
    assert not clips.clip(0)[1].any()
    assert "1 clips show no person" in caplog.text


def test_the_most_confident_person_is_followed_through_the_frames(declare, data):
    sure = [random_body(x=300 + t, confidence=0.9) for t in range(6)]
    unsure = [random_body(x=900 - t, confidence=0.4) for t in range(6)]
    frames = [[entry(unsure[t]), entry(sure[t])][:: 1 if t % 2 else -1] for t in range(6)]
    frames[3] = [entry(unsure[3])]
    write(data / "nod" / "one", frames)
    clips = read_set(declare("openpose_json", "openpose-25"), data)
    assert clips.valid.all(axis=1).tolist() == [True, True, True, False, True, True]
    np.testing.assert_allclose(clips.points[[0, 1, 2, 4, 5]], np.stack(sure)[[0, 1, 2, 4, 5], :, :2], rtol=1e-6)


def test_labels_by_pattern_by_file_and_by_folders(declare, data):
    for name in ("a02_s1", "a01_s2"):
        write(data / name, [[entry(random_body())]])
    rules = "[label]\npattern = '^a(?P<label>\\d+)'\nfirst = 1\n[person]\npattern = '_s(?P<person>\\d)'"
    clips = read_set(declare("openpose_json", "openpose-25", rest=rules, classes=["nod", "wave"]), data)
    assert clips.labels.tolist() == [0, 1]
    assert clips.persons == ("2", "1")
    (data / "labels.csv").write_text("clip,label,person\na02_s1,nod,x\na01_s2,wave,y\n")
    clips = read_set(declare("openpose_json", "openpose-25"), data)
    assert dict(zip(clips.names, clips.persons, strict=True)) == {"a02_s1": "x", "a01_s2": "y"}
    (data / "train.txt").write_text("a02_s1 1\n")
    (data / "test.txt").write_text("a01_s2 0\n")
    (data / "labels.csv").unlink()
    lists = '[options.lists]\ntrain = "train.txt"\ntest = "test.txt"'
    clips = read_set(declare("openpose_json", "openpose-25", rest=lists), data)
    assert clips.splits == ("train", "test")
    clips = read_set(declare("openpose_json", "openpose-25"), data, labels=data / "train.txt")
    assert clips.names == ("a02_s1",)


def test_protocols_split_by_further_columns_of_the_labels(declare, data):
    for name in ("a", "b"):
        write(data / name, [[entry(random_body())]])
    (data / "labels.csv").write_text("clip,label,age\na,nod,adult\nb,nod,child\n")
    protocol = '[protocols.ages]\nkind = "attribute"\ncolumn = "age"\ntrain = ["adult"]\ntest = ["child"]\n'
    declaration = declare("openpose_json", "openpose-25", rest=protocol)
    clips = read_set(declaration, data)
    assert clips.columns == {"age": ("adult", "child")}
    (split,) = declaration.protocols["ages"].split(clips)
    assert (split.train.tolist(), split.test.tolist()) == ([0], [1])


def test_a_lost_clip_changes_no_folds(declare, data):
    names = [f"s{person}_c{label}_{take}" for person in range(4) for label in range(2) for take in range(2)]
    for name in names:
        write(data / name, [[entry(random_body())]])
    (data / "all.txt").write_text("".join(f"{name}.mp4 {name[4]}\n" for name in names))
    rest = "[options.lists]\nall = \"all.txt\"\n[person]\npattern = '^s(?P<person>\\d)'"
    declaration = declare("openpose_json", "openpose-25", rest=rest, classes=["nod", "wave"])
    whole = read_set(declaration, data)
    assert whole.missing is None
    (data / "s1_c1_0" / "video_000000000000_keypoints.json").unlink()
    fewer = read_set(declaration, data)
    assert (fewer.missing.names, fewer.missing.labels.tolist(), fewer.missing.persons) == (("s1_c1_0",), [1], ("1",))
    for before, now in zip(*(PersonFolds(3).split(clips) for clips in (whole, fewer)), strict=True):
        assert {whole.names[i] for i in before.test} - {"s1_c1_0"} == {fewer.names[i] for i in now.test}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "JSON"),
        ("[]", "list of `people`"),
        ('{"people": 3}', "list of `people`"),
        ('{"people": [3]}', "list of `people`"),
        ('{"people": [{}]}', "18 or 25 points .*but got 0"),
        (json.dumps({"people": [entry(random_body(15))]}), "18 or 25 points .*but got 15"),
        ('{"people": [{"pose_keypoints_2d": [1, 2]}]}', "flat list"),
        ('{"people": [{"pose_keypoints_2d": [[1, 2, 3], [1]]}]}', "flat list"),
        ('{"people": [{"pose_keypoints_2d": "abc"}]}', "flat list"),
        ('{"people": [{"pose_keypoints_2d": ' + str([float("nan")] * 75).replace("nan", "NaN") + "}]}", "flat list"),
        (
            json.dumps({"people": [entry(random_body(18))]}),
            "openpose-25, but 7 are not there, such as mid_hip: it has 18",
        ),
        (json.dumps({"people": [entry(random_body())] * 101}), "at most 100 people"),
    ],
)
def test_files_that_do_not_fit_are_refused(declare, data, content, message):
    write(data / "nod" / "one", [[]])
    (data / "nod" / "one" / "video_000000000001_keypoints.json").write_text(content)
    with pytest.raises(PiumrError, match=message) as error:
        read_set(declare("openpose_json", "openpose-25"), data)
    assert "video_000000000001_keypoints.json" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_layout_with_hands_needs_hands(declare, data):
    write(data / "nod" / "one", [[entry(random_body(18))]])
    with pytest.raises(
        PiumrError, match=r"openpose-28, but 10 are not there.*18 points of the body and 0 of the hands"
    ):
        read_set(declare("openpose_json", "openpose-28"), data)


def test_folders_without_files_are_refused(declare, data):
    with pytest.raises(PiumrError, match=r"Expected folders of \*_keypoints\.json files"):
        read_set(declare("openpose_json", "openpose-25"), data)
    with pytest.raises(PiumrError, match="`lists` to be the name of a file in the data folder"):
        declare("openpose_json", "openpose-25", rest='[options.lists]\ntrain = "../train.txt"')


def test_files_that_a_set_follows_from(declare, data, tmp_path):
    write(data / "nod" / "one", [[], []])
    declaration = declare("openpose_json", "openpose-25", rest='[options.lists]\ntrain = "train.txt"')
    files = set(declaration.format.files(data, data, tmp_path / "mine.csv"))
    assert {file for file in files if file.is_file()} == set(data.rglob("*.json"))
    assert files >= {data / "train.txt", data / "labels.csv", tmp_path / "mine.csv"}
