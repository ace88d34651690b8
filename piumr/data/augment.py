"""Augmentation of whole batches on their device; every random number comes from one ``torch.Generator``.

Coordinates are those of :func:`piumr.preprocessing.normalise`: origin at the person's centre, the person's unit
(shoulder width, or the like) is 1. Metric sets have y along the vertical axis. Every function returns new tensors.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from piumr.data.clips import ClipTable
from piumr.errors import PiumrError
from piumr.layouts import PARTS, Layout


@dataclass(frozen=True)
class Augmentation:
    """How strongly training clips are varied; 0 (1 for ``crop``) switches a variation off.

    The defaults are mild: in a micro-action the amplitude is the message, so noise stays far below it, and a crop
    keeps most of the clip.

    Attributes:
        crop: shortest share of a clip's time that is kept, 0 to 1.
        warp: largest relative change of speed within a clip, 0 to below 1.
        turn: largest rotation about the vertical axis, degrees; 3-D only.
        tilt: largest rotation in the image plane (2-D) or about each of the two horizontal axes (3-D), degrees.
        scale: largest relative change of size, drawn for each axis.
        mirror: probability of swapping left and right; see :meth:`for_set`.
        jitter: standard deviation of the noise on every coordinate, in body units.
        dropout: probability that a body part goes missing for a while.
        dropout_span: longest share of a clip's time for which it does, 0 to 1.
    """

    crop: float = 0.8
    warp: float = 0.2
    turn: float = 30.0
    tilt: float = 8.0
    scale: float = 0.15
    mirror: float = 0.5
    jitter: float = 0.005
    dropout: float = 0.2
    dropout_span: float = 0.5

    def __post_init__(self) -> None:
        """Check the strengths.

        Raises:
            PiumrError: if one is out of its range.
        """
        for name in ("crop", "warp", "mirror", "dropout", "dropout_span"):
            if not 0 <= getattr(self, name) <= 1:
                raise PiumrError(f"Expected augmentation `{name}` within 0..1, but got {getattr(self, name)}.")
        for name in ("turn", "tilt", "scale", "jitter"):
            if not 0 <= getattr(self, name) < math.inf:
                raise PiumrError(f"Expected augmentation `{name}` to be at least 0, but got {getattr(self, name)}.")
        if self.crop == 0 or self.warp == 1 or self.scale >= 1:
            raise PiumrError(
                "Expected augmentation `crop` above 0, `warp` and `scale` below 1, but got "
                f"{self.crop}, {self.warp} and {self.scale}."
            )

    def for_set(self, clips: ClipTable) -> Augmentation:
        """The same strengths, without mirroring where the set does not allow it."""
        return self if clips.mirror else replace(self, mirror=0.0)

    def times(self, batch: int, frames: int, generator: torch.Generator) -> Tensor:
        """Random crop and warp, for :meth:`piumr.data.store.ClipStore.sample`; see :func:`random_times`."""
        return random_times(batch, frames, self.crop, self.warp, generator)

    def __call__(
        self, points: Tensor, valid: Tensor, layout: Layout, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Vary a batch in space.

        Args:
            points: float32 (N, C, T, V), normalised, C = 2 or 3.
            valid: bool (N, T, V).
            layout: the V joints.
            generator: on the same device.

        Returns:
            points and valid of the same shapes.
        """
        points, valid = mirror(points, valid, self.mirror, layout, generator)
        count, dimensions = points.shape[:2]
        factors = scaling(count, dimensions, self.scale, generator)
        matrix = rotation(count, dimensions, self.turn, self.tilt, generator) * factors[:, None]
        points = transform(points, matrix, self.jitter, generator)
        return drop_part(points, valid, self.dropout, self.dropout_span, layout, generator)


def random_times(batch: int, frames: int, crop: float, warp: float, generator: torch.Generator) -> Tensor:
    """Where in its clip each frame of a batch is read, 0 its first and 1 its last frame: a random window, warped.

    The window keeps a share of the clip drawn from ``crop``..1, at a random place. The warp is
    ``u + a sin(pi u) / pi + b sin(2 pi u) / (2 pi)`` with ``|a| + |b| <= warp < 1``, smooth and strictly rising.

    Args:
        batch: number of clips N.
        frames: number of frames T.
        crop: shortest share kept, 0 to 1.
        warp: largest relative change of speed, 0 to below 1.
        generator: gives the randomness and the device.

    Returns:
        float32 (N, T), strictly rising within 0..1.
    """
    share = 1 - (1 - crop) * _uniform((batch, 1), generator)
    start = (1 - share) * _uniform((batch, 1), generator)
    u = torch.linspace(0, 1, frames, device=generator.device)
    a, b = (warp * (_uniform((2, batch, 1), generator) - 0.5)).unbind()
    warped = u + a * torch.sin(math.pi * u) / math.pi + b * torch.sin(2 * math.pi * u) / (2 * math.pi)
    return (start + share * warped).clamp(0, 1)


