"""What the tests of training share: a small set whose first person is left out, and a console that says nothing."""

import pytest
from rich.console import Console

from piumr.data.folds import PersonFolds
from piumr.data.store import ClipStore


@pytest.fixture
def quiet():
    return Console(quiet=True)


@pytest.fixture(scope="module")
def store(toy_set):
    return ClipStore.pack(toy_set, 16)


@pytest.fixture(scope="module")
def split(toy_set):
    return PersonFolds(4).split(toy_set)[0]
