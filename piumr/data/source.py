"""From what a user names to clips: a declared data set, one's own cached poses, or the synthetic persons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from piumr.data.clips import ClipTable, SkeletonSet
from piumr.data.declaration import Declaration, load_declaration, own_clips
from piumr.data.formats import PoseCache, read_set
from piumr.data.labels import listed_clips
from piumr.errors import PiumrError
from piumr.inference.model_card import Coordinates
from piumr.layouts import get_layout

SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class DataConfig:
    """Which clips, and which of them train.

    Attributes:
        dataset: name of a shipped data set or path of a dataset.toml; None for one's own poses, or, where there are
            none, the synthetic persons.
        data: folder of the set's files or lists; None for the folder of its dataset.toml.
        poses: folder of cached poses; None for ./poses.
        labels: label file for the poses; None looks for labels.csv and for folders.
        protocol: name of a protocol; empty for the set's default.
        fold: which of the protocol's splits, from 1.
        layout: train on a smaller layout, whose joints are found in the set's own by name; empty for the set's own.
    """

    dataset: str | None = None
    data: Path | None = None
    poses: Path | None = None
    labels: Path | None = None
    protocol: str = ""
    fold: int = 1
    layout: str = ""

    @property
    def pose_folder(self) -> Path:
        """Where cached poses are looked for."""
        return Path("poses") if self.poses is None else self.poses

    @property
    def is_synthetic(self) -> bool:
        """Nothing was asked for and there are no poses: the built-in persons."""
        return self.dataset is None and self.poses is None and not self.pose_folder.is_dir()


def load_set(config: DataConfig) -> tuple[Declaration, SkeletonSet]:
    """Declaration and clips of what ``config`` names.

    Raises:
        PiumrError: if the declaration, the files or the labels are wrong.
    """
    declaration = find_set(config)
    layout = get_layout(config.layout) if config.layout else None  # a wrong name is told before anything is read
    clips = read_set(declaration, config.data, config.pose_folder, config.labels)
    return declaration, clips if layout is None else clips.in_layout(layout)


def load_table(config: DataConfig) -> tuple[Declaration, ClipTable]:
    """Declaration, labels and persons of what ``config`` names.

    Labels of cached poses are taken from a label file or the set's lists alone where there are any: no pose need be
    there to score predictions.

    Raises:
        PiumrError: if the declaration, the files or the labels are wrong.
    """
    own = config.dataset is None and config.poses is None and config.labels is not None
    declaration = own_clips() if own else find_set(config)
    if isinstance(declaration.format, PoseCache):
        table = listed_clips(declaration, declaration.format.lists, config.data or declaration.folder, config.labels)
        if table is not None:
            return declaration, table
    return declaration, load_set(config)[1].table


def coordinates(dimensions: int) -> Coordinates:
    """What the channels of a set's points are."""
    return "image" if dimensions == 2 else "metric"


def find_set(config: DataConfig) -> Declaration:
    """The declaration of what ``config`` names.

    Raises:
        PiumrError: if it is wrong, or there are neither a data set nor poses.
    """
    if config.dataset is not None:
        return load_declaration(config.dataset)
    folder = config.pose_folder
    if config.is_synthetic and config.labels is None:
        return load_declaration(SYNTHETIC)
    if not folder.is_dir():
        raise PiumrError(
            f"Expected a folder of cached poses, but there is no {str(folder)!r}: "
            f"run piumr-extract videos/ --out {folder}"
        )
    return replace(own_clips(), name=folder.resolve().name, title=f"Own videos in {folder}", folder=folder)
