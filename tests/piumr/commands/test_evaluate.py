"""``piumr-evaluate --predictions`` as a user types it."""

import csv
import json
import shutil
import zipfile

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from piumr.checkpoint import load_checkpoint, save_checkpoint
from piumr.commands.console import run_command
from piumr.commands.evaluate import _folder as folder_of
from piumr.data.declaration import load_declaration
from piumr.data.protocols import make_splits
from piumr.data.source import DataConfig, load_table

CLASSES = ("nod", "wave", "shrug")


def run(*arguments):
    """Exit code of the command, in this process."""
    with pytest.raises(SystemExit) as left:
        run_command("piumr-evaluate", "piumr.commands.evaluate", "evaluate", [str(a) for a in arguments])
    return left.value.code


@pytest.fixture
def labels(tmp_path):
    """A label file: 5 persons x 3 classes x 4 takes."""
    rows = [(f"p{p}/{c}_{t}", c, f"p{p}") for p in range(5) for c in CLASSES for t in range(4)]
    path = tmp_path / "labels.csv"
    path.write_text("clip,label,person\n" + "".join(",".join(row) + "\n" for row in rows))
    return path


def predict(path, clips, seed=0):
    """Half of the predictions are right; returns what was predicted."""
    rng = np.random.default_rng(seed)
    lines, predicted = ["clip,predicted_1,predicted_2,predicted_3"], {}
    for clip in clips:
        true = CLASSES.index(clip.split("/")[1].split("_")[0])
        best = true if rng.random() < 0.5 else int(rng.integers(3))
        order = [best, *rng.permutation([c for c in range(3) if c != best])]
        lines.append(f"{clip}.mp4," + ",".join(CLASSES[c] for c in order))
        predicted[clip] = best
    path.write_text("\n".join(lines))
    return predicted


def test_predictions_of_all_folds_are_pooled(tmp_path, labels, capfd):
    declaration, table = load_table(DataConfig(labels=labels))
    splits = make_splits(table, declaration.protocols, "person-folds")
    predicted, files = {}, []
    for k, split in enumerate(splits):
        files.append(tmp_path / f"fold{k}.csv")
        predicted |= predict(files[-1], [table.names[i] for i in split.test], seed=k)
    assert run("--predictions", *files, "--labels", labels, "--out", tmp_path / "figures.json") == 0
    report = json.loads((tmp_path / "figures.json").read_text())
    true = [CLASSES.index(name.split("/")[1].split("_")[0]) for name in predicted]
    best = list(predicted.values())
    assert report["accuracy"] == pytest.approx(np.mean(np.equal(true, best)))
    assert report["macro_f1"] == pytest.approx(f1_score(true, best, average="macro"), abs=1e-6)
    assert report["top5"] == 1  # of three classes
    assert report["protocol"] == "person-folds"
    assert report["person_disjoint"] is True
    assert report["missing_clips"] == 0
    assert list(report["folds"]) == [split.name for split in splits]
    assert report["persons"]["persons"] == 5
    assert report["intervals"]["unit"] == "persons"
    low, high = report["intervals"]["accuracy"]
    assert low < report["accuracy"] < high
    printed = capfd.readouterr().out
    assert f"{100 * report['accuracy']:.1f}" in printed
    assert "bootstrap over 5 persons" in printed
    assert "over 5 persons only, which makes them too narrow" in printed
    assert "standard deviation over folds" in printed


def test_missing_clips_are_said_and_one_fold_is_complete(tmp_path, labels, capfd):
    declaration, table = load_table(DataConfig(labels=labels))
    (first, *_) = make_splits(table, declaration.protocols, "person-folds")
    clips = [table.names[i] for i in first.test]
    predict(tmp_path / "p.csv", clips)
    assert run("--predictions", tmp_path / "p.csv", "--labels", labels) == 0
    assert "no prediction" not in capfd.readouterr().out
    predict(tmp_path / "p.csv", clips[:-2])
    assert run("--predictions", tmp_path / "p.csv", "--labels", labels, "--fold", 1) == 0
    assert f"2 of {len(clips)} test clips have no prediction" in capfd.readouterr().out
    assert run("--predictions", tmp_path / "p.csv", "--labels", labels, "--fold", 2) == 2
    assert "10 of 10 are none" in capfd.readouterr().err


