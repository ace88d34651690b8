import pickle
import tracemalloc

import numpy as np
import pytest

from piumr.data.declaration import load_declaration
from piumr.data.formats import read_set
from piumr.errors import PiumrError

MA52, IMIGUE = load_declaration("ma52/halpe-44"), load_declaration("imigue/mmn")


def write(folder, split, names, labels, joints=44, data_labels=0):
    """A pair as MMN's: annotations with labels that are not looked at, and the list that decides."""
    rng = np.random.default_rng(0)
    annotations = [
        {
            "frame_dir": name,
            "total_frames": 5,
            "img_shape": (1296, 1080),
            "original_shape": (1296, 1080),
            "label": data_labels,
            "keypoint": rng.uniform(1, 1000, (1, 5, joints, 2)).astype(np.float32),
            "keypoint_score": np.ones((1, 5, joints), dtype=np.float32),
        }
        for name in names
    ]
    entries = [{"file_name": name, "length": 5, "label": label} for name, label in labels.items()]
    (folder / f"{split}_data.pkl").write_bytes(pickle.dumps({"split": {}, "annotations": annotations}))
    (folder / f"{split}_label.pkl").write_bytes(pickle.dumps(entries))
    return annotations


def test_the_label_file_decides_on_clips_labels_and_order(data, caplog):
    train = write(
        data, "train", ["0003_00_0001", "0003_00_0002", "0004_01_0001"], {"0004_01_0001": 9, "0003_00_0001": 2}
    )
    write(data, "val", ["0003_01_0003"], {"0003_01_0003": 8})
    clips = read_set(MA52, data)
    assert clips.names == ("0004_01_0001", "0003_00_0001", "0003_01_0003")
    assert [clips.class_names[i] for i in clips.labels] == ["nodding", "shrugging", "turning head"]
    assert clips.persons == ("0004", "0003", "0003")
    assert clips.splits == ("train", "train", "val")
    assert clips.layout.name == "halpe-44"
    np.testing.assert_allclose(clips.clip(0)[0] * 1296, train[2]["keypoint"][0], rtol=1e-5)
    assert "1 clips of" in caplog.text


def test_imigue(data):
    write(data, "train", ["1_0"], {"1_0": 31}, joints=22)
    write(data, "val", ["2_0"], {"2_0": 0}, joints=22)
    clips = read_set(IMIGUE, data)
    assert [clips.class_names[i] for i in clips.labels] == ["illustrative body language", "turtle neck"]
    assert clips.persons is None
    (split,) = IMIGUE.protocols["official"].split(clips)
    assert (split.train.tolist(), split.test.tolist()) == ([0], [1])


def test_pairs_that_do_not_fit_are_refused(data):
    write(data, "train", ["0003_00_0001"], {"0003_00_0002": 1})
    write(data, "val", ["0003_00_0003"], {"0003_00_0003": 1})
    with pytest.raises(
        PiumrError, match=r"train_label.pkl: expected clips that are in train_data.pkl, but got '0003_00_0002'"
    ):
        read_set(MA52, data)
    write(data, "train", ["0003_00_0001"], {"0003_00_0001": 52})
    with pytest.raises(PiumrError, match=r"class id in 0\.\.51"):
        read_set(MA52, data)
    write(data, "train", ["0003_00_0001"], {"0003_00_0001": 1}, joints=28)
    with pytest.raises(PiumrError, match=r"44 joints of layout halpe-44, but got 28 joints .those of openpose-28"):
        read_set(MA52, data)
    for content in (3, [3], [{"file_name": "a", "label": -1}], [{"label": 1}], [{"file_name": "a", "label": 10**5000}]):
        (data / "train_label.pkl").write_bytes(pickle.dumps(content))
        with pytest.raises(PiumrError, match=r"train_label\.pkl"):
            read_set(MA52, data)
    (data / "train_label.pkl").unlink()
    with pytest.raises(PiumrError, match=r"train_label\.pkl, but it is not there"):
        read_set(MA52, data)


def test_a_value_that_refers_to_itself_many_times_is_not_written_out(data):
    """Six lists refer to the next one ten times each: a few bytes of a pickle are three million characters of text."""
    nested = [0]
    for _ in range(6):
        nested = [nested] * 10
    write(data, "train", ["a"], {"a": nested})
    tracemalloc.start()
    try:
        with pytest.raises(PiumrError, match=r"a `label` from 0.*but got \{'file_name': 'a'"):
            read_set(MA52, data)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("splits", ["[]", '["../train"]'])
def test_wrong_options_are_refused(declare, splits):
    with pytest.raises(PiumrError, match="key `options`: expected `splits` to"):
        declare("mmn", "halpe-44", f"splits = {splits}")
