"""A set as training needs it, kept between runs: read and normalised once, then mapped into memory.

A file of the cache is named by a digest of all that its content follows from: the declaration, the files of the set
(paths, sizes, times), and the code that reads and normalises. So it is made again when one of these changes, and only
then. Files appear whole or not at all, hold tensors and plain text only, and are removed, the longest unused first,
when the folder outgrows :data:`MAX_BYTES` or :data:`MAX_FILES`. The folder is ``$PIUMR_CACHE``, else
``$XDG_CACHE_HOME/piumr``, else ``~/.cache/piumr``; an empty ``PIUMR_CACHE`` switches the cache off. Deleting the folder
is safe.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pose_extract
from piumr.data.clips import ClipTable
from piumr.data.declaration import Declaration
from piumr.data.source import DataConfig, find_set, load_set
from piumr.data.store import ClipStore
from piumr.layouts import get_layout
from pose_extract.atomic import atomic_write, remove_stale
from pose_extract.files import fingerprint

FORMAT = 1
"""Version of the files' structure."""

MAX_BYTES = 16 << 30
"""Largest size of the whole cache: MA-52 with body and hands takes 0.7 GB."""

MAX_FILES = 100
"""Most sets in the cache."""

TENSORS = ("points", "valid", "offsets", "labels", "persons")

logger = logging.getLogger(__name__)


def load_packed(config: DataConfig, frames: int) -> tuple[Declaration, ClipTable, ClipStore]:
    """What ``config`` names, packed on the CPU: from the cache if it is there, else read, normalised and kept.

    Warnings that reading gave are given again when the set comes from the cache. A cache that cannot be read or written
    costs a warning at most.

    Args:
        config: which clips.
        frames: number of frames T of a batch.

    Returns:
        the declaration, what is known about the clips, and the clips.

    Raises:
        PiumrError: if the declaration, the files or the labels are wrong.
    """
    declaration = find_set(config)
    folder = cache_folder()
    if folder is None:
        return declaration, *_pack(config, frames)[:2]
    key = cache_key(declaration, config)
    file = folder / f"{key}.pt"
    kept = _read(file, key, frames)
    if kept is not None:
        return declaration, *kept
    table, store, warnings = _pack(config, frames)
    if cache_key(declaration, config) == key:  # else a file changed while it was read
        _write(file, key, table, store, warnings)
    return declaration, table, store


def cache_folder() -> Path | None:
    """The folder of the cache, or None where it is switched off."""
    chosen = os.environ.get("PIUMR_CACHE")
    if chosen is not None:
        return Path(chosen) if chosen else None
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "piumr"


