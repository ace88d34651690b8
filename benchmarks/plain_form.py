"""ST-GCN++ and CTR-GCN as they are commonly written: one convolution for each subset and each branch.

What the fused layers are measured against, with the same weights.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from gcn.layers import CTRGraphConv, GraphConv, MultiBranchTemporalConv, MultiScaleTemporalConv


def conv_part(conv: nn.Conv2d | nn.Conv1d, outputs: slice, inputs: slice = slice(None)) -> nn.Conv2d:
    """A 1x1 convolution with some of the outputs and inputs of another."""
    weight = conv.weight.detach()[outputs, inputs].reshape(len(conv.weight[outputs]), -1, 1, 1)
    part = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
    part.weight.data.copy_(weight)
    part.bias.data.copy_(conv.bias.detach()[outputs])
    return part


def norm_part(norm: nn.BatchNorm2d, channels: slice) -> nn.BatchNorm2d:
    """The norm of some of the channels of another."""
    part = nn.BatchNorm2d(len(norm.weight[channels]))
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(part, name).data.copy_(getattr(norm, name).detach()[channels])
    return part


def slices(widths: list[int]) -> list[slice]:
    """Consecutive slices of these widths."""
    ends = [sum(widths[: i + 1]) for i in range(len(widths))]
    return [slice(end - width, end) for width, end in zip(widths, ends, strict=True)]


class PlainGraphConv(nn.Module):
    """One convolution and one sum over neighbours for each subset."""

    def __init__(self, layer: GraphConv) -> None:
        super().__init__()
        self.adjacency = nn.Parameter(layer.adjacency.detach().clone())
        width = layer.project.in_channels // len(self.adjacency)
        parts = slices([width] * len(self.adjacency))
        self.convs = nn.ModuleList(conv_part(layer.project, slice(None), part) for part in parts)
        for conv in self.convs[1:]:
            conv.bias.data.zero_()
        self.norm, self.residual = layer.norm, layer.residual

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, T, V) to (N, C_out, T, V)."""
        y = 0
        for conv, adjacency in zip(self.convs, self.adjacency, strict=True):
            y = y + conv(torch.einsum("nctv,vw->nctw", x, adjacency))
        return torch.relu(self.norm(y) + self.residual(x))


class PlainCTRGraphConv(nn.Module):
    """One topology, one convolution and one sum over neighbours for each subset; frames averaged after embedding."""

    def __init__(self, layer: CTRGraphConv) -> None:
        super().__init__()
        self.adjacency = nn.Parameter(layer.adjacency.detach().clone())
        self.gain = nn.Parameter(layer.gain.detach().clone())
        K = len(self.adjacency)
        embedded = slices([layer.embed.out_channels // (2 * K)] * (2 * K))
        out = slices([layer.project.out_channels // K] * K)
        self.psi = nn.ModuleList(conv_part(layer.embed, part) for part in embedded[:K])
        self.phi = nn.ModuleList(conv_part(layer.embed, part) for part in embedded[K:])
        self.expand = nn.ModuleList(conv_part(layer.expand, part) for part in out)
        self.project = nn.ModuleList(conv_part(layer.project, part) for part in out)
        self.norm, self.residual = layer.norm, layer.residual

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, T, V) to (N, C_out, T, V)."""
        y = 0
        for k, adjacency in enumerate(self.adjacency):
            psi, phi = self.psi[k](x).mean(2), self.phi[k](x).mean(2)
            topology = self.expand[k](torch.tanh(psi[..., :, None] - phi[..., None, :])) * self.gain + adjacency
            y = y + torch.einsum("ncvw,nctv->nctw", topology, self.project[k](x))
        return torch.relu(self.norm(y) + self.residual(x))


class PlainBranches(nn.Module):
    """Every branch of a multi-branch temporal convolution with an entry convolution and norms of its own."""

    def __init__(self, layer: MultiBranchTemporalConv | MultiScaleTemporalConv) -> None:
        super().__init__()
        parts = slices(layer.widths)
        self.branches = nn.ModuleList()
        pool = nn.MaxPool2d((3, 1), (layer.stride, 1), (1, 0))
        for part, body in zip(parts, [*layer.convs, pool], strict=False):
            entry = conv_part(layer.enter, part), norm_part(layer.enter_norm, part), nn.ReLU()
            self.branches.append(nn.Sequential(*entry, body, norm_part(layer.leave_norm, part)))
        plain = conv_part(layer.enter, parts[-1])
        plain.stride = (layer.stride, 1)
        self.branches.append(nn.Sequential(plain, norm_part(layer.leave_norm, parts[-1])))
        self.leave = nn.Identity()
        if isinstance(layer, MultiBranchTemporalConv):
            self.leave = nn.Sequential(nn.ReLU(), layer.leave, layer.norm)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, V) to (N, C, ceil(T / stride), V)."""
        return self.leave(torch.cat([branch(x) for branch in self.branches], dim=1))


def plain_form(net: nn.Module) -> nn.Module:
    """The same function as it is commonly written, with the same weights."""
    forms = {GraphConv: PlainGraphConv, CTRGraphConv: PlainCTRGraphConv}
    forms |= dict.fromkeys((MultiBranchTemporalConv, MultiScaleTemporalConv), PlainBranches)
    net = copy.deepcopy(net)
    for module in list(net.modules()):
        for name, child in module.named_children():
            if type(child) in forms:
                setattr(module, name, forms[type(child)](child))
    return net