def test_without_a_set_the_files_own_labels_count(tmp_path, capfd):
    path = tmp_path / "predictions.csv"
    path.write_text(
        "clip,person,label,predicted,confidence\n"
        + "".join(f"c{i},p{i % 3},nod,{'nod' if i % 2 else 'wave'},1\n" for i in range(30))
    )
    assert run("--predictions", path) == 0
    printed = capfd.readouterr().out
    assert "Labels are those in the files" in printed
    assert "50.0" in printed
    assert "top-5" not in printed  # one class a clip is no ranking
    path.write_text("clip,label,predicted\n" + "".join(f"c{i},nod,{'nod' if i % 2 else 'wave'}\n" for i in range(30)))
    assert run("--predictions", path) == 0
    printed = capfd.readouterr().out
    assert "over 30 clips" in printed
    assert "Persons are not known" in printed


def test_ma52_by_its_lists_alone(tmp_path, shared_data, capfd):
    """The authors' validation clips in the form of a submission, with bodies of its own that are right."""
    lists = shared_data / "ma52_annotations"
    rng = np.random.default_rng(0)
    coarse = load_declaration("ma52").coarse
    rows = [line.split() for line in (lists / "val_list_videos.txt").read_text().splitlines()]
    true = np.array([int(label) for _, label in rows])
    best = np.where(rng.random(len(true)) < 0.6, true, rng.integers(52, size=len(true)))
    header = ["vid", *[f"action_pred_{i}" for i in range(1, 6)], *[f"body_pred_{i}" for i in range(1, 6)]]
    with (tmp_path / "prediction.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for (name, _), b, t in zip(rows, best, true, strict=True):
            writer.writerow([name, *[(b + 7 * k) % 52 for k in range(5)], *[coarse[t]] * 5])
    out = tmp_path / "figures.json"
    arguments = ("--predictions", tmp_path / "prediction.csv", "--dataset", "ma52", "--data", lists)
    assert run(*arguments, "--protocol", "official", "--out", out) == 0
    report = json.loads(out.read_text())
    macro = f1_score(true, best, labels=range(52), average="macro", zero_division=0)
    expected = (macro + np.mean(true == best) + 2) / 4
    assert report["f1_mean"]["mean"] == pytest.approx(expected, abs=1e-6)
    assert report["clips"] == 5_586
    assert report["missing_clips"] == 0
    assert report["person_disjoint"] is False
    printed = capfd.readouterr().out
    assert "186 of 186 test persons are also in training" in printed
    assert "the file's own (body_pred_1)" in printed
    assert run(*arguments) == 0  # the default protocol tests all clips of both lists
    assert "11250 of 16836 test clips have no prediction" in capfd.readouterr().out


def test_a_submission(tmp_path, capfd):
    scores = np.random.default_rng(0).random((3, 52))
    lines = ["clip," + ",".join(f"score_{i}" for i in range(52))]
    lines += [f"test000{i}," + ",".join(map(str, row)) for i, row in enumerate(scores)]
    (tmp_path / "p.csv").write_text("\n".join(lines))
    assert run("--predictions", tmp_path / "p.csv", "--submission", tmp_path / "out.zip") == 0
    printed = capfd.readouterr().err
    assert "with 3 clips" in printed
    assert "5586 clips, not 3" in printed
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        line = archive.read("prediction.csv").decode().splitlines()[1].split(",")
    assert line[0] == "test0000.mp4"
    assert int(line[1]) == scores[0].argmax()
    arguments = ("--predictions", tmp_path / "p.csv", "--data", tmp_path, "--submission", tmp_path / "again.zip")
    (tmp_path / "test_list_videos.txt").write_text("".join(f"test000{i}.mp4 0\n" for i in range(4)))
    assert run(*arguments) == 2
    assert "all 4 clips" in (printed := capfd.readouterr().err)
    assert "1 are missing, such as 'test0003'" in printed
    (tmp_path / "test_list_videos.txt").write_text("test0001.mp4 0\ntest0002.mp4 0\n")
    assert run(*arguments) == 2
    assert "1 of 3 are not in it, such as 'test0000'" in capfd.readouterr().err
    assert not (tmp_path / "again.zip").exists()
    (tmp_path / "test_list_videos.txt").write_text("".join(f"test000{i}.mp4 0\n" for i in range(3)))
    assert run(*arguments) == 0
    (tmp_path / "list.txt").write_text("".join(f"test000{i}.mp4 0\n" for i in range(4)))
    assert run(*arguments, "--labels", tmp_path / "list.txt") == 2  # this list, not that of the folder
    assert "all 4 clips" in capfd.readouterr().err
    arguments = ("--predictions", tmp_path / "p.csv", "--submission", tmp_path / "listed.zip", "--labels")
    assert run(*arguments, tmp_path / "list.txt") == 2
    assert "1 are missing, such as 'test0003'" in capfd.readouterr().err
    assert run(*arguments, tmp_path / "none.txt") == 2
    assert "none.txt" in capfd.readouterr().err
    assert not (tmp_path / "listed.zip").exists()
    assert run(*arguments, tmp_path / "test_list_videos.txt") == 0


def test_a_submission_has_no_protocol_and_no_fold(tmp_path, capfd):
    lines = ["clip," + ",".join(f"score_{i}" for i in range(52)), "test0000," + ",".join(map(str, range(52)))]
    (tmp_path / "p.csv").write_text("\n".join(lines))
    for subject in (("--predictions", tmp_path / "p.csv"), (tmp_path / "run",)):
        for options, named in (
            (("--protocol", "official"), "--protocol"),
            (("--fold", 2), "--fold"),
            (("--fold", 0, "--protocol", "official"), "--protocol and --fold"),
        ):
            assert run(*subject, *options, "--submission", tmp_path / "s.zip") == 2
            said = capfd.readouterr().err
            assert f"Expected {named} with figures" in said
            assert "those of a list (--data, --labels)" in said
    assert not (tmp_path / "s.zip").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--protocol", "official"), "--protocol with a set"),
        (("--fold", 3, "--layout", "coco-17"), "--fold and --layout with a set"),
        (("--submission", "s.zip", "--out", "x.json"), "either `out`, for figures, or `submission`"),
        (("--submission", "s.zip", "--poses", "."), "--poses with run folders"),
    ],
)
def test_options_without_effect_are_refused(tmp_path, capfd, monkeypatch, options, named):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.csv").write_text("clip,label,score_a,score_b\nx,a,1,0\ny,b,0,1\n")
    assert run("--predictions", tmp_path / "p.csv", *options) == 2
    assert named in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]


