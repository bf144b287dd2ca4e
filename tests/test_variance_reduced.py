"""What is special to SAG, L-SVRG, SVRG-BB, SARAH, MISO and ASAGA."""

import numpy as np
import pytest
import scipy.sparse as sp
from family import assert_same_as_twin
from problems import planted, random_problem
from reference.arrays import arrays_of
from reference.certificate import optimum

import fastsum
from fastsum.result import Status
from fastsum.solvers import SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
NAMES = ("sag", "l-svrg", "svrg-bb", "sarah", "miso", "asaga")


def method_of(name, problem, n_threads=1, sampling="blocks"):
    return SOLVERS[name](problem, sampling=sampling, step_size=None, n_threads=n_threads)


def rare_columns(n=900, d=24):
    """Sparse rows whose columns are held by 1 to n of them, and labels that pull both ways."""
    rng = np.random.default_rng(0)
    held = rng.random((n, d)) < np.geomspace(1 / n, 1, d)
    held[rng.integers(n, size=d), np.arange(d)] = True
    X = np.where(held, rng.standard_normal((n, d)), 0.0)
    return sp.csr_array(X), np.sign(X @ rng.standard_normal(d) + rng.standard_normal(n))


@pytest.mark.parametrize("penalty", [(0.03, 0.0), (0.02, 1.0), (0.02, 0.5), (0.0, 0.0)])
@pytest.mark.parametrize("name", ["sag", "sarah"])
def test_long_waits_are_the_steps_one_by_one(name, penalty, monkeypatch):
    # waits of more than 256 steps, at strengths that take coefficients through 0 on the way
    X, y = rare_columns()
    problem = fastsum.Problem(X, y, alpha=penalty[0], l1_ratio=penalty[1])
    assert_same_as_twin(name, problem, "uniform", monkeypatch, n_passes=2)


@pytest.mark.parametrize("name", NAMES)
def test_no_penalty_ends_stationary(name):
    problem = random_problem(1, "squared", storage="csr", penalty="none")
    result = fastsum.minimize(problem, name, tol=1e-7, max_iter=5000, refine=False)
    assert result.status is Status.STATIONARY
    assert result.objective == pytest.approx(optimum(problem)[0], rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_copies(name):
    X = np.random.default_rng(2).standard_normal((30, 4))
    y, s = np.sign(X[:, 0] + 0.3), np.arange(30) % 3.0
    fit = {"alpha": 0.05, "loss": "logistic"}
    weighted = fastsum.Problem(X, y, sample_weight=s, **fit)
    copied = fastsum.Problem(np.repeat(X, s.astype(int), 0), np.repeat(y, s.astype(int)), **fit)
    results = [
        fastsum.minimize(p, name, tol=1e-12, max_iter=3000, refine=False)
        for p in (weighted, copied)
    ]
    np.testing.assert_allclose(results[0].coef, results[1].coef, atol=1e-6)


def test_sag_draws_independently():
    problem = random_problem(3)
    assert method_of("sag", problem, sampling="auto").sampler.kind == "uniform"


def test_l_svrg_spends_n_gradients_a_pass(monkeypatch):
    problem = random_problem(4, n=50)
    method = method_of("l-svrg", problem)
    spent = {"steps": 0, "snapshots": 0}
    steps, derivatives = method._steps, method.derivatives

    def count_steps(state, block, order):
        spent["steps"] += len(order)
        steps(state, block, order)

    def count_snapshots(W):
        spent["snapshots"] += 1
        return derivatives(W)

    monkeypatch.setattr(method, "_steps", count_steps)
    monkeypatch.setattr(method, "derivatives", count_snapshots)
    state = method.start(np.zeros((8, 1)), np.random.default_rng(0))
    for made in range(1, 200):
        method.advance(state, 1)
        # a snapshot may be paid for in part by the next pass
        assert 0 <= spent["steps"] + 50 * spent["snapshots"] - 50 * made < 50
    assert spent["snapshots"] == pytest.approx(100, abs=25)


def test_barzilai_borwein_measures_curvature():
    # for a quadratic the measured curvature lies between its smallest and its largest eigenvalue
    problem = random_problem(5, "squared", alpha=0.3)
    method = method_of("svrg-bb", problem)
    method.theory = np.inf  # no longest step
    a, c = arrays_of(problem), np.sqrt(method.intercept_curvature)
    X = np.hstack([a.X, np.full((len(a.X), 1), c)])
    H = X.T @ X / len(X) + np.diag([0.3] * a.X.shape[1] + [0.0])
    low, high = np.linalg.eigvalsh(H)[[0, -1]]
    state = method.start(np.zeros((8, 1)), np.random.default_rng(0))
    before = state["barzilai_borwein"].copy()
    method.advance(state, 4)  # the second snapshot is the fourth pass
    found = 1 / (2 * len(X) * state["barzilai_borwein"][0])
    assert state["barzilai_borwein"] != before
    assert low <= found <= high


@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize("name", NAMES)
def test_starts_from_the_solution(name, penalty):
    case = planted(6, "logistic", penalty=penalty)
    near = case.coef + 1e-4 * np.cos(np.arange(len(case.coef)))
    fit = {"tol": 1e-6, "max_iter": 20000, "random_state": 0, "refine": False}
    cold = fastsum.minimize(case.problem, name, **fit)
    warm = fastsum.minimize(case.problem, name, init=(near, case.intercept), **fit)
    assert warm.status is Status.CONVERGED
    assert warm.n_iter < cold.n_iter


def test_miso_makes_its_point_from_its_scalars():
    case = planted(7, "squared", penalty="elasticnet")
    result = fastsum.minimize(case.problem, "miso", tol=1e-9, max_iter=5000, refine=False)
    a, u = arrays_of(case.problem), result.state["scalars"][:, 0]
    v = -a.X.T @ (a.s * u) / a.S
    kept = np.sign(v) * np.maximum(np.abs(v) - a.l1[0], 0.0) / a.l2[0]
    np.testing.assert_allclose(kept, result.coef, atol=1e-12)


# ---- threads


@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_asaga_of_one_thread_is_saga(storage):
    problem = random_problem(8, "multinomial", "coupled", storage=storage, penalty="elasticnet")
    fits = [
        fastsum.minimize(problem, name, tol=0, max_iter=9, refine=False)
        for name in ("saga", "asaga")
    ]
    np.testing.assert_array_equal(fits[0].coef, fits[1].coef)


@pytest.mark.parametrize("loss", ["logistic", "multinomial"])
def test_asaga_of_two_threads_loses_no_gradient(loss):
    layout = "coupled" if loss == "multinomial" else "single"
    problem = random_problem(9, loss, layout, n=3000, d=30, storage="csr", alpha=0.01)
    method = method_of("asaga", problem, n_threads=2)
    state = method.start(np.zeros((31, problem.K)), np.random.default_rng(0))
    method.advance(state, 30)
    np.testing.assert_allclose(
        state["average_gradient"], method.average(state["table"]), rtol=0, atol=1e-13
    )
    fit = fastsum.minimize(problem, "saga", tol=1e-12, max_iter=300)
    np.testing.assert_allclose(state["weights"][:-1].ravel(), fit.coef.ravel(), atol=1e-4)
