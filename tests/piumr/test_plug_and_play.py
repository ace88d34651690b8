"""TFAM and GIRL go with any backbone, and TFAM with features that know nothing of skeletons."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from piumr.data.augment import Augmentation
from piumr.data.folds import PersonFolds
from piumr.data.store import ClipStore
from piumr.girl import GIRL, style_statistics
from piumr.model import ModelConfig
from piumr.tfam import TFAM
from piumr.training.config import OptimConfig, TrainConfig
from piumr.training.fit import fit, make_net, predict

STAGES = {"channels": (16, 32), "depths": (1, 1), "strides": (1, 2)}
CONFIG = TrainConfig(
    method="piumr",
    optim=OptimConfig(epochs=12, batch_size=6, warmup_epochs=1, learning_rate=0.01),
    augmentation=Augmentation(mirror=0),
)


@pytest.mark.parametrize(
    "backbone",
    [
        "microgcn-nano",
        "stgcn",
        "stgcnpp-small",
        pytest.param("ctrgcn", marks=pytest.mark.slow),
        pytest.param("aagcn", marks=pytest.mark.slow),
    ],
)
def test_the_method_trains_on_every_kind_of_backbone(toy_set, backbone):
    store = ClipStore.pack(toy_set, 16)
    split = PersonFolds(4).split(toy_set)[0]
    config = replace(CONFIG, model=ModelConfig(backbone=backbone, backbone_options=STAGES, frames=16))
    outcome = fit(store, split.train, config)
    hits = predict(outcome.net, store, split.test).argmax(1) == store.labels[torch.from_numpy(split.test)]
    assert hits.float().mean() > 0.8  # a third by chance
    torch.manual_seed(config.seed)
    fresh = dict(make_net(store, config).tfam.named_parameters())
    trained = dict(outcome.net.tfam.named_parameters())
    assert trained.keys() == fresh.keys()
    assert all(value.isfinite().all() for value in trained.values())
    assert trained["classifier.weight"].shape == (3, 32 * 2)  # mean and deviation of the second stage's channels
    changed = [name for name, value in trained.items() if not torch.allclose(value, fresh[name])]
    assert set(changed) == set(trained)
    assert outcome.history[-1]["loss"] < outcome.history[0]["loss"]


class SequenceNet(nn.Module):
    """A convolution over time on plain (N, C, T) signals, then TFAM with a single 'joint'."""

    def __init__(self, channels=12, frames=24, classes=3):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv1d(1, channels, 5, padding=2), nn.BatchNorm1d(channels), nn.ReLU())
        self.tfam = TFAM(channels, frames, classes)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x):
        features = self.encoder(x).unsqueeze(3)  # (N, C, T, V = 1)
        aligned = self.tfam(features, self.classifier(features.mean((2, 3))))
        return style_statistics(features), aligned


def signals(count, generator):
    """Bumps of three forms, each at its own speed and place."""
    labels = torch.randint(3, (count,), generator=generator)
    time = torch.linspace(0, 1, 24)
    speed, place = 0.6 + 0.8 * torch.rand(2, count, 1, generator=generator)
    phase = (time - 0.3 * place) * speed * 6
    forms = torch.stack([phase.sin(), phase.sin().abs(), (2 * phase).sin()], dim=1)
    x = forms[torch.arange(count), labels].unsqueeze(1)
    return x + 0.05 * torch.randn(x.shape, generator=generator), labels


def test_tfam_and_girl_train_on_plain_sequences():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    net, loss = SequenceNet(), GIRL(3, 24)
    optimizer = torch.optim.AdamW([*net.parameters()], lr=0.02)
    start = {name: value.detach().clone() for name, value in net.tfam.named_parameters()}
    for step in range(80):
        x, labels = signals(48, generator)
        style, aligned = net(x)
        terms = loss(aligned.logits, labels, style, regularise=step > 15)
        total = terms.loss + 0.1 * aligned.transport_cost + 0.5 * aligned.inconsistency
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert all(not torch.equal(value, start[name]) for name, value in net.tfam.named_parameters() if value.numel() > 1)
    x, labels = signals(300, generator)
    _, aligned = net.eval()(x)
    assert (aligned.logits.argmax(1) == labels).float().mean() > 0.8
    plan = net.tfam.align(net.encoder(x).unsqueeze(3)).plan
    torch.testing.assert_close(plan.sum(2), torch.full((300, 24), 1 / 24))
