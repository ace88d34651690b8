r"""What is known about a data set: ``dataset.toml``, found, parsed and checked.

A data set is a declaration; code knows only formats. A declaration is a folder with three files: ``dataset.toml``,
the classes and a README. Where a set is published in several forms, each further one is another ``.toml`` in its
folder: ``ma52/openpose-28.toml`` is the data set ``ma52/openpose-28``. The keys::

    title = "UTD-MHAD, Kinect skeletons"     # required
    citation = "Chen, Jafari, Kehtarnavaz, ICIP 2015"   # required
    licence = "research with citation"       # required
    source = "https://..."                   # required: where to get the files
    format = "kinect_mat"                    # required: one of piumr.data.formats.FORMATS
    layout = "kinect-20"                     # required, except for formats whose files carry their layout
    fps = 30                                 # frames per second, where known
    classes = "classes.csv"                  # beside this file: `id,name[,more columns]`, ids 0, 1, 2, ... in order;
                                             # without it the classes are the labels found
    coarse = "body"                          # the column of the classes file with each class's coarse class
    mirror = true                            # mirroring left and right keeps the labels (default false)
    protocol = "odd-even"                    # the default among the protocols below
    notice = "..."                           # what must be told wherever a model trained on it predicts

    [options]                                # options of the format: the fields of its class
    variable = "d_skel"

    [person]                                 # how the person is read from a clip, where the set tells
    pattern = '_s(?P<person>\d+)_'           # a regular expression searched in the clip's name, or ...
    # column = "subject"                     # ... an array of the container
    note = "..."                             # what a reader of the results must know about it

    [label]                                  # only where the label is part of the clip's name
    pattern = '^a(?P<label>\d+)_'
    first = 1                                # the number that stands for class 0 (default 0), or ...
    # values = ["01", "02", "05"]            # ... the texts that stand for the classes, in their order

    [protocols.odd-even]                     # any number; `kind` is one of piumr.data.protocols.KINDS, ...
    kind = "persons"                         # ... the other keys are the fields of that kind
    train = ["1", "3", "5", "7"]
    test = ["2", "4", "6", "8"]

    [protocols.cross-view]                   # by a value in the clip's name, or by `column = "..."`: a column of the
    kind = "attribute"                       # label file or an array of the container
    pattern = '_v(?P<value>\d+)$'
    train = ["1", "2"]
    test = ["3"]

Every set can also be split by the protocols of :data:`piumr.data.protocols.GENERIC`, declared or not.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import piumr
from piumr.data.formats import FORMATS, Format
from piumr.data.formats.pose_cache import PoseCache
from piumr.data.labels import MAX_DIGITS
from piumr.data.protocols import GENERIC, KINDS, Protocol
from piumr.data.text_files import read_rows, read_text
from piumr.data.toml_table import choose, from_table, wrong
from piumr.errors import PiumrError
from piumr.layouts import Layout, get_layout

MAX_BYTES = 1 << 20
"""Largest ``dataset.toml`` and classes file that are read."""


@dataclass(frozen=True)
class PersonRule:
    """How the person is read from a clip: ``pattern`` on its name or ``column`` of the container, exactly one.

    Attributes:
        pattern: regular expression with a group named ``person``, searched in the clip's name.
        column: name of the container's array that holds the person.
        note: what a reader of the results must know about it.
    """

    pattern: str = ""
    column: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Check the rule.

        Raises:
            PiumrError: if both or neither are given, or the pattern is no expression with a group ``person``.
        """
        if bool(self.pattern) == bool(self.column):
            raise PiumrError("expected exactly one of `pattern` and `column`")
        if self.pattern:
            _check_pattern(self.pattern, "person")

    def from_name(self, name: str) -> str:
        """The person in a clip's name.

        Raises:
            PiumrError: if the pattern does not occur in it.
        """
        return _search(self.pattern, name, "person")


