"""A synthetic person: every factor in which people differ, as numbers that are recorded and can be varied singly.

A :class:`Person` is frozen and holds no randomness of its own, so ``dataclasses.replace(person, speed=1.3)`` is the
same person in everything but speed. Averages of the limb lengths follow the segment proportions of Drillis and Contini
(1966); the spreads and all other distributions are ours, chosen by looking at recordings of seated people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Handedness = Literal["left", "right"]

PERSON_STREAM = 0
"""First spawn key of everything that is drawn for a person; :mod:`piumr.synthetic.motion` uses the next ones."""


@dataclass(frozen=True)
class Lengths:
    """Segment lengths in metres; ``head`` is the distance between the ears, ``foot`` from heel to toes."""

    torso: float = 0.48
    shoulders: float = 0.36
    hips: float = 0.22
    neck: float = 0.17
    head: float = 0.15
    upper_arm: float = 0.29
    forearm: float = 0.25
    hand: float = 0.18
    thigh: float = 0.42
    shin: float = 0.41
    foot: float = 0.24


@dataclass(frozen=True)
class Posture:
    """How a person sits: angles in degrees, the rest as shares.

    Attributes:
        lean: trunk forward of upright.
        slouch: neck forward of the trunk.
        seat: height of the seat as a share of shin and foot.
        knees: knees outward of the plane of hip and ankle.
        feet_apart: distance of the feet as a share of the hips' width.
        feet_forward: ankles forward of the hips as a share of the thigh.
        toes_out: feet turned outward.
        hands_along: place of the resting hands between hip (0) and knee (1).
        hands_inward: from the own thigh (0) to the middle of the lap (1).
        hands_uneven: how much further forward the left hand rests than the right, as a share of the thigh.
    """

    lean: float = 4.0
    slouch: float = 12.0
    seat: float = 1.0
    knees: float = 10.0
    feet_apart: float = 1.3
    feet_forward: float = 1.0
    toes_out: float = 12.0
    hands_along: float = 0.65
    hands_inward: float = 0.3
    hands_uneven: float = 0.0


@dataclass(frozen=True)
class Manner:
    """How a person moves, whatever the action is.

    Attributes:
        attack: share of an action's duration spent on setting out, and again on returning.
        stiffness: share of a head movement that the trunk makes instead of the neck.
        lean_in: degrees the trunk comes forward while a hand reaches somewhere.
        look: degrees the head goes down (or up, negative) while a hand reaches somewhere.
        flare: degrees the elbows are held away from the body.
        pronation: degrees the forearms turn palm-down beyond what an action asks for.
        curl: how far relaxed fingers are closed, 0 to 1.
    """

    attack: float = 0.25
    stiffness: float = 0.1
    lean_in: float = 2.0
    look: float = 3.0
    flare: float = 15.0
    pronation: float = 0.0
    curl: float = 0.3


@dataclass(frozen=True)
class Idle:
    """What a person does all the time without noticing.

    Attributes:
        sway: degrees the trunk sways.
        head: degrees the head wanders.
        bounce: degrees the preferred foot bounces on its toes; 0 for most people.
        bounce_hz: how often, per second.
        fidget: how far two fingers open and close, as a share of a fist.
    """

    sway: float = 0.8
    head: float = 1.5
    bounce: float = 0.0
    bounce_hz: float = 3.0
    fidget: float = 0.05


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in front of the seat.

    Attributes:
        yaw: degrees around the person; positive stands on the person's left.
        pitch: degrees the optical axis points below the horizontal.
        pan: degrees the optical axis misses the person sideways.
        distance: metres from the hips, measured on the floor.
        height: metres above the seat.
        focal: focal length in image heights.
        image_width: pixels.
        image_height: pixels.
    """

    yaw: float = 0.0
    pitch: float = 8.0
    pan: float = 0.0
    distance: float = 3.4
    height: float = 0.6
    focal: float = 1.45
    image_width: int = 1080
    image_height: int = 1296


