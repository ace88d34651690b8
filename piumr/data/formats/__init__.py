"""Readers of skeleton files, one small file per format.

A format is a frozen class: its fields are the options a ``dataset.toml`` gives in its table ``[options]``, its method
``read`` returns the set. Adding one is a file here and a line in :data:`FORMATS`.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from piumr.data.formats.kinect_mat import KinectMat
from piumr.data.formats.mmn import MmnPair
from piumr.data.formats.msr_text import MsrText
from piumr.data.formats.npz import Npz
from piumr.data.formats.ntu_skeleton import NtuSkeleton
from piumr.data.formats.openpose_json import OpenPoseJson
from piumr.data.formats.pose_cache import PoseCache
from piumr.data.formats.pyskl import Pyskl
from piumr.data.formats.segments_csv import SegmentsCsv
from piumr.data.formats.skeleton_json import SkeletonJson
from piumr.data.formats.synthetic import Synthetic
from piumr.errors import PiumrError

if TYPE_CHECKING:
    from piumr.data.clips import SkeletonSet
    from piumr.data.declaration import Declaration

logger = logging.getLogger(__name__)


class Format(Protocol):
    """What every format has.

    Attributes:
        carries_layout: the files say their joints themselves, so that a declaration need not.
        takes_labels: the files hold no labels, so that a user may name a label file.
    """

    carries_layout: ClassVar[bool]
    takes_labels: ClassVar[bool]

    # A format may also have `files(data, poses, labels)`, the files that it reads, whether they are there or not; a
    # packed set is made again when one of them changes, and of a format without it when any file under `data` does.

    def read(self, declaration: Declaration, data: Path, poses: Path, labels: Path | None) -> SkeletonSet:
        """Read the set.

        Args:
            declaration: what is known about it.
            data: folder of the set's files or lists.
            poses: folder of cached poses; only formats that need poses look at it.
            labels: label file, or None; only formats whose files hold no labels look at it.

        Raises:
            PiumrError: if files are missing, broken, too large or do not fit the declaration.
        """
        ...


FORMATS: dict[str, type[Format]] = {
    "pose_cache": PoseCache,
    "npz": Npz,
    "pyskl": Pyskl,
    "mmn": MmnPair,
    "openpose_json": OpenPoseJson,
    "kinect_mat": KinectMat,
    "msr_text": MsrText,
    "skeleton_json": SkeletonJson,
    "ntu_skeleton": NtuSkeleton,
    "segments_csv": SegmentsCsv,
    "synthetic": Synthetic,
}
"""The formats by the name that a declaration uses."""


def read_set(
    declaration: Declaration, data: Path | None = None, poses: Path = Path("poses"), labels: Path | None = None
) -> SkeletonSet:
    """Read a declared set.

    Warns, with a count and the first names, of clips without a valid point.

    Args:
        declaration: what is known about it; see :func:`piumr.data.declaration.load_declaration`.
        data: folder of the set's files or lists; by default the one in which its ``dataset.toml`` lies.
        poses: folder of cached poses, for sets that are read from them.
        labels: label file, for sets that are read from cached poses.

    Raises:
        PiumrError: if files are missing, broken, too large or do not fit the declaration.
    """
    if labels is not None and not declaration.format.takes_labels:
        raise PiumrError(f"Expected no label file for data set {declaration.name}: it has its own labels.")
    folder = data or declaration.folder
    if not folder.is_dir():
        raise PiumrError(f"Expected the folder of data set {declaration.name} at {folder}, but it is not there.")
    clips = declaration.format.read(declaration, folder, poses, labels)
    if declaration.layout is not None and clips.layout != declaration.layout:
        raise PiumrError(
            f"Expected data set {declaration.name} in layout {declaration.layout.name}, but got {clips.layout.name}."
        )
    if declaration.class_names is not None and clips.class_names != declaration.class_names:
        raise PiumrError(
            f"Expected the {len(declaration.class_names)} classes that data set {declaration.name} declares, but got "
            f"{len(clips.class_names)} that differ, such as "
            f"{next(iter(set(clips.class_names) ^ set(declaration.class_names)), clips.class_names[0])!r}."
        )
    empty = [name for i, name in enumerate(clips.names) if not clips.clip(i)[1].any()]
    if empty:
        logger.warning("%d clips show no person in any frame: %s.", len(empty), ", ".join(empty[:3]))
    return clips
