"""A console that says nothing."""

import pytest
from rich.console import Console


@pytest.fixture
def quiet():
    return Console(quiet=True)
