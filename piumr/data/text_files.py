"""Text files that others wrote: bounded, UTF-8 with or without a byte order mark, and csv tables of whole rows."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from piumr.errors import PiumrError


def read_text(file: Path, limit: int) -> str:
    """The text of a file, without the byte order mark that Excel writes.

    Raises:
        PiumrError: if it cannot be read, is no UTF-8 or has more than ``limit`` bytes.
    """
    try:
        if file.stat().st_size > limit:
            raise PiumrError(f"{file}: expected at most {limit} bytes, but got {file.stat().st_size}.")
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PiumrError(f"{file}: expected a readable UTF-8 text file, but got: {error}.") from None


def read_rows(file: Path, limit: int, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a csv file whose first line names the columns.

    Args:
        file: the file.
        limit: most bytes that it may have.
        columns: those that must be there; there may be more.

    Returns:
        for each row the number of its line and its fields by column, empty where the row is too short. Blank columns
        without a name, which spreadsheets leave at the end, are left out.

    Raises:
        PiumrError: if the file cannot be read, lacks a column or has one twice, or a row has more fields than columns.
    """
    reader = csv.DictReader(read_text(file, limit).splitlines(), restval="", skipinitialspace=True)
    try:
        names = reader.fieldnames or []
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise PiumrError(f"{file}: expected a csv file, but got: {error}.") from None
    if not set(columns) <= set(names):
        raise PiumrError(
            f"{file}: expected a first line with the columns {','.join(columns)}, but got "
            f"{','.join(names)[:200] or 'nothing'!r}."
        )
    repeated = [name for name, times in Counter(names).items() if times > 1 and name]
    if repeated:
        raise PiumrError(f"{file}: expected every column once, but got {repeated[0]!r} several times.")
    for line, row in rows:
        surplus = [*row.pop(None, ()), row.pop("", "")]  # beyond the first line's columns, and under no name
        if any(field.strip() for field in surplus):
            fields = len([name for name in names if name])
            raise PiumrError(
                f"{file}, line {line}: expected {fields} fields, but got more; put what holds a comma in quotes."
            )
    return [(line, {name: field.strip() for name, field in row.items()}) for line, row in rows]
