"""Entropic optimal transport between two discrete masses, in the log domain.

Cuturi, "Sinkhorn Distances: Lightspeed Computation of Optimal Transport", NeurIPS 2013. The iteration is written as
alternating normalisations of the log plan (iterative proportional fitting), which is the same sequence of plans as the
usual one on two potentials but takes two fused operations for each update.
"""

import torch
from torch import Tensor

_NO_MASS = -1e4
"""Logarithm that stands for mass zero: exp gives exactly 0 and, unlike -inf, no NaN arises in the gradient."""


def _log_mass(mass: Tensor) -> Tensor:
    positive = mass > 0
    return torch.where(positive, torch.where(positive, mass, 1.0).log(), _NO_MASS)


def sinkhorn(cost: Tensor, rows: Tensor | None, columns: Tensor, eps: float = 0.1, iterations: int = 20) -> Tensor:
    r"""Plan that minimises an entropic transport cost, by a fixed number of Sinkhorn iterations.

    .. math::
        P = \arg\min_{P \ge 0} \langle P, C \rangle + \varepsilon \, KL(P \,\|\, 1)
        \quad \text{with} \quad P 1 = r, \; P' 1 = c

    The last update is that of the rows, so that the row sums are exact; :func:`column_error` says how far the columns
    are off. A column (or row) of mass zero receives exactly zero, and so does every entry of a sample whose columns
    are all zero. Differentiable in all three tensors.

    Args:
        cost: (..., M, T) float, finite.
        rows: (..., M) masses, or None for 1/M each.
        columns: (..., T) masses with the same sum as `rows`, or all zero.
        eps: Weight of the entropy in units of the cost; the plan tends to the exact one as it falls.
        iterations: Number of (column, row) updates, at least 1.

    Returns:
        (..., M, T) plan of the dtype of `cost`.
    """
    log_columns = _log_mass(columns).unsqueeze(-2)
    log_rows = None if rows is None else _log_mass(rows).unsqueeze(-1)
    log_plan = cost * (-1.0 / eps)
    for iteration in range(iterations):
        if iteration > 0:
            log_plan = torch.log_softmax(log_plan, -1)
            if log_rows is not None:  # equal masses are a constant, which the next update takes out again
                log_plan = log_plan + log_rows
        log_plan = torch.log_softmax(log_plan, -2) + log_columns
    plan = torch.softmax(log_plan, -1) * (columns > 0).unsqueeze(-2)
    return plan / cost.shape[-2] if rows is None else plan * rows.unsqueeze(-1)


def column_error(plan: Tensor, columns: Tensor) -> Tensor:
    """How far the columns of a plan are from their masses: sum over t of |sum over m of P_mt - c_t|.

    Args:
        plan: (..., M, T).
        columns: (..., T).

    Returns:
        (...,) between 0 and 2, for masses that sum to 1.
    """
    return (plan.sum(-2) - columns).abs().sum(-1)
