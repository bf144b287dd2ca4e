"""Dual coordinate ascent: the kernel against its NumPy twin, and the phase around it."""

import numpy as np
import pytest
from problems import DTYPES, LOSS_LAYOUTS, random_problem
from reference import certificate as reference
from reference.arrays import arrays_of
from reference.dual_epoch import epoch
from scipy.optimize import brentq

from fastsum import minimize
from fastsum._core import _phases
from fastsum.certificate import Certifier
from fastsum.solvers.phases import dual_epochs as module
from fastsum.solvers.phases.dual_epochs import DualEpochs

LOSSES = [loss for loss, layout in LOSS_LAYOUTS if layout == "single"]
TOL = {np.float64: 1e-11, np.float32: 2e-4}


def run_kernel(problem, order, rho, dtype=np.float64, n_epochs=1, start=None):
    """u (n,), (w, b) (d + 1,) and the gap after epochs from u = 0."""
    a = arrays_of(problem)
    per_l2, per_rho = 1 / (a.S * a.l2[0]), 1 / (a.S * rho) if rho else 0.0
    q = a.s * ((a.X**2).sum(axis=1) * per_l2 + per_rho)
    u = np.zeros(len(a.X))
    w = np.zeros(a.X.shape[1] + 1) if start is None else start
    w = w.astype(dtype)
    block = problem.rows.blocks[0]
    for _ in range(n_epochs):
        gap = _phases.dual_epoch(block, problem.task, order, q, per_l2, per_rho, u, w)
    return u, w, gap


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rho", [0.0, 0.05])
@pytest.mark.parametrize("storage", ["csr", "ones"])
@pytest.mark.parametrize("loss", LOSSES)
def test_kernel_is_its_twin(loss, storage, rho, dtype):
    rng = np.random.default_rng(0)
    problem = random_problem(1, loss, storage=storage, dtype=dtype, weights="zeros", alpha=0.2)
    order = rng.permutation(np.flatnonzero(problem.sample_weight > 0))
    start = np.append(np.zeros(problem.rows.n_cols), 0.25)
    u, w, _ = run_kernel(problem, order, rho, dtype, start=start)
    expected_u, expected_w = epoch(problem, order, np.zeros(len(u)), rho, start)
    assert np.abs(expected_w - start).max() > 1e-2
    np.testing.assert_allclose(u, expected_u, rtol=TOL[dtype], atol=TOL[dtype])
    np.testing.assert_allclose(w, expected_w, rtol=TOL[dtype], atol=TOL[dtype])


@pytest.mark.parametrize("alpha", [0.001, 0.1, 10.0])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_maximises_the_dual_in_its_row(loss, alpha):
    problem = random_problem(2, loss, storage="csr", alpha=alpha, weights="random")
    a = arrays_of(problem)
    start = np.append(np.zeros(problem.rows.n_cols), 0.25)
    for i in range(10):
        u, _, _ = run_kernel(problem, np.array([i]), 0.1, start=start)
        q = a.s[i] / a.S * ((a.X[i] ** 2).sum() / alpha + 10.0)

        def off(t, i=i, q=q):
            return t - 0.25 + q * problem.loss.derivative(t, a.Y[i, 0])[0]

        reach = 1.0 + q * abs(problem.loss.derivative(0.25, a.Y[i, 0])[0])
        best = problem.loss.derivative(brentq(off, -reach, reach + 0.5, xtol=1e-14), a.Y[i, 0])[0]
        assert u[i] == pytest.approx(best, rel=0.05, abs=1e-12)
        assert np.count_nonzero(np.delete(u, i)) == 0


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gap_on_the_way_is_that_of_the_row_visited(loss):
    """From u = 0 a row's Fenchel-Young term is about l'(z)^2 / (2 l''(z)), by its weight."""
    problem = random_problem(2, loss, storage="csr", alpha=0.1, weights="random")
    a, at = arrays_of(problem), np.array([0.25])
    start = np.append(np.zeros(problem.rows.n_cols), at)
    for i in range(10):
        _, _, gap = run_kernel(problem, np.array([i]), 0.1, start=start)
        slope, bend = problem.loss.derivative(at, a.Y[i, 0]), problem.loss.second(at, a.Y[i, 0])
        least = max(np.ravel(bend)[0], 0.01 * problem.loss.curvature)
        assert gap == pytest.approx(a.s[i] * slope[0] ** 2 / (2 * least), rel=1e-12)


