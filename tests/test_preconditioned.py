"""Sketched Hessians, and the methods in their metric."""

import numpy as np
import pytest
import scipy.sparse as sp
from problems import random_problem
from reference.certificate import optimum

import fastsum
from fastsum.result import Status
from fastsum.solvers.preconditioned._metric import Nystrom, Subsampled, largest_eigenvalue

NAMES = ("sketchy-svrg", "sketchy-saga", "sketchy-katyusha")


def metrics(A, rho):
    test = np.random.default_rng(1).standard_normal((A.shape[1], 10))
    sketched = np.linalg.multi_dot
    Y = A.T @ A @ test
    nystrom = sketched([Y, np.linalg.pinv(test.T @ Y, hermitian=True), Y.T])
    return [
        (Subsampled(A, rho), A.T @ A),
        (Subsampled(sp.csr_array(A), rho), A.T @ A),
        (Nystrom(A, rho, test), nystrom),
    ]


@pytest.mark.parametrize("shape", [(12, 40), (60, 25)])
def test_metrics_and_their_inverses(shape):
    rng = np.random.default_rng(0)
    A, g, rho = rng.standard_normal(shape), rng.standard_normal(shape[1]), 0.1
    for metric, H in metrics(A, rho):
        P = H + rho * np.eye(len(H))
        np.testing.assert_allclose(metric.times(g), P @ g, rtol=1e-8)
        np.testing.assert_allclose(metric.solve(g), np.linalg.solve(P, g), rtol=1e-6, atol=1e-8)


def test_powers_find_the_largest_eigenvalue():
    rng = np.random.default_rng(2)
    A, B = rng.standard_normal((30, 20)), rng.standard_normal((30, 20))
    metric, ridge = Subsampled(A, 0.5), np.full(20, 0.2)
    H = np.linalg.solve(A.T @ A + 0.5 * np.eye(20), B.T @ B + 0.2 * np.eye(20))
    top = np.linalg.eigvals(H).real.max()
    found = [largest_eigenvalue(metric, B, ridge, np.ones(20), steps) for steps in (10, 200)]
    assert 0.9 * top <= found[0] <= top * (1 + 1e-12)
    assert found[1] == pytest.approx(top, rel=1e-6)


def test_fewer_passes_than_saga_where_few_directions_are_steep():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((400, 30)) * np.repeat([10.0, 1.0], [8, 22])
    X = X @ np.linalg.qr(rng.standard_normal((30, 30)))[0]
    y = X @ rng.standard_normal(30) + 3 * rng.standard_normal(400)
    problem = fastsum.Problem(X, y, loss="squared", alpha=1e-4)
    fits = [
        fastsum.minimize(problem, name, tol=1e-6, refine=False) for name in ("saga", "sketchy-saga")
    ]
    assert fits[1].status is Status.CONVERGED
    assert fits[1].n_iter < 0.75 * fits[0].n_iter


@pytest.mark.parametrize("name", NAMES[:2])
def test_no_penalty_ends_stationary(name):
    problem = random_problem(4, "squared", penalty="none")
    result = fastsum.minimize(problem, name, tol=1e-7, max_iter=3000, refine=False)
    assert result.status is Status.STATIONARY
    assert result.objective == pytest.approx(optimum(problem)[0], rel=1e-9)


def test_what_they_lack():
    l1 = random_problem(5, penalty="elasticnet")
    softmax = random_problem(5, "multinomial", "coupled")
    for name in NAMES:
        with pytest.raises(ValueError, match=r"l1 part.*Solvers that can.*saga"):
            fastsum.minimize(l1, name)
        with pytest.raises(ValueError, match=r"couples outputs.*Solvers that can.*saga"):
            fastsum.minimize(softmax, name)
    with pytest.raises(ValueError, match=r"needs an l2 penalty.*sketchy-saga"):
        fastsum.minimize(random_problem(5, penalty="none"), "sketchy-katyusha")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_wide_sparse_rows_are_warned_of():
    X = sp.eye_array(20, 10_001, format="csr") * 2.0
    problem = fastsum.Problem(X, np.arange(20) % 2)
    with pytest.warns(UserWarning, match=r"all 10,001 columns at every step"):
        fastsum.minimize(problem, "sketchy-saga", max_iter=1)
