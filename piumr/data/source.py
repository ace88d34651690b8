"""From what a user names to clips: a declared data set, one's own cached poses, or the synthetic persons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from piumr.data.clips import SkeletonSet
from piumr.data.declaration import Declaration, load_declaration, own_clips
from piumr.data.formats import read_set
from piumr.errors import PiumrError
from piumr.inference.model_card import Coordinates

SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class DataConfig:
    """Which clips, and which of them train.

    Attributes:
        dataset: name of a shipped data set or path of a dataset.toml; None for one's own poses, or, where there are
            none, the synthetic persons.
        data: folder of the set's files or lists; None for the folder of its dataset.toml.
        poses: folder of cached poses.
        labels: label file for the poses; None looks for labels.csv and for folders.
        protocol: name of a protocol; empty for the set's default.
        fold: which of the protocol's splits, from 1.
    """

    dataset: str | None = None
    data: Path | None = None
    poses: Path = Path("poses")
    labels: Path | None = None
    protocol: str = ""
    fold: int = 1

    @property
    def name(self) -> str:
        """Short name for a run folder."""
        if self.dataset is None:
            return self.poses.name if self.poses.is_dir() else SYNTHETIC
        path = Path(self.dataset)
        return path.resolve().parent.name if path.suffix == ".toml" else path.name


def load_set(config: DataConfig) -> tuple[Declaration, SkeletonSet]:
    """Declaration and clips of what ``config`` names.

    Raises:
        PiumrError: if the declaration, the files or the labels are wrong.
    """
    declaration = _declaration(config)
    return declaration, read_set(declaration, config.data, config.poses, config.labels)


def coordinates(clips: SkeletonSet) -> Coordinates:
    """What the channels of a set's points are."""
    return "image" if clips.points.shape[2] == 2 else "metric"


def _declaration(config: DataConfig) -> Declaration:
    if config.dataset is not None:
        return load_declaration(config.dataset)
    if not config.poses.is_dir():
        if config.labels is not None:
            raise PiumrError(
                f"Expected `poses` to be a folder of cached poses, since labels are given, but there is no "
                f"{str(config.poses)!r}: run piumr-extract first."
            )
        return load_declaration(SYNTHETIC)
    return replace(
        own_clips(), name=config.poses.resolve().name, title=f"Own videos in {config.poses}", folder=config.poses
    )
