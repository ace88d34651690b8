"""What all commands share: jsonargparse as their parser, one plain line for what is wrong, lines for a terminal."""

from __future__ import annotations

import re
import sys
from argparse import HelpFormatter, RawDescriptionHelpFormatter
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, DefaultHelpFormatter

_OPTIONAL = r"Does not validate against any of the Union subtypes .* Errors: - (.*) - Expected a NoneType .*value: (.*)"
"""What the library says of an option that may be left out."""


class _Formatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Keeps the line breaks of a description."""


class CommandParser(ArgumentParser):
    """Typed options with help, ``--config`` and ``--print_config``; bad usage is two lines and exit code 2."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=_Formatter, **options)

    def format_help(self, formatter: HelpFormatter | None = None) -> str:
        """Docstrings without their markup."""
        return _plain(str(super().format_help(formatter)).replace("``", ""))

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """One line for what is wrong and one for the way out, without the library's words for types."""
        message = re.sub(r'Parser key "([\w.]+)":', lambda key: f"--{key[1]}:", " ".join(message.split()))
        print(f"{self.prog}: {_plain(message)}", file=sys.stderr)
        print(f"{self.prog}: {self.prog} --help shows how to use it", file=sys.stderr)
        self.exit(2)


def printable(text: str) -> str:
    """A line for a terminal: what is read from files and names may hold control codes and bytes that are no text."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _plain(text: str) -> str:
    """Types as a user would write them."""
    text = re.sub(r"<class '(\w+)'>", r"\1", text).replace("a typing.Literal", "one of ")
    text = re.sub(r"<function (\S+)\s+at\s+0x[0-9a-f]+>", r"\1", text)
    return re.sub(_OPTIONAL, lambda said: said[1] if "but got" in said[1] else f"{said[1]}, but got '{said[2]}'", text)
