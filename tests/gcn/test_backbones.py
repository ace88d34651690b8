"""Every registered backbone keeps the contract."""

import math

import pytest
import torch

import gcn
from gcn.layers import CTRGraphConv

CHAIN = {"edges": [(0, 1), (1, 2), (2, 3), (1, 4)], "parents": [0, 0, 1, 2, 1]}
KINECT = {
    "edges": [],
    "parents": [0, 0, 1, 2, 2, 4, 5, 6, 2, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 2, 7, 7, 11, 11],  # 25 joints
}
SMALL = {"channels": (16, 32, 48), "depths": (2, 1, 1)}


def create(name, classes=7, **arguments):
    """A narrow network of the family; the contract does not depend on the width."""
    return gcn.create_backbone(name, 3, classes, **(CHAIN | SMALL | arguments))


@pytest.fixture(params=gcn.list_backbones())
def name(request):
    torch.manual_seed(0)
    return request.param


@pytest.mark.parametrize(("N", "T"), [(1, 1), (2, 13), (3, 32)])
def test_shapes_for_any_batch_and_length(name, N, T):
    model = create(name).eval()
    x = torch.randn(N, 3, T, 5)
    features = model.forward_features(x)
    assert features.shape == (N, model.num_features, model.stage_frames(T)[-1], 5)
    assert model(x, torch.rand(N, T, 5) > 0.5).shape == (N, 7)
    assert model.forward_head(features, pre_logits=True).shape == (N, model.num_features)


def test_stages_leave_what_they_declare(name):
    model = create(name).eval()
    x = model.stem(torch.randn(2, 3, 30, 5))
    for stage, channels, frames in zip(model.stages, model.stage_channels, model.stage_frames(30), strict=True):
        x = stage(x)
        assert x.shape == (2, channels, frames, 5)


def test_every_parameter_learns(name):
    model = create(name)
    torch.nn.functional.cross_entropy(model(torch.randn(4, 3, 16, 5)), torch.arange(4)).backward()
    assert [key for key, p in model.named_parameters() if p.grad is None] == []


def test_renumbering_the_joints_renumbers_the_features(name):
    order = [3, 0, 4, 2, 1]  # new joint i is old joint order[i]
    new = {old: i for i, old in enumerate(order)}
    edges = [(new[a], new[b]) for a, b in CHAIN["edges"]]
    parents = [new[CHAIN["parents"][old]] for old in order]
    # the joint attention of AAGCN convolves along their order, as published
    options = {"attention": False} if name == "aagcn" else {}
    model = create(name, **options).eval()
    moved = create(name, edges=edges, parents=parents, **options).eval()
    state = model.state_dict()
    for key in state:
        if key.endswith("adjacency"):
            state[key] = state[key][:, order][:, :, order]
    moved.load_state_dict(state)
    x = torch.randn(2, 3, 16, 5)
    torch.testing.assert_close(
        moved.forward_features(x[..., order]), model.forward_features(x)[..., order], rtol=1e-4, atol=1e-5
    )


def test_missing_joints_do_not_enter_the_pooling(name):
    model = create(name).eval()
    features = torch.randn(2, model.num_features, 4, 5)
    valid = torch.ones(2, 16, 5, dtype=torch.bool)
    valid[:, :, 3] = False
    changed = features.clone()
    changed[..., 3] += 100
    torch.testing.assert_close(model.forward_head(features, valid), model.forward_head(changed, valid))
    assert not torch.allclose(model.forward_head(features), model.forward_head(changed))


def test_a_mask_follows_the_frames_stage_by_stage(name):
    model = create(name, strides=(2, 2, 2)).eval()
    torch.nn.init.normal_(model.classifier.weight)
    x = torch.randn(1, 3, 9, 5)  # 9 frames become 5, 3 and 2: the last two stand for the first eight and the ninth
    valid = torch.ones(1, 9, 5, dtype=torch.bool)
    valid[:, 8] = False
    first = model.forward_features(x)[:, :, :1].mean(dim=(2, 3))
    torch.testing.assert_close(model(x, valid), model.classifier(first))