def test_bad_usage_is_one_line_and_exit_code_2(tmp_path, labels, capfd):
    good, unlabelled = tmp_path / "good.csv", tmp_path / "unlabelled.csv"
    predict(good, [f"p0/{c}_{t}" for c in CLASSES for t in range(4)])
    unlabelled.write_text("clip,predicted\na,1\nb,0\n")
    unknown, wrong = tmp_path / "unknown.csv", tmp_path / "wrong.csv"
    unknown.write_text("clip,predicted\np0/nod_0,nod\nnobody,nod\n")
    wrong.write_text("clip,label,predicted\np0/nod_0,wave,nod\n")
    for arguments, message in (
        ((), "--predictions"),
        (("--predictions", tmp_path / "none.csv"), "none.csv"),
        (("--predictions", unlabelled), "--dataset"),
        (("--predictions", unknown, "--labels", labels), "1 of 2 are not in it, such as 'nobody'"),
        (("--predictions", good, good, "--labels", labels), "again"),
        (("--predictions", wrong, "--labels", labels), "is 'nod' there"),
        (("--predictions", good, "--labels", labels, "--protocol", "x"), "Expected a protocol among"),
        (("--predictions", good, "--labels", labels, "--fold", 9), "1..5"),
        (("--predictions", good, "--labels", labels, "--out", good), "new file"),
        (("--predictions", good, "--labels", tmp_path / "no.csv"), "no.csv"),
        (("--predictions", good, "--submission", tmp_path / "s.zip"), "class id in 0..51"),
        (("--predictions", good, "--dataset", "utd_mhad", "--submission", tmp_path / "s.zip"), "coarse"),
        (("--predictions", good, "--dataset", "imaginary"), "utd_mhad"),
    ):
        assert run(*arguments) == 2, arguments
        printed = capfd.readouterr().err
        assert message in printed, (arguments, printed)
        assert "Traceback" not in printed
    assert not (tmp_path / "s.zip").exists()


