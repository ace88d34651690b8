"""Typed dataclasses from TOML tables, with errors that a person understands."""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from piumr.errors import PiumrError

T = TypeVar("T")


def from_table(cls: type[T], table: dict[str, Any], file: Path, where: str = "") -> T:
    """Build a dataclass from a TOML table; its fields and their types are the schema.

    Args:
        cls: the dataclass; its own checks may raise a PiumrError without a full stop.
        table: what the file says.
        file: named in errors.
        where: the table's key with a full stop, named in errors; empty at the top level.

    Raises:
        PiumrError: naming file, key, what was expected and what came, for a key that is unknown, missing or wrong.
    """
    hints = get_type_hints(cls)
    known = {entry.name: entry for entry in fields(cls)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            hint = f"; did you mean `{close[0]}`?" if close else "."
            raise PiumrError(f"{file}: expected keys among {', '.join(known)}, but got `{where}{key}`{hint}")
    values = {}
    for key, entry in known.items():
        if key in table:
            accepted, values[key] = _convert(table[key], hints[key])
            if not accepted:
                raise wrong(file, where + key, _describe(hints[key]), table[key])
        elif entry.default is MISSING and entry.default_factory is MISSING:
            raise wrong(file, where + key, _describe(hints[key]), None)
    try:
        return cls(**values)
    except PiumrError as error:
        raise PiumrError(f"{file}: key `{where.rstrip('.')}`: {error}.") from None


def _convert(value: Any, hint: Any) -> tuple[bool, Any]:
    """Whether a TOML value has the type ``hint``, and the value as that type (lists as tuples)."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True, value
    if isinstance(value, int) and not -(2**63) <= value < 2**63:  # TOML's integers have 64 bits
        return False, None
    if origin in (Union, types.UnionType):
        return next((result for result in (_convert(value, a) for a in arguments) if result[0]), (False, None))
    if origin is Literal:
        return value in arguments, value
    if origin is tuple and isinstance(value, list):
        items = [_convert(item, arguments[0]) for item in value]
        return all(accepted for accepted, _ in items), tuple(item for _, item in items)
    if origin in (dict, Mapping) and isinstance(value, dict):
        pairs = {key: _convert(item, arguments[1]) for key, item in value.items()}
        return all(accepted for accepted, _ in pairs.values()), {key: item for key, (_, item) in pairs.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return True, float(value)
    accepted = isinstance(hint, type) and origin is None and isinstance(value, hint)
    return accepted and not (isinstance(value, bool) and hint is not bool), value


def _describe(hint: Any) -> str:
    """A type in a user's words."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_describe(a) for a in arguments if a is not type(None))
    if origin is Literal:
        return " or ".join(repr(a) for a in arguments)
    if origin is tuple:
        return f"a list, each entry {_describe(arguments[0])}"
    if origin in (dict, Mapping):
        return "a table"
    return {str: "a text", int: "an integer", float: "a number", bool: "true or false"}.get(hint, str(hint))


def choose(choices: Mapping[str, T], name: Any, file: Path, key: str) -> T:
    """The choice called ``name``.

    Raises:
        PiumrError: if there is none; the message lists those there are.
    """
    if not isinstance(name, str) or name not in choices:
        raise wrong(file, key, f"one of {', '.join(choices)}", name)
    return choices[name]


def wrong(file: Path, key: str, expected: str, got: Any) -> PiumrError:
    """What to raise for a key that is not as expected."""
    return PiumrError(f"{file}: expected `{key}` to be {expected}, but got {'nothing' if got is None else repr(got)}.")
