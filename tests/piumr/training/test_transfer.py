"""Starting from another run: what is taken over is the same number for number, what is frozen does not move."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from piumr.checkpoint import load_checkpoint, save_checkpoint
from piumr.commands.console import run_command
from piumr.data.augment import Augmentation
from piumr.data.clips import SkeletonSet
from piumr.data.store import ClipStore
from piumr.errors import PiumrError
from piumr.inference.model_card import ModelCard
from piumr.layouts import get_layout
from piumr.model import ActionNet, ModelConfig
from piumr.training.config import OptimConfig, TrainConfig
from piumr.training.fit import fit, make_net
from piumr.training.module import ActionModule
from piumr.training.transfer import HEADS, inherit, joint_projection, settle

SMALL = ModelConfig(
    backbone_options={"channels": [8, 12, 12], "depths": [1, 1, 1], "strides": [1, 2, 1], "dropout": 0.0},
    frames=8,
    tfam_stage=1,
)
CLASSES = ("left arm", "right arm", "nod")


def write_run(folder, layout="mediapipe-33", classes=CLASSES, model=SMALL, tfam=True, coordinates="image"):
    """A run folder whose network has moved away from its initialisation everywhere."""
    torch.manual_seed(1)
    layout = get_layout(layout)
    net = ActionNet(layout, len(classes), 2 if coordinates == "image" else 3, model, tfam=tfam)
    for tensor in (*net.parameters(), *(b for n, b in net.named_buffers() if "running" in n)):
        tensor.data += 0.1 * torch.rand_like(tensor)
    folder.mkdir(exist_ok=True)
    save_checkpoint(folder / "checkpoint.pt", net, ModelCard(classes, layout, model.frames, coordinates))
    return net


def command(*arguments):
    """Exit code of piumr-train-gcn."""
    with pytest.raises(SystemExit) as left:
        run_command("piumr-train-gcn", "piumr.commands.train", "train", [str(argument) for argument in arguments])
    return left.value.code


@pytest.fixture
def run(tmp_path):
    return tmp_path / "run", write_run(tmp_path / "run")


def start(folder, layout="mediapipe-33", classes=CLASSES, dimensions=2, **options):
    """A fresh network that starts from ``folder``, and what it took over."""
    torch.manual_seed(2)
    config = settle(TrainConfig(init=folder, **options))
    net = ActionNet(get_layout(layout), len(classes), dimensions, config.model, tfam=config.with_tfam)
    return net, inherit(net, get_layout(layout), classes, config)


def test_the_same_classes_and_joints_take_over_everything(run):
    folder, source = run
    for path in (folder, folder / "checkpoint.pt"):
        net, inherited = start(path)
        assert all(torch.equal(value, source.state_dict()[name]) for name, value in net.state_dict().items())
        assert inherited.names == set(net.state_dict())
        assert "100.0 % of the weights taken over; new: nothing" in inherited.note


@pytest.mark.parametrize("classes", [("a", "b"), ("nod", "left arm", "right arm")])
def test_other_classes_get_a_new_classifier_and_nothing_else(run, classes):
    folder, source = run
    net, inherited = start(folder, classes=classes)
    new = {name for name in net.state_dict() if name not in inherited.names}
    assert new == {head + part for head in HEADS for part in ("weight", "bias")}
    assert all(torch.equal(net.state_dict()[name], source.state_dict()[name]) for name in inherited.names)
    assert not net.backbone.classifier.bias.any()  # as at the beginning
    assert "new: classifier" in inherited.note


@pytest.mark.parametrize("backbone", ["stgcnpp-small", "stgcn", "ctrgcn", "aagcn", "microgcn-nano"])
def test_another_layout_takes_over_what_its_joints_have_learned(tmp_path, backbone):
    options = {"channels": [8, 16], "depths": [1, 1], "strides": [1, 2]}
    model = ModelConfig(backbone=backbone, backbone_options=options, frames=8)
    source = write_run(tmp_path / "run", "mediapipe-75", model=model)
    net, inherited = start(tmp_path / "run", "mediapipe-micro")
    wide, small = get_layout("mediapipe-75"), get_layout("mediapipe-micro")
    places = [wide.joints.index(name) for name in small.joints]
    torch.manual_seed(1)
    before = ActionNet(wide, 3, 2, model, tfam=True).state_dict()
    torch.manual_seed(2)
    fresh = ActionNet(small, 3, 2, model, tfam=True).state_dict()
    graphs = [name for name in fresh if name.endswith(("adjacency", "importance"))]
    assert len(graphs) == 2
    for name in graphs:
        learned = (source.state_dict()[name] - before[name])[..., places, :][..., places]
        torch.testing.assert_close(net.state_dict()[name], fresh[name] + learned)
        assert float((net.state_dict()[name] - fresh[name]).abs().min()) > 0
    others = [name for name in inherited.names if name not in graphs]
    assert all(torch.equal(net.state_dict()[name], source.state_dict()[name]) for name in others)
    assert all(".joints." in name for name in set(fresh) - inherited.names)
    assert "graphs mapped to mediapipe-micro, 47 of 47 joints" in inherited.note


def test_a_joint_that_only_the_new_layout_has_starts_fresh_and_a_derived_one_is_the_mean():
    """OpenPose's neck lies between COCO's shoulders."""
    coco, openpose = get_layout("coco-17"), get_layout("openpose-18")
    projection = joint_projection(coco, openpose)
    torch.testing.assert_close(projection.sum(1), torch.ones(18))
    neck = projection[openpose.joints.index("neck")]
    assert {coco.joints[i]: float(neck[i]) for i in neck.nonzero()} == {"left_shoulder": 0.5, "right_shoulder": 0.5}
    kinect = get_layout("kinect-20")
    projection = joint_projection(get_layout("mediapipe-33"), kinect)
    lacking = {name for name, row in zip(kinect.joints, projection, strict=True) if not row.any()}
    assert {"spine", "head", "left_hand"} <= lacking
    assert not lacking & {"left_wrist", "right_knee"}
    assert not joint_projection(get_layout("hand-21"), coco).any()  # strangers


def test_strangers_keep_their_own_skeleton(tmp_path):
    write_run(tmp_path / "run", "hand-21")
    net, inherited = start(tmp_path / "run", "coco-17")
    fresh = ActionNet(get_layout("coco-17"), 3, 2, SMALL, tfam=False).state_dict()
    for name in fresh:
        if name.endswith("adjacency"):
            assert torch.equal(net.state_dict()[name], fresh[name])
    assert "0 of 17 joints" in inherited.note


def test_the_method_may_change(run):
    folder, source = run
    net, inherited = start(folder, method="erm")
    assert net.tfam is None
    assert inherited.note.endswith("left out: TFAM, TFAM's classifier.")
    plain = write_run(folder, tfam=False)
    net, inherited = start(folder, method="piumr")
    assert inherited.note.endswith("new: TFAM, TFAM's classifier.")
    assert torch.equal(net.backbone.classifier.weight, plain.backbone.classifier.weight)
    assert source.tfam is not None


def test_the_network_is_the_checkpoints(run):
    folder, _ = run
    assert settle(TrainConfig(init=folder)).model == SMALL
    as_tuples = replace(SMALL, backbone_options={**SMALL.backbone_options, "channels": (8, 12, 12)})
    assert settle(TrainConfig(init=folder, model=as_tuples)).model == SMALL
    with pytest.raises(PiumrError, match=r"--model to be left out.* `frames`: 16 instead of 8"):
        settle(TrainConfig(init=folder, model=replace(SMALL, frames=16)))


def test_wrong_starts_are_named(tmp_path, run):
    folder, _ = run
    with pytest.raises(PiumrError, match=r"checkpoint\.pt"):
        settle(TrainConfig(init=tmp_path / "nowhere"))
    with pytest.raises(PiumrError, match="init"):
        settle(TrainConfig(freeze=1))
    with pytest.raises(PiumrError, match="freeze"):
        TrainConfig(freeze=-1)
    with pytest.raises(PiumrError, match="init_rate"):
        TrainConfig(init_rate=0)
    with pytest.raises(PiumrError, match=r"`freeze` to lie in 0\.\.3, .* but got 4"):
        start(folder, freeze=4)
    with pytest.raises(PiumrError, match=r"3-D skeletons to start from, but .* on 2-D ones"):
        start(folder, "kinect-20", dimensions=3)


def test_what_was_taken_over_learns_slower_and_what_is_frozen_not_at_all(run):
    folder, _ = run
    net, inherited = start(folder, classes=("a", "b"), freeze=1, init_rate=0.25)
    module = ActionModule(net, TrainConfig(init=folder, init_rate=0.25, optim=OptimConfig(learning_rate=0.4)), 5)
    module.inherited = inherited.names
    optimizer = module.configure_optimizers()["optimizer"]
    names = {parameter: name for name, parameter in net.named_parameters()}
    rates = {names[p]: group["initial_lr"] for group in optimizer.param_groups for p in group["params"]}
    decays = {names[p]: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert {rates.pop(head + part) for head in HEADS for part in ("weight", "bias")} == {0.4}
    assert set(rates.values()) == {0.1}
    assert set(rates) == {n for n in names.values() if not n.startswith((*HEADS, "backbone.stem", "backbone.stages.0"))}
    assert all(decays[head + "weight"] > 0 == decays[head + "bias"] for head in HEADS)


@pytest.mark.parametrize(("freeze", "frozen"), [(1, 1), (2, 2), ("backbone", 3)])
def test_frozen_stages_do_not_move_nor_do_their_statistics(toy_set: SkeletonSet, run, freeze, frozen):
    folder, source = run
    config = settle(
        TrainConfig(init=folder, freeze=freeze, optim=OptimConfig(epochs=2, batch_size=12), augmentation=Augmentation())
    )
    indices = np.arange(len(toy_set))
    store = ClipStore.pack(toy_set, 8)
    net = fit(store, indices, config, validation=indices[:9], classes=("a", "b", "c")).net
    still = ["backbone.stem.", *(f"backbone.stages.{i}." for i in range(frozen))]
    for name, value in net.state_dict().items():
        same = torch.equal(value, source.state_dict()[name])
        if name.startswith(tuple(still)):
            assert same, name
        elif "running" in name or name.endswith("weight"):
            assert not same, name


def test_nothing_frozen_moves_everything(toy_set, run):
    folder, source = run
    config = settle(TrainConfig(init=folder, optim=OptimConfig(epochs=1, batch_size=12, warmup_epochs=0)))
    net = fit(ClipStore.pack(toy_set, 8), np.arange(len(toy_set)), config, classes=CLASSES).net
    moved = [name for name, p in net.named_parameters() if not torch.equal(p, source.state_dict()[name])]
    assert len(moved) > 0.9 * len(list(net.parameters()))
    distance = sum(float((p.detach() - source.state_dict()[n]).abs().sum()) for n, p in net.named_parameters())
    away = make_net(ClipStore.pack(toy_set, 8), config)
    far = sum(float((p.detach() - source.state_dict()[n]).abs().sum()) for n, p in away.named_parameters())
    assert distance < 0.2 * far


def test_the_command_says_what_it_cannot_start_from(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "metric", "kinect-20", coordinates="metric")
    for options, message in (
        (("--init=metric",), "Expected a run on 2-D skeletons to start from, but 'metric' was trained on 3-D ones"),
        (("--init=nowhere",), "no file 'nowhere'"),
        (("--freeze=backbone",), "`init`, a run to start from, beside `freeze`"),
        (("--init=metric", "--freeze=half"), "freeze"),
    ):
        assert command("--dataset=synthetic", *options) == 2
        printed = capfd.readouterr().err
        assert message in printed
        assert "Traceback" not in printed
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_from_synthetic_persons_to_real_signs(tmp_path, shared_data, capfd, monkeypatch):
    """From two generated persons and 47 joints to 13 real ones and 75 joints."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dataset.toml").write_text(
        'title = "two"\ncitation = ""\nlicence = ""\nsource = ""\nformat = "synthetic"\nprotocol = "all"\n'
        "[options]\npersons = 2\ntakes = 1\n"
    )
    short = ("--optim.epochs=2", "--optim.warmup_epochs=0", "--optim.ema_epochs=0.2")
    made = command("--dataset=dataset.toml", "--layout=mediapipe-micro", "--model.frames=12", "--out=a", *short)
    assert made == 0
    signs = ("--dataset=mp_holistic_signs", "--data", shared_data / "skeletons", "--init=a", *short)
    assert command(*signs, "--init_rate=1", "--out=tuned") == 0
    printed = capfd.readouterr().err
    assert "classes, mediapipe-micro): " in printed
    assert "graphs mapped to mediapipe-75, 49 of 75 joints; new: classifier, TFAM's classifier." in printed
    assert command(*signs, "--freeze=backbone", "--out=probed") == 0
    assert "frozen: 99." in capfd.readouterr().err  # per cent of the weights
    accuracy = {
        run: json.loads(Path(run, "metrics.json").read_text())["test"]["accuracy"] for run in ("tuned", "probed")
    }
    assert accuracy["tuned"] > 0.45, accuracy  # chance is 0.33
    start, tuned, probed = (load_checkpoint(Path(run, "checkpoint.pt"))[0].state_dict() for run in ("a", *accuracy))
    for name, value in start.items():
        if not name.startswith((*HEADS, "tfam.")) and not name.endswith("adjacency"):
            assert torch.equal(value, probed[name]), name
            assert not name.endswith("weight") or not torch.equal(value, tuned[name]), name
    print(accuracy)
