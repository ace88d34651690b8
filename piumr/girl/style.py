"""Pseudo-groups of samples by the style of their execution. The equations are ours.

Style is what the early features' channel statistics say once the class is taken out: how large, how fast, how still
the rest of the body. Samples of similar style form a group that stands for a kind of person; who the person really is
is never used.
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn

from piumr.ranks import sum_over_ranks, world_size

CLASS_MEMORY = 0.99
"""Decay of a class's running style for each sample of the class: it remembers about 100, however rare the class is."""
GROUP_MEMORY = 0.95
"""Decay of a group's running centroid for each batch."""
_DEAD = 0.1
"""A group whose running size is below this share of an even share is dead and starts again from another sample."""


def style_statistics(features: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean and standard deviation of each channel over the valid joints of all frames.

    Args:
        features: (N, C, T, V) early features of a backbone.
        valid: (N, T, V) bool, or None where all are.

    Returns:
        (N, 2 C) float32, detached: C means, then C population standard deviations. NaN for a clip without any valid
        joint, which has no style and joins no group.
    """
    x = features.detach().float()
    if valid is None:
        mean = x.mean((2, 3))
        variance = (x - mean[:, :, None, None]).square().mean((2, 3))
    else:
        weight = valid.unsqueeze(1).float()
        count = weight.sum((2, 3))  # 0/0 is the NaN of a clip without a style
        mean = (x * weight).sum((2, 3)) / count
        variance = ((x - mean[:, :, None, None]).square() * weight).sum((2, 3)) / count
    return torch.cat((mean, variance.sqrt()), 1)


class StyleGroups(nn.Module):
    r"""Assigns samples to the nearest of G style centroids.

    .. math:: z = (c - \mu_y) / \sigma, \qquad g = \arg\min_k |z - \text{centroid}_k|^2

    mu_y (per class), sigma and the centroids are exponential-moving means, kept as decayed sums and counts; in training
    mode a batch first updates mu and sigma, is then assigned, and then updates the centroids. Centring on a running
    mean instead of the batch's keeps the style of a sample that is alone in its class. A group that nobody joins is
    dead and splits the largest one with the help of a random sample; at the beginning all are dead.

    Args:
        num_classes: K.
        style_features: D, the length of a style vector: 2 C of :func:`style_statistics`.
        groups: G.
    """

    class_sum: Tensor
    class_count: Tensor
    square_sum: Tensor
    square_count: Tensor
    group_sum: Tensor
    group_count: Tensor

    def __init__(self, num_classes: int, style_features: int, groups: int) -> None:
        super().__init__()
        self.num_classes, self.groups = num_classes, groups
        self.register_buffer("class_sum", torch.zeros(num_classes, style_features))
        self.register_buffer("class_count", torch.zeros(num_classes, 1))
        self.register_buffer("square_sum", torch.zeros(style_features))
        self.register_buffer("square_count", torch.zeros(1))
        self.register_buffer("group_sum", torch.zeros(groups, style_features))
        self.register_buffer("group_count", torch.zeros(groups, 1))

    @property
    def centroids(self) -> Tensor:
        """(G, D) in standardised style units."""
        return self.group_sum / self.group_count.clamp(min=_TINY)

    @torch.no_grad()
    def forward(self, style: Tensor, targets: Tensor) -> Tensor:
        """Group of each sample, (N,) int64, from its style (N, D) and class (N,); -1 where the style is not finite."""
        with torch.autocast(style.device.type, enabled=False):
            return self._assign(style.float(), targets)

    def _assign(self, style: Tensor, targets: Tensor) -> Tensor:
        known = style.isfinite().all(1)
        style = torch.where(known.unsqueeze(1), style, 0.0)
        classes = _one_hot(targets.masked_fill(~known, -1), self.num_classes)
        if self.training:
            self._update_classes(style, classes)
        z = self.standardise(style, targets) * known.unsqueeze(1)
        if self.training:
            self._revive(z)
        nearest = torch.cdist(z, self.centroids).argmin(1).masked_fill(~known, -1)
        if self.training:
            members = _one_hot(nearest, self.groups)
            total, count = sum_over_ranks(members.T @ z, members.sum(0).unsqueeze(1))
            self.group_sum.mul_(GROUP_MEMORY).add_(total)
            self.group_count.mul_(GROUP_MEMORY).add_(count)
        return nearest

    def standardise(self, style: Tensor, targets: Tensor) -> Tensor:
        """(N, D) styles in units of sigma, relative to their class."""
        mean = self.class_sum / self.class_count.clamp(min=_TINY)
        sigma = (self.square_sum / self.square_count.clamp(min=_TINY)).sqrt()
        return (style - mean[targets]) / sigma.clamp(min=_TINY)

    def _update_classes(self, style: Tensor, classes: Tensor) -> None:
        total, count = sum_over_ranks(classes.T @ style, classes.sum(0).unsqueeze(1))
        keep = CLASS_MEMORY**count  # an absent class forgets nothing
        self.class_sum.mul_(keep).add_(total)
        self.class_count.mul_(keep).add_(count)
        # the spread within classes; a class seen for the first time says nothing about it
        mean = self.class_sum / self.class_count.clamp(min=_TINY)
        informed = classes @ (self.class_count > 1).to(classes.dtype)
        square = ((style - classes @ mean).square() * informed).sum(0)
        square, seen = sum_over_ranks(square, informed.sum(0))
        self.square_sum.mul_(GROUP_MEMORY).add_(square)
        self.square_count.mul_(GROUP_MEMORY).add_(seen)

    def _revive(self, z: Tensor) -> None:
        """Let each dead group share the largest one's samples.

        Its centroid is put one unit of sigma from the largest group's, towards a random sample. (On the sample itself
        it would stay alone: in many dimensions every sample is nearer to a mean than to another sample.)
        """
        even = self.group_count.mean().clamp(min=1.0)
        dead = self.group_count < _DEAD * even  # (G, 1)
        if dead.device.type == "cpu" and not dead.any():  # on a GPU, to ask is to wait
            return
        chosen = z[torch.randint(len(z), (self.groups,), device=z.device)]
        if world_size() > 1:
            dist.broadcast(chosen, src=0)
        largest = self.centroids[self.group_count.argmax(0)]  # (1, D)
        centroid = largest + nn.functional.normalize(chosen - largest, dim=1)
        count = 2 * _DEAD * even  # light, so that it follows its first members
        self.group_count.copy_(torch.where(dead, count, self.group_count))
        self.group_sum.copy_(torch.where(dead, centroid * count, self.group_sum))


_TINY = 1e-6


def _one_hot(index: Tensor, size: int) -> Tensor:
    """(N, size) float32; a row of zeros for index -1."""
    return (index.unsqueeze(1) == torch.arange(size, device=index.device)).float()
