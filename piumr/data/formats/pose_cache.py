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
from pose_extract.schema import read_poses

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
        clips, layout = _read_clips(poses, sorted(found), declaration.layout)
        found = {name: found[name] for name in clips}
        indices, class_names = class_indices([label.text for label in found.values()], declaration.class_names)
        splits = [label.split for label in found.values()]
        return SkeletonSet(
            points=np.concatenate([points for points, _ in clips.values()]),
            valid=np.concatenate([valid for _, valid in clips.values()]),
            offsets=np.cumsum([0, *(len(points) for points, _ in clips.values())]),
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


def _read_clips(
    poses: Path, names: list[str], layout: Layout | None
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], Layout]:
    """Model coordinates and mask of the caches by clip name, and their layout: ``layout``, else the first cache's.

    Broken caches are left out with a warning.

    Raises:
        PiumrError: if all are broken, or one has another layout; the message then names both.
    """
    clips: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    broken: list[str] = []
    for name in names:
        path = poses / f"{name}.npz"
        try:
            clip = read_poses(path)
        except PoseError as error:
            broken.append(str(error))
            continue
        layout = layout or get_layout(clip.meta["layout"])
        if tuple(clip.meta["joints"]) != layout.joints:
            raise PiumrError(
                f"Expected the {len(layout)} joints of layout {layout.name}, but got the {len(clip.meta['joints'])} of "
                f"layout {clip.meta['layout']} in {path}; extract all videos with the same --landmarks, or declare "
                "that layout in your own dataset.toml."
            )
        clips[name] = image_points(clip.landmarks, clip.valid, clip.meta["width"], clip.meta["height"])
    if broken:
        logger.warning("%d caches cannot be read and are left out; the first says: %s", len(broken), broken[0])
    if not clips or layout is None:
        raise PiumrError(f"Expected a readable cache with a label under {poses}, but got none.")
    return clips, layout
