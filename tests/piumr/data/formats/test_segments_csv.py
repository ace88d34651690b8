import numpy as np
import pytest

from piumr.data.declaration import load_declaration
from piumr.data.formats import read_set
from piumr.errors import PiumrError

SMG, IMIGUE = load_declaration("smg"), load_declaration("imigue")


def write_smg(folder, person, segments, frames=50, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(frames, 25, 11)).round(4)
    folder = folder / f"Sample{person:04d}"
    folder.mkdir(exist_ok=True)
    np.savetxt(folder / f"Sample{person:04d}_skeleton.csv", values.reshape(frames, -1), delimiter=",", fmt="%.4f")
    (folder / f"Sample{person:04d}_finelabels.csv").write_text("".join(f"{a},{b},{c}\n" for a, b, c in segments))
    return values[..., :3]


def write_imigue(folder, part, video, segments, frames=30):
    values = np.random.default_rng(video).uniform(1, 1000, (frames, 35, 3)).round(2)
    rows = np.concatenate([np.arange(frames)[:, None], values.reshape(frames, -1)], axis=1)
    folder = folder / f"imigue_skeleton_{part}" / str(video)
    folder.mkdir(parents=True)
    np.savetxt(folder / f"{video}_light_hand.csv", rows, delimiter=",", fmt="%.2f")
    (folder / f"{video}_label.csv").write_text("".join(f"{a},{b},{c}\n" for a, b, c in segments))
    return values


def test_smg(data):
    real = write_smg(data, 36, [(17, 0, 9), (2, 40, 49)], seed=1)
    write_smg(data, 1, [(2, 5, 5)])
    clips = read_set(SMG, data)
    assert clips.names == (
        "Sample0001/Sample0001:5-5",
        "Sample0036/Sample0036:0-9",
        "Sample0036/Sample0036:40-49",
    )
    assert clips.persons == ("0001", "0036", "0036")
    assert clips.class_names == ("2", "17")
    assert clips.labels.tolist() == [0, 1, 0]
    np.testing.assert_allclose(clips.clip(1)[0], real[:10], atol=1e-4)
    np.testing.assert_allclose(clips.clip(2)[0], real[40:], atol=1e-4)
    (split,) = SMG.protocols["cross-subject"].split(clips)
    assert split.person_disjoint
    assert [clips.persons[i] for i in split.test] == ["0036", "0036"]


def test_imigue(data):
    real = write_imigue(data, "train", 7, [(99, 0, 3), (11, 10, 29)])
    write_imigue(data, "validate", 8, [(1, 2, 4)])
    clips = read_set(IMIGUE, data)
    assert [clips.class_names[i] for i in clips.labels] == ["illustrative body language", "touching jaw", "turtle neck"]
    (split,) = IMIGUE.protocols["official"].split(clips)
    assert [(list(split.train), list(split.test))] == [([0, 1], [2])]
    assert clips.persons is None
    assert clips.points.shape == (4 + 20 + 3, 22, 2)
    # the kit's own list: nose, neck, arms, eyes and ears of OpenPose's 25 points, then five points of each hand
    places = [*range(8), *range(15, 19), *range(25, 35)]
    np.testing.assert_allclose(clips.clip(1)[0], real[10:30][:, places, :2], rtol=1e-5)


def test_joints_without_confidence_are_missing(data):
    values = write_imigue(data, "train", 7, [(1, 0, 2)])
    values[:, 4] = 0
    values[1, 30, 2] = 0
    rows = np.concatenate([np.arange(30)[:, None], values.reshape(30, -1)], axis=1)
    np.savetxt(data / "imigue_skeleton_train" / "7" / "7_light_hand.csv", rows, delimiter=",", fmt="%.2f")
    valid = read_set(IMIGUE, data).valid
    expected = np.ones((3, 22), dtype=bool)
    expected[:, 4] = expected[1, 17] = False
    np.testing.assert_array_equal(valid, expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,0\n", "rows `label,first frame,last frame`"),
        ("1,0,x\n", "rows `label,first frame,last frame`"),
        ('"' + "1" * 200_000, "expected a csv file, but got: field larger than field limit"),
        ("1,0,5\n1,-1,3\n", r"line 2: expected a segment within the recording's frames 0\.\.49, but got -1\.\.3"),
        ("1,0,50\n", r"frames 0\.\.49, but got 0\.\.50"),
        ("1,5,4\n", r"but got 5\.\.4"),
        ("", "all are empty"),
    ],
)
def test_segments_that_do_not_fit_are_refused(data, text, message):
    write_smg(data, 1, [])
    (data / "Sample0001" / "Sample0001_finelabels.csv").write_text(text)
    with pytest.raises(PiumrError, match=message):
        read_set(SMG, data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3\n", "rows of 275 numbers, but got 3"),
        ("1,2\n1\n", "rows of 275 numbers"),
        (",".join(["x"] * 275), "rows of 275 numbers"),
        ("", "rows of 275 numbers"),
    ],
)
def test_recordings_that_do_not_fit_are_refused(data, text, message):
    write_smg(data, 1, [(1, 0, 0)])
    (data / "Sample0001" / "Sample0001_skeleton.csv").write_text(text)
    with pytest.raises(PiumrError, match=message) as error:
        read_set(SMG, data)
    assert "Sample0001_skeleton.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_files_and_unknown_labels(data):
    with pytest.raises(PiumrError, match=r"Expected \*_finelabels\.csv files under"):
        read_set(SMG, data)
    write_smg(data, 1, [(1, 0, 0)])
    (data / "Sample0001" / "Sample0001_skeleton.csv").unlink()
    with pytest.raises(PiumrError, match=r"Sample0001_skeleton\.csv: expected a readable"):
        read_set(SMG, data)
    write_imigue(data, "train", 7, [(32, 0, 3)])
    with pytest.raises(PiumrError, match=r"line 1: expected one of the labels 1, 2, .*99, but got 32"):
        read_set(IMIGUE, data)


@pytest.mark.parametrize(
    "option",
    ['skeleton = "a/b"', 'skeleton = ""', "columns = 2", "skip = -1", "codes = [1, 1]", 'coordinates = "pixels"'],
)
def test_wrong_options_are_refused(declare, option):
    given = {"skeleton": 'skeleton = "_s.csv"', "labels": 'labels = "_l.csv"', "coordinates": 'coordinates = "metric"'}
    given[option.split()[0]] = option
    with pytest.raises(PiumrError, match="`options"):
        declare("segments_csv", "ntu-25", "\n".join(given.values()))


def test_joints_that_are_not_the_layouts_are_refused(declare, data):
    options = 'skeleton = "_s.csv"\nlabels = "_l.csv"\ncoordinates = "metric"\njoints = ["head"]'
    (data / "a_l.csv").write_text("1,0,0\n")
    with pytest.raises(PiumrError, match="25 joints of layout ntu-25 in the files' order, but got no spine_base"):
        read_set(declare("segments_csv", "ntu-25", options), data)
