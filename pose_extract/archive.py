"""Arrays from an untrusted ``.npz``: no pickle, and no memory taken before its size is known and bounded."""

from __future__ import annotations

import lzma
import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import PoseError

MAX_BYTES = 2 * 1024**3
"""Largest array that is read: 2 GiB are sixteen hours of 75 landmarks at 30 frames/s."""

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,  # NumPy's word for a bad header; UnicodeDecodeError too
    TypeError,
    KeyError,
    OverflowError,
    NotImplementedError,  # a compression that zipfile does not know
    RuntimeError,  # an encrypted entry; RecursionError too
    SyntaxError,  # NumPy parses a header as Python's literals
    tokenize.TokenError,
    MemoryError,  # from the parser as well, for brackets in brackets
)
"""What zipfile and NumPy raise for a damaged ``.npz``."""


class Archive:
    """An open ``.npz``; :meth:`read` gives one array after checking its header against the bytes that are there."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file

    def read(self, key: str) -> NDArray[Any]:
        """The array called ``key``.

        Raises:
            ValueError: if its header is damaged, promises other bytes than the entry holds, or wants pickle.
        """
        entry = self._file.getinfo(f"{key}.npy")
        with self._file.open(entry) as stream:
            start, count = _header(stream)
        if start + count != entry.file_size or count > MAX_BYTES:
            raise ValueError(f"{key} promises {count} bytes and holds {entry.file_size - start}")
        with self._file.open(entry) as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)


@contextmanager
def open_archive(path: Path, keys: tuple[str, ...]) -> Iterator[Archive]:
    """Open an ``.npz`` that must hold ``keys``; damage found while reading it becomes one line.

    Raises:
        PoseError: if the file is missing, unreadable, damaged or lacks one of ``keys``.
    """
    try:
        with zipfile.ZipFile(path) as file:
            missing = [key for key in keys if f"{key}.npy" not in file.namelist()]
            if missing:
                raise PoseError(f"{path} is not a pose cache: it holds no {', '.join(missing)}.")
            yield Archive(file)
    except PoseError:
        raise
    except OSError as error:
        raise PoseError(f"{path} cannot be read: {error.strerror or error}.") from None
    except DAMAGE as error:
        raise PoseError(
            f"{path} is damaged or not an .npz file ({first_line(error)}); delete it and extract it again."
        ) from None


def first_line(error: Exception) -> str:
    """The first line of what an error says, else its name."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _header(stream: IO[bytes]) -> tuple[int, int]:
    """Bytes of the header, and bytes of the array that it promises."""
    read_header = _HEADERS.get(np.lib.format.read_magic(stream))
    if read_header is None:
        raise ValueError("unknown version of the .npy format")
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        raise ValueError("Python objects are not read")
    return stream.tell(), math.prod(shape) * dtype.itemsize
