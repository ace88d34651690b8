"""MA-52's submission straight from runs: the clips of the test list, averaged, in the form that is taken."""

import csv
import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from piumr.checkpoint import load_checkpoint, save_checkpoint
from piumr.data.declaration import load_declaration
from piumr.data.formats import read_set
from piumr.data.store import ClipStore
from piumr.errors import PiumrError
from piumr.evaluation.submission import submit_runs
from piumr.inference.model_card import ModelCard
from piumr.layouts import get_layout
from piumr.model import ActionNet, ModelConfig

MA52 = load_declaration("ma52")
FRAMES = 8


@pytest.fixture
def test_clips(tmp_path, toy_set, set_writer):
    """Five clips that no name tells a person of, in poses/, and the list of them."""
    clips = toy_set.subset(range(5))
    wide = replace(
        clips,
        names=tuple(f"test000{i}" for i in range(5)),
        points=np.pad(clips.points, ((0, 0), (0, 42), (0, 0))),
        valid=np.pad(clips.valid, ((0, 0), (0, 42))),
        layout=get_layout("mediapipe-75"),
    )
    set_writer(tmp_path / "poses", wide)
    (tmp_path / "test_list_videos.txt").write_text("".join(f"test000{i}.mp4 0\n" for i in range(5)))
    return {"data": tmp_path, "poses": tmp_path / "poses", "dataset": "ma52"}


def make_run(folder, seed, classes=MA52.class_names, layout="mediapipe-75"):
    torch.manual_seed(seed)
    options = {"channels": [8, 8], "depths": [1, 1], "strides": [1, 2]}
    joints = get_layout(layout)
    net = ActionNet(joints, len(classes), 2, ModelConfig(frames=FRAMES, backbone_options=options), tfam=False).eval()
    for parameter in net.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    folder.mkdir()
    save_checkpoint(folder / "checkpoint.pt", net, ModelCard(tuple(classes), joints, FRAMES, "image"))
    return folder


def test_the_clips_of_the_test_list_are_predicted_by_all_runs(tmp_path, test_clips):
    order = np.random.default_rng(0).permutation(52)  # of a run whose classes stand in another order
    runs = [make_run(tmp_path / "a", 0), make_run(tmp_path / "b", 1, [MA52.class_names[i] for i in order])]
    runs.append(make_run(tmp_path / "c", 2, layout="mediapipe-33"))
    declaration, count = submit_runs(runs, test_clips, tmp_path / "out.zip")
    assert (declaration.name, count) == ("ma52", 5)
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("prediction.csv").decode())))
    assert [row["vid"] for row in rows] == [f"test000{i}.mp4" for i in range(5)]

    clips = read_set(replace(MA52, person=None), tmp_path, tmp_path / "poses", tmp_path / "test_list_videos.txt")
    total = torch.zeros(5, 52)
    for run in runs:
        net, card = load_checkpoint(run / "checkpoint.pt")
        seen = ClipStore.pack(clips if len(card.layout) == 75 else clips.in_layout(card.layout), FRAMES)
        with torch.inference_mode():
            probabilities = net(*seen.evaluation(range(5))).logits.softmax(1)
        for i, name in enumerate(card.class_names):
            total[:, MA52.class_names.index(name)] += probabilities[:, i]
    for row, best in zip(rows, total.topk(5).indices.tolist(), strict=True):
        assert [int(row[f"action_pred_{rank}"]) for rank in range(1, 6)] == best
        assert int(row["body_pred_1"]) == MA52.coarse[best[0]]


def test_the_labels_of_the_training_are_no_test_list(tmp_path, test_clips):
    run = make_run(tmp_path / "run", 0)
    (tmp_path / "mine.txt").write_text("test0000.mp4 3\ntest0001.mp4 7\n")
    values = {name: str(value) for name, value in test_clips.items()} | {"labels": str(tmp_path / "mine.txt")}
    (run / "config.yaml").write_text(yaml.safe_dump(values))
    assert submit_runs([run], {}, tmp_path / "own.zip")[1] == 5
    assert submit_runs([run], {"data": tmp_path}, tmp_path / "data.zip")[1] == 5
    (tmp_path / "list.txt").write_text("".join(f"test000{i}.mp4 0\n" for i in range(3)))
    assert submit_runs([run], {"labels": tmp_path / "list.txt"}, tmp_path / "list.zip")[1] == 3


def test_what_cannot_be_submitted_is_refused(tmp_path, test_clips):
    out = tmp_path / "out.zip"
    few = make_run(tmp_path / "few", 0, MA52.class_names[:40])
    with pytest.raises(PiumrError, match=r"all 52 classes of ma52 for a submission, but .*few knows 40"):
        submit_runs([few], test_clips, out)
    run = make_run(tmp_path / "run", 0)
    with (tmp_path / "test_list_videos.txt").open("a") as file:
        file.write("test0005.mp4 0\n")
    with pytest.raises(PiumrError, match=r"all 6 clips.*but 1 are missing, such as 'test0005'"):
        submit_runs([run], test_clips, out)
    (tmp_path / "test_list_videos.txt").unlink()
    with pytest.raises(PiumrError, match=r"test_list_videos\.txt'.*--data.*--labels"):
        submit_runs([run], test_clips, out)
    with pytest.raises(PiumrError, match="coarse classes"):
        submit_runs([run], {**test_clips, "dataset": "utd_mhad"}, out)
    assert not out.exists()
