from dataclasses import replace

import numpy as np
import pytest
import torch

from piumr.data.augment import Augmentation
from piumr.data.batches import ClipBatches
from piumr.errors import PiumrError
from piumr.model import ModelConfig
from piumr.training.config import MethodConfig, OptimConfig, TrainConfig
from piumr.training.finite import FiniteLoss
from piumr.training.fit import fit, predict
from piumr.training.module import ActionModule, ema_decay
from piumr.training.select import best_epoch

CONFIG = TrainConfig(
    method="erm",
    model=ModelConfig(
        backbone_options={"channels": (12, 16), "depths": (1, 1), "strides": (1, 2), "dropout": 0.0}, frames=16
    ),
    optim=OptimConfig(epochs=30, batch_size=6, warmup_epochs=1, learning_rate=0.01),
    augmentation=Augmentation(mirror=0),
)


@pytest.mark.parametrize("method", ["erm", "tfam", "girl", "piumr"])
def test_every_method_recognises_a_person_it_has_never_seen(store, split, method):
    outcome = fit(store, split.train, replace(CONFIG, method=method))
    hits = predict(outcome.net, store, split.test).argmax(1) == store.labels[torch.from_numpy(split.test)]
    assert hits.float().mean() > 0.9
    assert (outcome.net.tfam is not None) == (method in ("tfam", "piumr"))
    assert ("group_penalty" in outcome.history[0]) == (method in ("girl", "piumr"))
    assert [row["epoch"] for row in outcome.history] == list(range(1, 31))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(store, split):
    config = replace(CONFIG, method="piumr", optim=replace(CONFIG.optim, epochs=2))
    a, b, c = (fit(store, split.train, replace(config, seed=s)).net.state_dict() for s in (0, 0, 1))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not all(torch.equal(a[name], c[name]) for name in a)


def test_validation_is_logged_and_changes_nothing(store, split):
    config = replace(CONFIG, optim=replace(CONFIG.optim, epochs=3))
    plain = fit(store, split.train, config)
    watched = fit(store, split.train, config, validation=split.test)
    assert all("validation_accuracy" in row for row in watched.history)
    hits = predict(watched.net, store, split.test).argmax(1) == store.labels[torch.from_numpy(split.test)]
    assert watched.history[-1]["validation_accuracy"] == pytest.approx(float(hits.float().mean()))
    for name, tensor in plain.net.state_dict().items():
        assert torch.equal(tensor, watched.net.state_dict()[name])


def test_stopping_early_follows_the_same_schedule(store, split):
    config = replace(CONFIG, optim=replace(CONFIG.optim, epochs=6))
    full = fit(store, split.train, config)
    part = fit(store, split.train, config, stop_after=3)
    assert len(part.history) == 3
    assert part.history == full.history[:3]


@pytest.mark.parametrize("late", [False, True])  # as on the CPU, as on a GPU
@pytest.mark.parametrize("place", [0, 1, -1])
def test_poses_that_are_no_numbers_are_named_with_their_batch(store, split, toy_set, monkeypatch, place, late):
    """One broken clip, of the first, the second or the last batch of the first epoch."""
    monkeypatch.setattr(FiniteLoss, "late", late)
    config = replace(CONFIG, augmentation=Augmentation(mirror=0, dropout=0))
    data = ClipBatches(store, split.train, None, batch_size=6, augmentation=config.augmentation, seed=0)
    batches = list(data.train_dataloader())
    clip = int(batches[place][3])
    points = store.points.clone()
    points[store.offsets[clip] : store.offsets[clip + 1]] = torch.nan
    where = f"got nan in batch {1 + range(len(batches))[place]} of epoch 1: the poses of {toy_set.names[clip]} hold"
    with pytest.raises(PiumrError, match=where):
        fit(replace(store, points=points), split.train, config, names=toy_set.names)


def test_a_loss_that_diverges_stops_with_the_way_out(store, split):
    config = replace(CONFIG, optim=replace(CONFIG.optim, learning_rate=1e30, warmup_epochs=0))
    with pytest.raises(PiumrError, match=r"in batch [2-6] of epoch 1; .*lower --optim.learning_rate"):
        fit(store, split.train, config)


def test_girl_warms_up_as_plain_training(store, split):
    """During the warm-up GIRL's loss is cross-entropy: the first epochs equal ERM's."""
    optim = replace(CONFIG.optim, epochs=4)
    erm = fit(store, split.train, replace(CONFIG, optim=optim), stop_after=2)
    girl = replace(CONFIG, method="girl", optim=optim, terms=MethodConfig(girl_warmup=0.5))
    warm = fit(store, split.train, girl, stop_after=3)
    assert [row["group_penalty"] for row in warm.history[:2]] == [0, 0]
    assert warm.history[2]["group_penalty"] >= 0
    assert warm.history[0]["loss"] == pytest.approx(erm.history[0]["loss"], rel=1e-3)


def test_weight_decay_spares_norms_and_adjacencies(store):
    from piumr.model import ActionNet

    net = ActionNet(store.layout, 3, 2, CONFIG.model, tfam=True)
    optimizer = ActionModule(net, CONFIG, 5).configure_optimizers()["optimizer"]
    decayed = {id(p) for p in optimizer.param_groups[0]["params"]}
    norms = [m for m in net.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    spared = {id(p) for norm in norms for p in norm.parameters()}
    spared |= {id(p) for name, p in net.named_parameters() if name.endswith("bias") or "adjacency" in name}
    assert len(norms) > 10
    assert not decayed & spared
    assert decayed >= {id(m.weight) for m in net.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(net.parameters()))


@pytest.mark.parametrize(("clips", "batch", "steps"), [(36, 6, 6), (37, 6, 6), (38, 6, 7), (5, 32, 1), (1, 32, 1)])
def test_every_clip_trains_and_none_alone(store, clips, batch, steps):
    data = ClipBatches(store, np.arange(clips), None, batch_size=batch, augmentation=Augmentation(), seed=0)
    sizes = [len(indices) for indices in data.train_dataloader()]
    assert len(sizes) == data.steps_per_epoch == steps
    assert min(sizes) > 1 or clips == 1
    assert sum(sizes) == clips


def test_interrupting_reaches_the_caller(store, split, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ActionModule, "training_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit(store, split.train, CONFIG)


def test_averaging_moves_weights_and_leaves_indices_alone(store, split):
    config = replace(CONFIG, optim=replace(CONFIG.optim, epochs=4))
    averaged = fit(store, split.train, config).net
    last = fit(store, split.train, replace(config, optim=replace(config.optim, ema_epochs=0))).net
    assert averaged.streams.parents.tolist() == list(store.layout.parents)
    for (name, a), b in zip(averaged.named_buffers(), last.buffers(), strict=True):
        assert a.is_floating_point() or torch.equal(a, b), name
    a, b = averaged.backbone.classifier.weight, last.backbone.classifier.weight
    assert not torch.equal(a, b)
    torch.testing.assert_close(a, b, atol=0.02, rtol=0.1)


def test_ema_time_constant_is_in_epochs():
    assert ema_decay(2.0, 50) ** 100 == pytest.approx(np.exp(-1))
    assert ema_decay(0, 50) == 0


def test_best_epoch_is_the_best_running_mean():
    assert best_epoch(np.array([0.1, 0.9, 0.1, 0.6, 0.7, 0.65, 0.2])) == 5
    assert best_epoch(np.array([0.5, 0.5, 0.5])) == 1
    assert best_epoch(np.linspace(0, 1, 10)) == 10
