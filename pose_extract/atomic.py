"""Files that appear whole or not at all.

A file is written under a temporary name in its own folder, flushed to the disk and renamed. The writer holds a lock on
the temporary file, and the kernel drops the lock when the process dies in whatever way: what can be locked is stale.
So leftovers of a killed run are removed without touching what another run is writing.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

PREFIX, SUFFIX = ".pose-", ".tmp"


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that takes the place of ``path`` when the block ends without an exception.

    The folder is created where it is missing. After an exception ``path`` is as it was before.

    Raises:
        OSError: if the folder or the file cannot be written, for example because the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _locked_temporary(path.parent)
    try:
        with file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
            os.replace(file.name, path)  # inside the block: closing the file drops the lock
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(file.name)
        raise


def remove_stale(folder: Path) -> int:
    """Remove the temporary files that killed processes left anywhere under ``folder``; return how many there were."""
    removed = 0
    for path in folder.rglob(f"{PREFIX}*{SUFFIX}"):
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its writer lives
            path.unlink()
            removed += 1
    return removed


def _locked_temporary(folder: Path) -> IO[bytes]:
    while True:
        file = tempfile.NamedTemporaryFile(dir=folder, prefix=PREFIX, suffix=SUFFIX, delete=False)  # noqa: SIM115
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # another run took it for a leftover between its creation and its lock


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
