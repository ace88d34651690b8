"""What all tests share: one thread, and the folder of real data, where it is present."""

import os
from pathlib import Path

import pytest

# small tensors gain nothing from threads and lose much by them on a busy machine; for child processes too
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PIUMR_CACHE"] = ""  # nothing outside the tests' own folders

SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real videos and skeleton sets beside the repository; tests that need it skip without it."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data folder ../shared/data is not present")
    return SHARED_DATA