@pytest.mark.parametrize("weights", ["none", "zeros"])
@pytest.mark.parametrize("loss", LOSSES)
def test_epochs_ascend_to_the_optimum_and_keep_w_that_of_u(loss, weights):
    problem = random_problem(
        3, loss, storage="csr", weights=weights, alpha=0.5, fit_intercept=False, n=60
    )
    a = arrays_of(problem)
    order = np.flatnonzero(a.s > 0)
    best, last = reference.optimum(problem), -np.inf
    for n_epochs in (1, 2, 4, 30):
        u, w, gap = run_kernel(problem, order, 0.0, n_epochs=n_epochs)
        np.testing.assert_allclose(w[:-1], -(a.s * u) @ a.X / (a.S * 0.5), atol=1e-12)
        assert w[-1] == 0
        conjugate = [problem.loss.conjugate(v, y) for v, y in zip(u, a.Y[:, 0], strict=True)]
        dual = -(a.s @ conjugate) / a.S - 0.25 * w @ w
        assert last - 1e-14 <= dual <= best + 1e-12
        last = dual
    assert best - last < 1e-9
    assert 0 <= gap / a.S < 1e-6


def test_a_call_goes_on_until_its_epochs_are_about_there():
    problem = random_problem(4, storage="csr", alpha=0.5, fit_intercept=False, n=60)
    certifier, W = Certifier(problem, 1), np.zeros((8, 1))
    phase, best = DualEpochs(problem, certifier, 1), reference.optimum(problem)
    W, epochs = phase.improve(W, certifier(W), np.full(1, 1e-6), 50)
    assert 2 <= epochs < 50
    assert certifier(W).objective - best < 1e-5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("storage", ["csr", "ones"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("loss", LOSSES)
def test_auto_begins_with_dual_epochs_where_rows_are_easy(
    loss, fit_intercept, storage, dtype, monkeypatch
):
    monkeypatch.setattr(module, "LEAST", 1)
    problem = random_problem(
        4, loss, storage=storage, dtype=dtype, fit_intercept=fit_intercept, weights="zeros",
        alpha=1.0, n=300,
    )  # fmt: skip
    assert DualEpochs.pays(problem, 1)
    tol = 1e-8 if dtype is np.float64 else 1e-4
    result = minimize(problem, tol=tol)
    assert result.trace["phase"][0] == "dual epochs"
    assert str(result.status) == "converged"
    best = reference.optimum(problem)
    assert result.objective - best <= result.dual_gap + 1e-14
    again = minimize(problem, tol=tol)
    np.testing.assert_array_equal(again.coef, result.coef)


def test_the_intercept_is_free_in_the_end(monkeypatch):
    """Unbalanced labels: what the proximal point holds back is gone after its centre has moved."""
    monkeypatch.setattr(module, "LEAST", 1)
    problem = random_problem(5, storage="csr", alpha=1.0, n=400)
    weights = np.where(problem.y > 0, 20.0, 1.0)
    problem = problem.with_weights(weights)
    result = minimize(problem, tol=1e-10)
    saga = minimize(problem, "saga", tol=1e-10)
    assert set(result.trace["phase"]) == {"dual epochs"}
    assert result.intercept == pytest.approx(saga.intercept, abs=1e-5)


def test_hard_rows_are_left_to_other_phases(monkeypatch):
    monkeypatch.setattr(module, "LEAST", 1)
    easy = random_problem(6, storage="csr", alpha=1.0, n=200)
    assert DualEpochs.pays(easy, 1)
    assert not DualEpochs.pays(easy.with_penalty(1e-3), 1)
    assert not DualEpochs.pays(easy.with_penalty(1.0, 0.5), 1)
    assert not DualEpochs.pays(random_problem(6, storage="dense", alpha=1.0, n=200), 1)
    phase = DualEpochs(hard := easy.with_penalty(1e-6), certifier := Certifier(hard, 1), 1)
    W = np.zeros((8, 1))
    phase.improve(W, certifier(W), np.full(1, 1e-12), 1000)
    assert phase.slow
