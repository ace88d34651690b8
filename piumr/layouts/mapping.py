"""From one layout's joints to another's, where they correspond: a model of one is fed with skeletons of the other.

Joints correspond by name. A few that differ are derived: a neck is the mean of the shoulders, a middle hip that of the
hips. A joint without a counterpart is missing, as one that an estimator did not find.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from piumr.layouts.layout import Layout

SHARE = 2 / 3
"""Smallest share of the joints with a counterpart: a model that misses more sees little of what it was trained on."""

DERIVED: dict[str, tuple[str, ...]] = {
    "neck": ("left_shoulder", "right_shoulder"),
    "mid_hip": ("left_hip", "right_hip"),
    **{f"{side}_big_toe": (f"{side}_foot_index",) for side in ("left", "right")},
    **{f"{side}_foot_index": (f"{side}_big_toe",) for side in ("left", "right")},
    **{f"{side}_hand_wrist": (f"{side}_wrist",) for side in ("left", "right")},
}
"""Joints that are the mean of others where the source has none of that name."""


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
        mapped = np.zeros((len(points), len(self.sources), points.shape[2]), dtype=np.float32)
        seen = np.zeros(mapped.shape[:2], dtype=np.bool_)
        for target, sources in enumerate(self.sources):
            if sources:
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
    if name in index:
        return (index[name],)
    parts = DERIVED.get(name, ())
    return tuple(index[part] for part in parts) if all(part in index for part in parts) else ()
