"""MMN's pairs of pickles: ``train_data.pkl``, annotations as PYSKL's, and ``train_label.pkl``, which clips there are.

The second is a list of ``{"file_name", "length", "label"}``; it decides on clips, labels and order (Gu et al., Motion
Matters, ACM MM 2025).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from piumr.data.clips import SkeletonSet
from piumr.data.formats.packing import MAX_LABEL, check_plain
from piumr.data.formats.pyskl import Annotation, annotated_set, is_class_index, read_pickle
from piumr.data.formats.safe_pickle import brief, load_pickle
from piumr.errors import PiumrError

if TYPE_CHECKING:
    from piumr.data.declaration import Declaration

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MmnPair:
    """Reader of such pairs; people and missing joints are as in :class:`piumr.data.formats.pyskl.Pyskl`.

    Attributes:
        splits: names of the splits, with which the files' names begin.
    """

    carries_layout: ClassVar[bool] = False
    takes_labels: ClassVar[bool] = False

    splits: tuple[str, ...] = ("train", "val")

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            PiumrError: if there is no split, or one cannot begin a file's name.
        """
        if not self.splits:
            raise PiumrError("expected `splits` to name at least one, but got none")
        check_plain("splits", self.splits)

    def read(self, declaration: Declaration, data: Path, poses: Path, labels: Path | None) -> SkeletonSet:
        """Read the pairs; see :class:`piumr.data.formats.Format`."""
        annotations: list[Annotation] = []
        splits: list[str] = []
        for split in self.splits:
            found = _pair(data / f"{split}_data.pkl", data / f"{split}_label.pkl")
            annotations += found
            splits += [split] * len(found)
        return annotated_set(declaration, annotations, splits)


def _pair(data: Path, labels: Path) -> list[Annotation]:
    """The clips of a pair, with the labels of the second file."""
    by_name = {annotation.name: annotation for annotation in read_pickle(data)[0]}
    entries = load_pickle(labels)
    if not isinstance(entries, list):
        raise PiumrError(f"{labels}: expected a list of clips, but got {type(entries).__name__}.")
    clips = []
    for i, entry in enumerate(entries):
        name, label = _entry(entry, f"{labels}: entry {i}")
        if name not in by_name:
            raise PiumrError(f"{labels}: expected clips that are in {data.name}, but got {name!r}, which is not.")
        clips.append(replace(by_name[name], label=label))
    unlabelled = len(by_name) - len({clip.name for clip in clips})
    if unlabelled:
        logger.warning("%d clips of %s are not in %s and are left out.", unlabelled, data, labels.name)
    return clips


def _entry(entry: Any, where: str) -> tuple[str, int]:
    name, label = (entry.get(key) for key in ("file_name", "label")) if isinstance(entry, dict) else (None, None)
    if not isinstance(name, str) or not is_class_index(label):
        raise PiumrError(
            f"{where}: expected a text `file_name` and a `label` from 0 to {MAX_LABEL}, but got {brief(entry)}."
        )
    return name, int(label)
