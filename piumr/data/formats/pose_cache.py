"""Our own cache of keypoints, one ``.npz`` per video, with labels from files, lists or folders."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from piumr.data.clips import SkeletonSet
from piumr.data.labels import class_indices, find_labels, persons_of
from piumr.errors import PiumrError
from piumr.layouts import Layout, get_layout
from piumr.preprocessing import image_points
from pose_extract.errors import PoseError
from pose_extract.schema import PoseSequence, read_poses

if TYPE_CHECKING:
    from piumr.data.declaration import Declaration

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PoseCache:
    """Reader of a folder of cached poses.

    A clip without a person stays in the set, all missing: leaving it out of a test would flatter the result.

    Attributes:
        lists: the set's list files in the data folder (``name.mp4 label`` per line), by the name of their split.
    """

    carries_layout: ClassVar[bool] = True
    takes_labels: ClassVar[bool] = True

    lists: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            PiumrError: if a list is no plain file name.
        """
        for name in self.lists.values():
            if Path(name).name != name:
                raise PiumrError(f"expected `lists` to name files in the data folder, but got {name!r}")

    def read(self, declaration: Declaration, data: Path, poses: Path, labels: Path | None) -> SkeletonSet:
        """Read every labelled cache under ``poses``; see :class:`piumr.data.formats.Format`."""
        names = [path.relative_to(poses).as_posix().removesuffix(".npz") for path in sorted(poses.rglob("*.npz"))]
        if not names:
            raise PiumrError(
                f"Expected cached poses (.npz) under {poses}, but there are none; run piumr-extract first."
            )
        found = find_labels(declaration, names, self.lists, data, poses, labels)
        sequences = _read_sequences(poses, sorted(found))
        found = {name: found[name] for name in sequences}
        layout = _layout(declaration, sequences, poses)
        indices, class_names = class_indices([label.text for label in found.values()], declaration.class_names)
        clips = [
            image_points(clip.landmarks, clip.valid, clip.meta["width"], clip.meta["height"])
            for clip in sequences.values()
        ]
        empty = [name for name, (_, valid) in zip(found, clips, strict=True) if not valid.any()]
        if empty:
            logger.warning("%d clips show no person in any frame: %s.", len(empty), ", ".join(empty[:3]))
        splits = [label.split for label in found.values()]
        return SkeletonSet(
            points=np.concatenate([points for points, _ in clips]),
            valid=np.concatenate([valid for _, valid in clips]),
            offsets=np.cumsum([0, *(len(points) for points, _ in clips)]),
            labels=np.array(indices),
            names=tuple(found),
            persons=persons_of(declaration, found),
            splits=tuple(split or "" for split in splits) if any(splits) else None,
            class_names=class_names,
            layout=layout,
            coarse=declaration.coarse,
            coarse_names=declaration.coarse_names,
            mirror=declaration.mirror,
        )


def _read_sequences(poses: Path, names: list[str]) -> dict[str, PoseSequence]:
    """The caches by clip name; broken ones are left out with a warning.

    Raises:
        PiumrError: if all are broken.
    """
    sequences, broken = {}, []
    for name in names:
        try:
            sequences[name] = read_poses(poses / f"{name}.npz")
        except PoseError as error:
            broken.append(str(error))
    if not sequences:
        raise PiumrError(
            f"Expected at least one readable cache under {poses}, but got none; the first says: {broken[0]}"
        )
    if broken:
        logger.warning("%d caches cannot be read and are left out; the first says: %s", len(broken), broken[0])
    return sequences


def _layout(declaration: Declaration, sequences: Mapping[str, PoseSequence], poses: Path) -> Layout:
    """The layout that every cache must have: the declared one, else the first cache's.

    Raises:
        PiumrError: if a cache has another; the message names both.
    """
    first = next(iter(sequences.values()))
    layout = declaration.layout or get_layout(first.meta["layout"])
    for name, clip in sequences.items():
        if tuple(clip.meta["joints"]) != layout.joints:
            raise PiumrError(
                f"Expected the {len(layout)} joints of layout {layout.name}, but got the {len(clip.meta['joints'])} of "
                f"layout {clip.meta['layout']} in {poses / name}.npz; extract all videos with the same --landmarks, or "
                "declare that layout in your own dataset.toml."
            )
    return layout
