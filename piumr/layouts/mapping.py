"""From one layout's joints to another's, where they correspond: a model of one is fed with skeletons of the other.

Joints correspond by name. A few that differ are derived: a middle hip is the mean of the hips, Kinect v2's spine_base
is Kinect v1's hip_center. A joint without a counterpart is missing, as one that an estimator did not find.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from piumr.layouts.layout import Layout

SHARE = 2 / 3
"""Smallest share of the joints with a counterpart: a model that misses more sees little of what it was trained on."""

RENAMED = (
    *(("spine_base", "hip_center"), ("spine_mid", "spine"), ("spine_shoulder", "shoulder_center")),  # Kinect v2, v1
    *((f"{side}_big_toe", f"{side}_foot_index") for side in ("left", "right")),
)
"""Pairs of names of the same place of the body: each stands for the other."""

DERIVED: dict[str, tuple[tuple[str, ...], ...]] = {
    # Kinect v1's shoulder_center is above the shoulders, so a neck between these would be below it
    "neck": (("shoulder_center", "head"), ("left_shoulder", "right_shoulder")),
    "mid_hip": (("left_hip", "right_hip"),),
    **{f"{side}_hand_wrist": ((f"{side}_wrist",),) for side in ("left", "right")},
    **{name: ((other,),) for pair in RENAMED for name, other in (pair, pair[::-1])},
}
"""Where the source has no joint of that name: the joints it is the mean of, the first group that the source has."""


@dataclass(frozen=True)
class LayoutMapping:
    """Where each of a target's joints comes from.

    Attributes:
        sources: for each of the W target joints the source joints it is the mean of; empty where it has none.
    """

    sources: tuple[tuple[int, ...], ...]

    def __call__(
        self, points: NDArray[np.float32], valid: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Map one clip.

        Args:
            points: float32 (T, V, C) of the source's joints.
            valid: bool (T, V).

        Returns:
            points float32 (T, W, C) and valid bool (T, W) of the target's joints. A joint is valid where all joints it
            comes from are; points that are not valid are 0.
        """
        first = np.array([sources[0] if sources else -1 for sources in self.sources])
        mapped = points.take(first, axis=1).astype(np.float32, copy=False)
        seen = valid.take(first, axis=1) & (first >= 0)
        for target, sources in enumerate(self.sources):  # rare: one by one they are slow
            if len(sources) > 1:
                mapped[:, target] = points[:, sources].mean(axis=1)
                seen[:, target] = valid[:, sources].all(axis=1)
        return np.where(seen[..., None], mapped, np.float32(0)), seen


def find_mapping(source: Sequence[str], target: Layout, share: float = SHARE) -> LayoutMapping | None:
    """The mapping from joints named ``source`` to a layout.

    Args:
        source: names of the V joints there are.
        target: the layout that is wanted.
        share: smallest share of the target's joints that must have a counterpart.

    Returns:
        The mapping, or None where fewer have one.
    """
    index = {name: i for i, name in enumerate(source)}
    sources = tuple(_sources(name, index) for name in target.joints)
    found = sum(bool(joints) for joints in sources)
    return LayoutMapping(sources) if found >= share * len(target) else None


def _sources(name: str, index: dict[str, int]) -> tuple[int, ...]:
    groups = ((name,), *DERIVED.get(name, ()))
    return next((tuple(index[part] for part in group) for group in groups if index.keys() >= set(group)), ())
