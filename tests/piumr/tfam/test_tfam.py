"""TFAM as a module: fusion, masks, precision, deployment, checkpoints and export."""

import copy

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn.functional import cross_entropy

from gcn import deploy
from piumr.errors import PiumrError
from piumr.tfam import TFAM
from piumr.tfam.tfam import Aligned


def trained(channels=8, frames=8, classes=3, **options):
    """A module whose every parameter and running statistic is away from its initial value."""
    torch.manual_seed(0)
    tfam = TFAM(channels, frames, classes, **options)
    with torch.no_grad():
        for parameter in tfam.parameters():
            parameter.copy_(0.5 * torch.randn_like(parameter))
        for name, running in tfam.named_buffers():
            if name.endswith("running_mean"):
                running.normal_(0, 0.3)
            elif name.endswith("running_var"):
                running.uniform_(0.5, 2)
    return tfam.eval()


def batch(n=4, c=8, t=8, v=5, classes=3):
    x = torch.randn(n, c, t, v)
    valid = torch.rand(n, t, v) > 0.3
    valid[:, 2] = False
    return x, torch.randn(n, classes), valid


def second_look(tfam, x, valid=None):
    alignment = tfam.align(x, valid)
    amplitudes = tfam.frequency(alignment.path, alignment.plan)
    return tfam.classifier(tfam.norm(amplitudes.flatten(1)))


def test_fusion_is_the_product_of_two_experts():
    tfam, (x, logits, _) = trained(), batch()
    out = tfam(x, logits)
    first, second = logits.softmax(1), second_look(tfam, x).softmax(1)
    agreement = (first * second).sqrt().sum(1, keepdim=True)
    torch.testing.assert_close(out.logits.softmax(1), (first * second).sqrt() / agreement)
    torch.testing.assert_close(out.inconsistency, -agreement.log().mean())
    torch.testing.assert_close(out.transport_cost, tfam.align(x).distance.mean())
    assert (first - second).abs().max() > 0.1


def test_the_inconsistency_is_what_the_looks_alone_have_more_loss():
    tfam, (x, logits, _) = trained(), batch()
    out, targets = tfam(x, logits), torch.tensor([0, 2, 1, 2])
    loss = lambda z: cross_entropy(z, targets, label_smoothing=0.1)  # noqa: E731
    alone = (loss(logits) + loss(second_look(tfam, x))) / 2
    torch.testing.assert_close(alone, loss(out.logits) + out.inconsistency)


def test_it_learns_what_the_network_does_not_know():
    """Slow and fast oscillations, which the mean over time does not tell apart; no help from the network's logits."""
    torch.manual_seed(0)
    time = torch.arange(16) / 16

    def make(count):
        labels = torch.randint(2, (count,))
        phase, speed = 6.3 * torch.rand(count, 1), torch.tensor([1.0, 3.0])[labels][:, None]
        x = torch.sin(6.3 * speed * time + phase)[:, None, :, None] + 0.3 * torch.randn(count, 4, 16, 3)
        return x, labels

    tfam = TFAM(4, 16, 2, bands=4)
    optimizer = torch.optim.Adam(tfam.parameters(), 1e-2)
    for _ in range(60):
        x, labels = make(32)
        out = tfam(x, torch.zeros(32, 2))
        loss = cross_entropy(out.logits, labels) + 0.1 * out.transport_cost + 0.5 * out.inconsistency
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in tfam.parameters())
    x, labels = make(200)
    assert (tfam.eval()(x, torch.zeros(200, 2)).logits.argmax(1) == labels).float().mean() > 0.95


