"""Every way in which names differ, and names that have nothing in common."""

import pytest

from piumr.data.names import how_names_differ


@pytest.mark.parametrize(
    ("listed", "found", "message"),
    [
        (
            ["Anna/Take1.mp4", "b"],
            ["anna/take1"],
            "1 of 2 would match but for upper and lower case, as 'Anna/Take1.mp4'",
        ),
        (["train/a.mp4"], ["x", "test/a"], "1 of 1 would match but for the folders, as 'train/a.mp4' and 'test/a'."),
        (["A.mp4"], ["x/a"], "the folders and upper and lower case, as 'A.mp4' and 'x/a'"),
        (["take-1.mp4"], ["Take_1"], "the folders and the marks between letters"),
        (["clip7.mp4", "clip12.mp4"], ["clip007", "clip012"], "2 of 2 would match but for .*zeros in front of numbers"),
        (["a01_rgb.avi"], ["a01_skeleton"], "what follows the last mark, as 'a01_rgb.avi' and 'a01_skeleton'"),
        (["a", "b.mp4"], ["c", "d"], "^$"),
    ],
)
def test_the_smallest_difference_is_named_with_an_example(listed, found, message):
    import re

    assert re.search(message, how_names_differ(listed, found))


def test_what_explains_most_names_is_told():
    listed = ["A.mp4", "x/b.mp4", "x/c.mp4"]
    found = how_names_differ(listed, ["a", "b", "c"])
    assert found == "3 of 3 would match but for the folders and upper and lower case, as 'A.mp4' and 'a'."
