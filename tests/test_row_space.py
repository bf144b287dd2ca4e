"""Newton in the space of the rows, by the conditions of optimality."""

import numpy as np
import pytest
from problems import CURVED_LAYOUTS, STORAGES, random_problem
from reference.arrays import arrays_of

from fastsum import minimize
from fastsum.losses import LOSSES
from fastsum.solvers.phases.row_space import RowSpaceNewton

SEPARATE = [(loss, layout) for loss, layout in CURVED_LAYOUTS if not LOSSES[loss].coupled]


def slopes(problem, w, b):
    """Largest derivative of F in w, and in b, at a point; w (d, K)."""
    a = arrays_of(problem)
    z, u = a.X @ w + b, np.zeros((len(a.X), problem.K))
    for k in range(problem.K):
        u[:, k] = [problem.loss.derivative(z[i, k : k + 1], a.Y[i, k])[0] for i in range(len(z))]
    u *= a.s[:, None] / a.S
    return np.abs(a.X.T @ u + problem.l2 * w).max(), np.abs(u.sum(axis=0)).max()


def wide(loss, layout, **settings):
    return random_problem(4, loss, layout, n=20, d=60, **settings)


@pytest.mark.parametrize("alpha", [1.0, 1e-3, 1e-7])
@pytest.mark.parametrize("weights", ["none", "zeros"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(("loss", "layout"), SEPARATE)
def test_few_calls_are_enough(loss, layout, fit_intercept, weights, alpha):
    problem = wide(loss, layout, fit_intercept=fit_intercept, weights=weights, alpha=alpha)
    result = minimize(problem, tol=1e-10)
    assert set(result.trace["phase"]) == {"row newton"}
    assert len(result.trace) <= 4 and result.status == "converged"
    w, b = result.coef.reshape(60, -1), np.atleast_1d(result.intercept)
    in_w, in_b = slopes(problem, w, b)
    assert in_w < 1e-5 * np.sqrt(alpha)  # |grad F|^2 <= 2 l2 gap
    assert in_b < 1e-9 or not fit_intercept


@pytest.mark.parametrize("storage", STORAGES)
def test_any_storage_and_far_starts(storage):
    problem = wide("logistic", "single", storage=storage, alpha=1e-3)
    start = 30.0 * np.random.default_rng(1).standard_normal(60), np.array([100.0])
    for init in (None, start):
        result = minimize(problem, tol=1e-10, init=init)
        assert result.status == "converged"
        assert slopes(problem, result.coef[:, None], result.intercept)[0] < 1e-7


@pytest.mark.parametrize("loss", ["huber", "smoothed_hinge", "squared_hinge"])
def test_rows_far_out_on_straight_pieces(loss):
    """Plain Newton steps do not see such rows, and the first one of all goes nowhere."""
    problem = wide(loss, "single", alpha=1e-2)
    if loss == "huber":
        problem = problem._changed(y=1e3 * problem.y)
    result = minimize(problem, tol=1e-10)
    assert result.status == "converged" and len(result.trace) <= 3
    assert slopes(problem, result.coef[:, None], result.intercept)[0] < 1e-5


def test_serves_few_rows_without_l1():
    serves = RowSpaceNewton.serves
    assert serves(wide("logistic", "single"))
    for other in (random_problem(0), wide("logistic", "single", penalty="elasticnet")):
        assert not serves(other)
