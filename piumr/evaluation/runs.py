"""A trained run as its folder holds it: the network, what it was trained on, how the training went."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from piumr import predictions
from piumr.checkpoint import load_checkpoint
from piumr.data.declaration import load_declaration
from piumr.data.formats import PoseCache
from piumr.data.source import SYNTHETIC, DataConfig
from piumr.errors import PiumrError
from piumr.inference.model_card import ModelCard
from piumr.model import ActionNet

MAX_BYTES = 64 << 20
"""Largest file of a run folder, beside its weights, that is read."""

NAMES_THE_SET = ("dataset", "data", "poses", "labels")
"""Options of :class:`DataConfig` that say which clips there are."""


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """What a run folder holds.

    Attributes:
        folder: the run folder.
        net: the network, in evaluation mode on the CPU.
        card: its classes, layout and preprocessing.
        data: the clips it was trained and tested on; None without ``config.yaml``.
        tested: names of the clips it was tested on after training; empty without ``predictions.csv``.
        history: one row an epoch; empty without ``history.csv``.
        inherited: names of clips of its set that the run it started from was trained on.
        trained: names of the clips it was trained on; None where an earlier version did not record them.
    """

    folder: Path
    net: ActionNet
    card: ModelCard
    data: DataConfig | None
    tested: frozenset[str]
    history: tuple[dict[str, float], ...]
    inherited: frozenset[str] = frozenset()
    trained: frozenset[str] | None = None

    @property
    def known(self) -> frozenset[str]:
        """Names of all clips that it is known to have been trained or tested on."""
        return self.tested | (self.trained or frozenset())

    @property
    def name(self) -> str:
        """What the run is called where several are shown."""
        return self.folder.name or self.folder.resolve().name

    def choose(self, given: Mapping[str, Any]) -> DataConfig:
        """The clips to evaluate on: those the user names, else the run's own.

        Args:
            given: options of :class:`DataConfig` that the user gave.

        Raises:
            PiumrError: if none are named and the run does not say which its own are.
        """
        names_the_set = [name for name in NAMES_THE_SET if name in given]
        if self.data is None:
            if not names_the_set:
                raise PiumrError(
                    f"Expected {self.folder / 'config.yaml'} to say what the run was trained on, but there is none: "
                    "name the clips with --dataset, or with --poses."
                )
            return DataConfig(**given)
        if not names_the_set:
            return replace(self.data, **given)
        if given.get("dataset", self.data.dataset) != self.data.dataset:
            return DataConfig(**given)
        takes_poses = self.data.dataset is None or isinstance(load_declaration(self.data.dataset).format, PoseCache)
        if "dataset" not in given and {"poses", "labels"} & set(given) and not takes_poses:
            return DataConfig(**given)  # a model of a published set, and somebody's own poses
        return replace(self.data, layout="", **given) if "layout" not in given else replace(self.data, **given)


def load_run(folder: Path) -> TrainedRun:
    """Read a run folder.

    Raises:
        PiumrError: if there is no checkpoint that this version can read, or another file in the folder is damaged.
    """
    if not folder.is_dir():
        raise PiumrError(f"Expected `runs` to be run folders of piumr-train-gcn, but {str(folder)!r} is no folder.")
    net, card = load_checkpoint(folder / "checkpoint.pt")
    data = _data(folder / "config.yaml")
    if data is not None and data.dataset is None and data.poses is None:
        # it was ./poses or, where there was none, the synthetic persons: not what this working directory says today
        if card.summary.get("dataset") != SYNTHETIC:
            data = replace(data, poses=data.pose_folder)
        elif not data.is_synthetic:
            data = replace(data, dataset=SYNTHETIC)
    record = _record(folder / "run.json")
    return TrainedRun(
        folder=folder,
        net=net,
        card=card,
        data=data,
        tested=_clips(folder / "predictions.csv"),
        history=tuple(_numbers(row, folder / "history.csv") for row in _rows(folder / "history.csv", "epoch")),
        inherited=record.get("inherited", frozenset()),
        trained=record.get("trained"),
    )


def _data(path: Path) -> DataConfig | None:
    """The clips that a ``config.yaml`` names; None if there is no such file."""
    if not path.is_file():
        return None
    try:
        values: Any = yaml.safe_load(_text(path))
        given = {entry.name: values[entry.name] for entry in fields(DataConfig) if values.get(entry.name) is not None}
        texts = [given.get(name, "") for name in (*NAMES_THE_SET, "protocol", "layout")]
        if not isinstance(given.get("fold", 1), int) or not all(isinstance(text, str) for text in texts):
            raise TypeError("an option of another type")
    except (yaml.YAMLError, AttributeError, TypeError, KeyError, RecursionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise PiumrError(f"{path}: expected the configuration of a run, but it cannot be read ({reason}).") from None
    values = {name: Path(value) if name in ("data", "poses", "labels") else value for name, value in given.items()}
    return DataConfig(**values)


def _record(path: Path) -> dict[str, frozenset[str]]:
    """Which clips ``run.json`` says were trained on, and which were before the training; none without that file."""
    try:
        record: Any = json.loads(_text(path)) if path.is_file() else {}
        return {name: frozenset(map(str, record[name])) for name in ("trained", "inherited") if name in record}
    except (AttributeError, TypeError, ValueError, RecursionError):
        raise PiumrError(f"{path}: expected the record of a run, but it cannot be read.") from None


def _clips(path: Path) -> frozenset[str]:
    """The clips of a file of predictions, read line by line: it holds a number for each clip and class."""
    if not path.is_file():
        return frozenset()
    try:
        if path.stat().st_size > predictions.MAX_BYTES:
            raise PiumrError(f"{path}: expected at most {predictions.MAX_BYTES} bytes, but got {path.stat().st_size}.")
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file)
            names = next(reader, ["nothing"])
            if "clip" not in names:
                raise PiumrError(f"{path}: expected a column `clip`, but got {', '.join(names)}.")
            return frozenset(row[names.index("clip")] for row in reader if len(row) == len(names))
    except csv.Error as error:
        raise PiumrError(f"{path}: expected a csv file, but got: {error}.") from None
    except OSError as error:
        raise PiumrError(f"{path}: expected a readable file, but got: {error}.") from None


def _rows(path: Path, column: str) -> list[dict[str, str | None]]:
    """The lines of a CSV file with a certain column; none if there is no file."""
    if not path.is_file():
        return []
    try:
        reader = csv.DictReader(_text(path).splitlines())
        rows = list(reader)
    except csv.Error as error:
        raise PiumrError(f"{path}: expected a csv file, but got: {error}.") from None
    if column not in (reader.fieldnames or ()):
        raise PiumrError(
            f"{path}: expected a column `{column}`, but got {', '.join(reader.fieldnames or ['nothing'])}."
        )
    return rows


def _numbers(row: dict[str, str | None], path: Path) -> dict[str, float]:
    """A line of numbers; empty fields are left out."""
    try:
        return {name: float(value) for name, value in row.items() if value}
    except (TypeError, ValueError) as error:
        raise PiumrError(f"{path}: expected numbers, but got: {error}.") from None


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise PiumrError(f"{path}: expected at most {MAX_BYTES} bytes, but got {path.stat().st_size}.")
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise PiumrError(f"{path}: expected a readable file, but got: {error}.") from None
