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
from piumr.errors import PiumrError

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
        layout, label, person = declaration.layout, declaration.label, declaration.person
        assert layout is not None
        if label is None or declaration.class_names is None:
            raise PiumrError(f"Expected data set {declaration.name} to declare `classes` and a `label` pattern.")
        if self.joints and sorted(self.joints) != sorted(layout.joints):
            raise PiumrError(
                f"Expected `options.joints` of data set {declaration.name} to be the {len(layout)} joints of layout "
                f"{layout.name} in the files' order, but got {', '.join(self.joints[:3])}, ..."
            )
        order = [self.joints.index(joint) for joint in layout.joints] if self.joints else list(range(len(layout)))
        files = sorted(data.rglob("*.mat"))
        if not files:
            raise PiumrError(f"Expected .mat files under {data}, but there are none; see {declaration.source}.")
        names = tuple(file.relative_to(data).with_suffix("").as_posix() for file in files)
        clips = [self._clip(file, order, layout.name) for file in files]
        points = np.concatenate(clips).astype(np.float32)
        # a frame of zeros is one in which Kinect lost the person
        valid = np.any(points, axis=(1, 2), keepdims=True)[..., 0] & np.isfinite(points).all(axis=2)
        return SkeletonSet(
            points=np.where(valid[..., None], points, np.float32(0)),
            valid=valid,
            offsets=np.cumsum([0, *map(len, clips)]),
            labels=np.array([label.from_name(name) for name in names]),
            names=names,
            persons=None if person is None else tuple(person.from_name(name) for name in names),
            splits=None,
            class_names=declaration.class_names,
            layout=layout,
            coarse=declaration.coarse,
            coarse_names=declaration.coarse_names,
            mirror=declaration.mirror,
        )

    def _clip(self, file: Path, order: list[int], layout: str) -> np.ndarray:
        """One clip (T, V, 3) in the layout's joint order, metres."""
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
            if len(shape) != 3 or shape[:2] != (len(order), 3) or shape[2] < 1 or 8 * np.prod(shape) > MAX_BYTES:
                raise PiumrError(
                    f"{file}: expected `{self.variable}` to have shape ({len(order)}, 3, T) for layout {layout}, but "
                    f"got {shape}."
                )
            array = loadmat(file, variable_names=[self.variable])[self.variable]
        except PiumrError:
            raise
        except (OSError, ValueError, TypeError, KeyError, NotImplementedError, MatReadError, zlib.error) as error:
            raise PiumrError(f"{file}: expected a readable MATLAB 5 file, but got: {error}.") from None
        if array.dtype.kind not in "fiu":
            raise PiumrError(f"{file}: expected `{self.variable}` to hold numbers, but got {array.dtype}.")
        return array.transpose(2, 0, 1)[:, order]
