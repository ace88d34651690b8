"""Memory of a training on the CPU: what a step frees, the next one takes again."""

from __future__ import annotations

import ctypes
import sys

# numbers of the parameters in glibc's malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> None:
    """Keep freed memory in this process, where the C library is glibc.

    Otherwise a step's tensors go back to the system, and the next step's are new pages that must be zeroed: a fifth of
    the time of a training step of MicroGCN at full precision.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 2**25)  # the largest there is
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(M_TOP_PAD, 2**26)
