import pickle
import tracemalloc

import numpy as np
import pytest

from piumr.data.declaration import load_declaration
from piumr.data.formats import read_set
from piumr.errors import PiumrError


def annotation(name="0003_01_0001", label=1, people=1, frames=6, joints=17, dimensions=2, seed=0, **changes):
    rng = np.random.default_rng(seed)
    entry = {
        "frame_dir": name,
        "total_frames": frames,
        "img_shape": (1000, 500),
        "original_shape": (1000, 500),
        "label": label,
        "keypoint": rng.uniform(10, 400, (people, frames, joints, dimensions)).astype(np.float16),
        "keypoint_score": rng.uniform(0.2, 1, (people, frames, joints)).astype(np.float16),
    }
    return {key: value for key, value in {**entry, **changes}.items() if value is not None}


def write(path, annotations, **split):
    path.write_bytes(pickle.dumps({"split": split, "annotations": annotations}))


@pytest.fixture
def coco(declare):
    return lambda options='file = "set.pkl"', **more: declare("pyskl", "coco-17", options, **more)


def test_two_dimensions_are_in_units_of_the_height(coco, data):
    entries = [annotation("a", 1, seed=1), annotation("b", 0, frames=4, seed=2)]
    write(data / "set.pkl", entries, train=["a"], val=["b"])
    clips = read_set(coco(classes=["nod", "wave"]), data)
    assert clips.names == ("a", "b")
    assert clips.labels.tolist() == [1, 0]
    assert clips.splits == ("train", "val")
    assert clips.persons is None
    assert clips.points.dtype == np.float32
    for i, entry in enumerate(entries):
        np.testing.assert_allclose(clips.clip(i)[0], entry["keypoint"][0].astype(float) / 1000, rtol=1e-6)
    assert clips.valid.all()


def test_three_dimensions_stay_metres_and_need_neither_scores_nor_a_picture(declare, data):
    entry = annotation(joints=25, dimensions=3, keypoint_score=None, img_shape=None, original_shape=None)
    entry["keypoint"][0, 2] = 0
    write(data / "set.pkl", [entry])
    clips = read_set(declare("pyskl", "ntu-25", 'file = "set.pkl"'), data)
    assert clips.valid.all(axis=1).tolist() == [True, True, False, True, True, True]
    np.testing.assert_array_equal(clips.points, entry["keypoint"][0].astype(np.float32))
    assert clips.class_names == ("1",)
    assert clips.splits is None


def test_missing_joints_are_missing(coco, data):
    entry = annotation()
    entry["keypoint_score"][0, 1, 3] = 0
    entry["keypoint"][0, 2, 4] = 0  # with a score, as some detectors write it
    entry["keypoint"][0, 3, 5, 0] = np.nan
    write(data / "set.pkl", [entry])
    clips = read_set(coco(), data)
    expected = np.ones((6, 17), dtype=bool)
    expected[1, 3] = expected[2, 4] = expected[3, 5] = False
    np.testing.assert_array_equal(clips.valid, expected)
    assert not clips.points[~expected].any()


def test_the_most_prominent_person_is_taken(coco, data):
    entry = annotation(people=3)
    entry["keypoint_score"][:] = np.array([0.5, 0.9, 0.7])[:, None, None]
    entry["keypoint_score"][1, :4] = 0  # seen best, but not for long
    write(data / "set.pkl", [entry])
    np.testing.assert_allclose(read_set(coco(), data).points * 1000, entry["keypoint"][2].astype(float), rtol=1e-5)


def test_of_two_bodies_in_three_dimensions_the_one_that_moves_is_taken(declare, data):
    entry = annotation(people=2, joints=25, dimensions=3, keypoint_score=None)
    entry["keypoint"][0] = entry["keypoint"][0, :1]
    write(data / "set.pkl", [entry])
    clips = read_set(declare("pyskl", "ntu-25", 'file = "set.pkl"'), data)
    np.testing.assert_array_equal(clips.points, entry["keypoint"][1].astype(np.float32))


def test_the_older_form_is_a_list(coco, data):
    (data / "set.pkl").write_bytes(pickle.dumps([annotation("a"), annotation("b")]))
    assert read_set(coco(), data).names == ("a", "b")


def test_a_pickle_for_each_split(coco, data):
    write(data / "one.pkl", [annotation("a"), annotation("b")])
    write(data / "two.pkl", [annotation("c", 0)])
    clips = read_set(coco("", rest='[options.pickles]\ntrain = "one.pkl"\nval = "two.pkl"'), data)
    assert clips.splits == ("train", "train", "val")
    assert clips.class_names == ("0", "1")


def test_splits_that_overlap_must_be_chosen_among(coco, data):
    write(
        data / "set.pkl",
        [annotation(name) for name in "abc"],
        xsub_train=["a"],
        xsub_val=["b"],
        xview_train=["b"],
        xview_val=["a"],
    )
    with pytest.raises(PiumrError, match=r"one split, but got 'b' in xsub_val and xview_train; choose"):
        read_set(coco(), data)
    clips = read_set(coco('file = "set.pkl"\nsplits = ["xview_train", "xview_val"]'), data)
    assert clips.names == ("a", "b")
    assert clips.splits == ("xview_val", "xview_train")
    with pytest.raises(PiumrError, match="expected the splits none, but got xsub_train"):
        read_set(coco('file = "set.pkl"\nsplits = ["none"]'), data)