def mirror(
    points: Tensor, valid: Tensor, probability: float, layout: Layout, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Swap left and right: x changes its sign, partners change places. Shapes as in :class:`Augmentation`."""
    chosen = _uniform((len(points),), generator) < probability
    partners = _partners(layout, points.device)
    order = torch.where(chosen[:, None], partners, torch.arange(len(partners), device=points.device))  # (N, V)
    mirrored = points.gather(3, order[:, None, None].expand_as(points))
    mirrored[:, 0] *= torch.where(chosen, -1.0, 1.0)[:, None, None]
    return mirrored, valid.gather(2, order[:, None].expand_as(valid))


def scaling(count: int, dimensions: int, strength: float, generator: torch.Generator) -> Tensor:
    """A factor in 1 - strength..1 + strength for each axis of each clip, (N, C)."""
    return 1 + strength * (2 * _uniform((count, dimensions), generator) - 1)


def rotation(count: int, dimensions: int, turn: float, tilt: float, generator: torch.Generator) -> Tensor:
    """A rotation about the origin for each clip, (N, C, C): in the plane (2-D, by at most ``tilt``), or in space (3-D).

    In space it turns by at most ``turn`` degrees about the vertical axis y, and then by at most ``tilt`` about each of
    the axes x and z.
    """
    angles = (2 * _uniform((3, count), generator) - 1) * math.pi / 180
    if dimensions == 2:
        return _turn(angles[0] * tilt, 0, 1, 2)
    return _turn(angles[0] * tilt, 0, 1, 3) @ _turn(angles[1] * tilt, 1, 2, 3) @ _turn(angles[2] * turn, 0, 2, 3)


def transform(points: Tensor, matrix: Tensor, jitter: float, generator: torch.Generator) -> Tensor:
    """Take each clip through its matrix (N, C, C) and add normal noise of standard deviation ``jitter``.

    The noise is independent for every coordinate. Both in one pass: fresh memory costs more than the arithmetic.
    """
    noise = torch.randn(points.shape, generator=generator, device=points.device)
    return noise.flatten(2).baddbmm_(matrix, points.flatten(2), beta=jitter).view_as(points)


def drop_part(
    points: Tensor, valid: Tensor, probability: float, span: float, layout: Layout, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Let a random body part of some clips go missing for a while.

    Within the gap the part is not valid and its coordinates run in a straight line from the frame before to the frame
    after it, or hold still where the gap touches an end of the clip: what preprocessing does to a real gap.

    Args:
        points: float32 (N, C, T, V).
        valid: bool (N, T, V).
        probability: of a gap in a clip.
        span: longest share of the time, 0 to 1; a gap always leaves a frame.
        layout: the V joints.
        generator: on the same device.
    """
    count, _, frames, _ = points.shape
    parts = _part_masks(layout, points.device)
    part = parts[(_uniform((count,), generator) * len(parts)).long()]  # (N, V)
    longest = min(int(span * frames), frames - 1)
    length = (1 + _uniform((count,), generator) * longest).long().clamp(max=longest)
    start = (_uniform((count,), generator) * (frames - length + 1)).long()
    dropped = (_uniform((count,), generator) < probability) & (length > 0)
    chosen = _where(dropped)
    part, length, start = part[chosen] & dropped[chosen, None], length[chosen], start[chosen]
    t = torch.arange(frames, device=points.device)
    gap = ((t >= start[:, None]) & (t < (start + length)[:, None]))[:, :, None] & part[:, None, :]  # (n, T, V)
    before, after = start - 1, start + length
    before, after = torch.where(before < 0, after, before), torch.where(after >= frames, before, after)
    a, b = points[chosen, :, before], points[chosen, :, after]  # (n, C, V)
    weight = (t - before[:, None]) / (after - before).clamp(min=1)[:, None]
    line = torch.lerp(a[:, :, None], b[:, :, None], weight.clamp(0, 1)[:, None, :, None])
    return (
        points.index_copy(0, chosen, torch.where(gap[:, None], line, points[chosen])),
        valid.index_copy(0, chosen, valid[chosen] & ~gap),
    )


def _uniform(shape: tuple[int, ...] | torch.Size, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device)


def _where(chosen: Tensor) -> Tensor:
    """Indices of the clips that are chosen; on a GPU of all, since to ask it for their number is to wait."""
    if chosen.device.type == "cpu":
        return chosen.nonzero()[:, 0]
    return torch.arange(len(chosen), device=chosen.device)


def _turn(angle: Tensor, i: int, j: int, size: int) -> Tensor:
    """Rotations by ``angle`` (N,) in the plane of axes i and j, (N, size, size)."""
    matrix = torch.eye(size, device=angle.device).repeat(len(angle), 1, 1)
    matrix[:, i, i] = matrix[:, j, j] = torch.cos(angle)
    matrix[:, j, i] = torch.sin(angle)
    matrix[:, i, j] = -torch.sin(angle)
    return matrix


@functools.lru_cache(maxsize=16)
def _partners(layout: Layout, device: torch.device) -> Tensor:
    return torch.tensor(layout.partners, device=device)


@functools.lru_cache(maxsize=16)
def _part_masks(layout: Layout, device: torch.device) -> Tensor:
    """Which joints each of the layout's body parts has, bool (parts, V)."""
    names = [name for name in PARTS if name in layout.parts]
    return torch.tensor([[part == name for part in layout.parts] for name in names], device=device)
