"""GIRL against cross-entropy, its formulas by hand, and its promise not to raise a loss."""

import copy
import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from piumr.errors import PiumrError
from piumr.girl import GIRL
from piumr.girl.girl import boundary_weights, group_penalty, margins


def batch(n=32, classes=6, features=8):
    return torch.randn(n, classes, requires_grad=True), torch.randint(classes, (n,)), torch.randn(n, features)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_without_its_terms_it_is_cross_entropy(smoothing):
    girl = GIRL(6, 8, groups=1, beta=0, penalty=0, label_smoothing=smoothing)
    logits, targets, style = batch()
    expected = torch.nn.functional.cross_entropy(logits, targets, label_smoothing=smoothing)
    terms = girl(logits, targets, style)
    torch.testing.assert_close(terms.loss, expected)
    torch.testing.assert_close(torch.autograd.grad(terms.loss, logits), torch.autograd.grad(expected, logits))


def test_warm_up_is_cross_entropy_and_keeps_groups_and_risks_up_to_date():
    torch.manual_seed(0)
    girl = GIRL(6, 8)
    for _ in range(5):
        logits, targets, style = batch()
        terms = girl(logits, targets, style, regularise=False)
    expected = torch.nn.functional.cross_entropy(logits, targets, label_smoothing=0.1)
    torch.testing.assert_close(terms.loss, expected)
    assert float(terms.group_penalty) == 0
    assert (girl.risk_updates == 5).any()
    assert (girl.style_groups.class_count > 1).all()
    assert terms.risks.isfinite().any()


def test_margins_and_weights_by_hand():
    logits = torch.log(torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.2, 0.4, 0.4]]))
    margin = margins(logits, torch.tensor([0, 0, 1]))
    torch.testing.assert_close(margin, torch.tensor([0.5, -0.3, 0.0]))
    raw = [1 + 2 * math.exp(-((m / 0.4) ** 2)) for m in (0.5, -0.3, 0.0)]
    torch.testing.assert_close(boundary_weights(margin, 2, 0.4), torch.tensor(raw) * 3 / sum(raw))


def test_classification_is_the_weighted_mean():
    girl = GIRL(6, 8, beta=2, tau=0.4)
    logits, targets, style = batch()
    losses = torch.nn.functional.cross_entropy(logits, targets, label_smoothing=0.1, reduction="none")
    weights = boundary_weights(margins(logits, targets), 2, 0.4)
    terms = girl(logits, targets, style)
    torch.testing.assert_close(terms.classification, (weights * losses).mean())
    torch.testing.assert_close(terms.loss, terms.classification + 0.3 * terms.group_penalty)
    assert not weights.requires_grad


def test_group_penalty_by_hand():
    losses = torch.tensor([1.0, 3.0, 5.0, 2.0, 7.0, 9.0])
    groups = torch.tensor([0, 0, 1, 2, 2, -1])
    risks = torch.tensor([2.5, 4.0, 1.0, torch.nan])  # mean of those that exist: 2.5
    # group 0 is not above the mean, group 1 has one sample, group 2 is below, group 3 has no risk
    assert float(group_penalty(losses, groups, risks)) == 0
    groups = torch.tensor([1, 1, 0, 2, 2, -1])
    assert float(group_penalty(losses, groups, risks)) == pytest.approx(1.5 * 2.0)


def test_the_group_term_never_raises_a_loss():
    for seed in range(30):
        torch.manual_seed(seed)
        losses = torch.rand(24, requires_grad=True)
        groups = torch.randint(-1, 5, (24,))
        risks = torch.rand(5)
        (gradient,) = torch.autograd.grad(group_penalty(losses, groups, risks), losses)
        assert (gradient >= 0).all()
        assert (gradient[groups == int(risks.argmax())] > 0).all() or int((groups == risks.argmax()).sum()) < 2
        easy = torch.isin(groups, (risks < risks.mean()).nonzero())
        assert torch.equal(gradient[easy], torch.zeros(int(easy.sum())))


class Fixed(torch.nn.Module):
    """Groups that a test chooses."""

    def forward(self, style, targets):
        return style[:, 0].long()


def risks_of(girl, losses_by_group):
    """Feed one batch whose samples of group g have given losses; K = 2, no smoothing, plain weights."""
    losses = torch.tensor([loss for values in losses_by_group.values() for loss in values])
    groups = torch.tensor([g for g, values in losses_by_group.items() for _ in values])
    true = torch.exp(-losses)
    logits = torch.stack((true, 1 - true), 1).log()
    return girl(logits, torch.zeros(len(losses), dtype=torch.int64), groups[:, None].float(), regularise=False).risks


