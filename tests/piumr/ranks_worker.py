"""What the tests of distributed training compute: in one process on a whole batch, or as a script in one of two.

python ranks_worker.py RANK FOLDER
"""

import datetime
import sys
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from piumr.data.batches import Batch
from piumr.layouts import get_layout
from piumr.model import ActionNet, ModelConfig
from piumr.ranks import mean_over_ranks, std_over_ranks, sum_over_ranks
from piumr.training.config import MethodConfig, OptimConfig, TrainConfig
from piumr.training.module import ActionModule

CLIPS, CLASSES, FRAMES = 13, 4, 8
LAYOUT = get_layout("coco-17")
MODEL = ModelConfig(
    backbone_options={"channels": (8, 12), "depths": (1, 1), "strides": (1, 2), "dropout": 0.0},
    frames=FRAMES,
    tfam_options={"dropout": 0.0, "perturb_probability": 0.5},
)


def batch(seed, clips=CLIPS):
    """Clips of which some joints and one whole clip are missing."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(clips, 2, FRAMES, len(LAYOUT), generator=generator)
    valid = torch.rand(clips, FRAMES, len(LAYOUT), generator=generator) > 0.2
    valid[3] = False
    return Batch(points, valid, torch.randint(CLASSES, (clips,), generator=generator))


@contextmanager
def noise_of_joint_batch(rank, world):
    """The random numbers of TFAM's perturbation are those that one process would draw for the whole batch."""
    kept = torch.randn_like, torch.rand_like

    def share(draw):
        generator = torch.Generator().manual_seed(5)
        return lambda x: draw((CLIPS, *x.shape[1:]), generator=generator)[rank::world]

    torch.randn_like, torch.rand_like = share(torch.randn), share(torch.rand)
    try:
        yield
    finally:
        torch.randn_like, torch.rand_like = kept


class Step(nn.Module):
    """The training step as a forward pass, which DistributedDataParallel wraps."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, whole):
        return self.module.training_step(whole, 0)


def trained_a_little(method):
    """A training module whose TFAM has attention and whose GIRL has four groups with risks; BatchNorm is fixed."""
    torch.manual_seed(0)
    net = ActionNet(LAYOUT, CLASSES, 2, MODEL, tfam=method in ("tfam", "piumr")).train()
    config = TrainConfig(method, MODEL, OptimConfig(), MethodConfig(girl_warmup=0, group_penalty=2.0))
    module = ActionModule(net, config, 1)
    if net.tfam is not None:
        for parameter in net.tfam.parameters():
            nn.init.normal_(parameter, std=0.3)
    for seed in range(20):
        with torch.no_grad():
            module.training_step(batch(100 + seed, 32), 0)
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.eval()
    return module


def step(module, rank, world):
    """Loss, gradients and buffers after one step on the share of a process."""
    whole = batch(1)
    share = Batch(*(tensor[rank::world] for tensor in whole[:3]))
    wrapped = Step(module) if world == 1 else DistributedDataParallel(Step(module))
    with noise_of_joint_batch(rank, world):
        loss = wrapped(share)
    loss.backward()
    return {
        "loss": loss.detach(),
        "gradients": {name: parameter.grad for name, parameter in module.named_parameters()},
        "buffers": dict(module.named_buffers()),
    }


def statistics(rank, world):
    """Sums, means and standard deviations of shares of different sizes, with gradients."""
    values = torch.arange(1.0, 8.0).square()[rank::world].requires_grad_()
    mask = (torch.arange(7) % 3 > 0)[rank::world]
    (total,) = sum_over_ranks(values.sum())
    masked = mean_over_ranks(values, mask)
    (gradient,) = torch.autograd.grad(masked.log() + mean_over_ranks(values), values)
    return {
        "total": total.detach(),
        "mean": mean_over_ranks(values).detach(),
        "masked": masked.detach(),
        "nothing": mean_over_ranks(values, mask & False).detach(),
        "std": std_over_ranks(torch.stack((values, -3 * values), 1)),
        "gradient": gradient,
    }


METHODS = ("erm", "tfam", "girl", "piumr")


if __name__ == "__main__":
    rank, folder = int(sys.argv[1]), sys.argv[2]
    modules = {method: trained_a_little(method) for method in METHODS}
    dist.init_process_group("gloo", f"file://{folder}/meet", datetime.timedelta(seconds=120), rank=rank, world_size=2)
    results = {method: step(module, rank, 2) for method, module in modules.items()}
    torch.save({**results, "statistics": statistics(rank, 2)}, f"{folder}/{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()
