"""Kinect skeletons in MATLAB files, one clip per file, as UTD-MHAD distributes them: a variable (V, 3, T) in metres.

``scipy.io.loadmat`` parses numbers, texts and structures and executes nothing; only the one variable is read, after
its size in the file's header is checked.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from piumr.data.clips import SkeletonSet
from piumr.data.formats.packing import joint_order, read_files
from piumr.errors import PiumrError
from piumr.layouts import Layout
from piumr.preprocessing import Mask, Points

if TYPE_CHECKING:
    from piumr.data.declaration import Declaration

MAX_BYTES = 64 << 20
"""Largest file, and largest array in one, that is read."""


@dataclass(frozen=True)
class KinectMat:
    """Reader of a folder of ``.mat`` files; the declaration's ``label`` and ``person`` patterns read their names.

    Attributes:
        variable: name of the array (V, 3, T).
        joints: names of its V joints, in its order; empty if that is the layout's order.
    """

    carries_layout: ClassVar[bool] = False
    takes_labels: ClassVar[bool] = False

    variable: str
    joints: tuple[str, ...] = ()

    def read(self, declaration: Declaration, data: Path, poses: Path, labels: Path | None) -> SkeletonSet:
        """Read every ``.mat`` file under ``data``; see :class:`piumr.data.formats.Format`."""
        order = joint_order(declaration, self.joints)
        return read_files(declaration, data, ".mat", lambda file: self._clip(file, order, declaration.layout))

    def _clip(self, file: Path, order: list[int], layout: Layout | None) -> tuple[Points, Mask]:
        """One clip in the layout's joint order, metres."""
        assert layout is not None
        from scipy.io import loadmat, whosmat
        from scipy.io.matlab import MatReadError

        try:
            if file.stat().st_size > MAX_BYTES:
                raise PiumrError(f"{file}: expected at most {MAX_BYTES} bytes, but got {file.stat().st_size}.")
            shapes = {name: shape for name, shape, _ in whosmat(file)}
            shape = shapes.get(self.variable)
            if shape is None:
                raise PiumrError(
                    f"{file}: expected a variable `{self.variable}`, but got {', '.join(shapes) or 'none'}."
                )
            joints = len(self.joints) or len(order)
            if len(shape) != 3 or shape[:2] != (joints, 3) or shape[2] < 1 or 8 * np.prod(shape) > MAX_BYTES:
                raise PiumrError(
                    f"{file}: expected `{self.variable}` to have shape ({joints}, 3, T) for layout {layout.name}, but "
                    f"got {shape}."
                )
            array = loadmat(file, variable_names=[self.variable])[self.variable]
        except PiumrError:
            raise
        except (OSError, ValueError, TypeError, KeyError, NotImplementedError, MatReadError, zlib.error) as error:
            raise PiumrError(f"{file}: expected a readable MATLAB 5 file, but got: {error}.") from None
        if array.dtype.kind not in "fiu":
            raise PiumrError(f"{file}: expected `{self.variable}` to hold numbers, but got {array.dtype}.")
        points = array.transpose(2, 0, 1)[:, order].astype(np.float32)
        # a frame of zeros is one in which Kinect lost the person
        valid = np.any(points, axis=(1, 2), keepdims=True)[..., 0] & np.isfinite(points).all(axis=2)
        return points, valid
