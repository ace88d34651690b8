"""The layers against their formulas, written out subset by subset, and their gradients."""

import pytest
import torch
from torch import nn
from torch_geometric.nn import DenseGCNConv

from gcn.graph import skeleton_edge_index, spatial_partition
from gcn.layers import (
    AdaptiveGraphConv,
    CTRGraphConv,
    GraphConv,
    GroupedAggregation,
    JointFrameChannelAttention,
    MultiBranchTemporalConv,
    MultiScaleTemporalConv,
)

EDGES, PARENTS = [(0, 1), (1, 2), (2, 3), (1, 3)], [0, 0, 1, 2, 0]
ADJACENCY = spatial_partition(EDGES, PARENTS)
N, T, V = 2, 6, 5


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def evaluated(layer):
    """In double precision, with gains that are not zero and norms that do nothing."""
    for key, parameter in layer.named_parameters():
        if key.endswith("gain"):
            nn.init.normal_(parameter)
    for module in layer.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0
    return layer.double().eval()


@pytest.mark.parametrize("learned", [True, False])
def test_graph_conv_equals_dense_gcn_conv(learned):
    """With one subset at GCN's normalisation the layer is PyG's dense operator, frame by frame."""
    index = skeleton_edge_index(EDGES, PARENTS)
    links = torch.zeros(V, V).index_put((index[0], index[1]), torch.ones(index.shape[1]))
    whole = links + torch.eye(V)
    d = whole.sum(0).rsqrt()
    reference = DenseGCNConv(4, 6).double()
    nn.init.normal_(reference.bias)
    layer = evaluated(GraphConv(4, 6, (d[:, None] * whole * d[None, :])[None], learned=learned, residual=False))
    layer.project.weight.data = reference.lin.weight.data[:, :, None, None]
    layer.project.bias.data = reference.bias.data
    x = torch.randn(N, 4, T, V).double()
    expected = reference(x.permute(0, 2, 3, 1).flatten(0, 1), links.double()).unflatten(0, (N, T)).permute(0, 3, 1, 2)
    torch.testing.assert_close(layer(x), torch.relu(expected), atol=1e-6, rtol=1e-6)


def test_importance_weighs_the_edges():
    layer = evaluated(GraphConv(4, 6, ADJACENCY, learned=False, residual=False))
    nn.init.normal_(layer.importance)
    x = torch.randn(N, 4, T, V).double()
    parts = layer.project.weight[:, :, 0, 0].split(4, dim=1)
    expected = sum(
        torch.einsum("oc,nctv,vw->notw", weight, x, adjacency * importance)
        for weight, adjacency, importance in zip(parts, ADJACENCY.double(), layer.importance, strict=True)
    )
    torch.testing.assert_close(layer(x), torch.relu(expected + layer.project.bias[:, None, None]))


def test_adaptive_graph_conv_is_its_formula():
    layer = evaluated(AdaptiveGraphConv(8, 8, ADJACENCY))
    x = torch.randn(N, 8, T, V).double()
    K, narrow = 3, 2
    embedded = torch.einsum("oc,nctv->notv", layer.embed.weight[:, :, 0, 0], x) + layer.embed.bias[:, None, None]
    expected = x + layer.project.bias[:, None, None]
    for k in range(K):
        theta = embedded[:, k * narrow : (k + 1) * narrow]
        phi = embedded[:, (K + k) * narrow : (K + k + 1) * narrow]
        similarity = torch.einsum("nctv,nctw->nvw", theta, phi) / (narrow * T)
        adjacency = layer.adjacency[k] + layer.gain * similarity.exp() / similarity.exp().sum(1, keepdim=True)
        weight = layer.project.weight[:, 8 * k : 8 * (k + 1), 0, 0]
        expected = expected + torch.einsum("oc,nctv,nvw->notw", weight, x, adjacency)
    torch.testing.assert_close(layer(x), torch.relu(expected))


def test_grouped_aggregation_is_its_formula():
    layer = evaluated(GroupedAggregation(8, ADJACENCY, groups=4))
    x = torch.randn(N, 8, T, V).double()
    a, b = (torch.einsum("nctv->ncv", layer.embed(x.flatten(2)).unflatten(2, (T, V))) / T).split(4, dim=1)
    for n in range(N):
        for c in range(8):
            g = c // 2
            adjacency = layer.adjacency[g] + layer.gain[g] * torch.tanh(a[n, g][:, None] - b[n, g][None, :])
            torch.testing.assert_close(layer(x)[n, c], x[n, c] @ adjacency)
    torch.testing.assert_close(layer.adjacency[3], ADJACENCY[0].double())  # the subsets in turn