def cache_key(declaration: Declaration, config: DataConfig) -> str:
    """Digest of all that a packed set follows from, in hexadecimal."""
    digest = hashlib.sha256(f"{FORMAT} {_code()} {declaration!r}".encode())
    choices = {name: value for name, value in asdict(config).items() if name not in ("protocol", "fold")}
    digest.update(repr(choices).encode(errors="surrogateescape"))
    for path in _files(declaration, config):
        digest.update(f"{path.absolute()} {fingerprint(path)}".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _files(declaration: Declaration, config: DataConfig) -> list[Path]:
    """The files that the set is read from: those that the format names, else all in the set's folder."""
    data = config.data or declaration.folder
    named = getattr(declaration.format, "files", None)
    found = data.rglob("*") if named is None else named(data, config.pose_folder, config.labels)
    return sorted(path for path in found if path.is_file())


@functools.cache
def _code() -> str:
    """Digest of the code that reads and normalises, so that nobody need remember to count a version up."""
    package, extraction = Path(__file__).parents[1], Path(pose_extract.__file__).parent
    folders = [package / name for name in ("data", "layouts", "synthetic")]
    files = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    digest = hashlib.sha256()
    for file in [*files, package / "preprocessing.py", extraction / "schema.py"]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _pack(config: DataConfig, frames: int) -> tuple[ClipTable, ClipStore, list[str]]:
    with _collected() as warnings:
        _, clips = load_set(config)
    return clips.table, ClipStore.pack(clips, frames), warnings


@contextmanager
def _collected() -> Iterator[list[str]]:
    """The warnings of the readers, as texts; they are shown as ever."""
    lines: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    collector, source = Collector(logging.WARNING), logging.getLogger("piumr.data")
    source.addHandler(collector)
    try:
        yield lines
    finally:
        source.removeHandler(collector)


def _read(file: Path, key: str, frames: int) -> tuple[ClipTable, ClipStore] | None:
    """A set from the cache; None if it is not there or not whole."""
    if not file.is_file():
        return None
    try:
        kept: Any = torch.load(file, mmap=True, weights_only=True, map_location="cpu")
        facts = json.loads(kept["facts"])
        if facts["key"] != key:
            raise ValueError("another key")
        table = _table(facts["table"], kept["labels"].numpy())
        store = ClipStore(
            **{name: kept[name] for name in TENSORS},
            layout=get_layout(facts["layout"]),
            num_classes=len(table.class_names),
            frames=frames,
        )
        if len(store.points) != int(store.offsets[-1]) or len(store) != len(store.offsets) - 1:
            raise ValueError("torn")
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError, TypeError) as error:
        logger.warning("The cache file %s cannot be read and is made again (%s).", file, str(error).split("\n")[0])
        return None
    with suppress(OSError):
        os.utime(file)  # used just now
    for line in facts["warnings"]:
        logger.warning("%s", line)
    return table, store


def _write(file: Path, key: str, table: ClipTable, store: ClipStore, warnings: list[str]) -> None:
    """Keep a set, whole or not at all, if there is room for it and the other files."""
    tensors = {name: getattr(store, name) for name in TENSORS}
    size = sum(tensor.nbytes for tensor in tensors.values())
    facts = {"key": key, "layout": store.layout.name, "table": _plain(table), "warnings": warnings}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if size <= MAX_BYTES:  # else no room is enough, and the others stay
            _make_room(file.parent, MAX_BYTES - size)
        if size > MAX_BYTES or shutil.disk_usage(file.parent).free < 2 * size:
            logger.warning("No room to keep the packed set in %s: it will be read again next time.", file.parent)
            return
        with atomic_write(file) as target:
            torch.save({"facts": json.dumps(facts), **tensors}, target)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as the latter
        logger.warning("The packed set cannot be kept in %s (%s).", file.parent, str(error).split("\n")[0])


def _make_room(folder: Path, limit: int) -> None:
    """Remove the files longest unused until the rest takes at most ``limit`` bytes and one more file may come."""
    remove_stale(folder)
    files = []
    for file in folder.glob("*.pt"):
        with suppress(FileNotFoundError):  # another process makes room as well
            stat = file.stat()
            files.append((stat.st_mtime_ns, stat.st_size, file))
    files.sort(reverse=True)
    total = 0
    for number, (_, size, file) in enumerate(files, start=1):
        total += size
        if total > limit or number >= MAX_FILES:
            file.unlink(missing_ok=True)


def _plain(table: ClipTable) -> dict[str, Any]:
    """A table as JSON takes it; the labels of the clips that are here are a tensor."""
    values = {entry.name: getattr(table, entry.name) for entry in fields(ClipTable)}
    values["labels"] = None
    if table.missing is not None:
        values["missing"] = {**_plain(table.missing), "labels": table.missing.labels.tolist()}
    return values


def _table(values: dict[str, Any], labels: np.ndarray) -> ClipTable:
    """The inverse of :func:`_plain`."""
    plain: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    plain["labels"] = labels
    plain["columns"] = {key: tuple(texts) for key, texts in values["columns"].items()}
    lost = values["missing"]
    plain["missing"] = None if lost is None else _table(lost, np.array(lost["labels"], dtype=np.int64))
    return ClipTable(**plain)
