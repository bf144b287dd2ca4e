"""What is special to Katyusha, L-Katyusha, MiG, Point-SAGA, Acc-Prox-SVRG, Catalyst, QNing."""

import numpy as np
import pytest
import scipy.sparse as sp
from family import assert_same_as_twin
from problems import random_problem
from reference.certificate import optimum

import fastsum
from fastsum.result import Status
from fastsum.solvers import SOLVERS
from fastsum.solvers.variance_reduced import Saga, Svrg

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
NAMES = ("katyusha", "l-katyusha", "mig", "point-saga", "acc-prox-svrg", "catalyst", "qning")


def ill_conditioned(loss="squared", n=600, d=40, ratio=100.0):
    """kappa = ratio n, eigenvalues down to 1e-10 and signal on all of them."""
    rng = np.random.default_rng(0)
    U, _ = np.linalg.qr(rng.standard_normal((n, d)))
    V, _ = np.linalg.qr(rng.standard_normal((d, d)))
    s = np.geomspace(1.0, 1e-5, d)
    X = np.sqrt(n) * (U * s) @ V.T
    alpha = fastsum.losses.LOSSES[loss].curvature * (X**2).sum(axis=1).max() / (ratio * n)
    scores = X @ (V @ (rng.choice([-1.0, 1.0], d) / np.maximum(s, alpha**0.5)))
    y = scores + 0.1 * rng.standard_normal(n) if loss == "squared" else np.sign(scores)
    return fastsum.Problem(X, y, loss=loss, alpha=alpha, fit_intercept=False)


def passes(problem, name):
    result = fastsum.minimize(problem, name, tol=1e-8, max_iter=5000, refine=False)
    assert result.status is Status.CONVERGED
    return result.n_iter


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_acceleration_where_the_condition_number_is_100_n(loss):
    problem = ill_conditioned(loss)
    saga = passes(problem, "saga")
    for name in ("katyusha", "l-katyusha", "mig", "point-saga"):
        assert passes(problem, name) <= saga / 2, name
    for name in ("catalyst", "qning"):
        assert passes(problem, name) <= passes(problem, "miso") / 2, name


@pytest.mark.parametrize("name", ["acc-prox-sdca", "catalyst"])
def test_subproblems_get_longer_as_the_centres_run_further(name, monkeypatch):
    """At kappa = 3000 n centres that move after each pass diverge."""
    problem = ill_conditioned(ratio=3000.0)
    assert passes(problem, name) <= 2 * passes(problem, "katyusha")
    assert_same_as_twin(name, ill_conditioned(n=40, d=8, ratio=1000.0), "blocks", monkeypatch)


@pytest.mark.parametrize(
    ("name", "inner"), [("catalyst", Saga), ("catalyst", Svrg), ("qning", Svrg)]
)
def test_ahead_of_what_is_wrapped(name, inner, monkeypatch):
    problem = ill_conditioned()
    monkeypatch.setattr(SOLVERS[name], "inner", inner)
    monkeypatch.setattr(SOLVERS[name], "weight", 8.0)
    monkeypatch.setattr(SOLVERS[name], "budget", 1)
    assert passes(problem, name) < passes(problem, inner.name)


def rare_columns(n=900, d=24):
    """Sparse rows whose columns are held by 1 to n of them, and labels that pull both ways."""
    rng = np.random.default_rng(0)
    held = rng.random((n, d)) < np.geomspace(1 / n, 1, d)
    held[rng.integers(n, size=d), np.arange(d)] = True
    X = np.where(held, rng.standard_normal((n, d)), 0.0)
    return sp.csr_array(X), np.sign(X @ rng.standard_normal(d) + rng.standard_normal(n))


@pytest.mark.parametrize(
    "penalty", [(0.03, 0.0), (1e-4, 0.0), (0.02, 1.0), (0.02, 0.5), (0.0, 0.0)]
)
@pytest.mark.parametrize("name", ["katyusha", "mig", "point-saga"])
def test_long_waits_are_the_steps_one_by_one(name, penalty, monkeypatch):
    # waits of more than 256 steps, at strengths that take coefficients through 0 on the way
    X, y = rare_columns()
    problem = fastsum.Problem(X, y, alpha=penalty[0], l1_ratio=penalty[1])
    assert_same_as_twin(name, problem, "uniform", monkeypatch, n_passes=4)


@pytest.mark.parametrize("name", ["katyusha", "acc-prox-svrg"])
def test_snapshots_without_their_scalars(name, monkeypatch):
    problem = random_problem(2, "multinomial", "coupled", storage="csr")
    assert_same_as_twin(name, problem, "blocks", monkeypatch, store=False)


@pytest.mark.parametrize(("loss", "layout"), [("logistic", "single"), ("squared", "multi")])
def test_qning_with_pairs_is_its_twin(loss, layout, monkeypatch):
    # strengths at which trials are taken and trials are given up
    for alpha in (1e-4, 0.02):
        problem = random_problem(6, loss, layout, storage="csr", penalty="elasticnet", alpha=alpha)
        assert_same_as_twin("qning", problem, "blocks", monkeypatch, tol=1e-8, n_passes=20)


@pytest.mark.parametrize("name", NAMES)
def test_no_penalty_ends_stationary(name):
    problem = random_problem(1, "squared", storage="csr", penalty="none")
    result = fastsum.minimize(problem, name, tol=1e-7, max_iter=20000, refine=False)
    assert result.status is Status.STATIONARY
    assert result.objective == pytest.approx(optimum(problem)[0], rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_refined_and_warm_starts(name):
    problem = random_problem(3, "logistic", "one_vs_rest", storage="csr", alpha=1e-3)
    first = fastsum.minimize(problem, name, tol=1e-10, max_iter=3000, refine=True)
    assert first.status is Status.CONVERGED
    start = (first.coef, first.intercept)
    again = fastsum.minimize(problem, name, tol=1e-9, max_iter=400, init=start, refine=False)
    assert again.n_iter <= 100
    other = fastsum.minimize(
        problem.with_penalty(2e-3), name, tol=1e-9, max_iter=3000, init=first, refine=False
    )
    assert other.status is Status.CONVERGED


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
def test_point_saga_with_coupled_outputs(penalty):
    problem = random_problem(4, "multinomial", "coupled", penalty=penalty, alpha=0.02)
    result = fastsum.minimize(problem, "point-saga", tol=1e-9, max_iter=5000, refine=False)
    assert result.status is Status.CONVERGED
    assert result.objective - optimum(problem)[0] <= result.dual_gap + 1e-13


def test_methods_without_a_step_by_hand():
    assert [name for name in NAMES if not SOLVERS[name].takes_step] == [
        "point-saga",
        "catalyst",
        "qning",
    ]
