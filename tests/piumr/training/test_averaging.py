"""The moving average of the weights against torch's own, tensor by tensor."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from piumr.training.averaging import AveragedNetwork


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.register_buffer("places", torch.arange(70, 80))
        self.register_buffer("risk", torch.zeros(2))


def steps(net, count):
    for _ in range(count):
        for tensor in [*net.parameters(), net.layers[1].running_mean, net.layers[1].running_var]:
            tensor.data.add_(torch.randn_like(tensor))
        net.layers[1].num_batches_tracked += 1
        net.risk = torch.rand(2)  # another tensor of that name
        yield


@pytest.mark.parametrize("count", [1, 5])
def test_it_is_torchs_average_with_integers_copied(count):
    torch.manual_seed(0)
    net = Net()
    ours = AveragedNetwork(net, 0.97, torch.device("cpu"))
    oracle = AveragedModel(net, use_buffers=True, avg_fn=lambda mean, value, _: 0.97 * mean + 0.03 * value)
    for _ in steps(net, count):
        ours.update_parameters(net)
        oracle.update_parameters(net)
    assert ours.n_averaged == oracle.n_averaged == count
    assert torch.equal(ours.module.places, torch.arange(70, 80))
    assert ours.module.layers[1].num_batches_tracked == count
    expected = oracle.module.state_dict()
    for key, mean in ours.module.state_dict().items():
        if mean.is_floating_point():
            torch.testing.assert_close(mean, expected[key], msg=key)
            assert count == 1 or not torch.allclose(mean, net.state_dict()[key], atol=1e-3)
    assert all(mean.requires_grad for mean in ours.module.parameters())


def test_norms_may_be_replaced_before_the_first_step():
    """As Lightning does for several GPUs, after the average is made and before the network is moved."""
    torch.manual_seed(0)
    net = Net()
    average = AveragedNetwork(net, 0.5, torch.device("cpu"))
    net = nn.SyncBatchNorm.convert_sync_batchnorm(net)
    assert isinstance(net.layers[1], nn.SyncBatchNorm)
    net.to(torch.float64).to(torch.float32)  # a move gives the new norm other tensors than the old one's
    values = []
    for _ in steps(net, 2):
        average.update_parameters(net)
        values.append(net.layers[1].running_mean.clone())
    torch.testing.assert_close(average.module.layers[1].running_mean, sum(values) / 2)


def test_a_loaded_average_goes_on():
    torch.manual_seed(0)
    net = Net()
    average = AveragedNetwork(net, 0.9, torch.device("cpu"))
    for _ in steps(net, 3):
        average.update_parameters(net)
    loaded = AveragedNetwork(net, 0.9, torch.device("cpu"))
    loaded.load_state_dict(average.state_dict())
    for _ in steps(net, 1):
        average.update_parameters(net)
        loaded.update_parameters(net)
    found = loaded.state_dict()
    assert all(torch.equal(tensor, found[key]) for key, tensor in average.state_dict().items())
