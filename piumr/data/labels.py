"""Where the labels of cached poses come from: a label file, a data set's lists, or the folders the videos lie in.

A label file is either ``labels.csv`` with the columns ``clip,label``, optionally ``person`` and further ones that
protocols may split by (an age, a camera), or a list as MA-52 has them, one ``name.mp4 label`` per line. Clips match by
relative path, with or without suffix, else, where no folder is given, by a stem that only one clip has.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from piumr.data.clips import ClipTable
from piumr.data.names import how_names_differ
from piumr.data.text_files import read_rows, read_text
from piumr.errors import PiumrError
from pose_extract import discovery

if TYPE_CHECKING:
    from piumr.data.declaration import Declaration

MAX_BYTES = 64 << 20
"""Largest label file that is read."""

SUFFIXES = frozenset({*discovery.SUFFIXES, ".npz"})
"""Suffixes that a label file may give or leave out."""

MAX_DIGITS = 18
"""Longest text that counts as a number; what has more digits is a text, and would not fit into an int64."""

EXAMPLE = "a file labels.csv with the lines `clip,label,person`, `anna/take1.mp4,waving,anna` (person is optional)"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Label:
    """What is said about one clip.

    Attributes:
        text: the label as written, a class name or the number of a class.
        person: person id, where given.
        split: name of the list it stands in, where it is one.
        columns: what the label file's further columns say.
        key: the clip as written.
    """

    text: str
    person: str | None = None
    split: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    key: str = field(default="", compare=False)


def find_labels(
    declaration: Declaration, names: Sequence[str], lists: Mapping[str, str], data: Path, poses: Path, file: Path | None
) -> dict[str, Label]:
    """The labels of the clips in ``names``: of the label file, else the lists, else ``labels.csv``, else the folders.

    Args:
        declaration: what is known about the set.
        names: the cached clips: paths relative to ``poses`` without ``.npz``.
        lists: the set's list files by the name of their split; empty if it has none.
        data: folder of the lists.
        poses: folder of the cached poses.
        file: label file, if the user named one.

    Returns:
        labels by clip name, without the clips for which there is none (a warning counts those).

    Raises:
        PiumrError: if no label is to be found, a file is wrong, or nothing in it matches a clip.
    """
    if file is not None:
        return match_clips(names, read_labels(file), str(file))
    missing = [name for name in lists.values() if not (data / name).is_file()]
    if lists and not missing:
        return match_clips(names, _read_lists(lists, data), f"the lists in {data}")
    if lists and len(missing) < len(lists):
        raise PiumrError(
            f"Expected the list {missing[0]} of data set {declaration.name} in {data}, but it is not there."
        )
    if (poses / "labels.csv").is_file():
        return match_clips(names, read_labels(poses / "labels.csv"), str(poses / "labels.csv"))
    if lists:
        raise PiumrError(
            f"Expected the lists {', '.join(lists.values())} of data set {declaration.name} in {data} (--data), or a "
            "label file (--labels), but got neither."
        )
    return _folder_labels(names, poses)


def read_labels(file: Path) -> dict[str, Label]:
    """Labels by clip, as written in a label file: ``.csv`` with a header, else one ``name label`` per line.

    Raises:
        PiumrError: if the file is missing, unreadable, too large, lacks a column or has one twice, has an empty or a
            surplus field or contradicts itself; the message gives the line.
    """
    rows = _csv_rows(file) if file.suffix.lower() == ".csv" else _list_rows(file)
    labels: dict[str, Label] = {}
    for line, clip, label in rows:
        if labels.setdefault(clip, label) != label:
            raise PiumrError(f"{file}, line {line}: expected one label for clip {clip!r}, but got another before.")
    if not labels:
        raise PiumrError(f"{file}: expected labels, but got none; write {EXAMPLE}.")
    return labels


def match_clips(names: Sequence[str], labels: Mapping[str, Label], source: str) -> dict[str, Label]:
    """Labels by clip name.

    A key of ``labels`` means the clip with that relative path, with or without suffix. A key without a folder may also
    mean the only clip with that stem, unless another key gives that clip's path. Warns, with counts and the first
    names, of keys without a clip and of clips without a label.

    Raises:
        PiumrError: if nothing matches (the message shows a name from each side) or a clip gets two different labels.
    """
    paths, stems = _variants(names)
    by_path = {key: _find(key, paths) for key in labels}
    taken = set(by_path.values())
    matched: dict[str, Label] = {}
    unknown: list[str] = []
    for key, label in labels.items():
        clip = by_path[key] or _find(key, stems, taken)  # a key with a folder is no stem
        if clip is None:
            unknown.append(key)
        elif matched.setdefault(clip, label) != label:
            raise PiumrError(f"Expected one label for clip {clip!r} in {source}, but got two different ones.")
    if not matched:
        raise PiumrError(
            f"Expected {source} to name clips that are there, but none of {len(labels)} matches: it names "
            f"{next(iter(labels))!r}, while there is {names[0]!r}. {how_names_differ(list(labels), names)}".rstrip()
        )
    unlabelled = [name for name in names if name not in matched]
    if unknown:
        logger.warning("%d clips named by %s are not there: %s.", len(unknown), source, _few(unknown))
    if unlabelled:
        logger.warning("%d clips have no label in %s and are left out: %s.", len(unlabelled), source, _few(unlabelled))
    return matched


def clip_finder(names: Sequence[str]) -> Callable[[str], str | None]:
    """A function that finds the clip that a text means: by its path with or without suffix, else by a unique stem."""
    paths, stems = _variants(names)

    def find(text: str) -> str | None:
        key = _path(text)
        return _find(key, paths) or _find(key, stems)

    return find


def class_indices(texts: Sequence[str], class_names: tuple[str, ...] | None) -> tuple[list[int], tuple[str, ...]]:
    """Class of each label, and the class names.

    Args:
        texts: labels as written.
        class_names: the declared classes; a label is then one of their names or ids. None: the labels found, numbers
            by value and then texts, are the classes.

    Raises:
        PiumrError: if a label is no declared class.
    """
    if class_names is None:
        class_names = tuple(sorted(set(texts), key=natural))
    index = {str(i): i for i in range(len(class_names))} if not _all_numbers(class_names) else {}
    index |= {name: i for i, name in enumerate(class_names)}
    for text in texts:
        if text not in index:
            near = get_close_matches(text, class_names, 1) or class_names[:1]
            raise PiumrError(
                f"Expected every label to be a class id in 0..{len(class_names) - 1} or a class name (such as "
                f"{near[0]!r}), but got {text!r}."
            )
    return [index[text] for text in texts], class_names


def natural(text: str) -> tuple[bool, int, str]:
    """Sort key: numbers of at most :data:`MAX_DIGITS` digits by value, then texts."""
    number = text.isdecimal() and len(text) <= MAX_DIGITS
    return not number, int(text) if number else 0, text


def persons_of(declaration: Declaration, labels: Mapping[str, Label]) -> tuple[str, ...] | None:
    """Person of each labelled clip: from the labels, else by the declaration's pattern, else None.

    Raises:
        PiumrError: if some labels name a person and others do not, or the pattern does not fit a name.
    """
    given = [label.person for label in labels.values()]
    named = [person for person in given if person is not None]
    if len(named) == len(given):
        return tuple(named)
    if named:
        lacking = next(name for name, label in labels.items() if label.person is None)
        raise PiumrError(f"Expected a person for every clip or for none, but got none for {lacking!r}.")
    if declaration.person is None:
        return None
    return tuple(declaration.person.from_name(name) for name in labels)


def columns_of(labels: Mapping[str, Label]) -> dict[str, tuple[str, ...]]:
    """The label file's further columns, one text for each labelled clip."""
    names = next(iter(labels.values())).columns
    return {name: tuple(label.columns[name] for label in labels.values()) for name in names}


