import json
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from diagnosis import align, diagnose, distances
from independence import factors as person_factors
from independence.ablations import ablate
from independence.experiments import Experiment
from independence.factors import FACTORS, PLACES, as_batch, clips_with, movements
from independence.inspection import inspect
from independence.tasks import load_task
from independence.watching import GroupWatch, _information
from scipy.stats import entropy

from gcn import downsample_valid
from piumr.data.augment import Augmentation
from piumr.data.store import ClipStore
from piumr.layouts import get_layout
from piumr.model import ActionNet, ModelConfig
from piumr.synthetic.generator import skeleton_set
from piumr.synthetic.persons import sample_person
from piumr.tfam.temporal import joint_mean
from piumr.training.config import OptimConfig, TrainConfig
from piumr.training.fit import fit

LAYOUT = get_layout("mediapipe-micro")
STAGES = {"channels": (16, 32), "depths": (1, 1), "strides": (1, 2), "groups": 4}


def make_net(stage=0, tfam=True):
    torch.manual_seed(0)
    config = ModelConfig(backbone="microgcn-nano", backbone_options=STAGES, frames=16, tfam_stage=stage)
    net = ActionNet(LAYOUT, 52, 2, config, tfam=tfam).eval()
    if net.tfam is not None:
        torch.nn.init.normal_(net.tfam.temporal.attention)
    return net


@pytest.fixture(scope="module")
def clips():
    return clips_with(FACTORS["speed"], 1.0, 3)


@pytest.mark.parametrize(("stage", "tfam"), [(0, True), (1, True), (0, False)])
@torch.inference_mode()
def test_what_is_inspected_is_what_the_network_computes(clips, stage, tfam):
    net = make_net(stage, tfam)
    points, valid = as_batch(clips, LAYOUT, 16)
    seen = inspect(net, points, valid)
    logits = net.backbone.classifier(seen.pooled)
    if tfam:
        second = net.tfam.classifier(net.tfam.norm(seen.spectrum.flatten(1)))
        torch.testing.assert_close((logits + second) / 2, net(points, valid).logits)
    else:
        torch.testing.assert_close(logits, net(points, valid).logits)
    x = net.backbone.stem(net.streams(points))
    for part in net.backbone.stages[: stage + 1]:
        x, valid = part(x), downsample_valid(valid, part(x).shape[2])
    torch.testing.assert_close(seen.clock, joint_mean(x, valid)[0])
    assert not torch.allclose(seen.aligned, seen.clock)
    assert not any(module._forward_hooks for module in net.modules())


def test_clips_are_those_of_the_set(clips):
    points, valid = as_batch(clips, LAYOUT, 16)
    store = ClipStore.pack(skeleton_set(clips).in_layout(LAYOUT), 16)
    expected = store.evaluation(np.arange(len(clips)))
    assert torch.equal(points, expected[0])
    assert torch.equal(valid, expected[1])
    assert len(clips) == 3 * len(person_factors.PERSONS)


@pytest.mark.parametrize("name", FACTORS)
def test_a_factor_changes_one_thing(name):
    person = sample_person(0, 6)
    changed = FACTORS[name].change(person, FACTORS[name].values[-1])
    different = [f.name for f in fields(person) if getattr(person, f.name) != getattr(changed, f.name)]
    expected = {"speed": "speed", "amplitude": "amplitude", "limb length": "lengths", "tremor, mm": "tremor_amplitude"}
    assert different == [expected[name]]


def test_movement_is_measured_in_distances_between_actions(monkeypatch):
    one = {"speed": replace(FACTORS["speed"], values=(2.0,))}
    monkeypatch.setattr(person_factors, "FACTORS", one)
    net = make_net()
    found = movements(net, LAYOUT, actions=3)["speed"]
    assert found["values"] == [1.0, 2.0]
    assert all(found[place][0] == 0 for place in PLACES)  # the neutral value moves nothing
    assert all(found[place][1] > 0.01 for place in PLACES)
    base, fast = (inspect(net, *as_batch(clips_with(FACTORS["speed"], v, 3), LAYOUT, 16)).pooled for v in (1.0, 2.0))
    pairs = [(base[3 * p + a] - base[3 * p + b]).norm() for p in range(4) for a in range(3) for b in range(3) if a != b]
    expected = (fast - base).norm(dim=1).mean() / torch.stack(pairs).mean()
    assert found["pooled"][1] == pytest.approx(expected.item(), rel=1e-4)