def test_risks_are_exponential_means_and_absent_groups_keep_theirs():
    girl = GIRL(2, 1, groups=3, label_smoothing=0.0)
    girl.style_groups = Fixed()
    first = risks_of(girl, {0: [1.0, 2.0], 1: [0.5, 0.5, 2.0], 2: [4.0]})
    np.testing.assert_allclose(first, [1.5, 1.0, np.nan], rtol=1e-5)  # one sample is not a risk
    second = risks_of(girl, {0: [3.0, 5.0], 1: [9.0]})
    np.testing.assert_allclose(second, [0.9 * 1.5 + 0.1 * 4.0, 1.0, np.nan], rtol=1e-5)
    girl.eval()
    np.testing.assert_allclose(risks_of(girl, {0: [7.0, 7.0]}), second)
    assert girl.risk_updates.tolist() == [2, 1, 0]


def test_a_hard_group_gets_more_of_the_gradient():
    girl = GIRL(2, 1, groups=2, beta=0, penalty=1.0, label_smoothing=0.0)
    girl.style_groups = Fixed()
    risks_of(girl, {0: [0.1, 0.1], 1: [2.0, 2.0]})
    logits = torch.zeros(8, 2, requires_grad=True)
    style = torch.tensor([[0.0]] * 4 + [[1.0]] * 4)
    girl(logits, torch.zeros(8, dtype=torch.int64), style).loss.backward()
    pull = logits.grad.abs().sum(1)
    torch.testing.assert_close(pull[:4], torch.full((4,), 1 / 8))
    assert (pull[4:] > 1.5 / 8).all()


def test_checkpoint_keeps_every_running_value(tmp_path):
    torch.manual_seed(0)
    girl = GIRL(6, 8)
    for _ in range(10):
        girl(*batch())
    torch.save(girl.state_dict(), tmp_path / "girl.pt")
    loaded = GIRL(6, 8)
    loaded.load_state_dict(torch.load(tmp_path / "girl.pt", weights_only=True))
    logits, targets, style = batch()
    for other in (loaded, copy.deepcopy(girl)):
        torch.manual_seed(1)
        expected = girl.eval()(logits, targets, style)
        for a, b in zip(other.eval()(logits, targets, style), expected, strict=True):
            torch.testing.assert_close(a, b, equal_nan=True)
    assert all(value.isfinite().all() for value in girl.state_dict().values())


def test_autocast_changes_little():
    torch.manual_seed(0)
    girl = GIRL(6, 8)
    logits, targets, style = batch()
    twin = copy.deepcopy(girl)
    torch.manual_seed(1)
    exact = girl(logits, targets, style)
    torch.manual_seed(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = twin(logits.bfloat16(), targets, style)
    assert rough.loss.dtype == torch.float32
    assert torch.equal(rough.groups, exact.groups)
    torch.testing.assert_close(rough.loss, exact.loss, rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((4, 5), (4,), (4, 8)), r"K=6.*\(4, 5\)"),
        (((4, 6), (3,), (4, 8)), r"targets.*N=4.*\(3,\)"),
        (((4, 6), (4,), (4, 7)), r"D=8.*\(4, 7\)"),
    ],
)
def test_wrong_input_is_named(shapes, message):
    logits, targets, style = shapes
    with pytest.raises(PiumrError, match=message):
        GIRL(6, 8)(torch.zeros(logits), torch.zeros(targets, dtype=torch.int64), torch.zeros(style))


@pytest.mark.parametrize(
    "options", [{"groups": 0}, {"beta": -1}, {"tau": 0}, {"penalty": -1}, {"label_smoothing": 1.0}, {"num_classes": 1}]
)
def test_wrong_options_are_named(options):
    with pytest.raises(PiumrError, match=next(iter(options))):
        GIRL(**{"num_classes": 6, "style_features": 8} | options)


RANK = """
import sys
import torch
from piumr.girl import GIRL

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
torch.manual_seed(rank)
girl = GIRL(5, 6)
for _ in range(20):
    n = 9 + rank
    girl(torch.randn(n, 5), torch.randint(5, (n,)), torch.randn(n, 6))
torch.save(girl.state_dict(), f"{folder}/{rank}.pt")
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_processes_of_a_distributed_training_agree(tmp_path):
    """Two real processes that see different samples keep the same running values."""
    ranks = [subprocess.Popen([sys.executable, "-c", RANK, str(rank), str(tmp_path)]) for rank in range(2)]
    assert [rank.wait(timeout=300) for rank in ranks] == [0, 0]
    one, two = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], msg=name)
    assert one["style_groups.class_count"].sum() > 20 * (9 + 10) / 2  # both ranks' samples are in