def missing_clips(
    declaration: Declaration,
    lists: Mapping[str, str],
    data: Path,
    found: Mapping[str, Label],
    class_names: tuple[str, ...],
) -> ClipTable | None:
    """The clips that a set's lists name and that are not there; None if all are, or the labels are not the lists'.

    Without declared classes the labels of the clips that are there are the classes: lost clips of others do not count.

    Args:
        declaration: what is known about the set.
        lists: the set's list files by the name of their split.
        data: folder of the lists.
        found: the labels of the clips that are there, by name.
        class_names: the classes.

    Raises:
        PiumrError: if a list is wrong.
    """
    if any(label.split is None for label in found.values()):
        return None
    here = {label.key for label in found.values()}
    lost = {_without_suffix(key): label for key, label in _read_lists(lists, data).items() if key not in here}
    if declaration.class_names is None:
        lost = {key: label for key, label in lost.items() if label.text in class_names}
    return _table(declaration, lost, class_names) if lost else None


def listed_clips(declaration: Declaration, lists: Mapping[str, str], data: Path, file: Path | None) -> ClipTable | None:
    """All clips that a label file names, else a set's lists, whether they are there or not; None if there is neither.

    Args:
        declaration: what is known about the set.
        lists: the set's list files by the name of their split; empty if it has none.
        data: folder of the lists.
        file: label file, if the user named one.

    Raises:
        PiumrError: if a file is wrong.
    """
    if file is None and not (lists and all((data / name).is_file() for name in lists.values())):
        return None
    labels = _read_lists(lists, data) if file is None else read_labels(file)
    return _table(declaration, {_without_suffix(key): label for key, label in labels.items()}, declaration.class_names)


