"""The micro-actions as declarations: what moves, how far, how often, and what is touched.

Names, numbers and body parts are MA-52's. A further action is one more entry of :data:`ACTIONS`. In channels and limbs,
``acting`` is the hand or foot on the side that the person prefers, ``other`` the opposite one, ``both`` either.
The forms of the movements are ours, after MA-52's one-line definitions.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from piumr.errors import PiumrError
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


OPEN = (0.1, 0.05, 0.05, 0.05, 0.1)
LOOSE = (0.3, 0.25, 0.3, 0.35, 0.4)
POINT = (0.6, 0.08, 0.75, 0.85, 0.85)
PINCH = (0.5, 0.3, 0.35, 0.3, 0.2)
PALM = (0, 5, 9, 13, 17)
INDEX = (8,)
FINGERTIPS = (8, 12, 16)


@dataclass(frozen=True)
class Touch:
    """Bring a hand (or a foot) to an anchor and back; with a hand goes its shape.

    Attributes:
        limb: ``acting.hand``, ``other.hand``, ``both.hand``, ``acting.foot``, ...
        anchor: where to.
        contact: landmarks of the hand whose mean gets there.
        curl: closing of the five fingers, thumb first.
        angles: further channels of that side, to be reached whatever the person's amplitude is.
    """

    limb: str
    anchor: Anchor
    contact: tuple[int, ...] = PALM
    curl: tuple[float, ...] | None = None
    angles: dict[str, float] = field(default_factory=dict)


Motion = Move | Swing | Pulse | Touch


@dataclass(frozen=True)
class Action:
    """One class.

    Attributes:
        index: its number in MA-52.
        name: its name in MA-52.
        part: its body part, one of :data:`BODY_PARTS`.
        seconds: how long it takes at average speed.
        motions: what happens.
        returns: whether the body comes back to rest at the end.
    """

    index: int
    name: str
    part: str
    seconds: float
    motions: tuple[Motion, ...]
    returns: bool = True


def _arm(pronation: float, flexion: float = 0.0, flare: float | None = None) -> dict[str, float]:
    angles = {"forearm.pronation": pronation, "wrist.flexion": flexion}
    return angles if flare is None else {**angles, "elbow.flare": flare}


ACTIONS: tuple[Action, ...] = (
    Action(0, "shaking body", "body", 1.7, (Swing("torso.roll", 4.5, 1.1), Swing("torso.yaw", 3.5, 1.1, 0.25))),
    Action(
        2,
        "shrugging",
        "body",
        1.1,
        (Move("both.shoulder.lift", 17), Move("head.pitch", -3), Move("both.elbow.flare", 8)),
    ),
    Action(7, "tilting head", "head", 1.4, (Move("head.roll", 17, sideways=True), Move("head.yaw", 4, sideways=True))),
    Action(8, "turning head", "head", 1.4, (Move("head.yaw", 32, sideways=True), Move("head.pitch", 3))),
    Action(9, "nodding", "head", 1.3, (Pulse("head.pitch", 15, 2.0),)),
    Action(10, "shaking head", "head", 1.4, (Swing("head.yaw", 13, 1.9),)),
    Action(
        14,
        "rubbing hands",
        "upper limb",
        1.7,
        (
            Touch("both.hand", Anchor("torso", (0.045, -0.72, 0.52)), PALM, OPEN, _arm(10)),
            Swing("acting.hand.z", 0.05, 2.6),
            Swing("other.hand.z", 0.05, 2.6, 0.5),
        ),
    ),
    Action(
        17,
        "stretching arms",
        "upper limb",
        1.6,
        (Touch("both.hand", Anchor("arm", (0.3, -0.25, 0.8)), PALM, OPEN, _arm(-30, -10)),),
    ),
    Action(
        19,
        "waving",
        "upper limb",
        1.6,
        (
            Touch("acting.hand", Anchor("arm", (0.3, 0.22, 0.48)), PALM, OPEN, _arm(70, -5)),
            Swing("acting.hand.x", 0.08, 2.3),
            Swing("acting.wrist.deviation", 18, 2.3),
        ),
    ),
    Action(
        24, "shaking legs", "lower limb", 1.8, (Pulse("acting.foot.pitch", 17, 3.6), Swing("acting.knee.out", 3, 3.6))
    ),
    Action(
        28,
        "crossing legs",
        "lower limb",
        1.7,
        (
            Touch("acting.foot", Anchor("other thigh", (0.15, -0.72, 1.58)), angles={"foot.pitch": 25, "foot.yaw": 0}),
            Move("torso.pitch", -3),
        ),
        returns=False,
    ),
    Action(31, "tiptoe", "lower limb", 1.5, (Move("both.foot.pitch", 20),)),
    Action(
        32,
        "scratching or touching neck",
        "body-hand",
        1.6,
        (
            Touch("acting.hand", Anchor("torso", (-0.1, 0.13, 0.04)), FINGERTIPS, LOOSE, _arm(-20, 40, 30)),
            Swing("acting.hand.y", 0.025, 2.8),
        ),
    ),
    Action(
        37,
        "crossing arms",
        "body-hand",
        1.7,
        (
            Touch("acting.hand", Anchor("torso", (-0.36, -0.44, 0.34)), PALM, LOOSE, _arm(30, 10, 20)),
            Touch("other.hand", Anchor("torso", (-0.34, -0.52, 0.24)), PALM, LOOSE, _arm(30, 10, 20)),
        ),
        returns=False,
    ),
    Action(
        42,
        "rubbing eyes",
        "head-hand",
        1.6,
        (
            Touch("acting.hand", Anchor("head", (0.22, 0.12, 0.62)), INDEX, LOOSE, _arm(-35, 30)),
            Swing("acting.hand.x", 0.022, 2.8),
        ),
    ),
    Action(
        43,
        "touching nose",
        "head-hand",
        1.5,
        (
            Touch("acting.hand", Anchor("head", (0.0, -0.15, 0.78)), INDEX, POINT, _arm(-30, 25)),
            Swing("acting.hand.y", 0.012, 2.0),
        ),
    ),
    Action(
        46,
        "covering mouth",
        "head-hand",
        1.6,
        (Touch("acting.hand", Anchor("head", (0.0, -0.48, 0.8)), (5, 9, 13), OPEN, _arm(-50, 15)),),
    ),
    Action(
        47,
        "pushing glasses",
        "head-hand",
        0.9,
        (
            Touch("acting.hand", Anchor("head", (0.03, 0.14, 0.72)), INDEX, PINCH, _arm(-5, 15)),
            Pulse("acting.hand.y", 0.05, 1.1),
            Pulse("head.pitch", -7, 1.1),
        ),
    ),
    Action(
        48,
        "patting legs",
        "leg-hand",
        1.6,
        (
            Touch("acting.hand", Anchor("thigh", (0.0, 0.2, 0.7)), PALM, OPEN, _arm(78, -12)),
            Pulse("acting.hand.y", 0.13, 2.3),
        ),
    ),
    Action(
        49,
        "touching legs",
        "leg-hand",
        1.7,
        (
            Touch("acting.hand", Anchor("thigh", (0.0, 0.18, 0.75)), PALM, LOOSE, _arm(75, -5)),
            Swing("acting.hand.z", 0.13, 0.9),
        ),
    ),
)
"""Every action this version can perform, in MA-52's order."""


def get_action(name: str) -> Action:
    """The action of that name.

    Raises:
        PiumrError: if there is none.
    """
    for action in ACTIONS:
        if action.name == name:
            return action
    raise PiumrError(f"Expected `action` to be one of {', '.join(a.name for a in ACTIONS)}, but got {name!r}.")