TINY = (
    '--model.backbone_options={"channels": [12, 16], "depths": [1, 1], "strides": [1, 2]}',
    "--model.frames=16",
    "--optim.epochs=2",
    "--optim.batch_size=6",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, toy_set):
    """A container of skeletons with a declaration, a run on its first fold as training leaves it, and one like it."""
    root = tmp_path_factory.mktemp("trained")
    np.savez(
        root / "toy.npz",
        frames=np.where(toy_set.valid[..., None], toy_set.points, np.nan),
        offsets=toy_set.offsets,
        label=toy_set.labels,
        subject=np.array(toy_set.persons),
        sample_id=np.array(toy_set.names),
        class_names=np.array(toy_set.class_names),
        joint_names=np.array(toy_set.layout.joints),
    )
    (root / "dataset.toml").write_text(
        'title = "Toy"\ncitation = "none"\nlicence = "none"\nsource = "none"\nformat = "npz"\n'
        'layout = "mediapipe-33"\nprotocol = "leave-one-person-out"\n[options]\nfile = "toy.npz"\n'
        '[person]\ncolumn = "subject"\nnote = "Made up."\n'
    )
    arguments = ["--dataset", str(root / "dataset.toml"), "--out", str(root / "run0"), *TINY]
    with pytest.raises(SystemExit) as left:
        run_command("piumr-train-gcn", "piumr.commands.train", "train", arguments)
    assert left.value.code == 0
    shutil.copytree(root / "run0", root / "run1")
    net, card = load_checkpoint(root / "run0" / "checkpoint.pt")
    for parameter in net.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    save_checkpoint(root / "run1" / "checkpoint.pt", net, card)
    return root


def test_a_trained_run(trained, capfd):
    folder = trained / "run0"
    trained_figures = json.loads((folder / "metrics.json").read_text())["test"]
    before = list(csv.DictReader((folder / "predictions.csv").open()))
    assert run(folder) == 0
    printed = capfd.readouterr()
    report = json.loads((folder / "evaluation.json").read_text())
    assert report["persons"] == trained_figures["persons"]
    for name in ("accuracy", "macro_f1", "top5"):
        assert report[name] == pytest.approx(trained_figures[name])
        assert f"{100 * report[name]:.1f}" in printed.out
    assert report["latency_ms"] == report["runs"][0]["latency_ms"]["median"] > 0
    assert "Latency of one clip" in printed.out
    assert "No test person was in training." in printed.out
    assert "Note: Made up." in printed.out
    assert "report.html in a browser" in printed.err
    again = list(csv.DictReader((folder / "predictions.csv").open()))
    assert [row["clip"] for row in again] == [row["clip"] for row in before]
    for row, other in zip(again, before, strict=True):
        assert float(row["confidence"]) == pytest.approx(float(other["confidence"]), abs=2e-4)
    page = (folder / "report.html").read_text()
    assert '"title":"Toy"' in page
    assert str(trained) not in page  # a page that is mailed tells nothing of the machine
    assert run("--predictions", folder / "predictions.csv", "--dataset", trained / "dataset.toml") == 0
    assert f"{100 * report['accuracy']:.1f}" in capfd.readouterr().out  # the two ways to evaluate agree


def test_an_ensemble_and_other_clips(trained, tmp_path, capfd):
    runs = trained / "run0", trained / "run1"
    assert run(*runs) == 0
    printed = capfd.readouterr().out
    assert "2 networks together" in printed
    assert "the runs by themselves" in printed
    (folder,) = (trained / "run0").glob("evaluation-with-run1-*")
    report = json.loads((folder / "evaluation.json").read_text())
    assert report["ensemble"] == 2
    assert report["latency_ms"] == pytest.approx(sum(one["latency_ms"]["median"] for one in report["runs"]))
    assert run(trained / "run0", "--fold", 2) == 0
    printed = capfd.readouterr().out
    assert "12 of 12 test clips trained run0" in printed
    assert "NOT person-independent" in printed
    assert (trained / "run0" / "evaluation-fold-2" / "report.html").is_file()
    out = tmp_path / "new" / "folder"
    for _ in range(2):  # an earlier evaluation may be replaced
        assert run(*runs, "--out", out) == 0
    assert {path.name for path in out.iterdir()} == {"evaluation.json", "predictions.csv", "report.html"}


