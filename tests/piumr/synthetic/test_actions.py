"""The classes: MA-52's names, and every action moves the part it is named after."""

import csv
from dataclasses import fields

import numpy as np
import pytest

from piumr.data.declaration import datasets_folder, load_declaration
from piumr.synthetic import ACTIONS, sample_person, world_joints
from piumr.synthetic.actions import BODY_PARTS, Move, Pulse, Swing, Touch
from piumr.synthetic.body import CENTRAL_CHANNELS, SIDED_CHANNELS, Anchor
from piumr.synthetic.persons import Person

HEAD, TORSO, ARMS, LEGS = range(11), (11, 12), (13, 14, 15, 16), range(25, 33)
HANDS = range(33, 75)
MOVED = {
    "body": TORSO,
    "head": HEAD,
    "upper limb": (*ARMS, *HANDS),
    "lower limb": LEGS,
    "body-hand": ARMS,
    "head-hand": ARMS,
    "leg-hand": ARMS,
}


def rows(name):
    with (datasets_folder() / name / "classes.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_names_numbers_and_parts_are_those_of_ma52():
    ma52 = {int(row["id"]): (row["name"], row["body"]) for row in rows("ma52")}
    assert [(action.index, action.name, action.part) for action in ACTIONS] == [(i, *ma52[i]) for i in range(52)]
    assert {action.part for action in ACTIONS} == set(BODY_PARTS)


def test_the_declaration_lists_the_generators_classes():
    declaration = load_declaration("synthetic")
    assert declaration.class_names == tuple(action.name for action in ACTIONS)
    assert declaration.coarse_names == BODY_PARTS
    assert declaration.coarse == tuple(BODY_PARTS.index(action.part) for action in ACTIONS)


def test_declared_channels_exist():
    for action in ACTIONS:
        for motion in action.motions:
            name = motion.limb if isinstance(motion, Touch) else motion.channel
            role, _, rest = name.partition(".")
            if isinstance(motion, Touch):
                assert role in {"acting", "other", "both"}
                assert rest in {"hand", "foot"}
                assert set(motion.angles) <= set(SIDED_CHANNELS)
                assert isinstance(motion.anchor, Anchor | None)
                assert motion.anchor or motion.curl
            else:
                assert isinstance(motion, Move | Swing | Pulse)
                assert name in CENTRAL_CHANNELS or (role in {"acting", "other", "both"} and rest in SIDED_CHANNELS)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_every_action_moves_the_part_it_is_named_after(action):
    people = [Person(), *(sample_person(0, index) for index in range(5))]

    def travel(name, person):
        """Path and extent of the part's most moving joint, in metres."""
        joints = world_joints(person, name, 0, 0)[:, list(MOVED[action.part])]
        path = np.linalg.norm(np.diff(joints, axis=0), axis=-1).sum(axis=0).max()
        return np.array([path, np.linalg.norm(np.ptp(joints, axis=0), axis=-1).max()]) + 0.001

    ratios = [(travel(action.name, person) / travel("rest", person)).max() for person in people]
    assert np.median(ratios) > 1.5
    assert min(ratios) > 1.05


def test_every_factor_is_recorded_and_differs_between_persons():
    a, b = sample_person(0, 0), sample_person(0, 1)
    same = {f.name for f in fields(Person) if getattr(a, f.name) == getattr(b, f.name)}
    assert same <= {"handedness"}
