"""Fits side by side in threads give what they give alone; pytest-run-parallel repeats each."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp

import fastsum
from fastsum.solvers import SOLVER_NAMES

rng = np.random.default_rng(11)
X = rng.standard_normal((150, 8))
S = sp.csr_matrix(np.where(rng.random((150, 8)) < 0.4, X, 0.0))
Y = np.where(X @ rng.standard_normal(8) + rng.standard_normal(150) > 0, 1, -1)
SETTINGS = {"tol": 1e-5, "max_iter": 30, "random_state": 3}


def fit(solver, rows):
    l1_ratio = 1.0 if solver == "frank-wolfe" else 0.1 if solver in PROX else 0.0
    problem = fastsum.Problem(rows, Y, alpha=1e-2, l1_ratio=l1_ratio)
    return fastsum.minimize(problem, solver, n_jobs=2, **SETTINGS).coef


PROX = {"auto", "saga", "svrg", "sdca", "fista", "katyusha"}


@pytest.mark.parametrize("rows", [X, S], ids=["dense", "sparse"])
@pytest.mark.parametrize("solver", sorted(set(SOLVER_NAMES) - {"asaga"}))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fits_in_threads_have_the_bits_of_fits_alone(solver, rows):
    alone = fit(solver, rows)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: fit(solver, rows), range(8)))
    for coef in together:
        np.testing.assert_array_equal(coef, alone)


def test_one_model_predicts_in_many_threads():
    model = fastsum.LogisticRegression().fit(X, Y)
    expected = model.predict_proba(X)
    with ThreadPoolExecutor(4) as pool:
        for p in pool.map(lambda _: model.predict_proba(X), range(16)):
            np.testing.assert_array_equal(p, expected)


def test_problems_share_their_rows():
    """One data set, several penalties, at the same time."""
    problem = fastsum.Problem(S, Y, alpha=1e-2)
    alphas = np.geomspace(1e-1, 1e-3, 8)

    def solve(alpha):
        return fastsum.minimize(problem.with_penalty(alpha), tol=1e-8).coef

    alone = [solve(alpha) for alpha in alphas]
    with ThreadPoolExecutor(4) as pool:
        for coef, expected in zip(pool.map(solve, alphas), alone, strict=True):
            np.testing.assert_array_equal(coef, expected)
