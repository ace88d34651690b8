"""Rivals that weigh the risks of the training persons, who must be known: what pseudo-groups are measured against.

Group DRO: Sagawa, Koh, Hashimoto, Liang, "Distributionally Robust Neural Networks for Group Shifts", ICLR 2020. V-REx:
Krueger et al., "Out-of-Distribution Generalization via Risk Extrapolation", ICML 2021. Both are for one process.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from piumr.errors import PiumrError


def person_risks(losses: Tensor, persons: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Mean loss of every person in a batch.

    Args:
        losses: (N,) loss of each clip.
        persons: (N,) int64 code of each clip's person.
        ids: (P,) int64 codes.

    Returns:
        (P,) risks, 0 for a person without a clip here, and bool (P,), who has one.
    """
    members = (persons.unsqueeze(0) == ids.unsqueeze(1)).to(losses.dtype)
    count = members.sum(1)
    return (members * losses).sum(1) / count.clamp(min=1), count > 0


class GroupDRO(nn.Module):
    r"""Group distributionally robust optimisation: persons' weights grow exponentially with their risks.

    .. math:: q_g \leftarrow q_g \exp(\eta R_g) / \textstyle\sum, \qquad L = \sum_g q_g R_g

    The online algorithm (Sagawa et al., algorithm 1) on batches: R_g is the mean loss of the person's clips in the
    batch and 0 for a person without one.

    Args:
        ids: (P,) int64 codes of the training persons.
        step: eta.

    Raises:
        PiumrError: if the step is negative or infinite.
    """

    ids: Tensor
    weights: Tensor

    def __init__(self, ids: Tensor, step: float = 0.01) -> None:
        super().__init__()
        if not 0 <= step < math.inf:
            raise PiumrError(f"Expected `step` to be finite and not negative, but got {step}.")
        self.step = step
        self.register_buffer("ids", ids)
        self.register_buffer("weights", torch.full((len(ids),), 1 / len(ids)))

    def forward(self, losses: Tensor, persons: Tensor, regularise: bool = True) -> Tensor:
        """Loss of a batch from its clips' losses (N,) and persons (N,); the weights move in training mode."""
        risks, _ = person_risks(losses, persons, self.ids)
        if self.training:
            self.weights.copy_((self.weights.log() + self.step * risks.detach()).softmax(0))
        return (self.weights.clone() * risks).sum()


class VREx(nn.Module):
    r"""Risk extrapolation by the variance of the persons' risks.

    .. math:: L = \text{mean}_g R_g + \beta \, \text{Var}_g R_g

    The population variance over the persons of the batch. (The paper adds the risks up; a mean keeps the learning rate
    independent of the number of persons and takes the number into beta.)

    Args:
        ids: (P,) int64 codes of the training persons.
        beta: weight of the variance.

    Raises:
        PiumrError: if beta is negative or infinite.
    """

    ids: Tensor

    def __init__(self, ids: Tensor, beta: float = 1.0) -> None:
        super().__init__()
        if not 0 <= beta < math.inf:
            raise PiumrError(f"Expected `beta` to be finite and not negative, but got {beta}.")
        self.beta = beta
        self.register_buffer("ids", ids)

    def forward(self, losses: Tensor, persons: Tensor, regularise: bool = True) -> Tensor:
        """Loss of a batch from its clips' losses (N,) and persons (N,); without the variance unless ``regularise``."""
        risks, present = person_risks(losses, persons, self.ids)
        count = present.sum()
        mean = risks.sum() / count
        if not regularise:
            return mean
        variance = ((risks - mean).square() * present).sum() / count
        return mean + self.beta * variance