@dataclass(frozen=True)
class Person:
    """One synthetic person.

    Attributes:
        index: number of the person; with the seed it fixes the noise of the person's takes.
        lengths: limb lengths.
        posture: how the person sits.
        manner: how the person moves.
        idle: what the person does all the time.
        camera: where the person was filmed from.
        speed: 1 is average; 2 does everything in half the time.
        amplitude: 1 is average; scales all movements but those that end at a target.
        handedness: the hand (and foot) that acts.
        dialect: seed of the person's own form of every action: its extent, rate, place and the movements that go with
            it (see :mod:`piumr.synthetic.motion`).
        tremor_frequency: Hz.
        tremor_amplitude: metres at the hand.
    """

    index: int = 0
    lengths: Lengths = Lengths()
    posture: Posture = Posture()
    manner: Manner = Manner()
    idle: Idle = Idle()
    camera: Camera = Camera()
    speed: float = 1.0
    amplitude: float = 1.0
    handedness: Handedness = "right"
    dialect: int = 0
    tremor_frequency: float = 6.0
    tremor_amplitude: float = 0.001


def sample_person(seed: int, index: int) -> Person:
    """Draw person number ``index`` of the population ``seed``.

    Every group of factors has a random stream of its own: the same seed and index always give the same person, however
    many others are drawn.

    Args:
        seed: seed of the population, at least 0.
        index: number of the person, at least 0.
    """
    streams = (
        np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(PERSON_STREAM, index, group)))
        for group in range(6)
    )
    body, posture, manner, idle, camera, tempo = streams
    lengths = _sample_lengths(body)
    return Person(
        index=index,
        lengths=lengths,
        posture=_sample_posture(posture),
        manner=_sample_manner(manner),
        idle=_sample_idle(idle),
        camera=_sample_camera(camera),
        speed=_lognormal(tempo, 0.25),
        amplitude=_lognormal(tempo, 0.3),
        handedness="left" if tempo.random() < 0.15 else "right",
        dialect=int(tempo.integers(1 << 31)),
        tremor_frequency=float(tempo.uniform(4.0, 9.0)),
        tremor_amplitude=float(tempo.exponential(0.0012)),
    )


def _lognormal(rng: np.random.Generator, spread: float) -> float:
    return float(np.exp(spread * np.clip(rng.standard_normal(), -2, 2)))


def _sample_lengths(rng: np.random.Generator) -> Lengths:
    average = Lengths()
    stature = 0.72 if rng.random() < 0.2 else 1.0  # a fifth are children
    stature *= _lognormal(rng, 0.05)
    lengths = {name: stature * _lognormal(rng, 0.07) * value for name, value in vars(average).items()}
    lengths["head"] = average.head * stature**0.3 * _lognormal(rng, 0.05)  # heads hardly grow with the body
    return Lengths(**lengths)


def _sample_posture(rng: np.random.Generator) -> Posture:
    return Posture(
        lean=float(rng.uniform(-8, 20)),
        slouch=float(rng.uniform(0, 28)),
        seat=float(rng.uniform(0.9, 1.25)),
        knees=float(rng.uniform(-8, 30)),
        feet_apart=float(rng.uniform(0.5, 2.2)),
        feet_forward=float(rng.uniform(0.8, 1.12)),
        toes_out=float(rng.uniform(-5, 28)),
        hands_along=float(rng.uniform(0.3, 0.95)),
        hands_inward=float(rng.uniform(0, 1)),
        hands_uneven=float(rng.uniform(-0.15, 0.15)),
    )


def _sample_manner(rng: np.random.Generator) -> Manner:
    return Manner(
        attack=float(rng.uniform(0.14, 0.36)),
        stiffness=float(rng.uniform(0, 0.4)),
        lean_in=float(rng.uniform(-4, 12)),
        look=float(rng.uniform(-10, 16)),
        flare=float(rng.uniform(0, 50)),
        pronation=float(rng.uniform(-15, 15)),
        curl=float(rng.uniform(0.1, 0.6)),
    )


def _sample_idle(rng: np.random.Generator) -> Idle:
    return Idle(
        sway=float(rng.uniform(0.2, 2.0)),
        head=float(rng.uniform(0.5, 5.0)),
        bounce=float(rng.uniform(3, 12)) if rng.random() < 0.4 else 0.0,
        bounce_hz=float(rng.uniform(2.0, 5.0)),
        fidget=float(rng.uniform(0, 0.15)),
    )


def _sample_camera(rng: np.random.Generator) -> Camera:
    distance, height = float(rng.uniform(2.8, 4.0)), float(rng.uniform(0.2, 1.0))
    aim = np.degrees(np.arctan2(height - 0.2, distance))  # the middle of a seated person is 0.2 m above the seat
    return Camera(
        yaw=float(rng.uniform(-40, 40)),
        pitch=float(aim + rng.uniform(-2, 3)),
        pan=float(rng.uniform(-4, 4)),
        distance=distance,
        height=height,
        focal=float(distance * rng.uniform(0.36, 0.48)),
    )
