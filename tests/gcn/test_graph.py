import pytest
import torch
from torch_geometric.nn import GCNConv
from torch_geometric.utils import degree, is_undirected

from gcn.graph import depths, skeleton_edge_index, spatial_partition
from gcn.layers import GraphConv

EDGES, PARENTS = [(0, 1), (1, 2), (2, 3), (1, 3)], [0, 0, 1, 2, 0]  # a triangle; joint 4 hangs by the tree alone


def test_edge_index_is_undirected_simple_and_connected_by_the_tree():
    index = skeleton_edge_index(EDGES, PARENTS)
    pairs = set(map(tuple, index.T.tolist()))
    assert is_undirected(index)
    assert pairs == {p for a, b in [*EDGES, (0, 4)] for p in ((a, b), (b, a))}
    assert index.shape[1] == len(pairs)


def test_partition_adds_up_to_the_column_normalised_graph():
    subsets = spatial_partition(EDGES, PARENTS)
    whole = subsets.sum(dim=0)
    index = skeleton_edge_index(EDGES, PARENTS)
    torch.testing.assert_close(whole.sum(dim=0), torch.ones(5))
    torch.testing.assert_close(whole.diag(), 1 / (degree(index[1], 5) + 1))
    assert ((subsets > 0).sum(dim=0) <= 1).all()


def test_partition_separates_level_inward_and_outward():
    subsets = spatial_partition(EDGES, PARENTS) > 0
    depth = torch.tensor(depths(PARENTS))
    for k, relation in enumerate((torch.eq, torch.lt, torch.gt)):
        assert not (subsets[k] & ~relation(depth[:, None], depth[None, :])).any()
    assert subsets[1].any()
    assert subsets[2].any()


@pytest.mark.parametrize(("edges", "parents", "message"), [([(0, 9)], [0, 0], r"0\.\.1"), ([(0, 1)], [1, 0], "tree")])
def test_wrong_graphs_are_refused(edges, parents, message):
    with pytest.raises(ValueError, match=message):
        spatial_partition(edges, parents)


def test_graph_product_equals_pyg_gcn_conv():
    """With one subset at GCN's normalisation the layer is Kipf and Welling's, frame by frame."""
    torch.manual_seed(0)
    index = skeleton_edge_index(EDGES, PARENTS)
    reference = GCNConv(4, 6, bias=False)
    d = (degree(index[1], 5) + 1).rsqrt()
    dense = torch.eye(5) + torch.zeros(5, 5).index_put((index[0], index[1]), torch.ones(index.shape[1]))
    layer = GraphConv(4, 6, (d[:, None] * dense * d[None, :])[None]).eval()
    torch.nn.init.zeros_(layer.project.bias)
    torch.nn.init.zeros_(layer.residual[0].weight)
    torch.nn.init.zeros_(layer.residual[0].bias)
    layer.project.weight.data = reference.lin.weight.data[:, :, None, None]
    x = torch.randn(3, 4, 7, 5)
    expected = torch.stack([torch.stack([reference(x[n, :, t].T, index).T for t in range(7)], dim=1) for n in range(3)])
    scale = (1 + layer.norm.eps) ** -0.5  # fresh BatchNorm in evaluation mode
    torch.testing.assert_close(layer(x), torch.relu(expected * scale))
