"""TFAM as a module: identity, masks, fusion, precision, checkpoints and export."""

import copy

import numpy as np
import onnxruntime
import pytest
import torch

from piumr.errors import PiumrError
from piumr.tfam import TFAM
from piumr.tfam.tfam import Aligned


def trained(channels=8, frames=8, **options):
    """A module whose every parameter and running statistic is away from its initial value."""
    torch.manual_seed(0)
    tfam = TFAM(channels, frames, **options)
    with torch.no_grad():
        for parameter in tfam.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
        for name, running in tfam.named_buffers():
            if name.endswith("running_mean"):
                running.normal_(0, 0.3)
            elif name.endswith("running_var"):
                running.uniform_(0.5, 2)
    return tfam.eval()


def batch(n=4, c=8, t=8, v=5):
    x = torch.randn(n, c, t, v)
    valid = torch.rand(n, t, v) > 0.3
    valid[:, 2] = False
    return x, valid


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
@pytest.mark.parametrize("train", [False, True])
def test_identity_at_initialisation(train, scale):
    x, valid = batch()
    x, tfam = x * scale, TFAM(8, 8).train(train)
    valid[0] = False
    assert torch.equal(tfam(x, valid).features, x)
    assert torch.equal(tfam(x).features, x)
    constant = torch.full_like(x, 3.0)
    assert torch.equal(tfam(constant).features, constant)


def test_it_learns():
    x, _ = batch()
    tfam = TFAM(8, 8)
    target = torch.randn_like(x)
    optimizer = torch.optim.Adam(tfam.parameters(), 1e-2)
    for _ in range(3):
        out = tfam(x)
        loss = (out.features - target).square().mean() + out.transport_cost + out.inconsistency
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert not torch.equal(tfam.eval()(x).features, x)
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in tfam.parameters())