def test_reset_classifier(name):
    model = create(name).eval()
    x = torch.randn(2, 3, 8, 5)
    pooled = model.forward_head(model.forward_features(x), pre_logits=True)
    model.reset_classifier(4)
    assert model(x).shape == (2, 4)
    model.reset_classifier(0)
    torch.testing.assert_close(model(x), pooled)


def test_wrong_input_names_both_shapes(name):
    model = create(name)
    with pytest.raises(ValueError, match=r"C=3, T, V=5.*\(2, 3, 8, 6\)"):
        model(torch.randn(2, 3, 8, 6))


@pytest.mark.parametrize(
    ("name", "millions"),
    [("stgcn", 3.10), ("aagcn", 3.78), ("stgcnpp", 1.40), ("ctrgcn", 1.44)],
)
def test_published_numbers_of_parameters(name, millions):
    model = gcn.create_backbone(name, 3, 52, **KINECT)
    assert gcn.network_cost(model, torch.zeros(1, 3, 1, 25)).parameters == pytest.approx(millions * 1e6, rel=0.01)


def test_nano_is_small():
    model = gcn.create_backbone("microgcn-nano", 3, 52, **KINECT)
    assert gcn.network_cost(model, torch.zeros(1, 3, 1, 25)).parameters <= 300_000


def test_cost_counts_multiply_accumulates_and_leaves_the_mode():
    net = torch.nn.Conv2d(4, 6, (3, 1), bias=False)
    assert gcn.network_cost(net, torch.zeros(2, 4, 10, 5)) == (4 * 6 * 3, 2 * 8 * 5 * 4 * 6 * 3)
    assert net.training


def test_cost_counts_products_that_are_added_in_place():
    layer = CTRGraphConv(16, 24, torch.rand(3, 5, 5))
    embed, refine, project, residual = 16 * 6 * 8 * 5, 3 * 24 * 8 * 25, 16 * 72 * 10 * 5, 16 * 24 * 10 * 5
    assert gcn.network_cost(layer, torch.zeros(1, 16, 10, 5)).macs == (
        embed + refine + project + residual + 3 * 24 * 10 * 5 * 5  # the last: three sums over neighbours
    )


def test_unknown_backbone_lists_those_there_are():
    with pytest.raises(ValueError, match="stgcnpp"):
        gcn.create_backbone("transformer", 3, 7, **CHAIN)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": (32, 64)}, "2, 3 and 3"),
        ({"channels": (), "depths": (), "strides": ()}, "at least one stage"),
        ({"channels": "abc"}, "`channels`.*'abc'"),
        ({"channels": 64}, "`channels`.*64"),
        ({"channels": (32, 64.0, 128)}, "`channels`"),
        ({"channels": (32, 64, 1_000_000)}, "4096"),
        ({"depths": (1, 0, 1)}, "`depths`"),
        ({"strides": (1, "2", 2)}, "`strides`"),
    ],
)
def test_wrong_stages_are_refused(name, options, message):
    with pytest.raises(ValueError, match=f"Expected.*{message}"):
        create(name, **options)


@pytest.mark.parametrize("dropout", [-0.1, 1.5, math.nan])
def test_a_dropout_rate_out_of_range_is_refused(name, dropout):
    with pytest.raises(ValueError, match=r"Expected `dropout` to lie in 0\.\.1"):
        create(name, dropout=dropout)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": (12, 16, 24)}, "multiples of 8"),
        ({"groups": 0}, "`groups`"),
        ({"kernel_size": 4}, "odd"),
    ],
)
def test_wrong_options_of_microgcn_are_refused(options, message):
    with pytest.raises(ValueError, match=f"Expected.*{message}"):
        create("microgcn-nano", **options)
