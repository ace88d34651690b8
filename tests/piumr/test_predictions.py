"""Reading predictions of all forms, finding their clips, and the submission."""

import csv
import io
import zipfile

import numpy as np
import pytest
import torch

from piumr.data.clips import ClipTable
from piumr.errors import PiumrError
from piumr.predictions import find_clips, read_predictions, write_predictions, write_submission

CLASSES = ("nod", "wave", "shrug", "kick", "blink", "frown")
PARTS = ("head", "arm", "leg", "face", "eye")
COARSE = (0, 1, 1, 2, 4, 3)


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def read(path, text, names=CLASSES, parts=PARTS):
    return read_predictions([write(path / "p.csv", text)], names, parts)


def test_scores_by_name_or_id_in_any_order(tmp_path):
    found = read(tmp_path, "score_wave,clip,score_0,score_5,score_2,score_3,score_4\n.5,a,.1,0,.2,-1e3,3\n")
    np.testing.assert_allclose(found.scores, [[0.1, 0.5, 0.2, -1000, 3, 0]])
    assert found.depth == 6
    assert found.clips == ("a",)
    assert found.coarse_predicted is None
    assert found.labels is None
    assert found.persons is None


@pytest.mark.parametrize(
    "header", ["clip,predicted_1,predicted_2,predicted_3", "vid,action_pred_1,action_pred_2,action_pred_3"]
)
def test_classes_best_first(tmp_path, header):
    found = read(tmp_path, f"{header}\na.mp4,wave,nod,5\nb.mp4,3,4,0\n")
    assert found.scores.topk(3).indices.tolist() == [[1, 0, 5], [3, 4, 0]]
    assert found.depth == 3


def test_what_training_writes(tmp_path):
    found = read(tmp_path, "clip,person,label,predicted,confidence\na,anna,nod,wave,0.9\nb,ben,kick,kick,0.4\n")
    assert found.scores.argmax(1).tolist() == [1, 3]
    assert found.depth == 1
    assert found.labels.tolist() == [0, 3]
    assert found.persons == ("anna", "ben")


def test_ma52s_own_form(tmp_path):
    ranks = ",".join(f"{kind}_pred_{i}" for kind in ("action", "body") for i in range(1, 6))
    found = read(tmp_path, f"vid,{ranks}\n0003_01_0005.mp4,5,4,3,1,0,2,2,3,1,2\n")
    assert found.scores.topk(5).indices.tolist() == [[5, 4, 3, 1, 0]]
    assert found.coarse_predicted.tolist() == [2]
    assert read(tmp_path, f"vid,{ranks}\na,5,4,3,1,0,2,2,3,1,2\n", parts=None).coarse_predicted is None


def test_without_declared_classes_they_are_those_that_occur(tmp_path):
    assert read(tmp_path, "clip,label,predicted\na,10,9\nb,9,9\nc,x,10\n", None).class_names == ("9", "10", "x")
    assert read(tmp_path, "clip,score_b,score_a\na,1,2\n", None).class_names == ("b", "a")


