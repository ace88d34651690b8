"""MA-52's 52 micro-actions as declarations.

Names, numbers and body parts are MA-52's; the forms of the movements are ours. A further action is one more entry of
:data:`ACTIONS`. MA-52's opposites (stretching and retracting arms or feet, spreading and closing legs) are one movement
in two directions of time: single postures do not tell them apart.
"""

from __future__ import annotations

from piumr.errors import PiumrError
from piumr.synthetic.actions import PALM, Action, Move, Pulse, Swing, Touch
from piumr.synthetic.body import FINGERS, Anchor

# closing of thumb, index, middle, ring and little finger
OPEN = (0.1, 0.05, 0.05, 0.05, 0.1)
LOOSE = (0.3, 0.25, 0.3, 0.35, 0.4)
POINT = (0.6, 0.08, 0.75, 0.85, 0.85)
PINCH = (0.5, 0.3, 0.35, 0.3, 0.2)
FIST = (0.9, 1.0, 1.0, 1.0, 1.0)

# what of the hand touches
INDEX = (8,)
THUMB_AND_INDEX = (4, 8)
FINGERTIPS = (8, 12, 16)
KNUCKLES = (5, 9, 13)


def _arm(pronation: float, flexion: float = 0.0, flare: float | None = None) -> dict[str, float]:
    angles = {"forearm.pronation": pronation, "wrist.flexion": flexion}
    return angles if flare is None else {**angles, "elbow.flare": flare}


STRETCHED_ARMS = Touch("both.hand", Anchor("arm", (0.25, -0.15, 0.78)), PALM, OPEN, _arm(-30, -10))
STRETCHED_FOOT = Touch("acting.foot", Anchor("floor", (0.0, 0.0, 1.8)), angles={"foot.pitch": -8})
LEGS_APART = (Move("both.foot.x", 0.28), Move("both.knee.out", 18))

BODY = (
    Action(0, "shaking body", "body", 1.7, (Swing("torso.roll", 4.5, 1.1), Swing("torso.yaw", 3.5, 1.1, 0.25))),
    Action(
        1,
        "sitting straightly",
        "body",
        1.2,
        (Move("torso.pitch", -7), Move("pelvis.y", 0.08), Move("both.shoulder.forward", -11), Move("head.pitch", -7)),
        course="there",
    ),
    Action(
        2,
        "shrugging",
        "body",
        1.1,
        (Move("both.shoulder.lift", 17), Move("head.pitch", -3), Move("both.elbow.flare", 8)),
    ),
    Action(
        3,
        "turning around",
        "body",
        1.6,
        (Move("torso.yaw", 26, sideways=True), Move("head.yaw", 34, sideways=True), Move("torso.pitch", 3)),
    ),
    Action(
        4,
        "rising up",
        "body",
        1.6,
        (Move("pelvis.y", 0.28), Move("pelvis.z", 0.2), Move("torso.pitch", 17), Move("head.pitch", -8)),
        course="there",
    ),
)

HEAD = (
    Action(5, "bowing head", "head", 1.6, (Move("head.pitch", 24), Move("torso.pitch", 2))),
    Action(6, "head up", "head", 1.6, (Move("head.pitch", -19), Move("torso.pitch", -2))),
    Action(7, "tilting head", "head", 1.4, (Move("head.roll", 17, sideways=True), Move("head.yaw", 4, sideways=True))),
    Action(8, "turning head", "head", 1.4, (Move("head.yaw", 32, sideways=True), Move("head.pitch", 3))),
    Action(9, "nodding", "head", 1.3, (Pulse("head.pitch", 15, 2.0),)),
    Action(10, "shaking head", "head", 1.4, (Swing("head.yaw", 13, 1.9),)),
)

