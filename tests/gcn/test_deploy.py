"""The deployed form computes what the trained network computes."""

import pytest
import torch
from torch import nn

import gcn

CHAIN = {"edges": [(0, 1), (1, 2), (2, 3), (1, 4)], "parents": [0, 0, 1, 2, 1]}
SMALL = {"channels": (16, 32, 48), "depths": (2, 1, 1), "strides": (1, 2, 2)}


def trained_like(name, **options):
    """Weights and gains at random, some scales negative, and the statistics that such a network has."""
    torch.manual_seed(0)
    net = gcn.create_backbone(name, 3, 7, **(CHAIN | SMALL | options))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias, 0, 0.3)
            module.momentum = None  # the mean over the passes below
        for key, parameter in module.named_parameters(recurse=False):
            if key in ("gain", "importance"):
                nn.init.normal_(parameter, 0.3, 0.3)
    nn.init.normal_(net.classifier.weight)
    for _ in range(2):
        net(torch.randn(4, 3, 16, 5))
    return net.eval()


@pytest.fixture(params=gcn.list_backbones())
def name(request):
    return request.param


def relative_difference(net, other, x, valid):
    with torch.no_grad():
        expected, got = net(x, valid), other(x, valid)
    assert expected.std() > 1e-2
    return float((expected - got).abs().max() / expected.abs().max())


@pytest.mark.parametrize(("N", "T"), [(1, 16), (3, 13)])
def test_deployed_form_is_the_same_function(name, N, T):
    net = trained_like(name)
    x, valid = torch.randn(N, 3, T, 5), torch.rand(N, T, 5) > 0.3
    assert relative_difference(net, net.deploy(), x, valid) < 1e-5
    # what is left is rounding alone
    net = net.double()
    assert relative_difference(net, net.deploy(), x.double(), valid) < 1e-12


def test_deployed_form_has_no_norm_and_nothing_to_train(name):
    deployed = trained_like(name).deploy()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in deployed.modules())
    assert not any(p.requires_grad for p in deployed.parameters())
    assert not deployed.training


def test_deploying_leaves_the_network_as_it_was(name):
    net = trained_like(name).train()
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    gcn.deploy(net)
    assert net.training
    assert all(p.requires_grad for p in net.parameters())
    assert net.state_dict().keys() == before.keys()
    assert all(torch.equal(before[key], tensor) for key, tensor in net.state_dict().items())


def test_deployed_form_keeps_the_contract(name):
    deployed = trained_like(name).deploy()
    x = deployed.stem(torch.randn(2, 3, 30, 5))
    for stage, channels, frames in zip(
        deployed.stages, deployed.stage_channels, deployed.stage_frames(30), strict=True
    ):
        x = stage(x)
        assert x.shape == (2, channels, frames, 5)
    assert deployed.forward_head(x, pre_logits=True).shape == (2, deployed.num_features)


def test_deploying_twice_changes_nothing(name):
    deployed = trained_like(name).deploy()
    x = torch.randn(2, 3, 16, 5)
    assert relative_difference(deployed, deployed.deploy(), x, None) == 0


def test_a_norm_before_a_padded_convolution_stays():
    """There the shift does not reach the padding: folding it would be wrong."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, (3, 1), padding=(1, 0)))
    net(torch.randn(8, 3, 6, 2) * 2 + 1)
    net.eval()
    x = torch.randn(2, 3, 6, 2)
    torch.testing.assert_close(gcn.deploy(net)(x), net(x))