def test_published_skeletons_of_ma52(data):
    declaration = load_declaration("ma52/openpose-28")
    assert declaration.name == "ma52/openpose-28"
    write(data / "MA52_train.pkl", [annotation("0003_01_0001", 9, joints=28), annotation("0030_02_0007", 0, joints=28)])
    write(data / "MA52_val.pkl", [annotation("0003_01_0002", 8, joints=28)])
    clips = read_set(declaration, data)
    assert clips.persons == ("0003", "0030", "0003")
    assert [clips.class_names[i] for i in clips.labels] == ["nodding", "shaking body", "turning head"]
    assert clips.coarse_names[clips.coarse[9]] == "head"
    (split,) = declaration.protocols["official"].split(clips)
    assert "1 of 1 test persons are also in training" in split.note


def test_ntu_as_pyskl_has_it(data):
    entries = [
        annotation(f"S001C001P{person:03d}R001A0{label + 1}", label, joints=25, dimensions=3)
        for person, label in ((1, 34), (3, 35))
    ]
    names = [entry["frame_dir"] for entry in entries]
    write(data / "ntu60_3danno.pkl", entries, xsub_train=names[:1], xsub_val=names[1:], xview_train=names)
    declaration = load_declaration("ntu60/pyskl")
    clips = read_set(declaration, data)
    assert [clips.class_names[i] for i in clips.labels] == ["nod head/bow", "shake head"]
    (split,) = declaration.protocols["cross-subject"].split(clips)
    assert (split.train.tolist(), split.test.tolist()) == ([0], [1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame_dir": 3}, "`frame_dir` to be a text, but got int"),
        ({"keypoint": [[1, 2]]}, "`keypoint` to be an array of numbers"),
        ({"keypoint": None}, "`keypoint` to be an array of numbers"),
        ({"keypoint": np.array(["a"])}, "`keypoint` to be an array of numbers"),
        ({"keypoint": np.ones((6, 17, 2))}, r"shape \(M, T, V, 2 or 3\).*but got \(6, 17, 2\)"),
        ({"keypoint": np.ones((1, 6, 17, 4))}, r"but got \(1, 6, 17, 4\)"),
        ({"keypoint": np.ones((0, 6, 17, 2))}, r"but got \(0, 6, 17, 2\)"),
        ({"keypoint": np.ones((1, 0, 17, 2))}, r"but got \(1, 0, 17, 2\)"),
        ({"keypoint_score": np.ones((1, 5, 17))}, r"`keypoint_score` of shape \(1, 6, 17\), but got \(1, 5, 17\)"),
        ({"keypoint_score": "x"}, "`keypoint_score` to be an array"),
        ({"label": -1}, "`label` to be a class index from 0 to 100000, but got -1"),
        ({"label": "nod"}, "`label` to be a class index"),
        ({"label": True}, "`label` to be a class index"),
        ({"label": 100_001}, "`label` to be a class index from 0 to 100000, but got 100001"),
        ({"label": 10**5000}, "`label` to be a class index"),
        ({"label": None}, "Expected a `label` for every clip, but got none for 'a'"),
        ({"label": 7}, r"class id in 0\.\.1"),
        ({"img_shape": (0, 5)}, r"`img_shape` to be \(height, width\)"),
        ({"img_shape": 5}, r"`img_shape` to be \(height, width\)"),
        (
            {"keypoint": np.ones((1, 6, 18, 2)), "keypoint_score": None},
            "17 joints of layout coco-17, but got 18 .*openpose-18",
        ),
    ],
)
def test_annotations_that_do_not_fit_are_refused(coco, data, changes, message):
    write(data / "set.pkl", [annotation("a", **changes) | {}])
    with pytest.raises(PiumrError, match=message) as error:
        read_set(coco(classes=["nod", "wave"]), data)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["label", "img_shape"])
def test_a_value_that_refers_to_itself_many_times_is_not_written_out(coco, data, key):
    """Six lists refer to the next one ten times each: a few bytes of a pickle are three million characters of text."""
    nested = [0]
    for _ in range(6):
        nested = [nested] * 10
    write(data / "set.pkl", [annotation("a", **{key: nested})])
    declaration = coco()
    tracemalloc.start()
    try:
        with pytest.raises(PiumrError, match=rf"`{key}` to be .* but got \[\["):
            read_set(declaration, data)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (3, "list of `annotations`"),
        ({}, "list of `annotations`"),
        ([3], "list of `annotations`"),
        ([], "Expected clips of data set declared, but got none"),
        ({"split": [], "annotations": []}, "`split` to be lists of names"),
        ({"split": {"train": [3]}, "annotations": []}, "`split` to be lists of names"),
    ],
)
def test_pickles_that_do_not_fit_are_refused(coco, data, content, message):
    (data / "set.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(PiumrError, match=message):
        read_set(coco(), data)


def test_clips_that_share_one_array_are_refused(coco, data):
    """Every clip is copied: a small file could fill any memory."""
    one = annotation("a", 0)
    write(data / "set.pkl", [one, {**one, "frame_dir": "b"}])
    with pytest.raises(PiumrError, match="`keypoint` of its own"):
        read_set(coco(), data)


def test_clips_of_other_dimensions_are_refused(coco, data):
    write(data / "set.pkl", [annotation("a"), annotation("b", dimensions=3)])
    with pytest.raises(PiumrError, match="clips of 2 dimensions, but got 3 in 'b'"):
        read_set(coco(), data)


@pytest.mark.parametrize(
    "options",
    [
        "",
        'file = "a"\npickles = {train = "b"}',
        'pickles = {train = "b"}\nsplits = ["c"]',
        'file = "../a"',
        'pickles = {a = "/b"}',
    ],
)
def test_wrong_options_are_refused(coco, options):
    with pytest.raises(PiumrError, match="key `options`: expected"):
        coco(options)


def test_nothing_is_executed(coco, data):
    (data / "set.pkl").write_bytes(b"cos\nsystem\n(Vtouch /tmp/never\ntR.")
    with pytest.raises(PiumrError, match=r"set\.pkl: expected a pickle of NumPy arrays.*os\.system"):
        read_set(coco(), data)
