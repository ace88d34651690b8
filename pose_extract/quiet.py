"""Silence for native libraries that write to standard error and cannot be told otherwise."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Send the process's standard error to nowhere inside the block.

    MediaPipe's C++ log ignores its own settings; only the file descriptor helps. Keep the block short: it silences
    every thread.
    """
    try:
        saved = os.dup(STDERR)
    except OSError:  # closed, as a daemon's may be: nothing to silence
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, STDERR)
        yield
    finally:
        os.dup2(saved, STDERR)
        os.close(saved)
        os.close(nowhere)
