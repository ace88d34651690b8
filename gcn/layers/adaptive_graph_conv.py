"""Graph convolution whose adjacency also depends on the clip, by attention between joints."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gcn.layers.block import shortcut
from gcn.layers.folding import fold_norm
from gcn.layers.graph_conv import aggregate, append_residual


class AdaptiveGraphConv(nn.Module):
    r"""Adaptive graph convolution of AAGCN (Shi et al., IEEE TIP 2020) with residual and BatchNorm.

    .. math::
        Y = \mathrm{ReLU}\big(\mathrm{BN}(\textstyle\sum_k W_k X (B_k + \alpha C_k)) + R(X)\big), \qquad
        C_k = \mathrm{softmax}(\theta_k(X)^\top \phi_k(X) / (C' T))

    B starts at the skeleton's adjacency and is a free parameter, alpha starts at zero. The similarity of two joints is
    a mean over channels and frames, so that it does not grow with T. All embeddings are one convolution.

    Shapes:
        - input: (N, C_in, T, V)
        - output: (N, C_out, T, V)

    Args:
        in_channels: C_in.
        out_channels: C_out; the embeddings have C' = C_out / 4 channels.
        adjacency: float (K, V, V), the start of B.
    """

    def __init__(self, in_channels: int, out_channels: int, adjacency: Tensor) -> None:
        super().__init__()
        self.adjacency = nn.Parameter(adjacency.clone())
        self.gain = nn.Parameter(torch.zeros(1))
        self.embed = nn.Conv2d(in_channels, 2 * len(adjacency) * max(out_channels // 4, 1), 1)
        self.project = nn.Conv2d(in_channels * len(adjacency), out_channels, 1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.residual = shortcut(in_channels, out_channels)

    def topology(self, x: Tensor) -> Tensor:
        """Adjacency B + alpha C (N, K, V, V) of each clip of (N, C_in, T, V)."""
        N, K, V = x.shape[0], len(self.adjacency), x.shape[3]
        theta, phi = self.embed(x).reshape(N, 2, K, -1, V).unbind(1)  # (N, K, C' T, V)
        similarity = theta.transpose(2, 3) @ phi * (1 / theta.shape[2])
        return self.adjacency + self.gain * similarity.softmax(dim=2)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C_in, T, V) to (N, C_out, T, V)."""
        return (self.norm(self.project(aggregate(x, self.topology(x)))) + self.residual(x)).relu_()

    def fuse(self) -> nn.Module:
        """The same in evaluation mode, with the residual in the one convolution after the graph."""
        return FusedAdaptiveGraphConv(self)


class FusedAdaptiveGraphConv(AdaptiveGraphConv):
    """Deployed form of :class:`AdaptiveGraphConv`.

    Shapes:
        - input: (N, C_in, T, V)
        - output: (N, C_out, T, V)
    """

    def __init__(self, layer: AdaptiveGraphConv) -> None:
        nn.Module.__init__(self)
        self.adjacency, self.gain, self.embed = layer.adjacency, layer.gain, layer.embed
        self.project = fold_norm(layer.project, layer.norm)
        self.skip = isinstance(layer.residual, nn.Identity)
        if isinstance(layer.residual, nn.Sequential):
            self.project = append_residual(self.project, layer.residual)

    def fuse(self) -> nn.Module:
        """Itself: there is nothing left to fuse."""
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C_in, T, V) to (N, C_out, T, V)."""
        h = aggregate(x, self.topology(x))
        return (self.project(h) + x if self.skip else self.project(torch.cat([h, x], dim=1))).relu_()


class JointFrameChannelAttention(nn.Module):
    r"""The STC attention of AAGCN: joints, then frames, then channels, each scaled by 1 + a sigmoid.

    The joints' attention convolves along the order of the joints, as published: renumbering them changes it.

    Shapes:
        - input and output: (N, C, T, V)

    Args:
        channels: C.
        num_joints: V.
    """

    def __init__(self, channels: int, num_joints: int) -> None:
        super().__init__()
        width = num_joints - 1 + num_joints % 2  # the largest odd number up to V
        self.joints = nn.Conv1d(channels, 1, width, padding=width // 2)
        self.frames = nn.Conv1d(channels, 1, 9, padding=4)
        self.squeeze = nn.Linear(channels, max(channels // 2, 1))
        self.excite = nn.Linear(max(channels // 2, 1), channels)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh (N, C, T, V)."""
        x = x * (1 + self.joints(x.mean(2)).sigmoid().unsqueeze(2))  # (N, 1, 1, V)
        x = x * (1 + self.frames(x.mean(3)).sigmoid().unsqueeze(3))  # (N, 1, T, 1)
        gate = self.excite(torch.relu(self.squeeze(x.mean((2, 3))))).sigmoid()
        return x * (1 + gate[:, :, None, None])
