"""NW-UCLA's JSON files as the literature passes them on, one clip each: ``{"skeletons": [[[x, y, z], ...], ...]}``."""

from __future__ import annotations

import json
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
"""Largest file that is read: a hundred times the longest clip's."""


@dataclass(frozen=True)
class SkeletonJson:
    """Reader of a folder of ``.json`` files; the declaration's patterns read their names.

    A joint exactly at the origin, where the camera is, is missing.

    Attributes:
        key: name of the array (T, V, 3), in metres.
        joints: names of its V joints, in its order; empty if that is the layout's order.
    """

    carries_layout: ClassVar[bool] = False
    takes_labels: ClassVar[bool] = False

    key: str = "skeletons"
    joints: tuple[str, ...] = ()

    def read(self, declaration: Declaration, data: Path, poses: Path, labels: Path | None) -> SkeletonSet:
        """Read every ``.json`` file under ``data``; see :class:`piumr.data.formats.Format`."""
        order = joint_order(declaration, self.joints)
        return read_files(declaration, data, ".json", lambda file: self._clip(file, order))

    def _clip(self, file: Path, order: list[int]) -> tuple[Points, Mask]:
        joints = len(self.joints) or len(order)
        content = read_json(file, MAX_BYTES)
        if not isinstance(content, dict) or self.key not in content:
            raise PiumrError(f"{file}: expected an object with the key `{self.key}`, but got another.")
        try:
            points = np.array(content[self.key], dtype=np.float32)
        except (ValueError, TypeError, OverflowError):  # lists of several lengths, texts, huge integers
            points = np.empty(0, dtype=np.float32)
        if points.ndim != 3 or points.shape[1:] != (joints, 3) or len(points) < 1:
            raise PiumrError(
                f"{file}: expected `{self.key}` to hold numbers of shape (T, {joints}, 3), but got "
                f"{points.shape if points.size else 'another list'}."
            )
        return camera_points(points[:, order])


def read_json(file: Path, limit: int) -> object:
    """The content of a JSON file.

    Raises:
        PiumrError: if it cannot be read, is no JSON or has more than ``limit`` bytes.
    """
    try:
        return json.loads(read_text(file, limit))
    except (ValueError, RecursionError) as error:
        if isinstance(error, PiumrError):
            raise
        raise PiumrError(f"{file}: expected a JSON file, but got: {error}.") from None