@dataclass(frozen=True)
class LabelRule:
    """How the label is read from a clip's name.

    Attributes:
        pattern: regular expression with a group named ``label``, searched in the clip's name.
        first: the number that stands for class 0.
        values: the texts that stand for the classes, in their order; empty if they are numbers from ``first``.
    """

    pattern: str
    first: int = 0
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the rule.

        Raises:
            PiumrError: if the pattern is no expression with a group ``label``, both ``first`` and ``values`` are given,
                or a value is given twice.
        """
        _check_pattern(self.pattern, "label")
        if self.first and self.values:
            raise PiumrError("expected one of `first` and `values`, but got both")
        if len(set(self.values)) != len(self.values):
            raise PiumrError("expected `values` to be different from each other, but got one twice")

    def from_name(self, name: str) -> int:
        """The class index in a clip's name.

        Raises:
            PiumrError: if the pattern does not occur in it, or gives none of ``values`` or, without them, no number of
                at most 18 digits.
        """
        text = self.text_from_name(name)
        if self.values:
            if text not in self.values:
                raise PiumrError(
                    f"Expected the label in clip name {name[:80]!r} to be one of {', '.join(self.values)}, but got "
                    f"{text[:80]!r}."
                )
            return self.values.index(text)
        if not text.isdecimal() or len(text) > MAX_DIGITS:
            raise PiumrError(
                f"Expected a number of at most {MAX_DIGITS} digits for the label in clip name {name[:80]!r}, but got "
                f"{text[:80]!r}."
            )
        return int(text) - self.first

    def text_from_name(self, name: str) -> str:
        """The label in a clip's name as it stands there.

        Raises:
            PiumrError: if the pattern does not occur in it.
        """
        return _search(self.pattern, name, "label")


@dataclass(frozen=True)
class Declaration:
    """A checked ``dataset.toml``.

    Attributes:
        name: name of the folder it lies in, and for another form of the set ``folder/form``.
        folder: that folder; the default place of the set's files.
        title: full name.
        citation: paper to cite.
        licence: terms of use.
        source: where to get the files.
        format: the reader with its options.
        layout: the joints, or None where the files carry their layout.
        fps: frames per second, where known.
        class_names: names of the classes, or None where the labels found are the classes.
        coarse: coarse class of each class, where there are any.
        coarse_names: names of the coarse classes, in order of first appearance.
        mirror: mirroring left and right keeps the labels.
        person: how the person is read from a clip, where the set tells.
        label: how the label is read from a clip's name, where it is part of it.
        protocols: the declared protocols and the generic ones, by name.
        protocol: name of the default protocol; empty where the set must be read first (person folds if there are
            persons, else a random hold-out).
        notice: what must be told wherever a model trained on it predicts, or empty.
    """

    name: str
    folder: Path
    title: str
    citation: str
    licence: str
    source: str
    format: Format
    layout: Layout | None
    fps: float | None = None
    class_names: tuple[str, ...] | None = None
    coarse: tuple[int, ...] | None = None
    coarse_names: tuple[str, ...] | None = None
    mirror: bool = False
    person: PersonRule | None = None
    label: LabelRule | None = None
    protocols: Mapping[str, Protocol] = field(default_factory=lambda: dict(GENERIC))
    protocol: str = ""
    notice: str = ""


@dataclass(frozen=True)
class _Table:
    """The top level of ``dataset.toml``, as written."""

    title: str
    citation: str
    licence: str
    source: str
    format: str
    layout: str = ""
    fps: float | None = None
    classes: str = ""
    coarse: str = ""
    mirror: bool = False
    protocol: str = ""
    notice: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    person: dict[str, Any] = field(default_factory=dict)
    label: dict[str, Any] = field(default_factory=dict)
    protocols: dict[str, Any] = field(default_factory=dict)


def datasets_folder() -> Path:
    """The folder of the shipped declarations: inside the package when installed, beside it in a source checkout."""
    package = Path(piumr.__file__).parent
    installed = package / "datasets"
    return installed if installed.is_dir() else package.parent / "datasets"


def shipped_datasets() -> tuple[str, ...]:
    """Names of the shipped declarations: those of the folders, and ``folder/form`` for further forms of a set."""
    return tuple(sorted(_name(path) for path in datasets_folder().glob("*/*.toml")))


def find_declaration(dataset: str | Path) -> Path:
    """The file that ``dataset`` names: a shipped name, or a path to a ``.toml`` or to the folder of a ``dataset.toml``.

    Raises:
        PiumrError: if there is none; the message lists the shipped names.
    """
    path = Path(dataset)
    if path.suffix == ".toml" and path.is_file():
        return path
    if str(dataset) in shipped_datasets():
        shipped = datasets_folder() / path
        return shipped / "dataset.toml" if shipped.is_dir() else shipped.with_suffix(".toml")
    if (path / "dataset.toml").is_file():
        return path / "dataset.toml"
    raise PiumrError(
        f"Expected a data set among {', '.join(shipped_datasets())} or the path of a dataset.toml, "
        f"but got {str(dataset)!r}."
    )


def load_declaration(dataset: str | Path) -> Declaration:
    """Find, parse and check a declaration.

    Args:
        dataset: a shipped name, or a path to a ``dataset.toml`` or to its folder.

    Raises:
        PiumrError: if there is none or it is wrong; the message says file, key, what was expected and what came.
    """
    file = find_declaration(dataset)
    text = read_text(file, MAX_BYTES)
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also for thousands of digits, the other for brackets
        raise PiumrError(f"{file}: expected a TOML file, but got a syntax error: {error}.") from None
    table = from_table(_Table, raw, file)
    reader = from_table(choose(FORMATS, table.format, file, "format"), table.options, file, "options.")
    if not table.layout and not reader.carries_layout:
        raise wrong(file, "layout", "the name of a layout", None)
    try:
        layout = get_layout(table.layout) if table.layout else None
    except PiumrError as error:
        raise PiumrError(f"{file}: key `layout`: {error}") from None
    if table.fps is not None and not 0 < table.fps < math.inf:
        raise wrong(file, "fps", "a positive number", table.fps)
    class_names, coarse, coarse_names = _classes(table, file)
    protocols = {**GENERIC, **{name: _protocol(name, entry, file) for name, entry in table.protocols.items()}}
    if table.protocol:
        choose(protocols, table.protocol, file, "protocol")
    return Declaration(
        name=_name(file.resolve()),
        folder=file.parent,
        title=table.title,
        citation=table.citation,
        licence=table.licence,
        source=table.source,
        format=reader,
        layout=layout,
        fps=table.fps,
        class_names=class_names,
        coarse=coarse,
        coarse_names=coarse_names,
        mirror=table.mirror,
        person=from_table(PersonRule, table.person, file, "person.") if table.person else None,
        label=from_table(LabelRule, table.label, file, "label.") if table.label else None,
        protocols=protocols,
        protocol=table.protocol,
        notice=table.notice,
    )


def own_clips() -> Declaration:
    """The declaration of a user's own videos: cached poses, classes and persons as the labels have them."""
    return Declaration(
        name="own clips",
        folder=Path(),
        title="Own clips",
        citation="",
        licence="",
        source="",
        format=PoseCache(),
        layout=None,
    )