def test_files_of_folds_are_one(tmp_path):
    files = [write(tmp_path / f"{i}.csv", f"clip,predicted\nc{i},{i}\n") for i in range(3)]
    found = read_predictions(files, CLASSES, None)
    assert found.clips == ("c0", "c1", "c2")
    assert found.scores.argmax(1).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected predictions, but got none"),
        ("clip,label\na,0\n", "predicted.*but got clip, label"),
        ("predicted\n0\n", "column `clip`"),
        ("clip,predicted\n", "expected predictions, but got none"),
        (
            "clip,predicted\na,0\nb,1\na,2\n",
            "p.csv, line 4: expected every clip once, but got 'a' again, after .*line 2",
        ),
        ("clip,predicted\n,0\n", "line 2: expected a clip"),
        ("clip,predicted\na,jump\n", "line 2: .*class id in 0..5 or a class name.*'jump'"),
        ("clip,predicted\na,6\n", "line 2: .*'6'"),
        ("clip,predicted\na,1,2\n", "line 2: expected 2 fields"),
        ("clip,predicted\na\n", "line 2: .*''"),
        ("clip,predicted_1,predicted_2\na,1,1\n", "line 2: expected 2 different classes"),
        ("clip,predicted,predicted\na,1,1\n", "every column once"),
        ("clip,score_0,score_1\na,1,2\n", "for each of the 6 classes, but got 2"),
        ("clip,score_0,score_nod\na,1,2\n", "each of the 6 classes, but got 2 for 1"),
        ("clip,score_jump\na,1\n", "p.csv: .*'jump'"),
        (
            "clip," + ",".join(f"score_{i}" for i in range(6)) + "\na,1,2,3,4,x,5\n",
            "line 2: .*`score_4` to be a finite.*'x'",
        ),
        ("clip," + ",".join(f"score_{i}" for i in range(6)) + "\na,1,2,3,4,nan,5\n", "finite number, but got 'nan'"),
        ("clip," + ",".join(f"score_{i}" for i in range(6)) + "\na,1,2,3,4,1e39,5\n", "line 2: .*finite.*'1e39'"),
        ("clip,predicted,label\na,1,jump\n", "line 2: .*'jump'"),
        ("clip,predicted,body_pred_1\na,1,7\n", "line 2: .*'7'"),
        ("clip,predicted,body_pred_1\na,1,0\nb,1, \n", "line 3: expected `body_pred_1` to be a class, but got ''"),
        (
            "clip,person,predicted\na,p,1\nb,,1\n",
            "p.csv, line 3: expected `person` to be given for every clip or for none, but got ''",
        ),
        ("clip,predicted\na," + "b" * 200_000, "readable"),
    ],
)
def test_wrong_files_are_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(PiumrError, match=message) as error:
        read(tmp_path, text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip,label,predicted\na,nod,nod\nb,wave,wave\nc", "p.csv, line 4: expected `predicted` to be a class"),
        ("clip,label,predicted\na,nod,nod\nb,,wave\n", "p.csv, line 3: expected `label` to be a class, but got ''"),
        ("clip,label,predicted\na,nod,nod\nb,nod,\nc,nod,wave\n", "p.csv, line 3: expected `predicted` to be"),
        ("clip,predicted_1,predicted_2\na,nod,wave\nb,nod, \n", "p.csv, line 3: expected `predicted_2` to be a class"),
        ("clip,label,score_a,score_b\na,a,1,0\nb,,1,0\n", "p.csv, line 3: expected `label` to be a class"),
    ],
)
def test_an_empty_field_is_no_class(tmp_path, text, message):
    with pytest.raises(PiumrError, match=message):
        read(tmp_path, text, None, None)


def test_empty_fields_that_nobody_needs_are_read_over(tmp_path):
    text = "clip,person,predicted,score_a,score_b,body_pred_1,note\na,,,1,0,,\nb,,b,0,1,1,x\n"
    found = read(tmp_path, text, None, None)
    assert found.class_names == ("a", "b")
    assert found.persons is None


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    one, other = (
        write(tmp_path / "a.csv", "clip,predicted\na,1\n"),
        write(tmp_path / "b.csv", "clip,predicted_1\nb,1\n"),
    )
    with pytest.raises(PiumrError, match=r"b\.csv: expected the columns of .*a\.csv"):
        read_predictions([one, other], CLASSES, None)
    with pytest.raises(PiumrError, match="again"):
        read_predictions([one, one], CLASSES, None)
    with pytest.raises(PiumrError, match="at least two classes"):
        read_predictions([one], None, None)
    with pytest.raises(PiumrError, match=r"none\.csv"):
        read_predictions([tmp_path / "none.csv"], CLASSES, None)
    (tmp_path / "a.csv").write_bytes(b"clip,predicted\n\xff\xfe,1\n")
    with pytest.raises(PiumrError, match="UTF-8"):
        read_predictions([one], CLASSES, None)


