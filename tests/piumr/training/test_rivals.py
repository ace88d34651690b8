from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import torch

from piumr.data.augment import Augmentation
from piumr.data.batches import ClipBatches
from piumr.errors import PiumrError
from piumr.model import ModelConfig
from piumr.training.config import MethodConfig, OptimConfig, TrainConfig
from piumr.training.fit import fit, make_net, make_trainer, predict
from piumr.training.module import ActionModule
from piumr.training.stopping import TimeLimit

SMALL = {"channels": (16, 32, 32), "depths": (1, 1, 1), "strides": (1, 2, 1), "groups": 4}
CONFIG = TrainConfig(
    method="erm",
    model=ModelConfig(backbone="microgcn-nano", backbone_options=SMALL, frames=16),
    optim=OptimConfig(epochs=14, batch_size=6, warmup_epochs=1, learning_rate=0.01),
    augmentation=Augmentation(mirror=0),
)
RIVALS = ("mixstyle", "dsu", "groupdro", "vrex", "jtt", "focal")


@pytest.mark.parametrize("method", RIVALS)
def test_every_rival_learns(store, split, method):
    config = replace(CONFIG, method=method)
    if method == "jtt":  # a first training long enough to have few errors
        config = replace(config, terms=MethodConfig(rival_options={"share": 1.0}))
    outcome = fit(store, split.train, config)
    hits = predict(outcome.net, store, split.test).argmax(1) == store.labels[torch.from_numpy(split.test)]
    assert hits.float().mean() > 0.8
    assert outcome.net.tfam is None


def test_only_methods_with_true_ids_are_told_the_persons(store, split):
    for method in ("erm", "tfam", "girl", "piumr", *RIVALS):
        config = replace(CONFIG, method=method)
        assert config.with_persons == (method in ("groupdro", "vrex"))
    told = ClipBatches(
        store, split.train, None, batch_size=6, augmentation=Augmentation(), seed=0, with_persons=True
    ).training_batch(torch.from_numpy(split.train[:5]))
    assert torch.equal(told.persons, store.persons[torch.from_numpy(split.train[:5])])
    quiet = ClipBatches(store, split.train, None, batch_size=6, augmentation=Augmentation(), seed=0)
    assert quiet.training_batch(torch.from_numpy(split.train[:5])).persons is None


def test_true_ids_need_known_persons(store, split):
    unknown = replace(store, persons=torch.full_like(store.persons, -1))
    with pytest.raises(PiumrError, match="persons are known for method vrex"):
        fit(unknown, split.train, replace(CONFIG, method="vrex"))


@pytest.mark.parametrize("method", ["mixstyle", "dsu"])
def test_features_are_varied_after_two_stages_in_training_only(store, split, method):
    config = replace(CONFIG, method=method, terms=MethodConfig(rival_options={"p": 1.0}))
    plain = make_net(store, config)
    points, valid = store.evaluation(split.train)
    before = plain.eval()(points, valid).logits
    ActionModule(plain, config, 1)
    assert torch.equal(plain(points, valid).logits, before)
    assert [len(stage._forward_hooks) for stage in plain.backbone.stages] == [1, 1, 0]
    seen = []
    plain.backbone.stages[0].register_forward_hook(lambda stage, _, x: seen.append(x))
    plain.train()(points, valid)
    plain(points, valid)
    assert not torch.equal(*seen)


def test_jtt_trains_as_plain_training_where_nothing_goes_wrong(store, split, monkeypatch):
    right = torch.nn.functional.one_hot(store.labels[torch.from_numpy(split.train)], 3).float()
    short = replace(CONFIG, optim=replace(CONFIG.optim, epochs=2))
    plain = fit(store, split.train, short)
    with monkeypatch.context() as patch:
        patch.setattr("piumr.training.fit.predict", lambda net, store, indices: right)
        twice = fit(store, split.train, replace(short, method="jtt"))
    a, b = plain.net.state_dict(), twice.net.state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_jtt_sees_its_errors_more_often_in_as_many_steps(store, split, monkeypatch):
    wrong = torch.nn.functional.one_hot((store.labels[torch.from_numpy(split.train)] + 1) % 3, 3).float()
    wrong[1:] = -wrong[1:]  # the first clip is wrong, the others are right
    wrong[1:] += 2 * torch.nn.functional.one_hot(store.labels[torch.from_numpy(split.train)], 3)[1:]
    seen = []
    made = ClipBatches.training_batch
    monkeypatch.setattr(
        ClipBatches, "training_batch", lambda self, indices: (seen.append(indices), made(self, indices))[1]
    )
    monkeypatch.setattr("piumr.training.fit.predict", lambda net, store, indices: wrong)
    options = {"share": 0.1, "factor": 7}
    config = replace(
        CONFIG, method="jtt", optim=replace(CONFIG.optim, epochs=6), terms=MethodConfig(rival_options=options)
    )
    fit(store, split.train, config)
    n = len(split.train)
    counts = np.bincount(torch.cat(seen).numpy(), minlength=len(store))[split.train]
    epochs = round(6 * n / (n + 6))
    assert counts.tolist() == [1 + 7 * epochs, *[1 + epochs] * (n - 1)]


def test_jtt_warms_up_and_averages_over_as_many_steps_as_plain_training(store, split, monkeypatch):
    wrong = torch.nn.functional.one_hot((store.labels[torch.from_numpy(split.train)] + 1) % 3, 3).float()
    monkeypatch.setattr("piumr.training.fit.predict", lambda net, store, indices: wrong)
    configs = []
    monkeypatch.setattr(
        "piumr.training.fit.make_trainer", lambda *given: (configs.append(given[0]), make_trainer(*given))[1]
    )
    optim = replace(CONFIG.optim, epochs=12, warmup_epochs=3)
    fit(store, split.train, replace(CONFIG, method="jtt", optim=optim, terms=MethodConfig(rival_options={"factor": 6})))
    second = configs[-1].optim
    # all clips are wrong, so that an epoch is six times as long
    assert (second.epochs, second.warmup_epochs) == (2, 0.5)
    assert second.ema_epochs == pytest.approx(optim.ema_epochs / 6)


def test_jtt_goes_on_with_the_clips_it_began_with_however_little_time_is_left(store, split, tmp_path):
    options = MethodConfig(rival_options={"share": 0.25, "factor": 3})
    config = replace(CONFIG, method="jtt", optim=replace(CONFIG.optim, epochs=8), terms=options)
    whole = fit(store, split.train, config)
    fit(store, split.train, config, folder=tmp_path, stop_after=1)
    cut = fit(store, split.train, config, folder=tmp_path, callbacks=[TimeLimit(timedelta(microseconds=1))])
    assert (cut.epochs, cut.complete) == (whole.epochs, False)
    assert fit(store, split.train, config, folder=tmp_path).history == whole.history


@pytest.mark.parametrize(("method", "options"), [("dsu", {"q": 1}), ("vrex", {"ids": None})])
def test_a_wrong_option_of_a_rival_is_one_line(store, split, method, options):
    with pytest.raises(PiumrError, match="rival_options"):
        fit(store, split.train, replace(CONFIG, method=method, terms=MethodConfig(rival_options=options)))
