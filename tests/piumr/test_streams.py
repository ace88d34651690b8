import pytest
import torch

from piumr.layouts import get_layout
from piumr.streams import Streams

LAYOUT = get_layout("kinect-20")


def test_streams_are_position_bone_and_motion():
    x = torch.randn(2, 3, 6, 20)
    joint, bone, motion = Streams(LAYOUT.parents)(x).split(3, dim=1)
    assert torch.equal(joint, x)
    for v, parent in enumerate(LAYOUT.parents):
        assert torch.equal(bone[..., v], x[..., v] - x[..., parent])
    assert not bone[..., LAYOUT.root].any()
    assert torch.equal(motion[:, :, :-1], x.diff(dim=2))
    assert not motion[:, :, -1].any()


def test_bones_and_joints_give_each_other_back():
    x = torch.randn(1, 2, 4, 20, dtype=torch.float64)
    bone = Streams(LAYOUT.parents, ("bone",))(x)
    rebuilt = torch.zeros_like(x)
    for v in LAYOUT.topological_order():
        start = x[..., v] if v == LAYOUT.root else rebuilt[..., LAYOUT.parents[v]]
        rebuilt[..., v] = start + bone[..., v]
    torch.testing.assert_close(rebuilt, x)


def test_a_shift_of_the_whole_body_reaches_the_joint_stream_only():
    x = torch.randn(1, 2, 4, 20)
    before, after = (Streams(LAYOUT.parents)(y).split(2, dim=1) for y in (x, x + 5))
    assert not torch.allclose(before[0], after[0])
    torch.testing.assert_close(before[1:], after[1:], atol=1e-5, rtol=0)


@pytest.mark.parametrize("streams", [(), ("joint", "speed")])
def test_unknown_streams_are_refused(streams):
    with pytest.raises(ValueError, match="joint, bone, motion"):
        Streams(LAYOUT.parents, streams)
