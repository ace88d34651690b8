"""Sinkhorn against its marginals, a linear program and the closed form in one dimension."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.stats import wasserstein_distance

from piumr.tfam.sinkhorn import column_error, sinkhorn


def problem(n=3, m=5, t=7, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    cost = torch.rand(n, m, t, generator=generator, dtype=dtype)
    rows = torch.rand(n, m, generator=generator, dtype=dtype) + 0.1
    columns = torch.rand(n, t, generator=generator, dtype=dtype) + 0.1
    return cost, rows / rows.sum(1, keepdim=True), columns / columns.sum(1, keepdim=True)


def exact_cost(cost, rows, columns):
    m, t = cost.shape
    sums = np.vstack([np.kron(np.eye(m), np.ones(t)), np.kron(np.ones(m), np.eye(t))])
    return linprog(cost.ravel(), A_eq=sums, b_eq=np.concatenate([rows, columns])).fun


def test_rows_are_exact_and_columns_converge():
    cost, rows, columns = problem()
    few, many = (sinkhorn(cost, rows, columns, eps=0.1, iterations=i) for i in (3, 100))
    for plan in (few, many):
        assert (plan >= 0).all()
        torch.testing.assert_close(plan.sum(2), rows, rtol=0, atol=1e-14)
    error = (many.sum(1) - columns).abs().sum(1)
    torch.testing.assert_close(column_error(many, columns), error)
    assert error.max() < 1e-6
    assert (column_error(few, columns) > 10 * error).all()


def test_no_rows_are_equal_rows():
    cost, _, columns = problem()
    equal = torch.full((3, 5), 1 / 5, dtype=torch.float64)
    torch.testing.assert_close(sinkhorn(cost, None, columns), sinkhorn(cost, equal, columns))


def test_cost_falls_to_the_linear_program_as_eps_shrinks():
    cost, rows, columns = problem(n=1)
    exact = exact_cost(cost[0].numpy(), rows[0].numpy(), columns[0].numpy())
    excess = [float((sinkhorn(cost, rows, columns, eps, 600) * cost).sum()) - exact for eps in (0.3, 0.1, 0.03, 0.01)]
    assert all(a > b for a, b in itertools.pairwise(excess))
    assert excess[0] > 0.02
    assert abs(excess[-1]) < 3e-3


def test_plan_is_the_entropic_optimum():
    """At the optimum, log P + C/eps is a sum of a row and a column potential, so all its 2x2 differences vanish."""
    cost, rows, columns = problem()
    potential = sinkhorn(cost, rows, columns, 0.2, 200).log() + cost / 0.2
    mixed = potential[:, 1:, 1:] - potential[:, 1:, :-1] - potential[:, :-1, 1:] + potential[:, :-1, :-1]
    assert mixed.abs().max() < 1e-10


def test_wasserstein_distance_in_one_dimension():
    generator = np.random.default_rng(1)
    a, b = np.sort(generator.normal(size=8)), np.sort(generator.normal(0.5, 2, size=6))
    columns = generator.dirichlet(np.ones(6))
    cost = torch.tensor(np.abs(a[:, None] - b[None]))[None]
    rows = torch.full((1, 8), 1 / 8, dtype=torch.float64)
    plan = sinkhorn(cost, rows, torch.tensor(columns)[None], eps=0.01, iterations=1000)
    assert float((plan * cost).sum()) == pytest.approx(wasserstein_distance(a, b, v_weights=columns), abs=2e-3)


def test_column_of_no_mass_receives_none_and_changes_nothing():
    cost, rows, columns = problem(dtype=torch.float32)
    columns[:, 2] = 0
    columns /= columns.sum(1, keepdim=True)
    kept = [0, 1, 3, 4, 5, 6]
    plan = sinkhorn(cost, rows, columns)
    assert torch.equal(plan[:, :, 2], torch.zeros(3, 5))
    torch.testing.assert_close(plan[:, :, kept], sinkhorn(cost[:, :, kept], rows, columns[:, kept]))
    cost[:, :, 2] = 1e3
    torch.testing.assert_close(sinkhorn(cost, rows, columns), plan)


def test_sample_without_any_mass_gets_a_zero_plan_and_finite_gradients():
    cost, rows, columns = problem()
    columns[1] = 0
    columns[0, 0] = 0
    cost.requires_grad_()
    plan = sinkhorn(cost, rows, columns)
    assert torch.equal(plan[1], torch.zeros(5, 7, dtype=torch.float64))
    (plan * cost).sum().backward()
    assert cost.grad.isfinite().all()
    assert torch.equal(cost.grad[1], torch.zeros(5, 7, dtype=torch.float64))
    assert torch.equal(cost.grad[0, :, 0], torch.zeros(5, dtype=torch.float64))


def test_gradients_by_finite_differences():
    cost, rows, columns = problem(n=2, m=3, t=4)
    columns[0, 1] = 0
    assert torch.autograd.gradcheck(lambda c: sinkhorn(c, rows, columns, 0.3, 5), cost.requires_grad_())
    cost, rows, columns = problem(n=2, m=3, t=4)
    masses = rows.requires_grad_(), columns.requires_grad_()
    assert torch.autograd.gradcheck(lambda r, c: sinkhorn(cost, r, c, 0.3, 5), masses)