def test_information_of_groups_that_are_the_persons_is_their_entropy():
    persons, labels = np.repeat([0, 1, 2, 2], 25), np.tile([0, 1], 50)
    same = _information("person", persons, persons)
    assert same["person"] == pytest.approx(entropy([0.25, 0.25, 0.5]))
    assert same["person_adjusted"] == pytest.approx(1)
    other = _information("label", persons, labels)
    assert other["label_adjusted"] == pytest.approx(0, abs=0.05)


@pytest.fixture
def girl_training():
    """A store, its training clips, and two epochs of GIRL."""
    clips = skeleton_set(clips_with(FACTORS["speed"], 1.0, 4)).in_layout(LAYOUT)
    model = ModelConfig(backbone="microgcn-nano", backbone_options=STAGES, frames=16)
    config = TrainConfig("girl", model, OptimConfig(epochs=2, batch_size=8), augmentation=Augmentation(mirror=0))
    return ClipStore.pack(clips, 16), np.arange(16), config


def test_groups_are_watched_after_every_epoch(girl_training):
    store, train, config = girl_training
    watch = GroupWatch(store, train)
    watched = fit(store, train, config, callbacks=[watch]).net.state_dict()
    plain = fit(store, train, config).net.state_dict()
    assert all(torch.equal(watched[name], plain[name]) for name in plain)  # watching changes nothing
    assert [row["epoch"] for row in watch.rows] == [1, 2]
    assert all(sum(row["sizes"]) == 16 and len(row["risks"]) == config.terms.groups for row in watch.rows)


def test_groups_of_an_ablation_are_not_watched(girl_training):
    store, train, config = girl_training
    watch = GroupWatch(store, train)
    fit(store, train, config, callbacks=[*ablate(Experiment("girl", groups="persons")), watch])
    assert watch.rows == []


def test_aligned_courses_are_the_projection_of_the_courses(clips):
    net = make_net()
    points, valid = as_batch(clips, LAYOUT, 16)
    found = align(net, {"slow": (points[:1], valid[:1]), "fast": (points[1:2], valid[1:2])})
    for clip in found.values():
        np.testing.assert_allclose(clip["plan"].sum(1), 1 / 16, rtol=1e-4)
        np.testing.assert_allclose(clip["courses_after"], 16 * clip["courses_before"] @ clip["plan"].T, atol=1e-4)
        assert any(np.array_equal(clip["before"], course) for course in clip["courses_before"])
    same = {"slow": found["slow"], "fast": found["slow"]}
    assert distances(same) == (0, 0)
    opposite = {name: -found["slow"][name] for name in ("courses_before", "courses_after")}
    assert distances({"slow": found["slow"], "fast": opposite}) == pytest.approx((2, 2))


@pytest.mark.slow
def test_a_diagnosis_is_pictures_and_numbers(shared_data, tmp_path):
    data = load_task("msr", shared_data / "skeletons")
    changes = {"optim.epochs": 2, "model.tfam_stage": 0, "terms.boundary": 0.5}
    diagnose(data, Experiment("piumr", changes), 0, tmp_path)
    for name in ("alignment", "gates", "groups", "margins"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    numbers = json.loads((tmp_path / "diagnosis.json").read_text())
    assert len(numbers["groups"]) == 2
    plain, method = numbers["erm"]["settings"], numbers["piumr"]["settings"]
    assert {name for name in method if name not in plain or method[name] != plain[name]} >= {"method", "terms.boundary"}
    assert all(plain[name] == method[name] for name in plain if name != "method")  # but for the method all is the same
    assert len(numbers["piumr"]["margin_deciles"]) == 11
    assert len(numbers["apart"]) == 20
    assert numbers["apart_mean"][0] == pytest.approx(np.mean([before for before, _ in numbers["apart"].values()]))


@pytest.mark.slow
def test_a_diagnosis_of_synthetic_persons_tells_what_each_factor_moves(tmp_path):
    diagnose(load_task("synthetic", None), Experiment("tfam", {"optim.epochs": 1}), 0, tmp_path)
    assert (tmp_path / "factors.png").read_bytes().startswith(b"\x89PNG")
    numbers = json.loads((tmp_path / "diagnosis.json").read_text())
    assert numbers["movements"].keys() == {"erm", "tfam"}
    assert numbers["movements"]["tfam"].keys() == FACTORS.keys()
    assert len(numbers["apart"]) == 52
    assert "groups" not in numbers  # there is no GIRL to watch
