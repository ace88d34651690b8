"""Two processes that share a batch against one that has it whole: the same loss, gradients and statistics."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.filterwarnings("ignore:You are trying to .self.log")  # there is no trainer
WORKER = Path(__file__).with_name("ranks_worker.py")


@pytest.fixture(scope="module")
def worker():
    return runpy.run_path(str(WORKER))


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What two real processes computed."""
    folder = tmp_path_factory.mktemp("ranks")
    both = [subprocess.Popen([sys.executable, str(WORKER), str(rank), str(folder)]) for rank in range(2)]
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("method", ["erm", "tfam", "girl", "piumr"])
def test_a_shared_batch_is_one_batch(worker, ranks, method):
    """BatchNorm is in evaluation mode, the perturbation has given noise; the shares have 7 and 6 clips."""
    whole = worker["step"](worker["trained_a_little"](method), 0, 1)
    assert sum(float(gradient.abs().sum()) for gradient in whole["gradients"].values()) > 1
    for rank in ranks:
        torch.testing.assert_close(rank[method]["loss"], whole["loss"], rtol=1e-5, atol=1e-6)
        for what in ("gradients", "buffers"):
            assert rank[method][what].keys() == whole[what].keys()
            for name, value in whole[what].items():
                torch.testing.assert_close(rank[method][what][name], value, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("method", ["erm", "tfam", "girl", "piumr"])
def test_shares_on_their_own_have_other_gradients(worker, method):
    """What the processes would compute without an exchange: the test above would notice."""
    whole = worker["step"](worker["trained_a_little"](method), 0, 1)["gradients"]
    parts = []
    for rank in range(2):
        module = worker["trained_a_little"](method)
        share = type(worker["batch"](1))(*(tensor[rank::2] for tensor in worker["batch"](1)[:3]))
        with worker["noise_of_joint_batch"](rank, 2):
            module.training_step(share, 0).backward()
        parts.append({name: parameter.grad for name, parameter in module.named_parameters()})
    difference = {name: float((parts[0][name] + parts[1][name] - 2 * g).abs().max()) / 2 for name, g in whole.items()}
    assert max(difference.values()) > 1e-3, difference


def test_both_processes_have_the_same(ranks):
    for method in ("erm", "tfam", "girl", "piumr"):
        for what in ("gradients", "buffers"):
            for name, value in ranks[0][method][what].items():
                assert torch.equal(value, ranks[1][method][what][name]), name


def test_statistics_are_those_of_all_values(ranks):
    values = torch.arange(1.0, 8.0).square().requires_grad_()
    mask = torch.arange(7) % 3 > 0
    columns = torch.stack((values, -3 * values), 1).detach()
    (gradient,) = torch.autograd.grad(values[mask].mean().log() + values.mean(), values)
    for number, rank in enumerate(ranks):
        found = rank["statistics"]
        torch.testing.assert_close(found["total"], values.sum().detach())
        torch.testing.assert_close(found["mean"], values.mean().detach())
        torch.testing.assert_close(found["masked"], values[mask].mean().detach())
        assert float(found["nothing"]) == 0
        torch.testing.assert_close(found["std"], columns.std(0, correction=0))
        # twice the gradient of its own part, of which DistributedDataParallel takes half
        torch.testing.assert_close(found["gradient"], 2 * gradient[number::2])


def test_one_process_has_the_plain_statistics(worker):
    found = worker["statistics"](0, 1)
    values = torch.arange(1.0, 8.0).square()
    torch.testing.assert_close(found["total"], values.sum())
    torch.testing.assert_close(found["masked"], values[torch.arange(7) % 3 > 0].mean())
    assert float(found["nothing"]) == 0
