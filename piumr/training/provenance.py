"""``run.json``: what a run was made from, so that it can be repeated, gone on with, or told apart from another.

It holds ``format``, ``started``, ``seed``, ``epochs`` (set when they are known), ``data`` (names, counts and a SHA-256
over all that training sees of the clips), ``split``, ``inherited`` (clips that the run it started from has seen),
``versions``, ``git`` (commit and whether files were changed; null where piumr does not run from a checkout), ``device``
and ``threads``.
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import piumr
from piumr.data.clips import ClipTable
from piumr.data.store import ClipStore
from piumr.errors import PiumrError
from pose_extract.atomic import atomic_write

FILE = "run.json"

FORMAT = 1
"""Version of the run folder; counted up when a run of an older version can no longer be gone on with."""


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write ``run.json`` whole or not at all."""
    with atomic_write(folder / FILE) as file:
        file.write(json.dumps({"format": FORMAT, **record}, indent=2).encode())


def read_record(folder: Path) -> dict[str, Any]:
    """Read ``run.json``.

    Raises:
        PiumrError: if ``folder`` is no run folder, or one of another version.
    """
    path = folder / FILE
    if not path.is_file():
        old = (folder / "config.yaml").is_file()
        why = "it has no run.json: an older version made it" if old else "there is no run.json in it"
        way = f"; train again with --config {folder / 'config.yaml'}" if old else ""
        raise PiumrError(f"Expected {str(folder)!r} to be a run folder of piumr-train-gcn, but {why}{way}.")
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise PiumrError(f"Expected {str(path)!r} to be JSON, but it is damaged.") from None
    found = record.get("format") if isinstance(record, dict) else None
    if found != FORMAT or not isinstance(record.get("data"), dict):
        raise PiumrError(
            f"Expected {str(path)!r} to describe a run of format {FORMAT}, but got {found!r}: another version made it; "
            f"train again with --config {folder / 'config.yaml'}."
        )
    return dict(record)


def fingerprint(clips: ClipTable, store: ClipStore) -> str:
    """SHA-256, in hexadecimal, over the names, classes, persons and packed poses of all clips.

    Args:
        clips: the set.
        store: the same, packed.
    """
    texts = [clips.class_names, clips.names, clips.persons, store.layout.joints]
    digest = hashlib.sha256(json.dumps(texts).encode())
    for tensor in (store.labels, store.offsets, store.points, store.valid):
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that figures depend on."""
    names = ("piumr", "torch", "torch-geometric", "lightning", "numpy", "mediapipe", "onnxruntime")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_state() -> dict[str, Any] | None:
    """``commit`` and ``dirty`` of the checkout that piumr runs from; None where there is none, or no git."""
    root = Path(piumr.__file__).parents[1]
    if not (root / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, timeout=20, check=True)
        return done.stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def device_name(device: torch.device) -> str:
    """``cpu``, or the GPU's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