def test_attention_scales_joints_then_frames_then_channels():
    layer = JointFrameChannelAttention(4, V).double()
    x = torch.randn(N, 4, T, V).double()
    with torch.no_grad():
        for part in (layer.joints, layer.frames, layer.excite):
            part.weight.zero_()
            part.bias.fill_(50.0)  # a sigmoid of one
        torch.testing.assert_close(layer(x), 8 * x)
        layer.excite.bias.copy_(torch.tensor([50.0, -50.0, -50.0, -50.0]))
        torch.testing.assert_close(layer(x), 4 * x * torch.tensor([2.0, 1.0, 1.0, 1.0])[:, None, None])


def test_attention_is_its_formula():
    layer = JointFrameChannelAttention(4, V).double()
    x = torch.randn(N, 4, T, V).double()

    def along(values, conv):  # (N, C, L): a weighted sum over channels and neighbours, place by place
        half = conv.kernel_size[0] // 2
        padded = torch.cat([torch.zeros(N, 4, half), values, torch.zeros(N, 4, half)], 2)
        places = [padded[:, :, i : i + 2 * half + 1] for i in range(values.shape[2])]
        return torch.stack([torch.einsum("ck,nck->n", conv.weight[0], place) for place in places], 1) + conv.bias

    expected = x * (1 + torch.sigmoid(along(torch.einsum("nctv->ncv", x) / T, layer.joints)))[:, None, None, :]
    gate = torch.sigmoid(along(torch.einsum("nctv->nct", expected) / V, layer.frames))
    expected = expected * (1 + gate)[:, None, :, None]
    pooled = torch.einsum("nctv->nc", expected) / (T * V)
    hidden = (pooled @ layer.squeeze.weight.T + layer.squeeze.bias).clamp(min=0)
    gate = torch.sigmoid(hidden @ layer.excite.weight.T + layer.excite.bias)
    torch.testing.assert_close(layer(x), expected * (1 + gate)[:, :, None, None])


def test_channel_wise_refinement_is_its_formula():
    layer = evaluated(CTRGraphConv(4, 6, ADJACENCY))
    x = torch.randn(N, 4, T, V).double()
    K, narrow = 3, 8
    embedded = torch.einsum("oc,ncv->nov", layer.embed.weight[..., 0], x.mean(2)) + layer.embed.bias[:, None]
    around = layer.residual(x)
    expected = torch.zeros(N, 6, T, V).double()
    for k in range(K):
        psi, phi = (embedded[:, (half * K + k) * narrow :][:, :narrow] for half in (0, 1))
        pairs = torch.tanh(psi[:, :, :, None] - phi[:, :, None, :])  # (N, C', v, w)
        weight, bias = (value[6 * k : 6 * (k + 1)] for value in (layer.expand.weight, layer.expand.bias))
        xi = torch.einsum("oc,ncvw->novw", weight[:, :, 0, 0], pairs) + bias[:, None, None]
        topology = layer.adjacency[k] + layer.gain * xi
        weight, bias = (value[6 * k : 6 * (k + 1)] for value in (layer.project.weight, layer.project.bias))
        values = torch.einsum("oc,nctv->notv", weight[:, :, 0, 0], x) + bias[:, None, None]
        expected = expected + torch.einsum("notv,novw->notw", values, topology)
    torch.testing.assert_close(layer(x), torch.relu(expected + around))


@pytest.mark.parametrize(
    "make",
    [
        lambda: GraphConv(3, 4, ADJACENCY),
        lambda: GraphConv(3, 4, ADJACENCY, learned=False, residual=False),
        lambda: AdaptiveGraphConv(3, 4, ADJACENCY),
        lambda: CTRGraphConv(3, 4, ADJACENCY),
        lambda: GroupedAggregation(4, ADJACENCY, 2),
        lambda: JointFrameChannelAttention(4, V),
        lambda: MultiBranchTemporalConv(6, 2),
        lambda: MultiScaleTemporalConv(4, 2),
    ],
    ids=["free", "importance", "adaptive", "ctr", "grouped", "attention", "multi-branch", "multi-scale"],
)
def test_gradients(make):
    """Analytic gradients of the input and of every parameter equal finite differences, with the batch's statistics."""
    layer = make().double().train()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, 0.2, 0.5)
    channels = next(m for m in layer.modules() if isinstance(m, nn.Conv1d | nn.Conv2d)).in_channels
    if isinstance(layer, GraphConv):
        channels //= 3
    x = torch.randn(N, channels, 4, V, dtype=torch.float64, requires_grad=True)
    names, values = zip(*layer.named_parameters(), strict=True)

    def run(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *values), fast_mode=True)
