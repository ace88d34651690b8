"""From an action, a person and a take to the angles and targets of every frame.

A :class:`Take` is one execution: when it starts and how it differs from the person's usual way. It depends on the
seed and on the numbers of person, action and take alone, so varying a factor of the person leaves it bit-identical.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from piumr.synthetic.actions import Action, Course, Motion, Move, Pulse, Swing, Touch
from piumr.synthetic.body import CHANNELS, FINGERS, SIDES, Reach
from piumr.synthetic.limbs import Array
from piumr.synthetic.persons import Person

FPS = 30.0
FRAMES = (50, 70)
"""Shortest and longest clip: MA-52's clips last 1.5 to 2.5 s."""

TAKE_STREAM = 1

COMPANY = {
    "torso.pitch": 4.0,
    "torso.yaw": 5.0,
    "torso.roll": 4.0,
    "head.pitch": 8.0,
    "head.yaw": 10.0,
    "head.roll": 8.0,
    "both.shoulder.lift": 3.0,
    "both.shoulder.forward": 4.0,
    "acting.foot.pitch": 5.0,
    "other.foot.pitch": 5.0,
    "both.knee.out": 4.0,
    "other.hand.x": 0.04,
    "other.hand.y": 0.03,
    "other.hand.z": 0.06,
    "other.forearm.pronation": 12.0,
}
"""What moves along with an action (standard deviation over persons, in the channel's unit), as a person's habit."""

EXTENT, RATE, DURATION = 0.5, 0.35, 0.2
"""Standard deviations over persons of the logarithm of an action's extent, rate and duration."""
PLACE, ANGLE, GRIP = 0.11, 20.0, 0.2
"""Standard deviations over persons of where a touch ends (lengths of that part), of its angles and its fingers."""


@dataclass(frozen=True)
class Take:
    """One execution of an action.

    Attributes:
        frames: length of the clip.
        onset: seconds until the action begins.
        speed: factor on the person's speed.
        amplitude: factor on the person's amplitude.
        swapped: the person uses the less preferred hand this time.
        toward: 1 to the person's usual side, -1 to the other one, for sideways movements.
        lean: degrees the trunk differs from the person's usual posture.
        gaze: (3,) degrees the head differs from it: pitch, yaw, roll.
        habit: how strongly the person's habits go along with the action this time.
        hands: (2, 2) shift of the resting hands outward and forward, in arm lengths; left, right.
        phases: (8,) where the idle movements and the tremor are in their cycle, in turns.
    """

    frames: int
    onset: float
    speed: float
    amplitude: float
    swapped: bool
    toward: int
    lean: float
    gaze: Array
    habit: float
    hands: Array
    phases: Array


