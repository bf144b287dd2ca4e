"""What is special to SDCA, Acc-Prox-SDCA, APCG and RPDG: dual points, centres, acceleration."""

import numpy as np
import pytest
from problems import random_problem
from reference.arrays import arrays_of
from reference.certificate import optimum
from test_accelerated import ill_conditioned, passes

import fastsum
from fastsum.certificate import Certifier
from fastsum.result import Status
from fastsum.solvers import SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
NAMES = ("sdca", "acc-prox-sdca", "apcg", "rpdg")


def advanced(name, problem, n_passes):
    method = SOLVERS[name](problem, sampling="auto", step_size=None, n_threads=1)
    W = np.zeros((problem.rows.n_cols + 1, problem.K), problem.dtype)
    state = method.start(W, np.random.default_rng(0))
    method.advance(state, n_passes)
    return method, state


def dual_value(problem, u):
    """D(u) of a problem without intercept and with l2 > 0, (B,)."""
    a = arrays_of(problem)
    v = np.abs(a.X.T @ (a.s[:, None] * u) / a.S)
    penalty = np.maximum(v - a.l1, 0.0) ** 2 / (2 * a.l2)
    conjugate = [
        a.s @ a.loss.conjugate(a.Y[:, b], part) / a.S for b, part in enumerate(a.per_problem(u))
    ]
    return -np.array(conjugate) - a.per_problem(penalty)[0].sum() if a.B == 1 else None


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "sdca"])
def test_acceleration_where_the_condition_number_is_100_n(name, loss):
    problem = ill_conditioned(loss)
    assert passes(problem, name) <= passes(problem, "saga") / 2


@pytest.mark.parametrize("layout", [("logistic", "single"), ("multinomial", "coupled")])
@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
@pytest.mark.parametrize("name", NAMES)
def test_the_dual_point_is_one(name, penalty, layout):
    """Its value is a lower bound of every point's, and tends to the minimum."""
    problem = random_problem(1, *layout, penalty=penalty, fit_intercept=False, weights="zeros")
    best = optimum(problem)
    for n_passes, close in ((2, np.inf), (200, 1e-7)):
        method, state = advanced(name, problem, n_passes)
        value = dual_value(problem, method.dual(state))
        assert value <= best + 1e-12
        assert best - value < close


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("name", NAMES)
def test_the_dual_point_proves_more_where_the_penalty_is_weak(name, loss):
    problem = random_problem(2, loss, n=200, storage="csr", alpha=1e-3, fit_intercept=False)
    method, state = advanced(name, problem, 30)
    certifier = Certifier(problem, 1)
    plain = certifier(state["weights"])
    lent = method.dual(state), np.zeros(1)
    both = certifier.with_dual(state["weights"], plain, lent, 0.5 * plain.gap)
    assert both.gap <= plain.gap
    assert both.objective - optimum(problem) <= both.gap + 1e-14


@pytest.mark.parametrize("weights", ["none", "zeros"])
@pytest.mark.parametrize("name", NAMES)
def test_a_lent_dual_point_is_scaled_into_the_box_of_l1(name, weights):
    problem = random_problem(3, penalty="l1", alpha=0.02, weights=weights)
    method, state = advanced(name, problem, 40)
    certifier = Certifier(problem, 1)
    plain = certifier(state["weights"])
    for factor in (1.0, 3.0):
        lent = factor * method.dual(state), np.zeros(1)
        with_dual = certifier.with_dual(state["weights"], plain, lent, 0.9 * plain.gap)
        assert with_dual.objective - optimum(problem) <= with_dual.gap + 1e-14


@pytest.mark.parametrize("name", NAMES)
def test_no_penalty_is_a_proximal_point(name):
    problem = random_problem(4, "squared", penalty="none", weights="random")
    result = fastsum.minimize(problem, name, tol=1e-8, max_iter=20000, refine=False)
    assert result.status is Status.STATIONARY
    assert result.objective == pytest.approx(optimum(problem)[0], rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_intercept_is_free(name):
    """Unbalanced labels: what the term of the intercept holds back is gone with its centre."""
    problem = random_problem(5, storage="csr", alpha=1.0, n=200)
    problem = problem.with_weights(np.where(problem.y > 0, 20.0, 1.0))
    result = fastsum.minimize(problem, name, tol=1e-10, max_iter=5000, refine=False)
    expected = fastsum.minimize(problem, tol=1e-11)
    assert result.status is Status.CONVERGED
    assert result.intercept == pytest.approx(expected.intercept, abs=1e-4)


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize("name", NAMES)
def test_a_path_carries_the_tables(name, penalty):
    """Another penalty with the state of the last: the tables are of the loss alone."""
    problem = random_problem(6, penalty=penalty, storage="csr", alpha=0.1)
    first = fastsum.minimize(problem, name, tol=1e-8, max_iter=5000, refine=True)
    weaker = problem.with_penalty(0.05, problem.penalty.l1_ratio)
    warm = fastsum.minimize(weaker, name, tol=1e-8, max_iter=5000, init=first, refine=False)
    assert warm.status is Status.CONVERGED
    assert warm.objective - optimum(weaker)[0] <= warm.dual_gap + 1e-14


@pytest.mark.parametrize("name", NAMES)
def test_newton_steps_do_no_harm(name):
    problem = random_problem(7, "logistic", alpha=1e-4)
    result = fastsum.minimize(problem, name, tol=1e-9, max_iter=5000, refine=True)
    assert result.status is Status.CONVERGED


@pytest.mark.parametrize(("loss", "alpha"), [("logistic", 1e-4), ("smoothed_hinge", 4e-4)])
def test_sdca_ascends_where_the_penalty_is_weak(loss, alpha):
    """Flat tails of a loss: the root of a step is far from where Newton's method begins."""
    problem = random_problem(8, loss, n=90, alpha=alpha, fit_intercept=False)
    best, values = optimum(problem)[0], []
    for n_passes in (1, 10, 100, 1000):
        method, state = advanced("sdca", problem, n_passes)
        values.append(float(dual_value(problem, method.dual(state))[0]))
    assert values == sorted(values)
    assert best - values[-1] <= 0.01 * abs(best - values[0])


def test_one_row():
    X = np.array([[1.0, 2.0]])
    problem = fastsum.Problem(X, [3.0], loss="squared", alpha=0.1, fit_intercept=False)
    for name in NAMES:
        result = fastsum.minimize(problem, name, tol=1e-10, refine=False)
        np.testing.assert_allclose(result.coef, 3 / 5.1 * X[0], rtol=1e-5)