def test_results_take_no_run_folders_place(trained, tmp_path, capfd):
    run0, run1 = tmp_path / "run0", tmp_path / "run1"
    for folder in (run0, run1):
        shutil.copytree(trained / folder.name, folder, ignore=shutil.ignore_patterns("evaluation*"))
        assert run(folder) == 0
    tested = (run0 / "predictions.csv").read_bytes(), (run1 / "predictions.csv").read_bytes()
    started = tmp_path / "started"
    started.mkdir()
    for name in ("run.json", "evaluation.json"):
        shutil.copy(run0 / name, started)
    capfd.readouterr()
    for arguments in (
        (run0, "--fold", 2, "--out", run0),
        (run0, "--dataset", trained / "dataset.toml", "--out", run0),
        (run0, "--out", run1),
        (run0, run1, "--out", run0),
        (run0, "--out", started),
    ):
        assert run(*arguments) == 2, arguments
        assert f"but '{arguments[-1]}' is a run folder." in capfd.readouterr().err
    assert tested == ((run0 / "predictions.csv").read_bytes(), (run1 / "predictions.csv").read_bytes())
    assert {path.name for path in started.iterdir()} == {"run.json", "evaluation.json"}
    (run1 / "evaluation.json").unlink()
    assert run(run1, "--out", run1) == 0  # where the figures go anyway
    assert (run1 / "evaluation.json").is_file()


def test_evaluations_of_other_paths_with_the_same_ends_stay_apart(trained, tmp_path, monkeypatch):
    run0 = tmp_path / "run0"
    shutil.copytree(trained / "run0", run0, ignore=shutil.ignore_patterns("evaluation-*"))
    for place in ("b", "c"):
        shutil.copytree(trained / "run1", tmp_path / place / "1")
        shutil.copytree(trained, tmp_path / place / "v1", ignore=shutil.ignore_patterns("run*"))
        assert run(run0, tmp_path / place / "1") == 0
        assert run(run0, "--data", tmp_path / place / "v1") == 0
        assert run(run0, "--dataset", tmp_path / place / "v1") == 0
    folders = {path.name for path in run0.glob("evaluation-*")}
    assert len(folders) == 6
    assert {name.rpartition("-")[0] for name in folders if "dataset" not in name} == {
        *("evaluation-with-1", "evaluation-data-v1")
    }
    monkeypatch.chdir(tmp_path)  # the same evaluation goes to the same place, however its paths are written
    assert run("run0", "--data", "b/v1") == 0
    assert {path.name for path in run0.glob("evaluation-*")} == folders


def test_names_that_are_cut_or_spelled_alike_stay_apart(tmp_path):
    folders = [folder_of([tmp_path], {"protocol": name}) for name in ("a" * 200 + "1", "a" * 200 + "2", "a b", "a-b")]
    assert len(set(folders)) == 4
    assert all(folder.parent == tmp_path and len(folder.name) <= 120 for folder in folders)
    assert folders[3].name == "evaluation-protocol-a-b"
    assert folder_of([tmp_path], {"dataset": "ma52"}).name == "evaluation-dataset-ma52"
    assert folder_of([tmp_path], {}) == tmp_path


def test_bad_runs_are_one_line_and_exit_code_2(trained, tmp_path, capfd):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "report.html").write_text("mine")
    (tmp_path / "file").write_text("")
    folder = trained / "run0"
    for arguments, message in (
        ((folder, "--predictions", folder / "predictions.csv"), "but got both"),
        ((tmp_path / "none",), "is no folder"),
        ((tmp_path,), "checkpoint.pt"),
        ((folder, folder), "each once"),
        ((folder, "--fold", 9), "1..4"),
        ((folder, "--fold", 0), "1..4"),
        ((folder, "--protocol", "x"), "Expected a protocol among"),
        ((folder, "--dataset", "imaginary"), "utd_mhad"),
        ((folder, "--data", tmp_path), "toy.npz"),
        ((folder, "--out", tmp_path / "mine"), "earlier evaluation"),
        ((folder, "--out", tmp_path / "file"), "is a file"),
        ((folder, "--layout", "coco-17"), "which the model was trained on"),
        ((folder, "--submission", tmp_path / "s.zip"), "coarse classes"),
    ):
        assert run(*arguments) == 2, arguments
        printed = capfd.readouterr().err
        assert message in printed, (arguments, printed)
        assert "Traceback" not in printed
    assert (tmp_path / "mine" / "report.html").read_text() == "mine"
