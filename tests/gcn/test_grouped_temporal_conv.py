"""The grouped temporal convolution against torch's own."""

import pytest
import torch
from torch import nn

from gcn.layers import GroupedTemporalConv


def both(channels, groups, stride, kernel_size=5):
    torch.manual_seed(0)
    layer = GroupedTemporalConv(channels, kernel_size, stride, groups)
    pad = (kernel_size // 2, 0)
    oracle = nn.Conv2d(channels, channels, (kernel_size, 1), (stride, 1), pad, groups=groups, bias=False)
    oracle.load_state_dict(layer.state_dict())
    return layer, oracle


def gradients(layer, x, dtype=None):
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", dtype, enabled=dtype is not None):
        y = layer(x)
    y.float().square().sum().backward()
    return y, x.grad, layer.weight.grad


@pytest.mark.parametrize(("channels", "groups"), [(8, 2), (12, 2), (16, 2), (32, 2)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_output_and_gradients_are_those_of_conv2d(channels, groups, stride, dtype):
    layer, oracle = both(channels, groups, stride)
    x = torch.randn(3, channels, 9, 4)
    tolerance = {} if dtype is None else {"rtol": 0.02, "atol": 0.02}
    found, expected = gradients(layer, x, dtype), gradients(oracle, x, dtype)
    assert found[0].dtype == expected[0].dtype
    for a, b in zip(found, expected, strict=True):
        scale = b.abs().max()
        torch.testing.assert_close(a / scale, b / scale, **tolerance)


@pytest.mark.parametrize("stride", [1, 3])
def test_gradcheck(stride):
    layer, _ = both(4, 2, stride, 3)
    layer.double()
    x = torch.randn(2, 4, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: torch.func.functional_call(layer, {"weight": w}, x), (x, layer.weight))


def test_without_gradients_it_is_a_convolution():
    layer, oracle = both(8, 2, 2)
    x = torch.randn(1, 8, 7, 3)
    with torch.inference_mode():
        torch.testing.assert_close(layer(x), oracle(x))
    layer.requires_grad_(False)
    x.requires_grad_()
    torch.testing.assert_close(torch.autograd.grad(layer(x).sum(), x), torch.autograd.grad(oracle(x).sum(), x))
