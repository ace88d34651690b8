"""Graph convolution over adjacency subsets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gcn.layers.block import shortcut
from gcn.layers.folding import fold_norm, with_weights


class GraphConv(nn.Module):
    r"""Spatial graph convolution with residual and BatchNorm.

    .. math:: Y = \mathrm{ReLU}\big(\mathrm{BN}(\textstyle\sum_k W_k X A_k) + R(X)\big)

    with a learned adjacency as in ST-GCN++ (Duan et al., PYSKL, ACM MM 2022), which starts at the skeleton's and is a
    free parameter, or with the skeleton's own times a learned importance and without R, as in ST-GCN (Yan et al., AAAI
    2018). The sum runs over neighbours first and over channels in one 1x1 convolution for all subsets: the order that
    costs less where channels widen. There is one bias, after the sum.

    Shapes:
        - input: (N, C_in, T, V)
        - output: (N, C_out, T, V)

    Args:
        in_channels: C_in.
        out_channels: C_out.
        adjacency: float (K, V, V), the start of the learned adjacency, or the fixed one.
        learned: the adjacency is a parameter; else its entries' importance is.
        residual: add R(X).
    """

    adjacency: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        adjacency: Tensor,
        learned: bool = True,
        residual: bool = True,
    ) -> None:
        super().__init__()
        self.importance: nn.Parameter | None = None
        if learned:
            self.adjacency = nn.Parameter(adjacency.clone())
        else:
            self.register_buffer("adjacency", adjacency.clone(), persistent=False)
            self.importance = nn.Parameter(torch.ones_like(adjacency))
        self.project = nn.Conv2d(in_channels * len(adjacency), out_channels, 1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.residual = shortcut(in_channels, out_channels) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C_in, T, V) to (N, C_out, T, V)."""
        adjacency = self.adjacency if self.importance is None else self.adjacency * self.importance
        h = self.norm(self.project(aggregate(x, adjacency)))
        return torch.relu(h) if self.residual is None else (h + self.residual(x)).relu_()

    def fuse(self) -> nn.Module:
        """The same in evaluation mode, with one convolution; a convolving residual becomes one more subset."""
        adjacency = self.adjacency if self.importance is None else self.adjacency * self.importance
        project = fold_norm(self.project, self.norm)
        if isinstance(self.residual, nn.Sequential):
            project = append_residual(project, self.residual)
            adjacency = torch.cat([adjacency, torch.eye(adjacency.shape[-1]).to(adjacency)[None]])
        return FusedGraphConv(adjacency, project, isinstance(self.residual, nn.Identity))


class FusedGraphConv(nn.Module):
    r"""Deployed form of :class:`GraphConv`: :math:`Y = \mathrm{ReLU}(\sum_k W_k X A_k + b + [X])`.

    Shapes:
        - input: (N, C_in, T, V)
        - output: (N, C_out, T, V)
    """

    adjacency: Tensor

    def __init__(self, adjacency: Tensor, project: nn.Conv2d, skip: bool) -> None:
        super().__init__()
        self.register_buffer("adjacency", adjacency.detach().clone())
        self.project = project
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C_in, T, V) to (N, C_out, T, V)."""
        h = self.project(aggregate(x, self.adjacency))
        return (h + x if self.skip else h).relu_()


def aggregate(x: Tensor, adjacency: Tensor) -> Tensor:
    """Sum over neighbours, once for each subset.

    Args:
        x: (N, C, T, V).
        adjacency: (K, V, V), or (N, K, V, V) where each clip has its own; [..., v, w] is what w receives from v.

    Returns:
        (N, K C, T, V), subset by subset.
    """
    N, C, T, V = x.shape
    h = torch.matmul(x.reshape(N, 1, C * T, V), adjacency)  # (N, K, C T, V)
    return h.reshape(N, adjacency.shape[-3] * C, T, V)


def append_residual(project: nn.Conv2d, residual: nn.Sequential) -> nn.Conv2d:
    """A 1x1 convolution that reads the residual's input as channels after its own, and adds it."""
    around = fold_norm(*residual)
    assert project.bias is not None
    assert around.bias is not None
    return with_weights(project, torch.cat([project.weight, around.weight], dim=1), project.bias + around.bias)
