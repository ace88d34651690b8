import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from piumr.errors import PiumrError
from piumr.layouts import LAYOUTS, Layout, get_layout, same_joints


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


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_edges_and_bones_form_one_connected_graph(layout):
    """What the graph network sees; by themselves, MediaPipe's own connections leave face and body apart."""
    edges = np.array([*layout.edges, *((p, i) for i, p in enumerate(layout.parents) if p != i)])
    graph = coo_array((np.ones(len(edges)), edges.T), shape=(len(layout),) * 2)
    assert connected_components(graph, directed=False)[0] == 1
    if not layout.name.startswith("mediapipe"):
        alone = coo_array((np.ones(len(layout.edges)), np.array(layout.edges).T), shape=(len(layout),) * 2)
        assert connected_components(alone, directed=False)[0] == 1


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_edges_are_drawn_once_and_join_two_joints(layout):
    assert all(a != b for a, b in layout.edges)
    assert len({frozenset(edge) for edge in layout.edges}) == len(layout.edges)


def test_the_layouts_of_the_design_are_shipped():
    sizes = {name: len(layout) for name, layout in LAYOUTS.items()}
    published = {"coco-17": 17, "openpose-18": 18, "openpose-28": 28, "halpe-44": 44, "ntu-25": 25, "hand-21": 21}
    own = {"mediapipe-33": 33, "mediapipe-75": 75, "kinect-20": 20, "imigue-22": 22, "ui-prmd-22": 22}
    assert sizes.items() >= {**published, **own}.items()


def test_openpose_28_numbers_joints_as_the_published_edges_do():
    """The edges that MA-52's authors give for it: limbs, then fingers on the wrists 7 (left) and 4 (right)."""
    joints, parents = get_layout("openpose-28").joints, get_layout("openpose-28").parents
    limbs = [(4, 3), (3, 2), (7, 6), (6, 5), (13, 12), (12, 11), (10, 9), (9, 8), (5, 1), (2, 1)]
    head = [(0, 1), (15, 0), (14, 0), (17, 15), (16, 14)]
    fingers = [(i, 7) for i in range(18, 23)] + [(i, 4) for i in range(23, 28)]
    assert all(parents[joint] == parent for joint, parent in limbs + head + fingers)
    assert (joints[7], joints[4]) == ("left_wrist", "right_wrist")


def test_halpe_44_has_the_edges_it_was_published_with():
    published = [
        *((7, 9), (9, 32), *((32, i) for i in range(33, 38)), (8, 10), (10, 38), *((38, i) for i in range(39, 44))),
        *((13, 15), (15, 24), (24, 20), (24, 22), (14, 16), (16, 25), (25, 21), (25, 23), (31, 30), (30, 27), (27, 0)),
        *((0, 26), (26, 1), (1, 29), (29, 3), (26, 2), (2, 28), (28, 4), (17, 18), (18, 5), (18, 6), (18, 19)),
        *((19, 11), (19, 12), (5, 7), (6, 8), (11, 13), (12, 14), (0, 18), (0, 17)),
    ]
    layout = get_layout("halpe-44")
    edges = {frozenset(edge) for edge in layout.edges}
    missing = {frozenset(edge) for edge in published} - edges
    # our ears hang from the eyes and not from the eyes' corners
    assert missing == {frozenset((29, 3)), frozenset((28, 4))}


def test_openpose_25_numbers_coco_joints_as_others_do():
    """The index list by which conversions of BODY_25 to COCO pick their joints."""
    picked = [0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11]
    assert tuple(get_layout("openpose-25").joints[i] for i in picked) == get_layout("coco-17").joints


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


def test_names_may_be_written_either_way_round():
    joints = ("head", "left_hand_tip", "right_hand_tip")
    assert same_joints(joints, ("head", "hand_tip_left", "hand_tip_right"))
    assert not same_joints(joints, ("head", "hand_tip_right", "hand_tip_left"))
    assert not same_joints(joints, joints[:2])


def test_no_layout_has_two_joints_of_the_same_words():
    for layout in LAYOUTS.values():
        assert len({tuple(sorted(joint.split("_"))) for joint in layout.joints}) == len(layout)