def _table(declaration: Declaration, labels: Mapping[str, Label], class_names: tuple[str, ...] | None) -> ClipTable:
    """Labelled clips as a table."""
    indices, class_names = class_indices([label.text for label in labels.values()], class_names)
    splits = [label.split for label in labels.values()]
    return ClipTable(
        labels=np.array(indices),
        names=tuple(labels),
        persons=persons_of(declaration, labels),
        splits=tuple(split or "" for split in splits) if any(splits) else None,
        class_names=class_names,
        coarse=declaration.coarse,
        coarse_names=declaration.coarse_names,
        mirror=declaration.mirror,
        columns=columns_of(labels),
    )


def _csv_rows(file: Path) -> Iterable[tuple[int, str, Label]]:
    for line, row in read_rows(file, MAX_BYTES, ("clip", "label")):
        if not row["clip"] or not row["label"] or row.get("person") == "":
            raise PiumrError(f"{file}, line {line}: expected no empty field, but got one.")
        others = {name: text for name, text in row.items() if name not in ("clip", "label", "person")}
        clip = _path(row["clip"])
        yield line, clip, Label(row["label"], row.get("person"), columns=others, key=clip)


def _list_rows(file: Path, split: str | None = None) -> Iterable[tuple[int, str, Label]]:
    for number, line in enumerate(read_text(file, MAX_BYTES).splitlines(), start=1):
        if not line.strip():
            continue
        fields = line.rsplit(maxsplit=1)
        if len(fields) != 2:
            raise PiumrError(f"{file}, line {number}: expected `name.mp4 label`, but got {line.strip()[:80]!r}.")
        yield number, _path(fields[0]), Label(fields[1], split=split, key=_path(fields[0]))


def _read_lists(lists: Mapping[str, str], data: Path) -> dict[str, Label]:
    labels: dict[str, Label] = {}
    for split, name in lists.items():
        for line, clip, label in _list_rows(data / name, split):
            if labels.setdefault(clip, label) != label:
                raise PiumrError(
                    f"{data / name}, line {line}: expected clip {clip!r} in one list once, but got it twice."
                )
    return labels


def _folder_labels(names: Sequence[str], poses: Path) -> dict[str, Label]:
    parts = {name: PurePosixPath(name).parts for name in names}
    flat = next((name for name in names if len(parts[name]) < 2), None)
    if flat is not None:
        raise PiumrError(
            f"Expected labels for the poses in {poses}: {EXAMPLE}, or videos in one folder per class, but got neither "
            f"(clip {flat!r})."
        )
    with_person = all(len(part) > 2 for part in parts.values())
    return {name: Label(part[0], part[1] if with_person else None) for name, part in parts.items()}


def _variants(names: Sequence[str]) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """The clips by path and by file name, each with and without a video's suffix."""
    paths: dict[str, set[str]] = defaultdict(set)
    stems: dict[str, set[str]] = defaultdict(set)
    for name in names:
        for variant in {name, _without_suffix(name)}:
            paths[variant].add(name)
            stems[PurePosixPath(variant).name].add(name)
    return paths, stems


def _find(key: str, clips: Mapping[str, set[str]], taken: Set[str | None] = frozenset()) -> str | None:
    """The one clip that a key of a label file means, if it is not ``taken``."""
    same = next((clips[name] for name in (key, _without_suffix(key)) if len(clips.get(name, ())) == 1), set())
    return next(iter(same - taken), None)


def _without_suffix(name: str) -> str:
    """``name`` without the suffix of a video; other dots, as in ``take.2``, belong to the name."""
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in SUFFIXES else name


def _path(text: str) -> str:
    return str(PurePosixPath(text.strip().replace("\\", "/")))


def _all_numbers(names: Iterable[str]) -> bool:
    return all(name.isdecimal() for name in names)


def _few(names: Sequence[str], limit: int = 3) -> str:
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")
