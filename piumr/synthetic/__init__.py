"""Synthetic persons: micro-actions of seated people by forward kinematics, so that everything runs without data."""

from piumr.synthetic.actions import Action
from piumr.synthetic.generator import Clip, generate_clip, generate_set, synthetic_set, world_joints
from piumr.synthetic.persons import Person, sample_person
from piumr.synthetic.repertoire import ACTIONS, get_action

__all__ = [
    "ACTIONS",
    "Action",
    "Clip",
    "Person",
    "generate_clip",
    "generate_set",
    "get_action",
    "sample_person",
    "synthetic_set",
    "world_joints",
]
