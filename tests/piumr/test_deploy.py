"""Every backbone with TFAM inside, deployed and through ONNX, computes what the trained network computes."""

import pytest
import torch
from torch import nn

import gcn
from piumr.export import export_onnx
from piumr.inference import ModelCard, Recognizer
from piumr.layouts import get_layout
from piumr.model import ActionNet, ModelConfig

LAYOUT = get_layout("kinect-20")
CARD = ModelCard(("a", "b", "c"), LAYOUT, frames=12, coordinates="metric")


def trained_like(name):
    """A network with TFAM whose weights and statistics are all away from their initial values."""
    torch.manual_seed(0)
    options = {"channels": (16, 24), "depths": (1, 1), "strides": (1, 2)}
    net = ActionNet(LAYOUT, 3, 3, ModelConfig(name, options, frames=12), tfam=True)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias, 0, 0.3)
        if isinstance(getattr(module, "gain", None), nn.Parameter):
            nn.init.normal_(module.gain, 0, 0.3)
    nn.init.normal_(net.backbone.classifier.weight)
    for _ in range(20):  # statistics that such a network has
        net(torch.randn(4, 3, 12, 20), torch.ones(4, 12, 20, dtype=torch.bool))
    return net.eval()


def clips():
    points, valid = torch.randn(3, 3, 12, 20), torch.rand(3, 12, 20) > 0.3
    valid[0] = False  # without anyone
    return points, valid


def check(net, got, points, valid):
    with torch.no_grad():
        expected = net(points, valid).logits
    assert expected.std() > 0.1
    assert (got - expected).abs().max() / expected.abs().max() < 1e-5


@pytest.mark.parametrize("name", ["stgcn", "aagcn", "stgcnpp", "ctrgcn", "microgcn-nano"])
def test_deployed_network_is_the_trained_one(name):
    net, (points, valid) = trained_like(name), clips()
    deployed = gcn.deploy(net)
    assert not any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in deployed.modules())
    with torch.no_grad():
        check(net, deployed(points, valid).logits, points, valid)


@pytest.mark.parametrize(
    "name",
    ["microgcn-nano", *(pytest.param(n, marks=pytest.mark.slow) for n in ("stgcn", "aagcn", "stgcnpp", "ctrgcn"))],
)
def test_exported_network_is_the_trained_one(name, tmp_path):
    net, (points, valid) = trained_like(name), clips()
    export_onnx(net, CARD, tmp_path / "model.onnx")
    recognizer = Recognizer(tmp_path / "model.onnx", threads=1)
    check(net, torch.from_numpy(recognizer.logits(points.numpy(), valid.numpy())), points, valid)
