"""Rewritten data: another order of the same problem, and the way back."""

import numpy as np
import pytest
from problems import DTYPES, dense_values, random_problem
from reference import certificate as reference

from fastsum import minimize, prepare
from fastsum._core import _phases
from fastsum.certificate import Certifier

each_form = pytest.mark.parametrize(
    ("storage", "dtype"), [("csr", np.float64), ("csr", np.float32), ("ones", np.float64)]
)
LAYOUTS = [
    ("logistic", "single"),
    ("squared", "multi"),
    ("logistic", "one_vs_rest"),
    ("multinomial", "coupled"),
]


@pytest.fixture(name="always", autouse=True)
def always_fixture(monkeypatch):
    """Small data are rewritten too."""
    monkeypatch.setattr(prepare, "PREPARE_FROM", 0)
    monkeypatch.setattr(prepare, "CACHED_COLUMNS", 0)


def problem_of(loss="logistic", layout="single", **settings):
    return random_problem(1, loss, layout, **{"storage": "csr", "n": 90, "d": 12, **settings})


@each_form
@pytest.mark.parametrize("weights", ["none", "zeros"])
def test_rows_are_shuffled_and_columns_sorted_by_frequency(storage, dtype, weights):
    problem = problem_of(storage=storage, dtype=dtype, weights=weights)
    ready = prepare.prepare(problem, 2, 0)
    rows, order, columns = ready.problem.rows, ready.problem.rows.row_order, ready.columns
    X = dense_values(problem.rows)
    s = problem.sample_weight
    active = np.arange(90) if s is None else np.flatnonzero(s)
    assert sorted(order) == active.tolist()
    assert order.tolist() != active.tolist()
    used = (X != 0).sum(axis=0)
    assert sorted(columns) == np.flatnonzero(used).tolist()  # one column of X is empty
    assert len(columns) == 11
    assert (np.diff(used[columns]) <= 0).all()
    np.testing.assert_array_equal(dense_values(rows), X[np.ix_(order, columns)])
    np.testing.assert_array_equal(ready.problem.y, problem.y[order])
    assert (rows.storage, rows.dtype, rows.n_cols) == (storage, dtype, 11)
    if s is not None:
        np.testing.assert_array_equal(ready.problem.sample_weight, s[order])
        assert ready.problem.total_weight == pytest.approx(problem.total_weight)


@each_form
@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
@pytest.mark.parametrize("weights", ["none", "zeros"])
@pytest.mark.parametrize(("loss", "layout"), LAYOUTS)
def test_the_objective_is_the_same(loss, layout, weights, penalty, storage, dtype):
    problem = problem_of(
        loss, layout, storage=storage, dtype=dtype, weights=weights, penalty=penalty
    )
    ready = prepare.prepare(problem, 1, 0)
    W = np.random.default_rng(2).standard_normal((12, problem.K)).astype(dtype)
    W[:-1] /= 4
    small = Certifier(ready.problem, 1)(W)
    large_W = ready.to_user(W)
    assert large_W.shape == (13, problem.K) and large_W.dtype == dtype
    large = Certifier(problem, 1)(large_W)
    np.testing.assert_allclose(small.objective, large.objective, rtol=1e-13)
    np.testing.assert_allclose(small.gap, large.gap, rtol=1e-9)
    np.testing.assert_allclose(small.subgradient, large.subgradient, rtol=1e-10)
    np.testing.assert_allclose(small.intercept, large.intercept, atol=1e-12)
    own = reference.objectives(problem, large_W[:-1], large.intercept)
    np.testing.assert_allclose(small.objective, own, rtol=1e-12)


@pytest.mark.parametrize("K", [1, 3])
def test_weights_there_and_back(K):
    problem = problem_of(*LAYOUTS[0] if K == 1 else LAYOUTS[2])
    ready = prepare.prepare(problem, 1, 5)
    W = np.random.default_rng(3).standard_normal((13, K))
    there = ready.from_user(W)
    np.testing.assert_array_equal(there[-1], W[-1])
    back = ready.to_user(there)
    empty = np.setdiff1d(np.arange(12), ready.columns)
    assert not back[empty].any()
    W[empty] = 0.0
    np.testing.assert_array_equal(back, W)
    np.testing.assert_array_equal(ready.from_user(back), there)


