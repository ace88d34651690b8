"""The run folder: making it, finding out where a run in it stopped, and the configuration it keeps."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml

from piumr.data.source import SYNTHETIC, DataConfig
from piumr.errors import PiumrError
from piumr.training.config import TrainConfig

ROOM = 64 << 20
"""Bytes that must be free on the disk of the run folder."""

CONFIG = "config.yaml"

EVALUATIONS = ["evaluation.json", *(f"evaluation-*/{name}" for name in ("*.json", "predictions.csv", "report.html"))]
"""What ``piumr-evaluate`` leaves in a run folder; it speaks of one network, and goes when another takes its place."""

WRITTEN = (
    *f"{CONFIG} run.json last.ckpt checkpoint.pt model.onnx metrics.json history.csv predictions.csv".split(),
    *"curves.png report.html examples/*.npz tensorboard/*".split(),
    *EVALUATIONS,
)
"""What a run writes, or is written about it, and ``overwrite`` removes."""


def claim_folder(out: Path | None, overwrite: bool) -> Path:
    """Make the run folder: the one asked for, if nothing is lost by it, else the first free one under ``runs/``.

    Raises:
        PiumrError: if ``out`` is a file, or holds files and ``overwrite`` is not set.
        OSError: if it cannot be made, or the disk is full.
    """
    if out is None:
        numbers = itertools.count(1)
        while True:
            folder = Path("runs") / str(next(numbers))
            with contextlib.suppress(FileExistsError):
                folder.mkdir(parents=True)
                break
    else:
        folder = out
        if folder.exists() and not folder.is_dir():
            raise PiumrError(f"Expected `out` to be a folder, but {str(out)!r} is a file.")
        if folder.is_dir() and any(folder.iterdir()) and not overwrite:
            unfinished = (folder / "run.json").is_file() and not is_finished(folder)
            way = f"add --overwrite, or go on with --resume {folder}" if unfinished else "add --overwrite"
            raise PiumrError(f"Expected `out` to be an empty folder, but {str(out)!r} holds files: {way}.")
        folder.mkdir(parents=True, exist_ok=True)
        remove_files(folder, WRITTEN)
    if shutil.disk_usage(folder).free < ROOM:  # better now than after hours of training
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    return folder


def remove_files(folder: Path, patterns: Iterable[str]) -> None:
    """Remove the files in a folder that match any of some patterns."""
    for pattern in patterns:
        for file in folder.glob(pattern):
            file.unlink()


def is_finished(folder: Path) -> bool:
    """Whether the run in ``folder`` has trained all its epochs and was evaluated and exported."""
    try:
        report = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(report, dict) and not report.get("stopped")


def resolve(data: DataConfig) -> DataConfig:
    """Name the clips that were found where nothing was asked for, so that another day finds the same."""
    if data.dataset is not None:
        return data
    built_in = data.is_synthetic and data.labels is None
    return replace(data, dataset=SYNTHETIC) if built_in else replace(data, poses=data.pose_folder)


def config_text(data: DataConfig, config: TrainConfig, **options: Any) -> str:
    """The resolved configuration, in the form that ``piumr-train-gcn --config`` reads."""
    values: dict[str, Any] = {**asdict(data), **asdict(config), **options}
    return yaml.safe_dump(json.loads(json.dumps(values, default=str)), sort_keys=False)
