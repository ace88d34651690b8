"""Every rival against its paper's formula, computed another way."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F

from piumr.errors import PiumrError
from piumr.rivals import DSU, FocalLoss, GroupDRO, JustTrainTwice, MixStyle, VREx
from piumr.rivals.feature_statistics import mix, resample_statistics


@pytest.fixture
def features():
    return torch.randn(6, 4, 5, 3, generator=torch.Generator().manual_seed(0)) * 2 + 1


def statistics(x):
    """Mean and population standard deviation over frames and joints, by NumPy."""
    return x.numpy().mean((2, 3), keepdims=True), np.sqrt(x.numpy().var((2, 3), keepdims=True) + 1e-6)


def test_mixed_features_have_the_mixed_statistics(features):
    order = torch.tensor([3, 2, 5, 0, 1, 4])
    share = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0, 0.3])[:, None, None, None]
    mean, std = statistics(features)
    normal = (features.numpy() - mean) / std
    expected = np.stack(
        [
            (w * std[i] + (1 - w) * std[j]) * normal[i] + w * mean[i] + (1 - w) * mean[j]
            for i, (j, w) in enumerate(zip(order.tolist(), share.flatten().tolist(), strict=True))
        ]
    )
    np.testing.assert_allclose(mix(features, order, share).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_mixstyle_puts_every_clip_between_itself_and_another(features):
    torch.manual_seed(0)
    assert torch.equal(MixStyle(p=0)(features), features)
    mean, _ = (torch.from_numpy(value).flatten(1) for value in statistics(features))
    always = MixStyle(p=1, alpha=1.0)
    mixed = always(features).mean((2, 3))
    toward = mean.unsqueeze(0) - mean.unsqueeze(1)  # from clip i to clip j
    moved = (mixed - mean).unsqueeze(1)
    share = (moved * toward).sum(2) / toward.square().sum(2).clamp(min=1e-9)
    distance = (moved - share.unsqueeze(2) * toward).norm(dim=2)
    assert (distance.amin(1) < 1e-4).all()
    chosen = share.gather(1, distance.argmin(1, keepdim=True))
    assert ((chosen > -1e-4) & (chosen < 1 + 1e-4)).all()
    assert (chosen > 0.05).any()
    assert torch.equal(always.eval()(features), features)


def test_mixstyle_draws_shares_from_beta_and_mixes_a_share_of_the_batches(features, monkeypatch):
    torch.manual_seed(0)
    style = MixStyle(p=0.3, alpha=0.5)
    changed = sum(not torch.equal(style(features), features) for _ in range(400))
    assert scipy.stats.binomtest(changed, 400, 0.3).pvalue > 0.001
    clips = torch.randn(2000, 1, 8, 8, dtype=torch.float64)
    clips[1::2] += 10
    monkeypatch.setattr(torch, "randperm", lambda n, device: torch.arange(n).roll(1))  # everyone's other is known
    own = clips.mean((1, 2, 3))
    other = own.roll(1)
    share = (MixStyle(p=1, alpha=0.5)(clips).mean((1, 2, 3)) - other) / (own - other)
    assert scipy.stats.kstest(share.numpy(), scipy.stats.beta(0.5, 0.5).cdf).pvalue > 0.001


def test_no_gradient_flows_through_the_mixed_statistics(features):
    x = features.clone().requires_grad_()
    share = torch.full((6, 1, 1, 1), 0.25)
    order = torch.arange(6).flip(0)
    mix(x, order, share).sum().backward()
    _, std = statistics(features)
    scale = (0.25 * std + 0.75 * std[::-1]) / std  # the derivative, if mu and sigma are constants
    np.testing.assert_allclose(x.grad.numpy(), np.broadcast_to(scale, x.shape), rtol=1e-4)


def test_dsu_draws_statistics_as_wide_as_the_batch_is(features):
    generator = torch.Generator().manual_seed(1)
    a, b = torch.randn(2, 6, 4, 1, 1, generator=generator)
    mean, std = statistics(features)
    beta = mean + a.numpy() * np.sqrt(mean.var(0, keepdims=True) + 1e-6)
    gamma = std + b.numpy() * np.sqrt(std.var(0, keepdims=True) + 1e-6)
    expected = gamma * (features.numpy() - mean) / std + beta
    np.testing.assert_allclose(resample_statistics(features, a, b).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_dsu_varies_half_of_the_training_batches(features):
    torch.manual_seed(0)
    dsu = DSU()
    changed = sum(not torch.equal(dsu(features), features) for _ in range(200))
    assert 70 < changed < 130
    assert torch.equal(dsu.eval()(features), features)


def test_group_dro_follows_its_algorithm():
    dro = GroupDRO(torch.tensor([2, 5, 7]), step=0.5)
    losses = torch.tensor([1.0, 3.0, 4.0, 0.5], requires_grad=True)
    persons = torch.tensor([5, 5, 2, 5])
    risk = {2: 4.0, 5: 1.5, 7: 0.0}  # nobody is person 7 here
    grown = {person: math.exp(0.5 * value) / 3 for person, value in risk.items()}
    q = {person: value / sum(grown.values()) for person, value in grown.items()}
    loss = dro(losses, persons)
    assert loss.item() == pytest.approx(sum(q[person] * risk[person] for person in q), rel=1e-5)
    loss.backward()
    np.testing.assert_allclose(losses.grad.numpy(), [q[5] / 3, q[5] / 3, q[2], q[5] / 3], rtol=1e-5)
    np.testing.assert_allclose(dro.weights.numpy(), [q[2], q[5], q[7]], rtol=1e-5)
    again = {person: q[person] * math.exp(0.5 * risk[person]) for person in q}
    dro(losses, persons)
    np.testing.assert_allclose(dro.weights.numpy(), np.array(list(again.values())) / sum(again.values()), rtol=1e-5)


def test_group_dro_bears_a_large_step():
    dro = GroupDRO(torch.tensor([0, 1]), step=1e4)
    for _ in range(3):
        dro(torch.tensor([5.0, 1.0]), torch.tensor([0, 1]))
    assert dro.weights.tolist() == [1, 0]


def test_v_rex_adds_the_variance_of_the_persons_risks():
    losses, persons = torch.tensor([1.0, 3.0, 4.0, 0.5]), torch.tensor([5, 5, 2, 9])
    risks = [2.0, 4.0, 0.5]
    rex = VREx(torch.tensor([2, 5, 7, 9]), beta=3.0)
    assert rex(losses, persons).item() == pytest.approx(np.mean(risks) + 3 * np.var(risks))
    assert rex(losses, persons, regularise=False).item() == pytest.approx(np.mean(risks))


def test_focal_loss_is_weighted_cross_entropy():
    logits, targets = torch.randn(8, 5, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 5
    plain = F.cross_entropy(logits, targets, reduction="none")
    true = logits.softmax(1)[torch.arange(8), targets]
    torch.testing.assert_close(FocalLoss(2.0)(logits, targets), (1 - true) ** 2 * plain)
    torch.testing.assert_close(FocalLoss(0.0)(logits, targets), plain)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_of_a_clip_that_is_certain_has_a_gradient(gamma):
    logits = torch.tensor([[30.0, 0.0, 0.0]], requires_grad=True)
    FocalLoss(gamma)(logits, torch.tensor([0])).sum().backward()
    torch.testing.assert_close(logits.grad, torch.zeros(1, 3))


def test_focal_loss_is_not_rounded_where_the_network_is():
    """In half precision 1 - p of a clip that is right is mostly rounding."""
    logits = torch.tensor([[6.0, 0.0, 0.5], [5.0, 1.0, 0.0]])
    with torch.autocast("cpu", torch.bfloat16):
        loss = FocalLoss(2.0)(logits.bfloat16(), torch.tensor([0, 0]))
    torch.testing.assert_close(loss, FocalLoss(2.0)(logits, torch.tensor([0, 0])))


def test_jtt_repeats_the_errors_and_keeps_the_number_of_steps():
    jtt, train = JustTrainTwice(share=0.25, factor=3), np.array([4, 8, 15, 16])
    second = jtt.second_set(train, np.array([False, True, False, True]))
    assert sorted(second.tolist()) == [4, 8, 8, 8, 15, 16, 16, 16]
    losses = dict(zip(train.tolist(), (0.1, 2.0, 0.3, 1.0), strict=True))
    assert sum(losses[i] for i in second.tolist()) == pytest.approx(3 * (2.0 + 1.0) + 0.1 + 0.3)
    assert jtt.first_epochs(60) == 15
    assert jtt.second_epochs(60, train, second) * len(second) == 60 * len(train)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MixStyle(p=2),
        lambda: MixStyle(alpha=0),
        lambda: MixStyle(alpha=math.inf),
        lambda: DSU(p=-1),
        lambda: GroupDRO(torch.arange(2), step=-1),
        lambda: GroupDRO(torch.arange(2), step=math.nan),
        lambda: VREx(torch.arange(2), beta=-1),
        lambda: VREx(torch.arange(2), beta=math.inf),
        lambda: FocalLoss(-1),
        lambda: FocalLoss(math.nan),
        lambda: JustTrainTwice(share=0),
        lambda: JustTrainTwice(factor=0.5),
    ],
)
def test_a_wrong_option_is_told(make):
    with pytest.raises(PiumrError, match="Expected `"):
        make()