@each_form
@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_column_counts_miss_no_value(storage, dtype, n_threads):
    rows = problem_of(storage=storage, dtype=dtype).rows
    counts = np.zeros((n_threads, rows.n_cols), dtype=np.int32)
    _phases.column_counts(rows.blocks[0], counts, n_threads)
    expected = np.bincount(rows.blocks[0].indices, minlength=rows.n_cols)
    np.testing.assert_array_equal(counts.sum(axis=0), expected)
    assert (counts.sum(axis=1) > 0).all()


@each_form
def test_threads_write_the_same_arrays(storage, dtype):
    problem = problem_of(storage=storage, dtype=dtype, n=500)
    one, three = (prepare.prepare(problem, k, 0).problem.rows.blocks[0] for k in (1, 3))
    for name in ("indptr", "indices", "values"):
        np.testing.assert_array_equal(getattr(one, name), getattr(three, name))
    other = prepare.prepare(problem, 1, 1).problem.rows.blocks[0]
    assert not np.array_equal(one.indices, other.indices)


@each_form
def test_a_copy_holds_little_more_than_the_data(storage, dtype):
    problem = problem_of(storage=storage, dtype=dtype, n=5000, d=40)
    ready = prepare.prepare(problem, 1, 0)
    (block,) = ready.problem.rows.blocks
    held = sum(a.nbytes for a in (block.indptr, block.indices, block.values) if a is not None)
    needed = (4 + (np.dtype(dtype).itemsize if storage == "csr" else 0)) * problem.rows.nnz
    assert held <= 1.1 * (needed + 8 * 5001)


@pytest.mark.parametrize("storage", ["csr", "ones"])
def test_rows_chosen_twice_or_not_at_all(storage):
    rows = problem_of(storage=storage).rows
    order = np.array([3, 3, 89, 0, 45])  # row 45 is empty
    columns = np.array([7, 0, 3, 11])
    copy = prepare.selected(rows, order, columns, 2)
    expected = dense_values(rows)[np.ix_(order, columns)]
    np.testing.assert_array_equal(dense_values(copy), expected)


@pytest.mark.parametrize("what", ["dense", "blocks", "free", "small"])
def test_what_is_left_as_it_is(what, monkeypatch):
    if what == "small":
        monkeypatch.setattr(prepare, "PREPARE_FROM", 1 << 20)
    settings = {"dense": {"storage": "dense"}, "blocks": {"n_blocks": 3}}
    problem = problem_of(**settings.get(what, {}), penalty="none" if what == "free" else "l2")
    ready = prepare.prepare(problem, 1, 0)
    assert ready.problem is problem and ready.columns is None
    W = np.ones((13, 1))
    assert ready.to_user(W) is W and ready.from_user(W) is W


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
@pytest.mark.parametrize("weights", ["none", "zeros"])
@pytest.mark.parametrize(("loss", "layout"), LAYOUTS[:3])
def test_a_fit_on_rewritten_data(loss, layout, weights, penalty, dtype, n_jobs, monkeypatch):
    monkeypatch.setattr(
        "fastsum.solvers.phases.epochs.LARGE", 0
    )  # with epochs where there are some
    problem = problem_of(loss, layout, weights=weights, penalty=penalty, dtype=dtype)
    seen = []
    fit = {"tol": 1e-9 if dtype == np.float64 else 1e-4, "n_jobs": n_jobs}
    result = minimize(problem, callback=lambda info: seen.append(info.coef.copy()), **fit)
    assert result.status.reached
    least = reference.optimum(problem)
    assert (result.objective - least <= result.dual_gap + 1e-12).all()
    own = reference.objectives(problem, result.coef, result.intercept)
    np.testing.assert_allclose(result.objective, own, rtol=1e-10)
    assert all(coef.shape == result.coef.shape for coef in seen)
    again = minimize(problem, **fit)
    np.testing.assert_array_equal(again.coef, result.coef)
    warm = minimize(problem, init=result, **fit)
    assert warm.n_iter <= 1
    np.testing.assert_allclose(warm.coef, result.coef, atol=1e-7)
    if (loss, layout, penalty) == ("logistic", "single", "l2"):
        assert "svrg epoch" in result.trace["phase"]