def test_clips_are_found_by_path_or_by_file_name():
    names = ("anna/1", "anna/2", "ben/2", "ben/3.take")
    table = ClipTable(labels=np.zeros(4, dtype=np.int64), names=names, persons=None, splits=None, class_names=("a",))
    assert find_clips(["ben/2.mp4", "1.avi", "./3.take"], table, "p.csv").tolist() == [2, 0, 3]
    with pytest.raises(
        PiumrError, match=r"p.csv.*but 2 of 3 are not in it, such as '2'; a clip of the set is 'anna/1'"
    ):
        find_clips(["1", "2", "4"], table, "p.csv")
    with pytest.raises(PiumrError, match="has 2 for 'anna/1'"):
        find_clips(["1", "anna/1.mp4"], table, "p.csv")


def test_a_submission_is_what_codabench_takes(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["clip," + ",".join(f"score_{name}" for name in CLASSES)]
    scores, names = rng.random((4, 6)).round(4), ("test0000", "x/test0001.mp4", "c", "d")
    lines += [f"{name}," + ",".join(map(str, row)) for name, row in zip(names, scores, strict=True)]
    found = read(tmp_path, "\n".join(lines))
    write_submission(tmp_path / "out.zip", found, COARSE)
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.namelist() == ["prediction.csv"]
        text = archive.read("prediction.csv").decode()
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == [
        "vid",
        *[f"action_pred_{i}" for i in range(1, 6)],
        *[f"body_pred_{i}" for i in range(1, 6)],
    ]
    assert [row[0] for row in rows[1:]] == ["test0000.mp4", "test0001.mp4", "c.mp4", "d.mp4"]
    for row, score in zip(rows[1:], scores, strict=True):
        actions = [int(field) for field in row[1:6]]
        assert actions == np.argsort(-score)[:5].tolist()
        bodies = [int(field) for field in row[6:]]
        assert bodies == list(dict.fromkeys(COARSE[i] for i in np.argsort(-score)))
        assert bodies[0] == COARSE[actions[0]]
    before = (tmp_path / "out.zip").read_bytes()
    write_submission(tmp_path / "out.zip", found, COARSE)
    assert (tmp_path / "out.zip").read_bytes() == before
    again = read_predictions([write(tmp_path / "again.csv", text)], CLASSES, PARTS)
    assert torch.equal(again.scores.argmax(1), found.scores.argmax(1))


def test_a_submission_needs_scores(tmp_path):
    with pytest.raises(PiumrError, match=r"scores of all 6 classes.*but got 1"):
        write_submission(tmp_path / "out.zip", read(tmp_path, "clip,predicted\na,1\n"), COARSE)
    scored = read(tmp_path, "clip," + ",".join(f"score_{i}" for i in range(6)) + "\na,1,2,3,4,6,5\n")
    with pytest.raises(PiumrError, match="at least 5 coarse classes"):
        write_submission(tmp_path / "out.zip", scored, (0, 1, 1, 2, 2, 3))
    assert not (tmp_path / "out.zip").exists()


def test_what_is_written_is_read_again(tmp_path):
    table = ClipTable(
        labels=np.array([0, 5, 2]),
        names=("a,b/1", 'b"c', "d"),
        persons=("anna", "ben, the second", "cleo"),
        splits=None,
        class_names=CLASSES,
    )
    probabilities = torch.rand(3, 6, generator=torch.Generator().manual_seed(0)).softmax(1)
    write_predictions(tmp_path / "p.csv", table, probabilities)
    found = read_predictions([tmp_path / "p.csv"], CLASSES, None)
    assert (found.clips, found.persons) == (table.names, table.persons)
    assert found.labels.tolist() == [0, 5, 2]
    torch.testing.assert_close(found.scores, probabilities, rtol=1e-5, atol=1e-7)
    rows = list(csv.DictReader((tmp_path / "p.csv").open()))
    assert [row["predicted"] for row in rows] == [CLASSES[i] for i in probabilities.argmax(1)]
    assert float(rows[1]["confidence"]) == pytest.approx(float(probabilities[1].max()), abs=1e-4)
