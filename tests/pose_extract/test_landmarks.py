"""The names and edges that the extractor writes are those that piumr's layouts know."""

import pytest

from piumr.layouts import get_layout
from pose_extract.landmarks import landmark_set


@pytest.mark.parametrize(("hands", "name"), [(False, "mediapipe-33"), (True, "mediapipe-75")])
def test_equal_to_the_layout_of_that_name(hands, name):
    found, layout = landmark_set(hands), get_layout(name)
    assert found.layout == name
    assert found.joints == layout.joints
    assert {frozenset(edge) for edge in found.edges} == {frozenset(edge) for edge in layout.edges}
