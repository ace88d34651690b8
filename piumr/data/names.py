"""How two lists of clip names differ, where they should be the same: said to whoever must rename one of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath


def how_names_differ(listed: Sequence[str], found: Sequence[str]) -> str:
    """What stands between names in a list and the clips there are, as a sentence with an example of each.

    Args:
        listed: names in a list, paths with or without suffix.
        found: names of the clips.

    Returns:
        The smallest difference by which most names would be the same; empty if none is known.
    """
    best, count, example = "", 0, ("", "")
    for what, simplify in _DIFFERENCES:
        there = {simplify(name): name for name in reversed(found)}
        same = [(name, there[key]) for name in listed if (key := simplify(name)) in there]
        if len(same) > count:
            best, count, example = what, len(same), same[0]
    if not count:
        return ""
    return f"{count} of {len(listed)} would match but for {best}, as {example[0]!r} and {example[1]!r}."


def _path(name: str) -> str:
    """Without the suffix of a file."""
    return re.sub(r"\.[A-Za-z]\w{1,3}$", "", name)


def _stem(name: str) -> str:
    return _path(PurePosixPath(name).name)


def _letters(name: str) -> str:
    """Letters and digits in lower case."""
    return re.sub(r"[\W_]+", "", _stem(name).casefold())


def _numbers(name: str) -> str:
    """Letters and digits, numbers by value."""
    return re.sub(r"0*(\d+)", r"\1", re.sub(r"[\W_]+", "_", _stem(name).casefold()))


def _first(name: str) -> str:
    """The name up to its last mark, where there is one."""
    return re.sub(r"[\W_][^\W_]*$", "", _stem(name)) or _stem(name)


_DIFFERENCES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("upper and lower case", lambda name: _path(name).casefold()),
    ("the folders", _stem),
    ("the folders and upper and lower case", lambda name: _stem(name).casefold()),
    ("the folders and the marks between letters", _letters),
    ("the folders and zeros in front of numbers", _numbers),
    ("the folders and what follows the last mark", _first),
)
"""What may differ, the smallest first."""
