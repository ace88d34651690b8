"""Clips and sets of synthetic persons.

Person ``p``, action ``a`` and take ``k`` of a seed are always the same clip, whatever else is generated beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from piumr.data.clips import SkeletonSet
from piumr.errors import PiumrError
from piumr.layouts import get_layout
from piumr.preprocessing import image_points
from piumr.synthetic.actions import BODY_PARTS, Action
from piumr.synthetic.body import pose_body
from piumr.synthetic.camera import observe, sample_flaws
from piumr.synthetic.limbs import Array
from piumr.synthetic.motion import FPS, Take, perform, sample_take
from piumr.synthetic.persons import Person, sample_person
from piumr.synthetic.repertoire import ACTIONS, get_action

REST = "rest"
"""Name of sitting still: no class, but what every action is compared with."""
REST_INDEX = 1000


@dataclass(frozen=True)
class Clip:
    """One clip as the pose cache holds it.

    Attributes:
        landmarks: float32 (T, 75, 4): x / width, y / height, z, visibility; NaN where not detected.
        valid: bool (T, 75), the landmark was detected.
        fps: frames per second.
        width: image width, pixels.
        height: image height, pixels.
        person: who it is.
        action: name of the action.
        take: number of the take.
    """

    landmarks: NDArray[np.float32]
    valid: NDArray[np.bool_]
    fps: float
    width: int
    height: int
    person: Person
    action: str
    take: int


def generate_clip(person: Person, action: str, take: int, seed: int) -> Clip:
    """One person doing one action once, seen by the person's camera.

    Args:
        person: who; noise and take follow from ``person.index``, not from the person's factors.
        action: name of one of :data:`piumr.synthetic.repertoire.ACTIONS`, or ``"rest"`` for sitting still.
        take: number of the repetition, at least 0.
        seed: the set's seed, at least 0.

    Raises:
        PiumrError: if the action does not exist or a number is negative.
    """
    execution, index, joints = _move(person, action, take, seed)
    flaws = sample_flaws(seed, person.index, index, take, execution.frames)
    landmarks, valid = observe(joints, person.camera, flaws)
    camera = person.camera
    return Clip(landmarks, valid, FPS, camera.image_width, camera.image_height, person, action, take)


def world_joints(person: Person, action: str, take: int, seed: int) -> Array:
    """The joints of :func:`generate_clip` before camera and noise: float64 (T, 75, 3), metres.

    x points to the person's left, y up, z forward, from the middle of the hips at rest.

    Raises:
        PiumrError: as :func:`generate_clip`.
    """
    return _move(person, action, take, seed)[2]


def generate_set(*, persons: int, takes: int, seed: int, actions: Sequence[str] | None = None) -> list[Clip]:
    """Every one of the first ``persons`` persons doing every action ``takes`` times.

    Args:
        persons: number of persons, at least 1.
        takes: repetitions of each action by each person, at least 1.
        seed: seed of persons and takes, at least 0.
        actions: names; all by default.

    Returns:
        persons x actions x takes clips, in that order.

    Raises:
        PiumrError: if a number is too small or an action does not exist.
    """
    for name, value, least in (("persons", persons, 1), ("takes", takes, 1), ("seed", seed, 0)):
        if value < least:
            raise PiumrError(f"Expected `{name}` to be at least {least}, but got {value}.")
    names = [action.name for action in ACTIONS] if actions is None else actions
    population = [sample_person(seed, index) for index in range(persons)]
    return [generate_clip(person, name, take, seed) for person in population for name in names for take in range(takes)]


def synthetic_set(*, persons: int, takes: int, seed: int) -> SkeletonSet:
    """The built-in data set in memory: all actions by ``persons`` persons, ``takes`` times each.

    Raises:
        PiumrError: if a number is too small.
    """
    return skeleton_set(generate_set(persons=persons, takes=takes, seed=seed))


def skeleton_set(clips: Sequence[Clip]) -> SkeletonSet:
    """Clips as a set, in their order; the classes are all actions there are."""
    class_names = tuple(action.name for action in ACTIONS)
    labels = {name: label for label, name in enumerate(class_names)}
    parts = [image_points(clip.landmarks, clip.valid, clip.width, clip.height) for clip in clips]
    return SkeletonSet(
        points=np.concatenate([points for points, _ in parts]),
        valid=np.concatenate([valid for _, valid in parts]),
        offsets=np.cumsum([0, *(len(clip.valid) for clip in clips)], dtype=np.int64),
        labels=np.array([labels[clip.action] for clip in clips], dtype=np.int64),
        names=tuple(f"person{clip.person.index:03d}/{clip.action}/{clip.take}" for clip in clips),
        persons=tuple(f"{clip.person.index:03d}" for clip in clips),
        splits=None,
        class_names=class_names,
        layout=get_layout("mediapipe-75"),
        coarse=tuple(BODY_PARTS.index(action.part) for action in ACTIONS),
        coarse_names=BODY_PARTS,
        mirror=True,
    )


def _move(person: Person, action: str, take: int, seed: int) -> tuple[Take, int, Array]:
    """The take, the action's number in the random streams, and the joints (T, 75, 3) in metres."""
    if take < 0 or seed < 0:
        raise PiumrError(f"Expected `take` and `seed` to be at least 0, but got {take} and {seed}.")
    chosen: Action | None = None if action == REST else get_action(action)
    index = REST_INDEX if chosen is None else chosen.index
    execution = sample_take(seed, person.index, index, take)
    channels, reaches = perform(chosen, person, execution)
    return execution, index, pose_body(person.lengths, person.posture, channels, reaches)
