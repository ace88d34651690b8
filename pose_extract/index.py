"""``index.jsonl``: one line per video, rebuilt from the cache files and failure records themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pose_extract.atomic import atomic_write
from pose_extract.errors import PoseError
from pose_extract.resume import read_failure
from pose_extract.schema import read_poses

NAME = "index.jsonl"


def rebuild_index(out: Path) -> None:
    """Write ``out/index.jsonl`` from what is under ``out``, sorted by name.

    Each line has ``name`` (path under ``out`` without ``.npz``), ``source`` (the video), ``status`` (``ok``, ``empty``:
    nobody is seen, ``failed``), ``reason`` (of a failure), ``frames``, the share of frames with ``body``, ``left_hand``
    and ``right_hand`` (``null`` where the layout has none), and ``warnings``.

    Raises:
        OSError: if it cannot be written.
    """
    rows = {_name(path, out, ".npz"): path for path in out.rglob("*.npz")}
    rows |= {
        _name(path, out, ".error.json"): path for path in out.rglob("*.error.json")
    }  # a failure is the latest word
    with atomic_write(out / NAME) as file:
        for name, path in sorted(rows.items()):
            row = _failure_row(path) if path.suffix == ".json" else _cache_row(path)
            file.write(json.dumps({"name": name, **row}).encode() + b"\n")


def _name(path: Path, out: Path, ending: str) -> str:
    return path.relative_to(out).as_posix().removesuffix(ending)


def _failure_row(path: Path) -> dict[str, Any]:
    record = read_failure(path) or {"reason": "its failure record is unreadable"}
    source = record.get("source")
    return {
        "source": source.get("path") if isinstance(source, dict) else None,
        "status": "failed",
        "reason": record["reason"],
        "frames": 0,
        **dict.fromkeys(("body", "left_hand", "right_hand")),
        "warnings": [],
    }


def _cache_row(path: Path) -> dict[str, Any]:
    try:
        sequence = read_poses(path)
    except PoseError as error:
        return {**_failure_row(path), "reason": str(error)}
    source = sequence.meta.get("source")
    return {
        "source": source.get("path") if isinstance(source, dict) else None,
        "status": "ok" if sequence.valid.any() else "empty",
        "reason": None,
        "frames": len(sequence),
        **{part: None if share is None else round(share, 4) for part, share in sequence.shares().items()},
        "warnings": sequence.meta.get("warnings", []),
    }
