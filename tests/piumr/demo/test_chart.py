"""The chart's curve, computed by the page's own script in Node."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from piumr.demo import server

CHART = Path(server.__file__).parent / "page" / "chart.js"


@pytest.fixture
def ask():
    """``ask(expression)`` gives the value of an expression of the chart's exports."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node on the PATH")

    def run(expression):
        script = f"import('{CHART.as_uri()}').then(({{area, rank}}) => console.log(JSON.stringify({expression})))"
        arguments = [node, "--no-warnings", "--experimental-default-type=module", "-e", script]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)

    return run


def polygons(path):
    return [[tuple(map(float, p.split())) for p in re.split("[ML]", part)[1:]] for part in path.split("Z")[:-1]]


def test_the_curve_goes_through_the_probabilities_and_leaves_gaps(ask):
    path = ask("area([1, 2, 3, 4, 5], [[.5], [1], null, [0], [.25]], 0, [0, 10], [0, 6])")
    first, second = polygons(path)
    # height 100 is a probability of 0; the first value holds from the beginning, the last one up to 6 of 10
    assert list(dict.fromkeys(first)) == [(0, 100), (0, 50), (100, 50), (200, 0), (200, 100)]
    assert list(dict.fromkeys(second)) == [(400, 100), (500, 75), (600, 75), (600, 100)]


def test_nobody_seen_is_no_curve(ask):
    assert ask("area([1, 2], [null, null], 0, [0, 3])") == ""


def test_classes_are_ranked_by_their_highest_probability_then_by_their_mean(ask):
    assert ask("rank([[.1, .6, .3, 0], null, [.6, .1, .3, 0]], 4)") == [0, 1, 2, 3]
    assert ask("rank([[.1, .3, .6, 0], [.2, .6, .2, 0]], 4)") == [1, 2, 0, 3]
