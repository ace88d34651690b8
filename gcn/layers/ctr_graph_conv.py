"""Graph convolution with a topology for each channel, refined by the clip."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gcn.layers.block import shortcut
from gcn.layers.folding import fold_norm, norm_affine, with_weights


class CTRGraphConv(nn.Module):
    r"""Channel-wise topology refinement of CTR-GCN (Chen et al., ICCV 2021) with residual and BatchNorm.

    .. math::
        Y = \mathrm{ReLU}\big(\mathrm{BN}(\textstyle\sum_k R_k \odot_c W_k X) + R(X)\big), \qquad
        R_k = A_k + \alpha \, \xi_k\big(\tanh(\psi_k(\bar X)_v - \phi_k(\bar X)_w)\big)

    Written from the paper, in an order that does less: the mean over time comes before the embeddings psi and phi (they
    are linear), which are one product for all subsets; so are W and, in groups, xi; the sum over neighbours and subsets
    is one batched product. A starts at the skeleton's adjacency and is a free parameter, alpha starts at zero.

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

    def correlate(self, x: Tensor) -> Tensor:
        """Channel-wise refinement (N, K C_out, V, V) of the topology for (N, C_in, T, V), before alpha."""
        psi, phi = self.embed(x.mean(2)).chunk(2, dim=1)  # (N, K C', V)
        return self.expand(torch.tanh(psi[..., :, None] - phi[..., None, :]))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C_in, T, V) to (N, C_out, T, V)."""
        K = len(self.adjacency)
        refinement = self.correlate(x).unflatten(1, (K, -1))  # (N, K, C_out, V, V)
        left, right = _as_matrices(self.project(x), torch.addcmul(self.adjacency[:, None], refinement, self.gain))
        h = torch.bmm(left, right).reshape(x.shape[0], -1, *x.shape[2:])
        return torch.relu(self.norm(h) + self.residual(x))

    def fuse(self) -> nn.Module:
        """The same in evaluation mode: norm and alpha in the convolutions, the residual added by the product."""
        return FusedCTRGraphConv(self)


class FusedCTRGraphConv(CTRGraphConv):
    """Deployed form of :class:`CTRGraphConv`.

    Shapes:
        - input: (N, C_in, T, V)
        - output: (N, C_out, T, V)
    """

    shift: Tensor

    def __init__(self, layer: CTRGraphConv) -> None:
        nn.Module.__init__(self)
        K = len(layer.adjacency)
        scale, shift = norm_affine(layer.norm)
        expand, project = layer.expand, layer.project
        assert expand.bias is not None
        assert project.bias is not None
        self.adjacency, self.embed = layer.adjacency, layer.embed
        self.expand = with_weights(expand, expand.weight * layer.gain, expand.bias * layer.gain)
        scales = scale.repeat(K)  # a scale of an output channel passes through the sum over neighbours
        self.project = with_weights(project, project.weight * scales[:, None, None, None], project.bias * scales)
        self.residual = layer.residual
        if isinstance(layer.residual, nn.Sequential):
            around = fold_norm(*layer.residual)
            assert around.bias is not None
            self.residual = with_weights(around, around.weight, around.bias + shift)
            shift = torch.zeros_like(shift)
        self.register_buffer("shift", shift.to(project.weight)[:, None, None])

    def fuse(self) -> nn.Module:
        """Itself: there is nothing left to fuse."""
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C_in, T, V) to (N, C_out, T, V)."""
        K = len(self.adjacency)
        topology = self.adjacency[:, None] + self.correlate(x).unflatten(1, (K, -1))  # (N, K, C_out, V, V)
        left, right = _as_matrices(self.project(x), topology)
        residual = self.residual(x)
        around = residual if isinstance(self.residual, nn.Conv2d) else residual + self.shift
        return torch.relu(torch.baddbmm(around.flatten(0, 1), left, right).reshape(around.shape))


def _as_matrices(projected: Tensor, topology: Tensor) -> tuple[Tensor, Tensor]:
    """(N C_out, T, K V) and (N C_out, K V, V), whose product sums over subsets and neighbours.

    Args:
        projected: (N, K C_out, T, V).
        topology: (N, K, C_out, V, V).
    """
    N, K, C, V, _ = topology.shape
    left = projected.unflatten(1, (K, C)).permute(0, 2, 3, 1, 4)  # (N, C_out, T, K, V)
    return left.reshape(N * C, -1, K * V), topology.transpose(1, 2).reshape(N * C, K * V, V)