def sample_take(seed: int, person: int, action: int, take: int) -> Take:
    """Draw take number ``take`` of a person (by index) and an action (by its MA-52 number)."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(TAKE_STREAM, person, action, take)))
    return Take(
        frames=int(rng.integers(FRAMES[0], FRAMES[1], endpoint=True)),
        onset=float(rng.uniform(0.05, 0.25)),
        speed=float(np.exp(0.08 * rng.standard_normal())),
        amplitude=float(np.exp(0.1 * rng.standard_normal())),
        swapped=bool(rng.random() < 0.06),
        toward=-1 if rng.random() < 0.15 else 1,
        lean=float(rng.normal(0, 2.5)),
        gaze=rng.normal(0, 4.0, 3),
        habit=float(rng.uniform(0.5, 1.4)),
        hands=rng.normal(0, 0.03, (2, 2)),
        phases=rng.random(8),
    )


def dialect_of(action: Action, dialect: int, habit: float) -> Action:
    """One person's own form of an action.

    The motions are the same, each in the person's extent, rate and place, and with them go small movements of other
    parts that are none of the action's business.

    Args:
        action: as declared.
        dialect: a person's seed; the form depends on it and on the action's number alone.
        habit: factor on the movements that go along.
    """
    rng = np.random.default_rng(np.random.SeedSequence(dialect, spawn_key=(action.index,)))
    side = int(rng.choice((-1, 1)))
    company = tuple(Move(channel, habit * float(rng.normal(0, spread))) for channel, spread in COMPANY.items())
    motions = tuple(_own_form(motion, rng, side) for motion in action.motions)
    return replace(action, seconds=action.seconds * float(np.exp(rng.normal(0, DURATION))), motions=motions + company)


def _own_form(motion: Motion, rng: np.random.Generator, side: int) -> Motion:
    extent, rate = np.exp(rng.normal(0, (EXTENT, RATE)))
    if isinstance(motion, Touch):
        return replace(
            motion,
            anchor=motion.anchor and replace(motion.anchor, at=tuple(motion.anchor.at + rng.normal(0, PLACE, 3))),
            curl=None if motion.curl is None else tuple(np.clip(motion.curl + rng.normal(0, GRIP, 5), 0, 1)),
            angles={name: value + float(rng.normal(0, ANGLE)) for name, value in motion.angles.items()},
        )
    if isinstance(motion, Move):
        return replace(motion, amount=motion.amount * extent * (side if motion.sideways else 1))
    return replace(motion, amount=motion.amount * extent, hz=motion.hz * rate)


def perform(action: Action | None, person: Person, take: Take) -> tuple[dict[str, Array], list[Reach]]:
    """Channels and reaches of one clip, for :func:`piumr.synthetic.body.pose_body`.

    Args:
        action: what is done; None for sitting still.
        person: who does it.
        take: which execution.
    """
    time = np.arange(take.frames) / FPS
    channels = _rest(person, take)
    _idle(channels, person, take, time)
    if action is None:
        return channels, []
    return channels, _act(channels, dialect_of(action, person.dialect, take.habit), person, take, time - take.onset)


def acting_side(person: Person, take: Take) -> str:
    """The side of the hand or foot that acts in this take."""
    return SIDES[SIDES.index(person.handedness) ^ take.swapped]


def _rest(person: Person, take: Take) -> dict[str, Array]:
    """How the person sits when nothing happens."""
    posture, manner = person.posture, person.manner
    channels = {name: np.zeros(take.frames) for name in CHANNELS}
    channels["torso.pitch"] += posture.lean + take.lean
    for axis, degrees in zip(("pitch", "yaw", "roll"), take.gaze, strict=True):
        channels[f"head.{axis}"] += degrees
    for side, shift in zip(SIDES, take.hands, strict=True):
        for name, value in (
            ("knee.out", posture.knees),
            ("foot.yaw", posture.toes_out),
            ("elbow.flare", manner.flare),
            ("forearm.pronation", 65 + manner.pronation),
            ("wrist.flexion", 5.0),
            ("hand.x", shift[0]),
            ("hand.z", shift[1]),
            *((f"curl.{finger}", manner.curl) for finger in FINGERS),
        ):
            channels[f"{side}.{name}"] += value
    return channels


def _idle(channels: dict[str, Array], person: Person, take: Take, time: Array) -> None:
    """Add what goes on all the time: swaying, looking about, a bouncing foot, fidgeting fingers, tremor."""
    idle, preferred = person.idle, person.handedness

    def wave(hz: float, phase: int) -> Array:
        return np.sin(2 * np.pi * (hz * time + take.phases[phase]))

    channels["torso.roll"] += idle.sway * wave(0.31, 0)
    channels["torso.pitch"] += idle.sway * wave(0.23, 1)
    channels["head.yaw"] += idle.head * wave(0.37, 2)
    channels["head.pitch"] += idle.head / 2 * wave(0.53, 3)
    channels[f"{preferred}.foot.pitch"] += idle.bounce * (1 + wave(idle.bounce_hz, 4)) / 2
    for finger in FINGERS[1:3]:
        channels[f"{preferred}.curl.{finger}"] += idle.fidget * wave(1.3, 5)
    arm = person.lengths.upper_arm + person.lengths.forearm
    for side, phase in (("left", 6), ("right", 7)):
        tremor = person.tremor_amplitude / arm * wave(person.tremor_frequency, phase)
        for axis in "xyz":
            channels[f"{side}.hand.{axis}"] += tremor / np.sqrt(3)


def _act(channels: dict[str, Array], action: Action, person: Person, take: Take, time: Array) -> list[Reach]:
    """Add an action to the channels in place and return its reaches; ``time`` counts from its onset."""
    speed, amplitude = person.speed * take.speed, person.amplitude * take.amplitude
    envelope = _envelope(time * speed / action.seconds, person.manner.attack, action.course)
    acting = acting_side(person, take)
    reaches: list[Reach] = []
    before = {name: channels[f"head.{name}"].copy() for name in ("pitch", "yaw", "roll")}
    for motion in action.motions:
        if isinstance(motion, Touch):
            reaches += _touch(channels, motion, person, acting, envelope)
            continue
        course = amplitude * motion.amount * envelope * _course(motion, time * speed)
        for channel in _sides(motion.channel, acting):
            channels[channel] += course * (take.toward if isinstance(motion, Move) and motion.sideways else 1)
    for name, still in before.items():  # a stiff neck lets the trunk do part of it
        share = person.manner.stiffness * (channels[f"head.{name}"] - still)
        channels[f"head.{name}"] -= share
        channels[f"torso.{name}"] += share / 2
    if any(reach.limb.endswith("hand") for reach in reaches):
        channels["torso.pitch"] += person.manner.lean_in * envelope
        channels["head.pitch"] += person.manner.look * envelope
    return reaches


def _touch(channels: dict[str, Array], touch: Touch, person: Person, acting: str, envelope: Array) -> list[Reach]:
    angles = dict(touch.angles)
    if touch.curl is not None:
        angles |= {f"curl.{finger}": curl for finger, curl in zip(FINGERS, touch.curl, strict=True)}
    if "forearm.pronation" in angles:
        angles["forearm.pronation"] += person.manner.pronation
    reaches = []
    for limb in _sides(touch.limb, acting):
        side = limb.split(".")[0]
        for name, value in angles.items():
            channels[f"{side}.{name}"] += envelope * (value - channels[f"{side}.{name}"])
        if touch.anchor is not None:
            reaches.append(Reach(limb, touch.anchor, touch.contact, envelope))
    return reaches


def _course(motion: Move | Swing | Pulse, time: Array) -> Array | float:
    """Value of a movement of amount 1 over the person's own time."""
    if isinstance(motion, Swing):
        return np.sin(2 * np.pi * (motion.hz * time + motion.phase))
    if isinstance(motion, Pulse):
        return (1 - np.cos(2 * np.pi * motion.hz * time)) / 2
    return 1.0


def _envelope(progress: Array, attack: float, course: Course) -> Array:
    """How far the action is from rest: each way takes ``attack`` of its progress; ``back`` waits half of that first."""
    if course == "back":
        return 1 - _minimum_jerk(progress / attack - 0.5)
    rise = _minimum_jerk(progress / attack)
    return rise if course == "there" else rise * (1 - _minimum_jerk((progress - 1 + attack) / attack))


def _minimum_jerk(progress: Array) -> Array:
    """The point-to-point movement of human hands (Flash and Hogan 1985): 0 until 0, 1 from 1 on."""
    x = np.clip(progress, 0, 1)
    return x**3 * (10 - 15 * x + 6 * x**2)


def _sides(name: str, acting: str) -> Iterator[str]:
    """Concrete names for a channel or limb given as ``acting.``, ``other.`` or ``both.``; central names as they are."""
    role, _, rest = name.partition(".")
    other = SIDES[1 - SIDES.index(acting)]
    sides = {"acting": (acting,), "other": (other,), "both": (acting, other)}.get(role)
    return iter((name,)) if sides is None else (f"{side}.{rest}" for side in sides)
