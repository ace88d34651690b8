"""The results file: one JSON line a training, appended to, so that a run can be stopped and started at any time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import gcn
import piumr
from piumr.errors import PiumrError

Row = dict[str, Any]
"""A training: its :class:`Key`, ``settings``, ``code``, and what came out (see :func:`..training.train_one`)."""


class Key(NamedTuple):
    """What a training is, as far as the results file goes.

    Attributes:
        version: tag of the code and the defaults that were measured, chosen by whoever starts the run.
        inner: scored on inner folds.
        task: name of the task.
        experiment: name of the experiment.
        seed: of the training.
        fold: index of the split.
    """

    version: str
    inner: bool
    task: str
    experiment: str
    seed: int
    fold: int


def key_of(row: Row) -> Key:
    """The key of a line."""
    return Key(*(row[name] for name in Key._fields))


def read_rows(path: Path) -> list[Row]:
    """All whole lines of a results file; none if it is not there. A line torn by a kill is skipped."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def append_row(path: Path, row: Row) -> None:
    """Append one line, in a single write; behind a torn line it begins a new one."""
    line = json.dumps(row, separators=(",", ":")) + "\n"
    with path.open("ab+") as file:
        if file.tell() and not _ends_a_line(path):
            line = "\n" + line
        file.write(line.encode())


def check_settings(rows: list[Row], settings: dict[tuple[str, str], Row], version: str, inner: bool) -> None:
    """Refuse to mix trainings of one name and version that were made with other settings.

    Args:
        rows: what is in the file.
        settings: what (task, experiment) means now.
        version: of this run.
        inner: of this run.

    Raises:
        PiumrError: if a line of this version has an experiment's name and other settings.
    """
    for row in rows:
        now = settings.get((row["task"], row["experiment"]))
        if now is None or (row["version"], row["inner"]) != (version, inner) or row["settings"] == now:
            continue
        names = [name for name in {**now, **row["settings"]} if now.get(name) != row["settings"].get(name)]
        raise PiumrError(
            f"Expected version {version!r} of {row['experiment']!r} on {row['task']!r} to have one meaning, but the "
            f"results have other {', '.join(sorted(names))}: choose another --version, --set name or --out."
        )


def code_digest() -> str:
    """Digest of the packages that train, so that a line tells which code made it."""
    digest = hashlib.sha256()
    for package in (gcn, piumr):
        for file in sorted(Path(package.__file__ or "").parent.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read() == b"\n"
