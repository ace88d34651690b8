import numpy as np
import pytest

from piumr.errors import PiumrError
from piumr.layouts import LAYOUTS, Layout, get_layout


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_tree_reaches_every_joint_from_the_root(layout):
    for joint in range(len(layout)):
        steps = 0
        while joint != layout.root:
            joint, steps = layout.parents[joint], steps + 1
            assert steps < len(layout)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_mirroring_maps_the_tree_and_the_edges_onto_themselves(layout):
    mirror = np.array(layout.partners)
    assert (mirror[mirror] == np.arange(len(layout))).all()
    assert (np.array(layout.parents)[mirror] == mirror[np.array(layout.parents)]).all()
    edges = {frozenset(edge) for edge in layout.edges}
    assert edges == {frozenset(mirror[list(edge)].tolist()) for edge in layout.edges}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_partners_lie_in_opposite_parts(layout):
    swap = {"left": "right", "right": "left"}
    for joint, partner in enumerate(layout.partners):
        expected = " ".join(swap.get(word, word) for word in layout.parts[joint].split())
        assert layout.parts[partner] == expected
        assert (joint == partner) == (not any(side in layout.joints[joint] for side in swap))


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_table_survives_json_form(layout):
    assert Layout.from_dict(layout.to_dict()) == layout


def test_unknown_layout_names_those_there_are():
    with pytest.raises(PiumrError, match=r"mediapipe-75.*'openpose'"):
        get_layout("openpose")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("parents", [1, 0, 1], "tree"),
        ("parents", [0, 0, 7], "0..2"),
        ("partners", [1, 2, 0], "mutual"),
        ("parts", ["head", "head", "wing"], "among"),
        ("joints", ["a", "a", "b"], "unique"),
        ("joints", [1, 2, 3], "names"),
        ("parents", [0, 0, float("inf")], "unusable"),
        ("centres", [], "at least one"),
        ("centres", [[0], []], "none empty"),
    ],
)
def test_wrong_tables_are_refused(key, value, message):
    table = {
        "name": "test",
        "joints": ["a", "b", "c"],
        "edges": [[0, 1], [1, 2]],
        "parents": [0, 0, 1],
        "partners": [0, 1, 2],
        "parts": ["head"] * 3,
        "centres": [[0]],
        "units": [[0, 1]],
    }
    Layout.from_dict(table)
    with pytest.raises(PiumrError, match=message):
        Layout.from_dict(table | {key: value})


def chain(joints):
    return {
        "name": "chain",
        "joints": [f"joint {i}" for i in range(joints)],
        "edges": [],
        "parents": [*range(1, joints), joints - 1],  # the root is the last
        "partners": list(range(joints)),
        "parts": ["torso"] * joints,
        "centres": [[0]],
        "units": [],
    }


def test_a_layout_has_at_most_a_thousand_joints():
    assert Layout.from_dict(chain(1000)).topological_order() == tuple(range(999, -1, -1))
    with pytest.raises(PiumrError, match="1 to 1000 joints"):
        Layout.from_dict(chain(1001))


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_parents_come_before_their_children(layout):
    order = layout.topological_order()
    assert sorted(order) == list(range(len(layout)))
    assert all(order.index(parent) <= order.index(joint) for joint, parent in enumerate(layout.parents))
