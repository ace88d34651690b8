"""Skeleton graphs: edges and a tree of parents in, dense normalised adjacency out. Built with PyTorch Geometric."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.utils import coalesce, to_dense_adj, to_undirected


def skeleton_edge_index(edges: Sequence[tuple[int, int]], parents: Sequence[int]) -> Tensor:
    """Undirected graph of a skeleton, without self-loops.

    The tree's links are added to the edges, so that the graph is connected whatever the layout draws.

    Args:
        edges: pairs of joint indices.
        parents: parent of each of the V joints; the root is its own.

    Returns:
        int64 (2, E), both directions of every edge once, sorted.

    Raises:
        ValueError: if an index lies outside 0..V-1.
    """
    joints = len(parents)
    pairs = [*edges, *((parent, joint) for joint, parent in enumerate(parents) if parent != joint)]
    if any(not 0 <= i < joints for pair in pairs for i in pair):
        raise ValueError(f"Expected `edges` and `parents` to hold joint indices in 0..{joints - 1}, but got others.")
    index = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T
    return coalesce(to_undirected(index, num_nodes=joints), num_nodes=joints)


def depths(parents: Sequence[int]) -> list[int]:
    """Number of links between each joint and the root of the tree.

    Raises:
        ValueError: if the parents form no tree.
    """

    def depth(joint: int) -> int:
        steps = 0
        while parents[joint] != joint:
            joint, steps = parents[joint], steps + 1
            if steps > len(parents):
                raise ValueError("Expected `parents` to form a tree from one root, but got a cycle.")
        return steps

    return [depth(joint) for joint in range(len(parents))]


def spatial_partition(edges: Sequence[tuple[int, int]], parents: Sequence[int]) -> Tensor:
    """Adjacency split in three subsets by direction: level, towards the root, away from it.

    The spatial configuration of ST-GCN (Yan et al., AAAI 2018): subset 0 holds self-loops and neighbours at the same
    distance from the root, subset 1 neighbours nearer to it, subset 2 neighbours farther from it. Columns are
    normalised by the degree in the whole graph, A D^-1, so that the three add up to column sums of one.

    Args:
        edges: pairs of joint indices.
        parents: parent of each of the V joints; the root is its own.

    Returns:
        float32 (3, V, V); entry [k, v, w] weighs what joint w receives from joint v.
    """
    joints = len(parents)
    whole = to_dense_adj(skeleton_edge_index(edges, parents), max_num_nodes=joints)[0] + torch.eye(joints)
    whole = whole / whole.sum(dim=0, keepdim=True)
    depth = torch.tensor(depths(parents))
    source, target = depth[:, None], depth[None, :]
    return torch.stack([whole * (source == target), whole * (source < target), whole * (source > target)])
