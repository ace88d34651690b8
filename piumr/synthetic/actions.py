"""What an action is made of: what moves, how far, how often, and what is touched.

The actions themselves are in :mod:`piumr.synthetic.repertoire`. In channels and limbs, ``acting`` is the hand or foot
on the side that the person prefers, ``other`` the opposite one, ``both`` either.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from piumr.synthetic.body import Anchor

BODY_PARTS = ("body", "head", "upper limb", "lower limb", "body-hand", "head-hand", "leg-hand")
"""MA-52's seven coarse classes."""


@dataclass(frozen=True)
class Move:
    """Go to ``amount`` on a channel (degrees or the channel's unit) and come back with the action.

    ``sideways`` movements go to one side or the other, as the take has it.
    """

    channel: str
    amount: float
    sideways: bool = False


@dataclass(frozen=True)
class Swing:
    """Oscillate on a channel around its place: amount sin(2 pi (hz t + phase)), while the action lasts."""

    channel: str
    amount: float
    hz: float
    phase: float = 0.0


@dataclass(frozen=True)
class Pulse:
    """Repeat a one-sided movement on a channel: amount (1 - cos(2 pi hz t)) / 2, while the action lasts."""

    channel: str
    amount: float
    hz: float


PALM = (0, 5, 9, 13, 17)
"""Landmarks of a hand whose mean is the middle of its palm."""


@dataclass(frozen=True)
class Touch:
    """Bring a hand (or a foot) to an anchor and back; with a hand goes its shape.

    Attributes:
        limb: ``acting.hand``, ``other.hand``, ``both.hand``, ``acting.foot``, ...
        anchor: where to; None leaves the limb where it is and only shapes it.
        contact: landmarks of the hand whose mean gets there.
        curl: closing of the five fingers, thumb first.
        angles: further channels of that side, to be reached whatever the person's amplitude is.
    """

    limb: str
    anchor: Anchor | None
    contact: tuple[int, ...] = PALM
    curl: tuple[float, ...] | None = None
    angles: dict[str, float] = field(default_factory=dict)


Motion = Move | Swing | Pulse | Touch

Course = Literal["there and back", "there", "back"]
"""``there`` ends in the new posture, ``back`` begins in it: the same postures in the opposite order of time."""


@dataclass(frozen=True)
class Action:
    """One class.

    Attributes:
        index: its number in MA-52.
        name: its name in MA-52.
        part: its body part, one of :data:`BODY_PARTS`.
        seconds: how long it takes at average speed.
        motions: what happens.
        course: whether the body leaves its rest, comes back to it, or both.
    """

    index: int
    name: str
    part: str
    seconds: float
    motions: tuple[Motion, ...]
    course: Course = "there and back"