def test_fusion_is_its_formula():
    tfam = trained()
    x, _ = batch()
    out, alignment = tfam(x), tfam.align(x)
    weights = 8 * alignment.plan
    zt, zf = alignment.features, tfam.frequency(x)
    t, f = zt.mean(3), torch.einsum("nmt,nct->ncm", weights, zf.mean(3))
    centre = lambda z: z - z.mean(2, keepdim=True)  # noqa: E731
    r = torch.nn.functional.cosine_similarity(centre(t), centre(f), dim=1).mean(1)
    pool = [p for z in (t, f) for p in (z.mean(2),)] + [z.std(2, correction=0) for z in (t, f)]
    alpha = torch.sigmoid(torch.cat([*pool, r[:, None]], 1) @ tfam.weigh.weight.T + tfam.weigh.bias)[..., None, None]
    expected = x + alpha * tfam.project_temporal(zt) + (1 - alpha) * tfam.project_frequency(zf)
    torch.testing.assert_close(out.features, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(out.inconsistency, (1 - r).mean(), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(out.transport_cost, (alignment.plan * alignment.cost).sum((1, 2)).mean())
    assert alpha.std() > 0.01


def test_branches_agree_until_the_gate_filters_or_the_spectrum_is_perturbed():
    x, _ = batch()
    tfam = TFAM(8, 8, perturb_probability=1.0)
    assert float(tfam.eval()(x).inconsistency.detach()) == pytest.approx(0, abs=1e-5)
    assert float(tfam.train()(x).inconsistency.detach()) > 1e-3


@pytest.mark.parametrize("train", [False, True])
def test_a_clip_without_a_valid_frame_passes_through_and_adds_nothing(train):
    tfam = trained(perturb_probability=0.0).train(train)
    x, valid = batch()
    valid[1] = False
    out = tfam(x, valid)
    assert torch.equal(out.features[1], x[1])
    assert not torch.allclose(out.features[0], x[0], atol=1e-2)
    kept = [0, 2, 3]
    alone = tfam(x[kept], valid[kept])
    torch.testing.assert_close(out.transport_cost, alone.transport_cost)
    torch.testing.assert_close(out.inconsistency, alone.inconsistency)
    nothing = tfam(x, torch.zeros_like(valid))
    assert torch.equal(nothing.features, x)
    assert nothing.transport_cost.item() == nothing.inconsistency.item() == 0
    assert all(p.grad is None or p.grad.isfinite().all() for p in backward(tfam, nothing))


def backward(tfam, out):
    tfam.zero_grad()
    (out.features.sum() + out.transport_cost + out.inconsistency).backward()
    return list(tfam.parameters())


def test_all_valid_is_the_same_as_no_mask():
    tfam = trained()
    x, valid = batch()
    for a, b in zip(tfam(x, torch.ones_like(valid)), tfam(x), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_missing_frames_influence_no_other_frame():
    """Masked frames are left out of the transport and interpolated in the spectrum."""
    tfam = trained()
    x, valid = batch()
    other = x.clone()
    other[:, :, 2] += 10  # frame 2 is missing in every clip; only the joint means and the residual see it
    a, b = tfam.align(x, valid), tfam.align(other, valid)
    torch.testing.assert_close(a.features, b.features)
    kept = [0, 1, 3, 4, 5, 6, 7]
    torch.testing.assert_close(tfam(x, valid).features[:, :, kept], tfam(other, valid).features[:, :, kept])


def test_joint_permutation_equivariance():
    tfam = trained()
    x, valid = batch()
    order = torch.randperm(5)
    permuted = tfam(x[..., order], valid[..., order])
    torch.testing.assert_close(permuted.features, tfam(x, valid).features[..., order], rtol=1e-4, atol=1e-5)


def test_samples_are_independent_and_evaluation_is_deterministic():
    tfam = trained()
    x, valid = batch()
    whole = tfam(x, valid).features
    assert torch.equal(whole, tfam(x, valid).features)
    torch.testing.assert_close(whole[:1], tfam(x[:1], valid[:1]).features, rtol=1e-4, atol=1e-5)


def test_gradients_by_finite_differences():
    tfam = trained(2, 3, iterations=3, eps=0.3, mass="uniform").double()  # motion mass is detached on purpose
    x = torch.randn(2, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    valid = torch.ones(2, 3, 2, dtype=torch.bool)
    valid[0, 1] = False
    assert torch.autograd.gradcheck(lambda x: tuple(tfam(x, valid)), x, atol=1e-4)


@pytest.mark.parametrize("train", [False, True])
def test_bfloat16_autocast_is_close_to_full_precision(train):
    tfam = trained(perturb_probability=0.0).train(train)
    x, valid = batch()
    valid[1] = False
    exact = tfam(x, valid)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for given in (x, x.bfloat16()):
            out = tfam(given, valid)
            assert out.features.dtype == given.dtype
            assert out.transport_cost.dtype == out.inconsistency.dtype == torch.float32
            torch.testing.assert_close(out.features.float(), exact.features, rtol=0.03, atol=0.06)
            torch.testing.assert_close(out.transport_cost, exact.transport_cost, rtol=0.01, atol=0.01)
            torch.testing.assert_close(out.inconsistency, exact.inconsistency, rtol=0.02, atol=0.02)
        assert tfam.align(x.bfloat16(), valid).plan.dtype == torch.float32
        plan, spectrum = tfam.align(x, valid).plan, tfam.frequency(x)
    assert torch.equal(plan, tfam.align(x, valid).plan)  # the transport and the DCT are in full precision
    assert torch.equal(spectrum, tfam.frequency(x))
    assert all(p.grad is None or p.grad.isfinite().all() for p in backward(tfam, out))


def test_copies_and_checkpoints_keep_everything(tmp_path):
    tfam = trained()
    x, valid = batch()
    expected = tfam(x, valid).features
    average = torch.optim.swa_utils.AveragedModel(tfam, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    average.update_parameters(tfam)
    assert torch.equal(average.eval()(x, valid).features, expected)
    assert torch.equal(copy.deepcopy(tfam)(x, valid).features, expected)
    torch.save(tfam.state_dict(), tmp_path / "tfam.pt")
    loaded = TFAM(8, 8).eval()
    loaded.load_state_dict(torch.load(tmp_path / "tfam.pt", weights_only=True))
    assert torch.equal(loaded(x, valid).features, expected)


class Features(torch.nn.Module):
    """What a deployed model uses of TFAM."""

    def __init__(self, tfam):
        super().__init__()
        self.tfam = tfam

    def forward(self, x, valid):
        return self.tfam(x, valid).features


def test_onnx_export_with_a_dynamic_batch(tmp_path):
    tfam = trained(iterations=5)  # what is exported does not depend on how often
    x, valid = batch()
    dim = torch.export.Dim("batch")
    path = tmp_path / "tfam.onnx"
    torch.onnx.export(
        Features(tfam).eval(),
        (x, valid),
        path,
        dynamo=True,
        opset_version=18,
        input_names=["x", "valid"],
        dynamic_shapes={"x": {0: dim}, "valid": {0: dim}},
        verbose=False,
    )
    session = onnxruntime.InferenceSession(path)
    for n in (1, 2, 7):
        x, valid = batch(n)
        valid[-1] = n == 1
        (got,) = session.run(None, {"x": x.numpy(), "valid": valid.numpy()})
        np.testing.assert_allclose(got, tfam(x, valid).features.detach(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("x", "valid", "message"),
    [
        (torch.zeros(2, 8, 9, 5), None, r"T = 8 frames.*T = 9.*TFAM\(channels=8, frames=9\)"),
        (torch.zeros(2, 7, 8, 5), None, r"C=8.*\(2, 7, 8, 5\)"),
        (torch.zeros(8, 8, 5), None, r"\(N, C=8, T, V\)"),
        (torch.zeros(2, 8, 8, 5), torch.ones(2, 8, 4, dtype=torch.bool), r"\(2, 8, 5\).*\(2, 8, 4\)"),
        (torch.zeros(2, 8, 8, 5), torch.ones(2, 8, 5), r"bool.*float32"),
    ],
)
def test_wrong_input_is_named(x, valid, message):
    with pytest.raises(PiumrError, match=message):
        TFAM(8, 8)(x, valid)


@pytest.mark.parametrize(
    "options",
    [{"frames": 1}, {"channels": 0}, {"eps": 0}, {"iterations": 0}, {"mass": "other"}, {"perturb_probability": 2}],
)
def test_wrong_options_are_named(options):
    with pytest.raises(PiumrError, match=next(iter(options))):
        TFAM(**{"channels": 8, "frames": 8} | options)


def test_the_result_has_names():
    out = TFAM(8, 8)(batch()[0])
    assert isinstance(out, Aligned)
    assert out.transport_cost.shape == out.inconsistency.shape == ()
