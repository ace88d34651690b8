"""Body parts that go missing at test time, to ask what a model makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from piumr.data.clips import SkeletonSet
from piumr.errors import PiumrError

RUN = 10.0
"""Mean length of a gap in frames: an estimator that loses a hand finds it again after about a third of a second."""


def lose_parts(
    clips: SkeletonSet, parts: Sequence[str], share: float, seed: int, *, zero_filled: bool = False
) -> SkeletonSet:
    """Let whole body parts go missing in random runs of frames, each part on its own.

    Gaps and the stretches between them have geometric lengths, so that a gap can also cover a clip.

    Args:
        clips: the set.
        parts: which of :data:`piumr.layouts.PARTS` go missing.
        share: expected share of the frames in which a part is missing, 0 to below 1.
        seed: of the gaps.
        zero_filled: instead of being marked as missing, lost joints lie at the point (0, 0) and count as seen. It is
            what many pipelines do, and what this is compared with.

    Raises:
        PiumrError: if ``share`` is out of range or the layout has no such part.
    """
    if not 0 <= share < 1:
        raise PiumrError(f"Expected `share` to be at least 0 and below 1, but got {share}.")
    absent = sorted(set(parts) - set(clips.layout.parts))
    if absent:
        raise PiumrError(f"Expected `parts` of layout {clips.layout.name}, but it has no {absent[0]!r}.")
    rng = np.random.default_rng(seed)
    lost = np.zeros(clips.valid.shape, dtype=np.bool_)
    for part in parts:
        joints = [i for i, name in enumerate(clips.layout.parts) if name == part]
        lost[:, joints] = _gaps(len(lost), share, rng)[:, None]
    if zero_filled:
        return replace(clips, points=np.where(lost[..., None], np.float32(0), clips.points), valid=clips.valid | lost)
    return replace(clips, valid=clips.valid & ~lost)


def _gaps(frames: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Bool (frames,), true in runs of mean length :data:`RUN` that cover ``share`` of the frames on average."""
    if share == 0:
        return np.zeros(frames, dtype=np.bool_)
    # a two-state Markov chain: the chance to leave a gap, and to enter one, in each frame
    leave = 1 / RUN
    enter = min(leave * share / (1 - share), 1.0)
    begins_lost = rng.random() < share
    lengths = rng.geometric([leave, enter] if begins_lost else [enter, leave], (frames, 2)).ravel()
    lengths = lengths[: np.searchsorted(np.cumsum(lengths), frames) + 1]
    return np.repeat(np.arange(len(lengths)) % 2 == (0 if begins_lost else 1), lengths)[:frames]
