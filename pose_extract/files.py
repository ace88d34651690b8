"""Is a video still the one that was extracted? Size and time first, content only where they leave a doubt."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

CHUNK = 16 * 1024**2
"""Bytes that are read at a time."""


def fingerprint(path: Path) -> dict[str, int]:
    """Size in bytes and modification time in nanoseconds; of the link itself where ``path`` is a broken link.

    Both are 0 where there is nothing any more, or nothing that can be asked for, so that a video that vanishes during a
    run is no special case.
    """
    try:
        stat = path.stat() if path.exists() else path.lstat()
    except OSError:
        return {"bytes": 0, "mtime_ns": 0}
    return {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def sha256(path: Path, on_chunk: Callable[[], None] | None = None) -> str:
    """SHA-256 of a file's content, in hexadecimal; ``on_chunk`` is called after every 16 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            if on_chunk is not None:
                on_chunk()
    return digest.hexdigest()


def is_unchanged(path: Path, recorded: Mapping[str, Any], on_chunk: Callable[[], None] | None = None) -> bool:
    """Whether ``path`` is the file that ``recorded`` (``bytes``, ``mtime_ns`` and perhaps ``sha256``) describes.

    The content is read only where the size is the same and the time is not, as after a copy. One that cannot be read
    counts as changed: what is wrong with the file is told when it is extracted, and stops no other. ``on_chunk``: see
    :func:`sha256`.
    """
    now = fingerprint(path)
    if now["bytes"] != recorded.get("bytes"):
        return False
    if now["mtime_ns"] == recorded.get("mtime_ns"):
        return True
    try:
        return "sha256" in recorded and sha256(path, on_chunk) == recorded["sha256"]
    except OSError:
        return False