def _name(file: Path) -> str:
    """The name of the declaration in ``file``."""
    return file.parent.name if file.stem == "dataset" else f"{file.parent.name}/{file.stem}"


def _protocol(name: str, entry: Any, file: Path) -> Protocol:
    where = f"protocols.{name}"
    if not isinstance(entry, dict) or "kind" not in entry:
        raise wrong(file, where, "a table with a `kind`", entry)
    kind = choose(KINDS, entry["kind"], file, f"{where}.kind")
    return from_table(kind, {key: value for key, value in entry.items() if key != "kind"}, file, f"{where}.")


def _classes(
    table: _Table, file: Path
) -> tuple[tuple[str, ...] | None, tuple[int, ...] | None, tuple[str, ...] | None]:
    """Class names, coarse class of each class and coarse names, from the classes file."""
    if not table.classes:
        if table.coarse:
            raise wrong(file, "classes", "a classes file, since `coarse` names a column of it", None)
        return None, None, None
    path = file.parent / table.classes
    if Path(table.classes).name != table.classes or not path.is_file():
        raise wrong(file, "classes", "the name of a csv file beside it", table.classes)
    rows = read_rows(path, MAX_BYTES, ("id", "name", *([table.coarse] if table.coarse else [])))
    if not rows:
        raise PiumrError(f"{path}: expected a line for every class, but got none.")
    for index, (line, row) in enumerate(rows):
        if row["id"] != str(index) or not row["name"] or (table.coarse and not row[table.coarse]):
            raise PiumrError(
                f"{path}: expected line {line} to be class {index} with no field empty, but got "
                f"{','.join(row.values())!r}."
            )
    names = tuple(row["name"] for _, row in rows)
    if len(set(names)) != len(names):
        raise PiumrError(f"{path}: expected unique class names, but got one twice.")
    if not table.coarse:
        return names, None, None
    coarse_names = tuple(dict.fromkeys(row[table.coarse] for _, row in rows))
    return names, tuple(coarse_names.index(row[table.coarse]) for _, row in rows), coarse_names


def _check_pattern(pattern: str, group: str) -> None:
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        raise PiumrError(f"expected `pattern` to be a regular expression, but got {pattern!r} ({error})") from None
    if group not in groups:
        raise PiumrError(f"expected `pattern` to have a group (?P<{group}>...), but got {pattern!r}")


def _search(pattern: str, name: str, group: str) -> str:
    match = re.search(pattern, name)
    if match is None or match[group] is None:  # None: an optional group that took no part
        raise PiumrError(f"Expected the {group} in clip name {name!r} to match {pattern!r}, but it does not.")
    return match[group]
