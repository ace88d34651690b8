"""Graph convolution with a topology for each channel, refined by the clip."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gcn.layers.block import shortcut
from gcn.layers.folding import fold_norm, norm_affine, with_weights


class CTRGraphConv(nn.Module):
    r"""Channel-wise topology refinement of CTR-GCN (Chen et al., ICCV 2021) with residual and BatchNorm.

    .. math::
        Y = \mathrm{ReLU}\big(\mathrm{BN}(\textstyle\sum_k R_k \odot_c W_k X) + R(X)\big), \qquad
        R_k = A_k + \alpha \, \xi_k\big(\tanh(\psi_k(\bar X)_v - \phi_k(\bar X)_w)\big)

    Written from the paper, in an order that does less: the mean over time comes before the embeddings psi and phi (they
    are linear), and they are one product for all subsets; alpha multiplies the weights of xi, not what it makes. A
    starts at the skeleton's adjacency and is a free parameter, alpha starts at zero.

    Shapes:
        - input: (N, C_in, T, V)
        - output: (N, C_out, T, V)

    Args:
        in_channels: C_in.
        out_channels: C_out.
        adjacency: float (K, V, V), the start of A.
        reduction: the embeddings have C_in / reduction channels, at least 8.
    """

    def __init__(self, in_channels: int, out_channels: int, adjacency: Tensor, reduction: int = 8) -> None:
        super().__init__()
        subsets = len(adjacency)
        embedded = max(in_channels // reduction, 8)
        self.adjacency = nn.Parameter(adjacency.clone())
        self.gain = nn.Parameter(torch.zeros(1))
        self.embed = nn.Conv1d(in_channels, 2 * subsets * embedded, 1)
        self.expand = nn.Conv2d(subsets * embedded, subsets * out_channels, 1, groups=subsets)
        self.project = nn.Conv2d(in_channels, subsets * out_channels, 1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.residual = shortcut(in_channels, out_channels)

    def shared_topology(self) -> tuple[Tensor, Tensor]:
        """What no clip changes: A + alpha bias of xi (K, C_out, V, V), and alpha xi (K, C_out, C')."""
        K = len(self.adjacency)
        assert self.expand.bias is not None
        bias = (self.expand.bias * self.gain).reshape(K, -1, 1, 1)
        return self.adjacency[:, None] + bias, (self.expand.weight * self.gain).reshape(K, bias.shape[1], -1)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C_in, T, V) to (N, C_out, T, V)."""
        h = refined_sum(x, self.project, self.embed(x.mean(2)), *self.shared_topology())
        return (self.norm(h) + self.residual(x)).relu_()

    def fuse(self) -> nn.Module:
        """The same in evaluation mode: norm and alpha in the convolutions."""
        return FusedCTRGraphConv(self)


class FusedCTRGraphConv(nn.Module):
    """Deployed form of :class:`CTRGraphConv`.

    Shapes:
        - input: (N, C_in, T, V)
        - output: (N, C_out, T, V)
    """

    base: Tensor
    refine: Tensor
    shift: Tensor

    def __init__(self, layer: CTRGraphConv) -> None:
        super().__init__()
        base, refine = layer.shared_topology()
        self.register_buffer("base", base)
        self.register_buffer("refine", refine)
        self.embed, project = layer.embed, layer.project
        assert project.bias is not None
        scale, shift = norm_affine(layer.norm)
        scales = scale.repeat(len(base))  # a scale of an output channel passes through the sum over neighbours
        self.project = with_weights(project, project.weight * scales[:, None, None, None], project.bias * scales)
        self.residual = layer.residual
        self.skip = isinstance(layer.residual, nn.Identity)
        if isinstance(layer.residual, nn.Sequential):
            around = fold_norm(*layer.residual)
            assert around.bias is not None
            self.residual = with_weights(around, around.weight, around.bias + shift)
        self.register_buffer("shift", shift.to(project.weight)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C_in, T, V) to (N, C_out, T, V)."""
        around = x + self.shift if self.skip else self.residual(x)
        return refined_sum(x, self.project, self.embed(x.mean(2)), self.base, self.refine, around).relu_()


def refined_sum(
    x: Tensor, project: nn.Conv2d, embedded: Tensor, base: Tensor, refine: Tensor, around: Tensor | None = None
) -> Tensor:
    """Convolve, and sum over subsets and neighbours by a topology for each clip and channel.

    One subset after the other: what three at once make leaves the cache, and the copies that bring it into one product
    cost more than the calls they save. xi is repeated for every clip: as a single matrix, torch would multiply it from
    the other side, and copy what goes in and what comes out.

    Args:
        x: (N, C_in, T, V).
        project: (N, C_in, T, V) -> (N, K C, T, V).
        embedded: (N, 2 K C', V), psi and phi of the mean over time.
        base: (K, C, V, V), the topology before it is refined; [..., v, w] is what w receives from v.
        refine: (K, C, C').
        around: (N, C, T, V) to be added, or None; it may be overwritten.

    Returns:
        (N, C, T, V).
    """
    N, _, T, V = x.shape
    K, C, narrow = refine.shape
    assert project.bias is not None
    psi, phi = embedded.reshape(N, 2, K, narrow, V).unbind(1)
    h = None if around is None else around.reshape(N * C, T, V)
    for k, (weight, bias) in enumerate(zip(project.weight.chunk(K), project.bias.chunk(K), strict=True)):
        correlation = (psi[:, k, :, :, None] - phi[:, k, :, None, :]).tanh_().reshape(N, narrow, V * V)
        topology = torch.bmm(refine[k].expand(N, C, narrow), correlation).reshape(N, C, V, V)
        topology += base[k].to(topology.dtype)
        left, right = F.conv2d(x, weight, bias).reshape(N * C, T, V), topology.reshape(N * C, V, V)
        # in place: adding to a copy costs the copy; autocast does not see it, and what is around may be float32
        h = torch.bmm(left, right) if h is None else h.to(left.dtype).baddbmm_(left, right)
    assert h is not None
    return h.reshape(N, C, T, V)