UPPER_LIMB = (
    Action(
        11,
        "scratching arms",
        "upper limb",
        1.7,
        (
            Touch("acting.hand", Anchor("other forearm", (0.0, 0.2, 0.45)), FINGERTIPS, LOOSE, _arm(55, 20)),
            Swing("acting.hand.z", 0.05, 2.6),
        ),
    ),
    Action(
        12,
        "playing objects",
        "upper limb",
        1.8,
        (
            Touch("both.hand", Anchor("torso", (0.13, -0.6, 0.55)), PALM, PINCH, _arm(25)),
            Swing("acting.forearm.pronation", 22, 1.5),
            Swing("acting.hand.y", 0.035, 1.5, 0.25),
            Pulse("acting.curl.index", 0.4, 2.2),
            Pulse("other.curl.thumb", 0.3, 2.2),
        ),
    ),
    Action(
        13,
        "putting hands together",
        "upper limb",
        1.5,
        (Touch("both.hand", Anchor("torso", (0.04, -0.72, 0.52)), PALM, OPEN, _arm(10)),),
        course="there",
    ),
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
        15,
        "pointing oneself",
        "upper limb",
        1.5,
        (
            Touch("acting.hand", Anchor("torso", (-0.1, -0.2, 0.32)), INDEX, POINT, _arm(20, 30, 25)),
            Pulse("acting.hand.z", 0.06, 1.4),
        ),
    ),
    Action(16, "clenching fist", "upper limb", 1.4, (Touch("both.hand", None, curl=FIST),)),
    Action(17, "stretching arms", "upper limb", 1.5, (STRETCHED_ARMS,), course="there"),
    Action(18, "retracting arms", "upper limb", 1.5, (STRETCHED_ARMS,), course="back"),
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
        20,
        "spreading hands",
        "upper limb",
        1.4,
        (Touch("both.hand", Anchor("arm", (0.42, -0.55, 0.5)), PALM, OPEN, _arm(-75, -10)),),
    ),
    Action(
        21,
        "hands touching fingers",
        "upper limb",
        1.8,
        (
            Touch("other.hand", Anchor("torso", (0.05, -0.75, 0.5)), PALM, LOOSE, _arm(35)),
            Touch("acting.hand", Anchor("other hand", (0.0, 0.1, 0.75)), THUMB_AND_INDEX, PINCH, _arm(40, 15)),
            Swing("acting.hand.z", 0.03, 1.7),
            Pulse("acting.curl.thumb", 0.3, 1.7),
        ),
    ),
    Action(
        22,
        "other finger movements",
        "upper limb",
        1.7,
        tuple(Swing(f"acting.curl.{finger}", 0.35, 1.9, 0.2 * i) for i, finger in enumerate(FINGERS)),
    ),
    Action(
        23,
        "illustrative gestures",
        "upper limb",
        1.8,
        (
            Touch("both.hand", Anchor("arm", (0.12, -0.52, 0.55)), PALM, LOOSE, _arm(-25)),
            Pulse("acting.hand.y", 0.16, 1.5),
            Pulse("other.hand.y", 0.08, 1.5),
            Swing("both.forearm.pronation", 18, 1.5),
        ),
    ),
)

LOWER_LIMB = (
    Action(
        24, "shaking legs", "lower limb", 1.8, (Pulse("acting.foot.pitch", 17, 3.6), Swing("acting.knee.out", 3, 3.6))
    ),
    Action(
        25,
        "curling legs",
        "lower limb",
        1.6,
        (Touch("both.foot", Anchor("floor", (0.05, 0.0, 0.75)), angles={"foot.pitch": 34, "foot.yaw": 5}),),
    ),
    Action(26, "spread legs", "lower limb", 1.4, LEGS_APART, course="there"),
    Action(27, "closing legs", "lower limb", 1.4, LEGS_APART, course="back"),
    Action(
        28,
        "crossing legs",
        "lower limb",
        1.7,
        (
            Touch("acting.foot", Anchor("other thigh", (0.15, -0.72, 1.58)), angles={"foot.pitch": 25, "foot.yaw": 0}),
            Move("torso.pitch", -3),
        ),
        course="there",
    ),
    Action(29, "stretching feet", "lower limb", 1.4, (STRETCHED_FOOT,), course="there"),
    Action(30, "retracting feet", "lower limb", 1.4, (STRETCHED_FOOT,), course="back"),
    Action(31, "tiptoe", "lower limb", 1.5, (Move("both.foot.pitch", 20),)),
)

BODY_HAND = (
    Action(
        32,
        "scratching or touching neck",
        "body-hand",
        1.6,
        (
            Touch("acting.hand", Anchor("torso", (-0.1, 0.12, 0.04)), FINGERTIPS, LOOSE, _arm(-10, 45, 40)),
            Swing("acting.hand.y", 0.025, 2.8),
        ),
    ),
    Action(
        33,
        "scratching or touching chest",
        "body-hand",
        1.6,
        (
            Touch("acting.hand", Anchor("torso", (-0.05, -0.25, 0.28)), FINGERTIPS, LOOSE, _arm(20, 20, 25)),
            Swing("acting.hand.y", 0.03, 2.6),
        ),
    ),
    Action(
        34,
        "scratching or touching back",
        "body-hand",
        1.7,
        (
            Touch("acting.hand", Anchor("torso", (0.12, -0.55, -0.3)), FINGERTIPS, LOOSE, _arm(0, 30, 35)),
            Swing("acting.hand.y", 0.03, 2.6),
        ),
    ),
    Action(
        35,
        "scratching or touching shoulder",
        "body-hand",
        1.6,
        (
            Touch("acting.hand", Anchor("torso", (-0.36, 0.05, 0.1)), FINGERTIPS, LOOSE, _arm(40, 15, 30)),
            Swing("acting.hand.x", 0.025, 2.4),
        ),
    ),
    Action(
        36,
        "arms akimbo",
        "body-hand",
        1.6,
        (Touch("both.hand", Anchor("torso", (0.3, -0.85, 0.05)), PALM, LOOSE, _arm(40, 25, 80)),),
        course="there",
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
        course="there",
    ),
)

