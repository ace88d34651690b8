import pytest

from piumr.data.labels import Label, class_indices, columns_of, match_clips, read_labels
from piumr.errors import PiumrError


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_with_persons(tmp_path):
    path = write(tmp_path, "labels.csv", "\ufeffclip,label,person\n./anna\\1.mp4, waving ,anna\nb/2.mp4,3,ben\n")
    assert read_labels(path) == {"anna/1.mp4": Label("waving", "anna"), "b/2.mp4": Label("3", "ben")}


@pytest.mark.parametrize("text", ["clip,label,person\na,nod,anna,\n", "clip,label,person,,\na,nod,anna,,\n"])
def test_commas_at_the_end_are_no_fields(tmp_path, text):
    (tmp_path / "labels.csv").write_text(text)
    (label,) = read_labels(tmp_path / "labels.csv").values()
    assert (label.text, label.person, label.columns) == ("nod", "anna", {})


def test_a_label_in_quotes_may_hold_commas(tmp_path):
    path = write(tmp_path, "labels.csv", 'clip,label,person\nb.mp4, "bulging face, deep breath",ben\n')
    assert read_labels(path) == {"b.mp4": Label("bulging face, deep breath", "ben")}


def test_further_columns_are_kept_for_protocols(tmp_path):
    path = write(tmp_path, "labels.csv", "clip,label,age,person\na.mp4,nod,child,p\nb.mp4,nod,,q\n")
    labels = read_labels(path)
    assert labels["a.mp4"] == Label("nod", "p", columns={"age": "child"})
    assert columns_of(labels) == {"age": ("child", "")}
    assert columns_of({"a": Label("1")}) == {}


def test_list_format_takes_the_last_word_as_label(tmp_path):
    path = write(tmp_path, "labels.txt", "0030_01_0002.mp4 0\n\nmy clip.mp4 17\n")
    assert read_labels(path) == {"0030_01_0002.mp4": Label("0"), "my clip.mp4": Label("17")}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("labels.csv", "clip;label\na;b\n", "columns clip,label.*but got 'clip;label'"),
        ("labels.csv", "", "columns clip,label.*nothing"),
        ("labels.csv", "clip,label\n", "expected labels, but got none"),
        ("labels.csv", "clip,label\na,\n", "line 2: expected no empty field"),
        ("labels.csv", "clip,label,person\na,b,p\nc,d,\n", "line 3: expected no empty field"),
        ("labels.csv", "clip,label\na,b\na,c\n", "line 3: expected one label for clip 'a'"),
        (
            "labels.csv",
            "clip,label,person\na,b,p\nc,face, deep,ben\n",
            "line 3: expected 3 fields, but got more.*quotes",
        ),
        ("labels.csv", "clip,label,label\na,b,c\n", "every column once, but got 'label' several times"),
        ("labels.csv", "clip,label\na," + "b" * 200_000, "field larger"),
        ("labels.txt", "a.mp4 1\nb.mp4\n", r"line 2: expected `name.mp4 label`, but got 'b.mp4'"),
    ],
)
def test_wrong_files_are_refused_with_their_line(tmp_path, name, text, message):
    with pytest.raises(PiumrError, match=message):
        read_labels(write(tmp_path, name, text))


def test_unreadable_files_are_refused(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"clip,label\n\xff\xfe,1\n")
    with pytest.raises(PiumrError, match="UTF-8"):
        read_labels(tmp_path / "labels.csv")
    with pytest.raises(PiumrError, match="readable"):
        read_labels(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("key", "clip"),
    [
        ("a/one.mp4", "a/one"),
        ("a/one", "a/one"),
        ("one.mp4", "a/one"),
        ("./one.M2TS", "a/one"),
        ("a/one.ogv", "a/one"),
        ("a/one.vob", "a/one"),
        ("a/one.npz", "a/one"),
        ("b/two.mp4", "b/two.mp4"),
        ("b/two.avi", "b/two.avi"),
        ("take.2", "take.2"),
        ("take.2.mp4", "take.2"),
    ],
)
def test_a_clip_is_found_by_path_else_by_stem(key, clip, tmp_path):
    names = ["a/one", "b/two.avi", "b/two.mp4", "take.2"]
    labels = read_labels(write(tmp_path, "labels.csv", f"clip,label\n{key},x\n"))
    assert match_clips(names, labels, "labels.csv") == {clip: Label("x")}


def test_a_folder_in_a_key_is_not_ignored(caplog):
    """Only one take2 is there, but it is ben's."""
    names = ["anna/take1", "ben/take2", "flat"]
    labels = {f"{key}.mp4": Label(key) for key in ("ben/take1", "anna/take2", "ben/take2", "ben/flat")}
    assert match_clips(names, labels, "labels.csv") == {"ben/take2": Label("ben/take2")}
    assert "3 clips named by labels.csv are not there: ben/take1.mp4, anna/take2.mp4, ben/flat.mp4." in caplog.text
    assert "2 clips have no label in labels.csv and are left out: anna/take1, flat." in caplog.text


@pytest.mark.parametrize("keys", [("a/one.mp4", "one.mp4"), ("one.mp4", "a/one.mp4")])
def test_a_path_wins_over_a_stem(keys, caplog):
    found = match_clips(["a/one", "two"], {key: Label(key) for key in keys}, "labels.csv")
    assert found == {"a/one": Label("a/one.mp4")}
    assert "1 clips named by labels.csv are not there: one.mp4" in caplog.text


@pytest.mark.parametrize("key", ["same.mp4", "b/two", "take.3", "thr"])
def test_what_could_mean_two_clips_or_none_matches_none(key, caplog):
    names = ["a/same", "b/same", "b/two.avi", "b/two.mp4", "take.2", "three"]
    found = match_clips(names, {"three": Label("x"), key: Label("y")}, "labels.csv")
    assert found == {"three": Label("x")}
    assert f"1 clips named by labels.csv are not there: {key}" in caplog.text
    assert "5 clips have no label in labels.csv and are left out: a/same, b/same, b/two.avi, ..." in caplog.text


def test_when_nothing_matches_a_name_of_each_side_is_shown():
    with pytest.raises(PiumrError, match=r"none of 2 matches: it names 'x.mp4', while there is 'a/one'"):
        match_clips(["a/one", "b"], {"x.mp4": Label("1"), "y.mp4": Label("2")}, "labels.csv")


def test_one_clip_under_two_labels_is_refused():
    with pytest.raises(PiumrError, match="two different"):
        match_clips(["a/one"], {"a/one": Label("x"), "a/one.mp4": Label("y")}, "labels.csv")


def test_classes_by_name_or_id():
    assert class_indices(["nod", "1", "0"], ("nod", "wave")) == ([0, 1, 0], ("nod", "wave"))
    assert class_indices(["wave", "nod", "wave"], None) == ([1, 0, 1], ("nod", "wave"))
    assert class_indices(["10", "9", "x"], None) == ([1, 0, 2], ("9", "10", "x"))
    long = "1" * 5000  # more digits than int() takes
    assert class_indices(["x", long, "10", "9"], None)[1] == ("9", "10", long, "x")
    with pytest.raises(PiumrError, match=r"0\.\.1 or a class name \(such as 'nod'\), but got '2'"):
        class_indices(["2"], ("nod", "wave"))
