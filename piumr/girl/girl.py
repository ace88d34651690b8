"""GIRL: boundary-weighted cross-entropy and a one-sided variance term over pseudo-groups. The combination is ours.

A skeleton-based reading of PIUmr (arXiv 2509.21261), of which it is public that samples are partitioned into
pseudo-groups, boundary cases are up-weighted and the variance of the group risks is penalised. Group reweighting is
after Sagawa et al., "Distributionally Robust Neural Networks for Group Shifts", ICLR 2020; the variance penalty is
after V-REx (Krueger et al., "Out-of-Distribution Generalization via Risk Extrapolation", ICML 2021), of which it keeps
the half that lowers the risk of hard groups and leaves out the half that would raise the risk of easy ones.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from piumr.errors import PiumrError
from piumr.girl.style import StyleGroups
from piumr.ranks import mean_over_ranks, sum_over_ranks

RISK_MEMORY = 0.9
"""Decay of a group's running risk for each batch that has at least two of its samples."""


class GIRLTerms(NamedTuple):
    """The loss of a batch and what it is made of.

    Attributes:
        loss: Scalar, classification + penalty * group_penalty.
        classification: Scalar, mean of w_i l_i.
        group_penalty: Scalar, sum over groups of relu(r_g - mean r) R_g; 0 where not regularised.
        groups: (N,) int64 pseudo-group of each sample, -1 for a sample without a style.
        risks: (G,) running risk r_g of each group, NaN for one that has had none yet.
    """

    loss: Tensor
    classification: Tensor
    group_penalty: Tensor
    groups: Tensor
    risks: Tensor


def margins(logits: Tensor, targets: Tensor) -> Tensor:
    """Probability of the true class less that of the best other class.

    Args:
        logits: (N, K).
        targets: (N,) int64.

    Returns:
        (N,) in -1..1, detached.
    """
    probabilities = logits.detach().softmax(1)
    true = probabilities.gather(1, targets.unsqueeze(1))
    other = probabilities.scatter(1, targets.unsqueeze(1), -1.0)
    return true.squeeze(1) - other.amax(1)


def boundary_weights(margin: Tensor, beta: float, tau: float) -> Tensor:
    """Weights that grow towards the decision boundary, w_i = 1 + beta exp(-(m_i / tau)^2), scaled to mean 1.

    In a distributed training the mean is that of the joint batch.

    Args:
        margin: (N,).
        beta: Extra weight on the boundary.
        tau: Margin at which the extra weight has fallen to 1/e.

    Returns:
        (N,).
    """
    weights = 1 + beta * torch.exp(-(margin / tau).square())
    return weights / mean_over_ranks(weights)


def group_penalty(losses: Tensor, groups: Tensor, risks: Tensor) -> Tensor:
    r"""One-sided variance of the group risks, :math:`\sum_g \text{relu}(r_g - \bar r) R_g`.

    R_g is the mean loss of the batch's samples of group g, where there are at least two; the mean of r is over the
    groups that have a risk. Its derivative with respect to each loss is at least 0, so it never pays to raise one.

    Args:
        losses: (N,) weighted loss of each sample.
        groups: (N,) int64; -1 belongs to none.
        risks: (G,) running risks r_g, NaN where there is none; no gradient flows through them.

    Returns:
        Scalar, at least 0.
    """
    total, count = sum_over_ranks(*_sums(losses, groups, len(risks)))
    risk = torch.where(count >= 2, total / count.clamp(min=1), 0.0)
    excess = (risks - risks.nanmean()).detach().nan_to_num().relu()
    return (excess * risk).sum()