HEAD_HAND = (
    Action(
        38,
        "playing or tidying hair",
        "head-hand",
        1.8,
        (
            Touch("acting.hand", Anchor("head", (0.4, 0.9, 0.15)), FINGERTIPS, PINCH, _arm(-10, 30, 60)),
            Swing("acting.hand.z", 0.06, 1.3),
            Swing("acting.hand.y", 0.04, 1.3, 0.25),
        ),
    ),
    Action(
        39,
        "scratching or touching hindbrain",
        "head-hand",
        1.7,
        (
            Touch("acting.hand", Anchor("head", (0.15, 0.15, -0.6)), FINGERTIPS, LOOSE, _arm(0, 35, 75)),
            Swing("acting.hand.y", 0.025, 2.6),
        ),
    ),
    Action(
        40,
        "scratching or touching forehead",
        "head-hand",
        1.6,
        (
            Touch("acting.hand", Anchor("head", (0.12, 0.55, 0.6)), FINGERTIPS, LOOSE, _arm(-35, 30, 45)),
            Swing("acting.hand.x", 0.03, 2.4),
        ),
    ),
    Action(
        41,
        "scratching or touching face",
        "head-hand",
        1.6,
        (
            Touch("acting.hand", Anchor("head", (0.36, -0.32, 0.5)), FINGERTIPS, LOOSE, _arm(-25, 25, 40)),
            Swing("acting.hand.y", 0.025, 2.2),
        ),
    ),
    Action(
        42,
        "rubbing eyes",
        "head-hand",
        1.6,
        (
            Touch("acting.hand", Anchor("head", (0.22, 0.12, 0.62)), INDEX, LOOSE, _arm(-35, 30, 45)),
            Swing("acting.hand.x", 0.022, 2.8),
        ),
    ),
    Action(
        43,
        "touching nose",
        "head-hand",
        1.5,
        (
            Touch("acting.hand", Anchor("head", (0.0, -0.15, 0.78)), INDEX, POINT, _arm(-30, 25, 35)),
            Swing("acting.hand.y", 0.012, 2.0),
        ),
    ),
    Action(
        44,
        "touching ears",
        "head-hand",
        1.6,
        (
            Touch("acting.hand", Anchor("head", (0.54, -0.05, 0.04)), THUMB_AND_INDEX, PINCH, _arm(-10, 20, 55)),
            Swing("acting.hand.y", 0.016, 2.0),
        ),
    ),
    Action(
        45,
        "covering face",
        "head-hand",
        1.7,
        (Touch("both.hand", Anchor("head", (0.22, 0.0, 0.85)), KNUCKLES, OPEN, _arm(-60, 15, 45)),),
    ),
    Action(
        46,
        "covering mouth",
        "head-hand",
        1.6,
        (Touch("acting.hand", Anchor("head", (0.0, -0.48, 0.8)), KNUCKLES, OPEN, _arm(-50, 15, 35)),),
    ),
    Action(
        47,
        "pushing glasses",
        "head-hand",
        0.9,
        (
            Touch("acting.hand", Anchor("head", (0.03, 0.14, 0.72)), INDEX, PINCH, _arm(-5, 15, 40)),
            Pulse("acting.hand.y", 0.05, 1.1),
            Pulse("head.pitch", -7, 1.1),
        ),
    ),
)

LEG_HAND = (
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
    Action(
        50,
        "scratching legs",
        "leg-hand",
        1.7,
        (
            Touch("acting.hand", Anchor("thigh", (0.05, 0.18, 0.8)), FINGERTIPS, LOOSE, _arm(70, 15)),
            Swing("acting.hand.z", 0.06, 2.7),
        ),
    ),
    Action(
        51,
        "scratching feet",
        "leg-hand",
        2.0,
        (
            Touch("acting.foot", Anchor("other thigh", (0.1, 0.15, 1.25)), angles={"foot.pitch": -5, "knee.out": 70}),
            Touch("acting.hand", Anchor("foot", (0.0, 0.1, 0.3)), FINGERTIPS, LOOSE, _arm(60, 15)),
            Swing("acting.hand.z", 0.04, 2.6),
            Move("torso.pitch", 16),
        ),
    ),
)

ACTIONS: tuple[Action, ...] = (*BODY, *HEAD, *UPPER_LIMB, *LOWER_LIMB, *BODY_HAND, *HEAD_HAND, *LEG_HAND)
"""All 52, in MA-52's order: an action's place is its number."""


def get_action(name: str) -> Action:
    """The action of that name.

    Raises:
        PiumrError: if there is none.
    """
    for action in ACTIONS:
        if action.name == name:
            return action
    raise PiumrError(f"Expected `action` to be one of {', '.join(a.name for a in ACTIONS)}, but got {name!r}.")
