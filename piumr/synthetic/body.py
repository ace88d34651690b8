"""Forward kinematics of a seated body on mediapipe-75: from joint angles and targets to joints in metres.

World axes: x to the person's left, y up, z forward; the origin is the middle of the hips at rest. Head and trunk follow
angles. Arms and legs follow a target for the hand or the foot, solved for two bones in closed form, so that a hand
touches what it is meant to touch whatever the lengths are. Right limbs are solved as mirrored left ones.

Arrays run over the T frames of a clip: (T,) per angle, (T, 3) per point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from piumr.synthetic.limbs import Array, align, hand, rotation, two_bones, unit
from piumr.synthetic.persons import Lengths, Posture

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
SIDES = ("left", "right")

CENTRAL_CHANNELS: dict[str, tuple[float, float]] = {
    **{f"pelvis.{axis}": (-0.2, 0.45) for axis in "xyz"},  # in thigh lengths, from the seat
    "torso.pitch": (-20.0, 55.0),  # degrees: forward, to the person's left, towards the right shoulder
    "torso.yaw": (-40.0, 40.0),
    "torso.roll": (-30.0, 30.0),
    "head.pitch": (-45.0, 45.0),
    "head.yaw": (-70.0, 70.0),
    "head.roll": (-38.0, 38.0),
}
SIDED_CHANNELS: dict[str, tuple[float, float]] = {
    "shoulder.lift": (-8.0, 32.0),
    "shoulder.forward": (-20.0, 25.0),
    "elbow.flare": (-10.0, 100.0),
    "forearm.pronation": (-85.0, 85.0),  # 0 palm inwards, positive palm down
    "wrist.flexion": (-60.0, 70.0),
    "wrist.deviation": (-28.0, 20.0),  # positive towards the thumb
    **{f"curl.{finger}": (0.0, 1.0) for finger in FINGERS},  # 0 straight, 1 a fist
    **{f"hand.{axis}": (-1.0, 1.0) for axis in "xyz"},  # offset from the target in arm lengths, x outward
    "knee.out": (-15.0, 75.0),
    "foot.pitch": (-20.0, 38.0),  # positive lifts the heel
    "foot.yaw": (-15.0, 40.0),
    **{f"foot.{axis}": (-1.0, 1.0) for axis in "xyz"},  # offset from the target in shin lengths, x outward
}
CHANNELS = {
    **CENTRAL_CHANNELS,
    **{f"{side}.{name}": limits for side in SIDES for name, limits in SIDED_CHANNELS.items()},
}
"""Every degree of freedom with the range it is clipped to: a little less than what a healthy adult can do."""

ELBOW_FLEXION = (4.0, 145.0)
KNEE_FLEXION = (2.0, 140.0)
"""Degrees, 0 is straight; a target that asks for more is approached as far as possible."""

# nose, eyes (inner, middle, outer; left then right), ears, mouth: in head sizes, ear level is 0
FACE = np.array(
    [(0, -0.15, 0.75)]
    + [(s * x, y, z) for s in (1, -1) for x, y, z in ((0.12, 0.12, 0.60), (0.21, 0.13, 0.57), (0.30, 0.12, 0.52))]
    + [(0.5, 0, 0), (-0.5, 0, 0), (0.16, -0.45, 0.6), (-0.16, -0.45, 0.6)]
)
SKULL = np.array([0.0, 0.25, 0.05])  # ear level above the joint that the head turns on, in head sizes
TOES = np.array([0.0, -0.28, 0.72])  # from the ankle, in foot lengths
HEEL = np.array([0.0, -0.22, -0.25])
PALM = (0, 5, 9, 13, 17)  # landmarks of a hand
MIRROR = {"left": np.array([1.0, 1.0, 1.0]), "right": np.array([-1.0, 1.0, 1.0])}


@dataclass(frozen=True)
class Anchor:
    """A point that a hand or a foot can go to, fixed to a part of the body.

    Attributes:
        frame: ``torso`` (origin between the shoulders), ``head`` (ear level), ``arm`` (own shoulder), ``floor`` (below
            the own hip), ``thigh`` (hip, forward to the knee), ``foot`` (ankle), ``forearm`` (elbow, forward to the
            wrist), ``hand`` (wrist), or the other side's limb: ``other thigh``, ``other hand``, ...
        at: outward, up and forward from that origin, in lengths of that part; for a hand towards the thumb, out of the
            palm and along the fingers.
    """

    frame: str
    at: tuple[float, float, float]


class Frame(NamedTuple):
    """A part of the body: origin (T, 3), axes (T, 3, 3) or (3, 3) with columns outward, up, forward, unit in metres."""

    origin: Array
    axes: Array
    unit: float


@dataclass(frozen=True)
class Reach:
    """The end of a limb on its way to an anchor.

    Attributes:
        limb: ``left.hand``, ``right.hand``, ``left.foot`` or ``right.foot``.
        anchor: where to.
        contact: the hand's landmarks whose mean shall get there; for a foot it is always the toes.
        weight: (T,) from 0, at its resting place, to 1, at the anchor.
    """

    limb: str
    anchor: Anchor
    contact: tuple[int, ...]
    weight: Array


def pose_body(lengths: Lengths, posture: Posture, channels: Mapping[str, Array], reaches: Sequence[Reach]) -> Array:
    """Joints of mediapipe-75 in metres.

    Args:
        lengths: limb lengths.
        posture: gives the resting places of hands and feet.
        channels: (T,) for each of :data:`CHANNELS`, clipped here to its range.
        reaches: movements of hands and feet away from their resting places.

    Returns:
        float64 (T, 75, 3).
    """
    pose = {name: np.clip(channels[name], *limits) for name, limits in CHANNELS.items()}
    body = _Body(lengths, posture, pose, reaches)
    for side in body.order("foot"):
        body.leg(side)
    for side in body.order("hand"):
        body.arm(side)
    return body.joints


@dataclass
class _Body:
    """The joints found so far, and the frames of the parts they belong to."""

    lengths: Lengths
    posture: Posture
    pose: Mapping[str, Array]
    reaches: Sequence[Reach]
    joints: Array = field(init=False)
    frames: dict[str, Frame] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.joints = np.zeros((len(self.pose["torso.pitch"]), 75, 3))
        self.trunk()

    def order(self, limb: str) -> tuple[str, str]:
        """The side that reaches for the other side's limb comes second."""
        second = {reach.limb for reach in self.reaches if reach.anchor.frame.startswith("other")}
        return ("right", "left") if f"left.{limb}" in second else ("left", "right")

    def trunk(self) -> None:
        """Hips, shoulders and face from angles."""
        lengths, angle, joints = self.lengths, self.pose, self.joints
        pelvis = np.stack([angle[f"pelvis.{axis}"] for axis in "xyz"], axis=1) * lengths.thigh
        torso = rotation(1, angle["torso.yaw"]) @ rotation(0, angle["torso.pitch"]) @ rotation(2, angle["torso.roll"])
        chest = pelvis + torso @ np.array([0, lengths.torso, 0])
        # a third of every head movement happens at the neck's base, so a nod also carries the head forward
        base = torso @ rotation(0, self.posture.slouch + angle["head.pitch"] / 3) @ rotation(2, angle["head.roll"] / 3)
        head = base @ rotation(1, angle["head.yaw"])
        head = head @ rotation(0, angle["head.pitch"] * 2 / 3 - 0.7 * self.posture.slouch)
        head = head @ rotation(2, angle["head.roll"] * 2 / 3)
        ears = chest + base @ np.array([0, lengths.neck, 0]) + head @ (SKULL * lengths.head)
        joints[:, :11] = ears[:, None] + np.einsum("tij,vj->tvi", head, FACE * lengths.head)
        self.frames |= {"torso": Frame(chest, torso, lengths.torso), "head": Frame(ears, head, lengths.head)}
        floor = -self.posture.seat * (lengths.shin - TOES[1] * lengths.foot)
        for s, side in enumerate(SIDES):
            flip = MIRROR[side]
            clavicle = rotation(2, angle[f"{side}.shoulder.lift"]) @ rotation(1, -angle[f"{side}.shoulder.forward"])
            shoulder = chest + _apply(torso * flip, clavicle @ np.array([lengths.shoulders / 2, 0, 0]))
            hip = pelvis + flip * np.array([lengths.hips / 2, 0, 0])
            joints[:, 11 + s], joints[:, 23 + s] = shoulder, hip
            self.frames[f"{side}.arm"] = Frame(shoulder, torso * flip, lengths.upper_arm + lengths.forearm)
            feet = np.broadcast_to(flip * np.array([lengths.hips / 2, floor, 0]), hip.shape)
            self.frames[f"{side}.floor"] = Frame(feet, np.diag(flip), lengths.thigh)

    def leg(self, side: str) -> None:
        """Knee, ankle, heel and toes from a target for the toes."""
        lengths, posture, flip = self.lengths, self.posture, MIRROR[side]
        s = SIDES.index(side)
        apart = (posture.feet_apart - 1) * lengths.hips / 2
        rest = Anchor(
            "floor", (apart / lengths.thigh, 0, posture.feet_forward + TOES[2] * lengths.foot / lengths.thigh)
        )
        target = flip * self._target(f"{side}.foot", rest, lengths.shin)
        yaw, pitch, out = (self.pose[f"{side}.{name}"] for name in ("foot.yaw", "foot.pitch", "knee.out"))
        turn = rotation(1, yaw) @ rotation(0, pitch)
        foot = turn * lengths.foot
        hip = flip * self.joints[:, 23 + s]
        pole = rotation(2, -out) @ np.array([0, 1.0, 0.3])
        knee, ankle, _ = two_bones(hip, target - foot @ TOES, pole, (lengths.thigh, lengths.shin), KNEE_FLEXION)
        for joint, place in ((25, knee), (27, ankle), (29, ankle + foot @ HEEL), (31, ankle + foot @ TOES)):
            self.joints[:, joint + s] = flip * place
        self.frames[f"{side}.thigh"] = _limb_frame(hip, knee, lengths.thigh, flip)
        self.frames[f"{side}.foot"] = Frame(flip * ankle, flip[:, None] * turn, lengths.foot)

    def arm(self, side: str) -> None:
        """Elbow, wrist and hand from a target for some of the hand's landmarks."""
        lengths, posture, flip = self.lengths, self.posture, MIRROR[side]
        s, limb = SIDES.index(side), f"{side}.hand"
        angle = {name: self.pose[f"{side}.{name}"] for name in SIDED_CHANNELS}
        inward = posture.hands_inward * (lengths.hips / 2 + 0.02) / lengths.thigh
        along = posture.hands_along + posture.hands_uneven * (0.5 - s)
        target = flip * self._target(limb, Anchor("thigh", (-inward, 0.19, along)), lengths.upper_arm + lengths.forearm)
        turn = rotation(0, angle["forearm.pronation"]) @ rotation(1, -angle["wrist.flexion"])
        turn = turn @ rotation(2, angle["wrist.deviation"])
        fingers = hand(np.stack([angle[f"curl.{finger}"] for finger in FINGERS], axis=1), lengths.hand)
        fingers = np.array([lengths.forearm, 0, 0]) + np.einsum("tij,tvj->tvi", turn, fingers)
        contact = np.einsum("tv,tvi->ti", self._contact(limb), fingers)  # from the elbow, along the forearm
        shoulder = flip * self.joints[:, 11 + s]
        flare = rotation(2, angle["elbow.flare"]) @ np.array([0, -1.0, 0])
        # behind the body while the hand is low, before it where the hand is raised
        flare[:, 2] += 0.6 * np.clip(unit(target - shoulder)[:, 1], 0, 1) - 0.35
        elbow, end, normal = two_bones(
            shoulder, target, flare, (lengths.upper_arm, np.linalg.norm(contact, axis=1)), ELBOW_FLEXION
        )
        forearm = align(end - elbow, normal, contact)
        points = flip * (elbow[:, None] + np.einsum("tij,tvj->tvi", forearm, fingers))
        first = 33 + 21 * s
        self.joints[:, first : first + 21] = points
        self.joints[:, 13 + s] = flip * elbow
        self.joints[:, [15 + s, 17 + s, 19 + s, 21 + s]] = points[:, [0, 17, 5, 2]]  # the body's own hand points
        self.frames[f"{side}.forearm"] = _limb_frame(elbow, flip * points[:, 0], lengths.forearm, flip)
        axes = flip[:, None] * (forearm @ turn)[:, :, [1, 2, 0]]
        self.frames[f"{side}.hand"] = Frame(points[:, 0], axes, lengths.hand)

    def _target(self, limb: str, rest: Anchor, unit_length: float) -> Array:
        """World position (T, 3) that a limb's end is to reach, after all its reaches and offsets."""
        side = limb.split(".")[0]
        place = self._place(side, rest)
        for reach in self._of(limb):
            place = place + reach.weight[:, None] * (self._place(side, reach.anchor) - place)
        offset = np.stack([self.pose[f"{limb}.{axis}"] for axis in "xyz"], axis=1)
        return place + MIRROR[side] * offset * unit_length

    def _contact(self, limb: str) -> Array:
        """Weights (T, 21) of a hand's landmarks in the point that is to be at the target."""
        weights = np.broadcast_to(_mean_of(PALM), (len(self.joints), 21))
        for reach in self._of(limb):
            weights = weights + reach.weight[:, None] * (_mean_of(reach.contact) - weights)
        return weights

    def _of(self, limb: str) -> list[Reach]:
        return [reach for reach in self.reaches if reach.limb == limb]

    def _place(self, side: str, anchor: Anchor) -> Array:
        """World position (T, 3) of an anchor as seen from one side of the body."""
        if anchor.frame in self.frames:
            frame = self.frames[anchor.frame]
            return frame.origin + frame.axes @ (MIRROR[side] * anchor.at * frame.unit)
        if anchor.frame.startswith("other "):
            side = SIDES[1 - SIDES.index(side)]
        frame = self.frames[f"{side}.{anchor.frame.removeprefix('other ')}"]
        return frame.origin + frame.axes @ (np.asarray(anchor.at) * frame.unit)


def _apply(matrices: Array, vectors: Array) -> Array:
    return np.einsum("tij,tj->ti", matrices, vectors)


def _mean_of(landmarks: tuple[int, ...]) -> Array:
    weights = np.zeros(21)
    weights[list(landmarks)] = 1 / len(landmarks)
    return weights


def _limb_frame(begin: Array, end: Array, length: float, flip: Array) -> Frame:
    """Frame of a bone of the (mirrored) left side, in the world."""
    ahead = unit(end - begin)
    outward = unit(np.cross(np.array([0.0, 1.0, 0.0]), ahead))
    axes = np.stack([outward, np.cross(ahead, outward), ahead], axis=-1)
    return Frame(flip * begin, flip[:, None] * axes, length)
