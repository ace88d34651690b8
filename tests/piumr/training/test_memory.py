"""Memory that is freed and taken again is not asked for from the system."""

import ctypes
import subprocess
import sys

import pytest

SCRIPT = """
import resource
from piumr.training.memory import keep_freed_memory
if {keep}:
    keep_freed_memory()
faults = []
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step = [bytearray(b"1") * 20_000_000 for _ in range(5)]
    del step
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(faults[-1])
"""


def faults(keep):
    command = [sys.executable, "-c", SCRIPT.format(keep=keep)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc"
)
def test_a_step_takes_the_memory_of_the_one_before():
    assert faults(False) > 5_000  # 100 MB in pages of 4 kB, or some in larger ones
    assert faults(True) < 100
