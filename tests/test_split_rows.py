"""Products over rows whose frequent columns are apart from the rare ones, against NumPy."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastsum.certificate import Certifier
from fastsum.data import as_rows
from fastsum.problem import Problem
from fastsum.solvers.phases import _split as module
from fastsum.solvers.phases._split import SplitRows
from fastsum.solvers.phases.newton_cg import NewtonCG

N_COLS = module.HOT + 300


def ones(n, rare, seed=0):
    """Rows of ones, some of them empty; a share `rare` of the values beyond the hot columns."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 30, n)
    hot = rng.integers(0, module.HOT, sizes.sum())
    cold = rng.integers(module.HOT, N_COLS, sizes.sum())
    ids = np.where(rng.random(sizes.sum()) < rare, cold, hot)
    X = sp.csr_matrix((np.ones(len(ids)), (np.repeat(np.arange(n), sizes), ids)), (n, N_COLS))
    X.sum_duplicates()
    X.data[:] = 1.0
    return X


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("rare", [0.0, 0.2])
def test_product_is_numpys(rare, n_threads, monkeypatch):
    monkeypatch.setattr(module, "PART", 64)
    X, rng = ones(500, rare), np.random.default_rng(1)
    split = SplitRows(as_rows(X), n_threads)
    assert split.pays
    A = np.hstack([X.toarray(), np.ones((500, 1))])
    for _ in range(2):  # scratch of the last product is not in the next one
        v, c = rng.standard_normal((N_COLS + 1, 1)), rng.random((500, 1))
        expected = A.T @ (c * (A @ v))
        product = split.product(v, c)
        np.testing.assert_allclose(product, expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(split.product(v, c), product)


def test_columns_that_are_not_sorted_by_frequency_stay_as_they_are():
    assert not SplitRows(as_rows(ones(500, 0.5)), 2).pays


def test_what_is_not_split(monkeypatch):
    monkeypatch.setattr(module, "LEAST", 1)
    monkeypatch.setattr(module, "CACHED_COLUMNS", 1)
    X = ones(50, 0.1)
    assert SplitRows.serves(as_rows(X), 1)
    assert not SplitRows.serves(as_rows(X), 2)
    assert not SplitRows.serves(as_rows(2.0 * X), 1)
    assert not SplitRows.serves(as_rows(X[:, :100].toarray() + 1.0), 1)


def test_a_newton_step_is_that_of_the_rows_as_they_are(monkeypatch):
    X = ones(400, 0.1)
    y = np.random.default_rng(2).integers(0, 2, 400)
    steps = []
    for least in (1, 1 << 40):
        monkeypatch.setattr(module, "LEAST", least)
        monkeypatch.setattr(module, "CACHED_COLUMNS", 1)
        problem = Problem(X, y, loss="logistic", alpha=1e-2)
        certifier = Certifier(problem, 2)
        phase = NewtonCG(problem, certifier, 2)
        W = np.zeros((N_COLS + 1, 1))
        steps.append(phase.improve(W, certifier(W), np.full(1, 1e-9), 100)[0])
    np.testing.assert_allclose(steps[0], steps[1], atol=1e-10)
    assert np.abs(steps[0]).max() > 0.1
