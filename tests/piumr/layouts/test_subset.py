"""Smaller layouts by name: what is left keeps its tree, its partners and its meaning."""

import numpy as np
import pytest

from piumr.errors import PiumrError
from piumr.layouts import LAYOUTS, get_layout

WIDE = get_layout("mediapipe-75")


def test_all_joints_give_the_layout_itself():
    for layout in LAYOUTS.values():
        assert layout.subset(layout.name, layout.joints) == layout


def test_a_joint_hangs_from_its_nearest_kept_ancestor():
    joints = ("nose", "right_shoulder", "left_shoulder", "left_wrist", "right_wrist")
    small = WIDE.subset("small", (*joints, "left_hand_index_tip", "right_hand_index_tip"))
    index = {name: i for i, name in enumerate(small.joints)}
    parent = {name: small.joints[small.parents[i]] for name, i in index.items()}
    assert parent["left_wrist"] == "left_shoulder"  # the elbow is gone
    assert parent["right_hand_index_tip"] == "right_wrist"  # and so are three finger joints
    assert parent["nose"] == "nose"
    edges = {frozenset((small.joints[a], small.joints[b])) for a, b in small.edges}
    assert frozenset(("left_wrist", "left_hand_index_tip")) in edges
    assert frozenset(("left_shoulder", "right_shoulder")) in edges
    assert small.partners[index["left_hand_index_tip"]] == index["right_hand_index_tip"]
    assert small.parts[index["left_hand_index_tip"]] == "left hand"
    assert small.units == ((index["left_shoulder"], index["right_shoulder"]),)
    assert small.centres == ((index["left_shoulder"], index["right_shoulder"]),)  # the hips are gone


def test_the_micro_layout_is_a_connected_body_with_fingertips():
    micro = get_layout("mediapipe-micro")
    assert 40 <= len(micro) <= 50
    tips = [f"{side}_hand_{finger}_tip" for side in ("left", "right") for finger in ("thumb", "index", "pinky")]
    assert {"left_wrist", "right_wrist", "nose", "left_foot_index", *tips} <= set(micro.joints)
    reached, frontier = {micro.root}, [micro.root]
    neighbours = {i: {j for edge in micro.edges for j in edge if i in edge} for i in range(len(micro))}
    # the head is no neighbour of the trunk in MediaPipe's own connections: there the tree joins them
    for joint, parent in enumerate(micro.parents):
        neighbours[parent].add(joint)
    while frontier:
        new = neighbours[frontier.pop()] - reached
        reached |= new
        frontier += new
    assert len(reached) == len(micro)


def test_joints_are_found_by_name_in_any_order():
    micro = get_layout("mediapipe-micro")
    shuffled = np.random.default_rng(0).permutation(WIDE.joints)
    assert [shuffled[i] for i in micro.indices_in(shuffled)] == list(micro.joints)


def test_what_is_not_there_is_named():
    with pytest.raises(PiumrError, match=r"all 75 of layout mediapipe-75, but 42 are not there, such as 'left_hand_wr"):
        WIDE.indices_in(get_layout("mediapipe-33").joints)
    with pytest.raises(PiumrError, match="but got 'tail'"):
        WIDE.subset("x", ("nose", "tail"))
    with pytest.raises(PiumrError, match="its root 'nose'"):
        WIDE.subset("x", ("left_shoulder", "right_shoulder"))
    with pytest.raises(PiumrError, match="both partners"):
        WIDE.subset("x", ("nose", "left_shoulder"))
    with pytest.raises(PiumrError, match="unique"):
        WIDE.subset("x", ("nose", "nose"))