@pytest.mark.parametrize("train", [False, True])
def test_a_clip_without_a_valid_frame_keeps_its_logits_and_adds_nothing(train):
    tfam = trained(perturb_probability=0.0, dropout=0.0).train(train)
    x, logits, valid = batch()
    valid[1] = False
    out = tfam(x, logits, valid)
    assert torch.equal(out.logits[1], logits[1])
    assert not torch.allclose(out.logits[0], logits[0], atol=1e-2)
    if not train:  # in training the norm sees all clips
        kept = [0, 2, 3]
        alone = tfam(x[kept], logits[kept], valid[kept])
        torch.testing.assert_close(out.transport_cost, alone.transport_cost)
        torch.testing.assert_close(out.inconsistency, alone.inconsistency)
    nothing = tfam(x, logits, torch.zeros_like(valid))
    assert torch.equal(nothing.logits, logits)
    assert nothing.transport_cost.item() == nothing.inconsistency.item() == 0
    assert all(p.grad is None or p.grad.isfinite().all() for p in backward(tfam, nothing))


def backward(tfam, out):
    tfam.zero_grad()
    (out.logits.sum() + out.transport_cost + out.inconsistency).backward()
    return list(tfam.parameters())


def test_a_batch_of_one_trains_by_the_running_statistics():
    tfam = trained(dropout=0.0)
    x, logits, _ = batch(1)
    expected = tfam(x, logits).logits
    torch.testing.assert_close(tfam.train()(x, logits).logits, expected)


