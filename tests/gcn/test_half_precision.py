"""Every backbone trains in bf16 autocast: finite, and with gradients that point where those of full precision do."""

import pytest
import torch

import gcn

SMALL = {"channels": (16, 32), "depths": (2, 1), "strides": (1, 2)}


@pytest.mark.parametrize("name", gcn.list_backbones())
def test_a_deployed_network_runs_in_half_precision(name):
    torch.manual_seed(0)
    net = gcn.create_backbone(name, 3, 7, edges=[], parents=[0, 0, 1, 2, 1], **SMALL).eval().deploy()
    x = torch.randn(4, 3, 16, 5)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        half = net(x)
    full = net(x)
    assert half.dtype == torch.bfloat16
    assert torch.linalg.vector_norm(half.float() - full) < 0.05 * torch.linalg.vector_norm(full)


@pytest.mark.parametrize("name", gcn.list_backbones())
def test_gradients_of_half_precision_agree(name):
    gradients = []
    for half in (False, True):
        torch.manual_seed(0)
        net = gcn.create_backbone(name, 3, 7, edges=[], parents=[0, 0, 1, 2, 1], dropout=0.0, **SMALL)
        torch.nn.init.normal_(net.classifier.weight)
        for module in net.modules():
            if hasattr(module, "gain"):
                torch.nn.init.normal_(module.gain)
        x, valid = torch.randn(8, 3, 16, 5), torch.rand(8, 16, 5) > 0.2
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = net(x, valid)
        assert logits.dtype == (torch.bfloat16 if half else torch.float32)
        torch.nn.functional.cross_entropy(logits.float(), torch.arange(8) % 7).backward()
        assert all(p.grad.dtype == torch.float32 for p in net.parameters())
        gradients.append(torch.cat([p.grad.flatten() for p in net.parameters()]))
    full, half = gradients
    # noise in, so that ReLUs near zero and the norms of a small batch take every rounding further
    assert torch.nn.functional.cosine_similarity(full, half, dim=0) > 0.95
    assert not torch.equal(full, half)
