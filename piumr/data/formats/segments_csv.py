"""Long recordings in csv with a list of what happens when: iMiGUE and SMG as the MiGA challenge distributes them.

A folder a recording. In it ``<recording><skeleton>`` has a row of numbers a frame and ``<recording><labels>`` a row
``label,first frame,last frame`` a segment, frames from 0 and the last one included. A segment is a clip.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from piumr.data.clips import SkeletonSet
from piumr.data.formats.packing import camera_points, check_plain, joint_order, pack
from piumr.data.labels import class_indices
from piumr.data.text_files import read_text
from piumr.errors import PiumrError
from piumr.preprocessing import LIMIT, Mask, Points

if TYPE_CHECKING:
    from piumr.data.declaration import Declaration

MAX_BYTES = 1 << 30
"""Largest file that is read: an hour of 75 joints with eleven columns each."""


@dataclass(frozen=True)
class SegmentsCsv:
    """Reader of a folder of such folders; clips are called ``folder/recording:first-last``.

    Attributes:
        skeleton: how the names of the files of numbers end.
        labels: how the names of the files of segments end.
        coordinates: ``image``: a joint's first three columns are x and y in pixels and a confidence, 0 where it is
            missing; ``metric``: x, y and z in metres.
        columns: columns of each joint.
        skip: columns before the first joint.
        joints: names of the joints, in the files' order, which may be more than the layout's; empty if they are those.
        codes: the numbers that stand for the classes, in their order; empty if they are numbers from 1.
    """

    carries_layout: ClassVar[bool] = False
    takes_labels: ClassVar[bool] = False

    skeleton: str
    labels: str
    coordinates: Literal["image", "metric"]
    columns: int = 3
    skip: int = 0
    joints: tuple[str, ...] = ()
    codes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            PiumrError: if an ending is no part of a name, columns are missing, or a code is given twice.
        """
        check_plain("skeleton", [self.skeleton])
        check_plain("labels", [self.labels])
        if not self.skeleton or not self.labels:
            raise PiumrError("expected `skeleton` and `labels` to be ends of file names, but got an empty text")
        if not 3 <= self.columns <= 100 or not 0 <= self.skip <= 100:
            raise PiumrError("expected `columns` in 3..100 and `skip` in 0..100")
        if len(set(self.codes)) != len(self.codes):
            raise PiumrError("expected `codes` to be different from each other, but got one twice")

    def read(self, declaration: Declaration, data: Path, poses: Path, labels: Path | None) -> SkeletonSet:
        """Read every recording under ``data`` that has a list of segments; see :class:`piumr.data.formats.Format`."""
        files = sorted(data.rglob(f"*{self.labels}"))
        if not files:
            raise PiumrError(
                f"Expected *{self.labels} files under {data}, but there are none; see {declaration.source}."
            )
        order = joint_order(declaration, self.joints)
        names: list[str] = []
        clips: list[tuple[Points, Mask]] = []
        texts: list[str] = []
        for file in files:
            recording = file.with_name(file.name.removesuffix(self.labels))
            points, valid = self._recording(recording.with_name(recording.name + self.skeleton), order)
            for line, (code, first, last) in enumerate(_segments(file), start=1):
                if not 0 <= first <= last < len(points):
                    raise PiumrError(
                        f"{file}, line {line}: expected a segment within the recording's frames 0..{len(points) - 1}, "
                        f"but got {first}..{last}."
                    )
                names.append(f"{recording.relative_to(data).as_posix()}:{first}-{last}")
                clips.append((points[first : last + 1], valid[first : last + 1]))
                texts.append(self._class(code, f"{file}, line {line}"))
        if not names:
            raise PiumrError(f"Expected segments in the *{self.labels} files under {data}, but all are empty.")
        class_names = declaration.class_names
        if class_names is None:
            indices, class_names = class_indices(texts, None)
        else:
            indices = [int(text) - 1 for text in texts]
        return pack(declaration, names, clips, indices, class_names)

    def _class(self, code: int, where: str) -> str:
        """The number of a class, from 1."""
        if not self.codes:
            return str(code)
        if code not in self.codes:
            raise PiumrError(f"{where}: expected one of the labels {', '.join(map(str, self.codes))}, but got {code}.")
        return str(self.codes.index(code) + 1)

    def _recording(self, file: Path, order: list[int]) -> tuple[Points, Mask]:
        """All frames of a recording in the layout's joint order."""
        joints = len(self.joints) or len(order)
        width = self.skip + joints * self.columns
        lines = read_text(file, MAX_BYTES).splitlines()
        if not lines:
            raise PiumrError(f"{file}: expected rows of {width} numbers, but got none.")
        try:
            rows = np.loadtxt(lines, dtype=np.float32, delimiter=",", ndmin=2, comments=None)
        except ValueError as error:
            reason = next(iter(str(error).splitlines()), "")
            raise PiumrError(f"{file}: expected rows of {width} numbers, but got: {reason}.") from None
        if rows.shape[1] != width:
            raise PiumrError(f"{file}: expected rows of {width} numbers, but got {rows.shape[1]}.")
        values = rows[:, self.skip :].reshape(len(rows), joints, self.columns)[:, order, :3]
        if self.coordinates == "metric":
            return camera_points(values)
        valid = (values[..., 2] > 0) & (np.abs(values[..., :2]) < LIMIT).all(axis=2)
        return np.where(valid[..., None], values[..., :2], np.float32(0)), valid


def _segments(file: Path) -> list[tuple[int, int, int]]:
    """Label, first and last frame of each segment."""
    rows = csv.reader(read_text(file, MAX_BYTES).splitlines())
    try:
        return [(int(label), int(first), int(last)) for label, first, last in rows]
    except csv.Error as error:
        raise PiumrError(f"{file}: expected a csv file, but got: {error}.") from None
    except ValueError:
        raise PiumrError(f"{file}: expected rows `label,first frame,last frame` of integers, but got others.") from None