def test_all_valid_is_the_same_as_no_mask():
    tfam = trained()
    x, logits, valid = batch()
    for a, b in zip(tfam(x, logits, torch.ones_like(valid)), tfam(x, logits), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_what_is_missing_has_no_influence():
    tfam = trained()
    x, logits, valid = batch()
    other = torch.where(valid.unsqueeze(1), x, x + 10)
    torch.testing.assert_close(tfam(x, logits, valid).logits, tfam(other, logits, valid).logits)


def test_the_order_of_the_joints_does_not_matter():
    tfam = trained()
    x, logits, valid = batch()
    order = torch.randperm(5)
    permuted = tfam(x[..., order], logits, valid[..., order])
    torch.testing.assert_close(permuted.logits, tfam(x, logits, valid).logits, rtol=1e-4, atol=1e-5)


def test_samples_are_independent_and_evaluation_is_deterministic():
    tfam = trained()
    x, logits, valid = batch()
    whole = tfam(x, logits, valid).logits
    assert torch.equal(whole, tfam(x, logits, valid).logits)
    torch.testing.assert_close(whole[:1], tfam(x[:1], logits[:1], valid[:1]).logits, rtol=1e-4, atol=1e-5)


def test_gradients_by_finite_differences():
    tfam = trained(2, 4, mass="uniform").double()  # motion mass is detached on purpose
    x = torch.randn(2, 2, 4, 2, dtype=torch.float64, requires_grad=True)
    logits = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    valid = torch.ones(2, 4, 2, dtype=torch.bool)
    valid[0, 1] = False
    assert torch.autograd.gradcheck(lambda x, logits: tuple(tfam(x, logits, valid)), (x, logits), atol=1e-4)


@pytest.mark.parametrize("train", [False, True])
def test_bfloat16_autocast_is_close_to_full_precision(train):
    tfam = trained(perturb_probability=0.0, dropout=0.0).train(train)
    x, logits, valid = batch()
    valid[1] = False
    exact = tfam(x, logits, valid)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = tfam(x.bfloat16(), logits.bfloat16(), valid)
        assert all(value.dtype == torch.float32 for value in rough)
        torch.testing.assert_close(rough.logits, exact.logits, rtol=0.05, atol=0.1)
        same = tfam(x, logits, valid)
    assert torch.equal(same.logits, exact.logits)  # all of it is in full precision
    assert all(p.grad is None or p.grad.isfinite().all() for p in backward(tfam, rough))


def test_deployed_it_is_the_same_without_a_norm():
    tfam, (x, logits, valid) = trained(), batch()
    expected = tfam(x, logits, valid).logits
    deployed = deploy(tfam)
    assert not any(isinstance(module, torch.nn.BatchNorm1d) for module in deployed.modules())
    torch.testing.assert_close(deployed(x, logits, valid).logits, expected)
    torch.testing.assert_close(tfam(x, logits, valid).logits, expected)


def test_copies_and_checkpoints_keep_everything(tmp_path):
    tfam = trained()
    given = batch()
    expected = tfam(*given).logits
    average = torch.optim.swa_utils.AveragedModel(tfam, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    average.update_parameters(tfam)
    assert torch.equal(average.eval()(*given).logits, expected)
    assert torch.equal(copy.deepcopy(tfam)(*given).logits, expected)
    torch.save(tfam.state_dict(), tmp_path / "tfam.pt")
    loaded = TFAM(8, 8, 3).eval()
    loaded.load_state_dict(torch.load(tmp_path / "tfam.pt", weights_only=True))
    assert torch.equal(loaded(*given).logits, expected)


class Logits(torch.nn.Module):
    """What a deployed model uses of TFAM."""

    def __init__(self, tfam):
        super().__init__()
        self.tfam = tfam

    def forward(self, x, logits, valid):
        return self.tfam(x, logits, valid).logits


def test_onnx_export_with_a_dynamic_batch(tmp_path):
    tfam = trained()
    dim = torch.export.Dim("batch")
    path = tmp_path / "tfam.onnx"
    torch.onnx.export(
        Logits(tfam).eval(),
        batch(),
        path,
        dynamo=True,
        opset_version=18,
        input_names=["x", "logits", "valid"],
        dynamic_shapes={"x": {0: dim}, "logits": {0: dim}, "valid": {0: dim}},
        verbose=False,
    )
    session = onnxruntime.InferenceSession(path)
    for n in (1, 2, 7):
        x, logits, valid = batch(n)
        valid[-1] = n == 1
        (got,) = session.run(None, {"x": x.numpy(), "logits": logits.numpy(), "valid": valid.numpy()})
        np.testing.assert_allclose(got, tfam(x, logits, valid).logits.detach(), rtol=0, atol=1e-5)


GIVEN, NOTHING = torch.zeros(2, 8, 8, 5), torch.zeros(2, 3)


@pytest.mark.parametrize(
    ("x", "logits", "valid", "message"),
    [
        (torch.zeros(2, 8, 9, 5), NOTHING, None, r"T = 8 frames.*T = 9.*TFAM\(8, frames=9"),
        (torch.zeros(2, 7, 8, 5), NOTHING, None, r"C=8.*\(2, 7, 8, 5\)"),
        (torch.zeros(8, 8, 5), NOTHING, None, r"\(N, C=8, T, V\)"),
        (GIVEN, torch.zeros(2, 4), None, r"`logits`.*\(N=2, K=3\).*\(2, 4\)"),
        (GIVEN, NOTHING, torch.ones(2, 8, 4, dtype=torch.bool), r"\(2, 8, 5\).*\(2, 8, 4\)"),
        (GIVEN, NOTHING, torch.ones(2, 8, 5), r"bool.*float32"),
    ],
)
def test_wrong_input_is_named(x, logits, valid, message):
    with pytest.raises(PiumrError, match=message):
        TFAM(8, 8, 3)(x, logits, valid)


@pytest.mark.parametrize(
    "options",
    [
        {"frames": 1},
        {"channels": 0},
        {"num_classes": 1},
        {"bands": 2.5},
        {"mass": "other"},
        {"perturb_probability": 2},
        {"perturb_scale": float("nan")},
        {"still_share": -1},
        {"dropout": "some"},
    ],
)
def test_wrong_options_are_named(options):
    with pytest.raises(PiumrError, match=next(iter(options))):
        TFAM(**{"channels": 8, "frames": 8, "num_classes": 3} | options)


def test_the_result_has_names():
    x, logits, _ = batch()
    out = TFAM(8, 8, 3)(x, logits)
    assert isinstance(out, Aligned)
    assert out.transport_cost.shape == out.inconsistency.shape == ()
