"""One process a device: how many there are, which of them this is, and what Lightning is told about it.

Lightning starts the processes (``--devices``), or SLURM's ``srun`` and ``torchrun`` do. Every one runs the same command
from its beginning and finds its number in the environment; only the first speaks and writes. Where several processes
share the training, batches are shared (:mod:`piumr.data.batches`), and losses and running statistics are those of the
joint batch (:mod:`piumr.ranks`), so the number of devices is no setting of the method.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.plugins.environments import LightningEnvironment, SLURMEnvironment
from rich.console import Console

from piumr.errors import PiumrError
from piumr.training.config import TrainConfig


def is_first_process(config: TrainConfig) -> bool:
    """Whether this process is the one that speaks and writes."""
    if config.processes == 1:  # srun may run several trainings side by side, each of them alone
        return True
    # of a node that Lightning's launcher was started on by hand, only NODE_RANK tells
    rank: int = rank_zero_only.rank  # type: ignore[attr-defined]
    return rank == 0 and int(os.environ.get("NODE_RANK", "0")) == 0


def check_launch(config: TrainConfig) -> None:
    """Hold the number of devices against the number of processes that SLURM or torchrun has started.

    Raises:
        PiumrError: if they differ.
    """
    started = None
    if "TORCHELASTIC_RUN_ID" in os.environ:
        launcher, started = "torchrun", os.environ["WORLD_SIZE"]
    elif config.processes > 1 and SLURMEnvironment.detect():
        launcher, started = "SLURM", os.environ["SLURM_NTASKS"]
    if started is not None and int(started) != config.processes:
        raise PiumrError(
            f"Expected --devices times --num_nodes to be the {started} processes that {launcher} has started, but got "
            f"{config.devices} times {config.num_nodes}."
        )


def hush(console: Console) -> None:
    """Let a process that is not the first say nothing."""
    console.quiet = True
    logging.disable(logging.WARNING)


def scratch_folder() -> Path:
    """A run folder for a process that is not the first; it goes when the process ends."""
    folder = tempfile.mkdtemp(prefix="piumr-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def leave_the_rest_to_the_first(config: TrainConfig) -> None:
    """End any other process: all that is left is to evaluate, export and write, once.

    Raises:
        SystemExit: with code 0, but in the first process.
    """
    if not is_first_process(config):
        raise SystemExit(0)


def training_device(config: TrainConfig) -> torch.device:
    """The device of this process: a GPU where there is one, else the CPU.

    Raises:
        PiumrError: if this machine has fewer GPUs than ``config.devices``.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if config.devices > torch.cuda.device_count():
        raise PiumrError(
            f"Expected `devices` to be at most {torch.cuda.device_count()}, the GPUs of this machine, but got "
            f"{config.devices}."
        )
    if config.processes == 1:
        return torch.device("cuda")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0"))))


def alone_under_srun(config: TrainConfig) -> list[LightningEnvironment]:
    """What tells Lightning that a training of one process is alone, where ``srun`` runs others beside it."""
    if config.processes > 1 or not SLURMEnvironment.detect() or os.environ["SLURM_NTASKS"] == "1":
        return []
    rank_zero_only.rank = 0  # type: ignore[attr-defined]
    return [LightningEnvironment()]


def trainer_options(config: TrainConfig, device: torch.device) -> dict[str, Any]:
    """Arguments of Lightning's trainer that say where it trains.

    BatchNorm takes its statistics from the joint batch on GPUs; on CPUs, for which torch has no such operator, each
    process normalises by its own share and the first one's running statistics are kept.
    """
    gpu = device.type == "cuda"
    several = config.processes > 1
    return {
        "accelerator": "gpu" if gpu else "cpu",
        "devices": config.devices,
        "num_nodes": config.num_nodes,
        "strategy": "ddp" if several else "auto",
        "sync_batchnorm": several and gpu,
        "use_distributed_sampler": False,  # ClipBatches shares every batch itself
    }