class GIRL(nn.Module):
    r"""Group-Invariant Regularised Loss.

    .. math::
        L = \text{mean}_i \, w_i l_i + \lambda \textstyle\sum_g \text{relu}(r_g - \bar r) R_g

    l_i is label-smoothed cross-entropy, w_i the boundary weight, g the pseudo-group by style
    (:class:`~piumr.girl.style.StyleGroups`), R_g the group's mean of w_i l_i and r_g its exponential-moving mean. With
    groups=1, beta=0 and penalty=0 it is cross-entropy. All running values are buffers: they are saved with the module.
    In a distributed training all processes have the loss, the gradient and the buffers of the joint batch
    (:mod:`piumr.ranks`).

    Args:
        num_classes: K.
        style_features: D, the length of a style vector.
        groups: G.
        beta: Extra weight of samples on the boundary.
        tau: Width of the boundary in margin.
        penalty: lambda.
        label_smoothing: Share of the target spread over all classes.

    Raises:
        PiumrError: If an option is out of range or an input does not have the shape the module was built for.
    """

    running_risk: Tensor
    risk_updates: Tensor

    def __init__(
        self,
        num_classes: int,
        style_features: int,
        groups: int = 4,
        beta: float = 1.0,
        tau: float = 0.3,
        penalty: float = 0.3,
        label_smoothing: float = 0.1,
    ) -> None:
        super().__init__()
        if num_classes < 2 or style_features < 1 or groups < 1:
            raise PiumrError(
                "Expected `num_classes` to be at least 2 and `style_features` and `groups` at least 1, but got "
                f"{num_classes}, {style_features} and {groups}."
            )
        if not (0 <= beta < math.inf and 0 <= penalty < math.inf and 0 < tau < math.inf and 0 <= label_smoothing < 1):
            raise PiumrError(
                "Expected `beta` and `penalty` not to be negative, `tau` to be positive, all finite, and "
                f"`label_smoothing` in [0, 1), but got {beta}, {penalty}, {tau} and {label_smoothing}."
            )
        self.num_classes, self.style_features = num_classes, style_features
        self.beta, self.tau, self.penalty, self.label_smoothing = beta, tau, penalty, label_smoothing
        self.style_groups = StyleGroups(num_classes, style_features, groups)
        self.register_buffer("running_risk", torch.zeros(groups))
        self.register_buffer("risk_updates", torch.zeros(groups, dtype=torch.int64))

    def forward(self, logits: Tensor, targets: Tensor, style: Tensor, regularise: bool = True) -> GIRLTerms:
        """Loss of a batch.

        Args:
            logits: (N, K) float.
            targets: (N,) int64 in 0..K-1.
            style: (N, D) of :func:`~piumr.girl.style.style_statistics`; NaN rows have no style.
            regularise: False during warm-up: the loss is plain cross-entropy, and the groups and their risks are
                kept up to date.

        Returns:
            The loss and its terms. Running values change in training mode only.
        """
        self._check(logits, targets, style)
        logits = logits.float()
        losses = nn.functional.cross_entropy(logits, targets, label_smoothing=self.label_smoothing, reduction="none")
        if regularise:
            losses = losses * boundary_weights(margins(logits, targets), self.beta, self.tau)
        groups = self.style_groups(style.detach(), targets)
        if self.training:
            self._update_risks(losses.detach(), groups)
        classification = mean_over_ranks(losses)
        penalty = group_penalty(losses, groups, self.risks) if regularise else losses.new_zeros(())
        return GIRLTerms(classification + self.penalty * penalty, classification, penalty, groups, self.risks)

    @property
    def risks(self) -> Tensor:
        """(G,) running risk r_g of each group, NaN for one that has had none yet."""
        return torch.where(self.risk_updates > 0, self.running_risk, torch.nan)

    def _update_risks(self, losses: Tensor, groups: Tensor) -> None:
        total, count = sum_over_ranks(*_sums(losses, groups, len(self.running_risk)))
        risk = total / count.clamp(min=1)
        moved = torch.where(self.risk_updates > 0, RISK_MEMORY * self.running_risk + (1 - RISK_MEMORY) * risk, risk)
        enough = count >= 2  # an absent group, or a single sample, says nothing about the group's risk
        self.running_risk.copy_(torch.where(enough, moved, self.running_risk))
        self.risk_updates.add_(enough)

    def _check(self, logits: Tensor, targets: Tensor, style: Tensor) -> None:
        if logits.ndim != 2 or logits.shape[1] != self.num_classes:
            raise PiumrError(f"Expected `logits` to be (N, K={self.num_classes}), but got {tuple(logits.shape)}.")
        if targets.shape != logits.shape[:1]:
            raise PiumrError(f"Expected `targets` to be (N={len(logits)},), but got {tuple(targets.shape)}.")
        if style.shape != (len(logits), self.style_features):
            raise PiumrError(
                f"Expected `style` to be (N={len(logits)}, D={self.style_features}), but got {tuple(style.shape)}."
            )


def _sums(losses: Tensor, groups: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Sum of the losses and number of samples of each group, both (size,)."""
    members = (groups.unsqueeze(0) == torch.arange(size, device=groups.device).unsqueeze(1)).to(losses.dtype)
    return (members * losses).sum(1), members.sum(1)
