"""MSR-Action3D's text files, one clip each: a line `x y z confidence` a joint, 20 lines a frame, in metres.

The confidence is not used: it is 0 for many joints whose positions are plausible, and 1 for some that are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from piumr.data.clips import SkeletonSet
from piumr.data.formats.packing import camera_points, joint_order, read_files
from piumr.data.text_files import read_text
from piumr.errors import PiumrError
from piumr.preprocessing import Mask, Points

if TYPE_CHECKING:
    from piumr.data.declaration import Declaration

MAX_BYTES = 16 << 20
"""Largest file that is read: ten times the longest clip's."""

COLUMNS = 4


@dataclass(frozen=True)
class MsrText:
    """Reader of a folder of ``*_skeleton3D.txt``; the declaration's patterns read their names.

    A joint exactly at the origin, where the camera is, is missing.

    Attributes:
        joints: names of a frame's joints, in the files' order; empty if that is the layout's order.
        suffix: how the files' names end.
    """

    carries_layout: ClassVar[bool] = False
    takes_labels: ClassVar[bool] = False

    joints: tuple[str, ...] = ()
    suffix: str = "_skeleton3D.txt"

    def read(self, declaration: Declaration, data: Path, poses: Path, labels: Path | None) -> SkeletonSet:
        """Read every file under ``data``; see :class:`piumr.data.formats.Format`."""
        order = joint_order(declaration, self.joints)
        return read_files(declaration, data, self.suffix, lambda file: self._clip(file, order))

    def _clip(self, file: Path, order: list[int]) -> tuple[Points, Mask]:
        joints = len(self.joints) or len(order)
        words = read_text(file, MAX_BYTES).split()
        if not words or len(words) % (joints * COLUMNS):
            raise PiumrError(
                f"{file}: expected {joints} lines of {COLUMNS} numbers for every frame, but got {len(words)} numbers."
            )
        try:
            numbers = np.array(words, dtype=np.float32)
        except ValueError as error:
            raise PiumrError(f"{file}: expected numbers only, but got: {error}.") from None
        return camera_points(numbers.reshape(-1, joints, COLUMNS)[:, order, :3])
