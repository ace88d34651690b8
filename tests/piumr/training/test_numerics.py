"""Half precision, another order of the memory and compilation change how fast a training is, not what it learns."""

from dataclasses import replace

import pytest
import torch

from piumr.data.augment import Augmentation
from piumr.model import ActionNet, ModelConfig
from piumr.training.config import OptimConfig, TrainConfig
from piumr.training.fit import fit, predict
from piumr.training.module import ActionModule

CONFIG = TrainConfig(
    method="erm",
    model=ModelConfig(
        backbone="microgcn-nano",
        backbone_options={"channels": (16, 32), "depths": (1, 1), "strides": (1, 2), "groups": 4, "dropout": 0.0},
        frames=16,
    ),
    optim=OptimConfig(epochs=20, batch_size=6, warmup_epochs=1, learning_rate=0.01),
    augmentation=Augmentation(mirror=0),
)


@pytest.mark.parametrize("method", ["erm", "piumr"])
def test_half_precision_learns_on_the_cpu(store, split, method):
    outcome = fit(store, split.train, replace(CONFIG, method=method, precision="bf16-mixed"))
    weights = list(outcome.net.parameters())
    assert all(weight.dtype == torch.float32 for weight in weights)  # half precision computes, but does not keep
    hits = predict(outcome.net, store, split.test).argmax(1) == store.labels[torch.from_numpy(split.test)]
    assert hits.float().mean() > 0.9


def test_half_precision_is_close_in_its_gradients(store):
    torch.manual_seed(0)
    points, valid = store.evaluation(range(6))
    gradients = []
    for dtype in (None, torch.bfloat16):
        torch.manual_seed(1)
        net = ActionNet(store.layout, store.num_classes, store.dimensions, CONFIG.model, tfam=False)
        with torch.autocast("cpu", dtype, enabled=dtype is not None):
            logits = net(points, valid).logits
        assert logits.dtype == (dtype or torch.float32)
        torch.nn.functional.cross_entropy(logits.float(), store.labels[:6]).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in net.parameters()]))
    full, half = gradients
    assert 0 < (full - half).norm() < 0.1 * full.norm()


def test_channels_last_is_the_same_training(store, split):
    config = replace(CONFIG, optim=replace(CONFIG.optim, epochs=2))
    outcomes = [fit(store, split.train, replace(config, channels_last=on)) for on in (False, True)]
    for plain, last in zip(*(outcome.history for outcome in outcomes), strict=True):
        assert last["loss"] == pytest.approx(plain["loss"], rel=1e-3)
    weight = outcomes[1].net.backbone.stages[1][0].mix[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_compile_trains_the_compiled_function_and_returns_the_plain_network(store, split, monkeypatch):
    calls = []

    def compiled(function, **options):
        assert options == {"dynamic": False}
        return lambda *inputs: calls.append(inputs[0].shape) or function(*inputs)

    monkeypatch.setattr(torch, "compile", compiled)
    config = replace(CONFIG, optim=replace(CONFIG.optim, epochs=1))
    outcome = fit(store, split.train, replace(config, compile=True))
    assert len(calls) == len(split.train) // 6
    assert set(outcome.net.state_dict()) == set(fit(store, split.train, config).net.state_dict())


@pytest.mark.slow
def test_the_real_compiler_computes_the_same(store):
    torch.manual_seed(0)
    points, valid = store.evaluation(range(6))
    net = ActionNet(store.layout, store.num_classes, store.dimensions, CONFIG.model, tfam=False)
    module = ActionModule(net, replace(CONFIG, compile=True), 1)
    found = []
    for run in (net, module.run):  # the gradients at once: a further pass changes the statistics they were kept for
        logits = run(points, valid).logits
        found.append((logits.detach(), torch.autograd.grad(logits.square().sum(), net.parameters())))
    (expected, plain), (logits, compiled) = found
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-4)
    for a, b in zip(plain, compiled, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-2, atol=1e-3 * float(a.abs().max()) + 1e-5)
