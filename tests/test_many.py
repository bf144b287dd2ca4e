"""Many problems over one data set: each as if it had been solved alone."""

import tracemalloc
import warnings

import numpy as np
import pytest
from problems import (
    CURVED_LAYOUTS,
    DTYPES,
    L1_RATIOS,
    STORAGES,
    dense_values,
    random_problem,
)
from reference import certificate as reference
from sklearn.exceptions import ConvergenceWarning

from fastsum import linear_model, minimize
from fastsum import prepare as preparing
from fastsum.certificate import Certifier
from fastsum.solvers import _path
from fastsum.solvers import many as module
from fastsum.solvers._memory import Footprint
from fastsum.solvers.many import solve_many
from fastsum.solvers.phases._submatrix import Submatrix

ALPHAS = (0.5, 0.02, 0.1, 0.004)  # in no order
PENALTIES = [name for name in L1_RATIOS if name != "none"]


def grid_of(problem, penalty, n_folds=3, alphas=ALPHAS):
    """Folds (weights of 0 where row i % n_folds is held out) times strengths, fold by fold."""
    n, base = problem.rows.n_rows, problem.sample_weight
    problems = []
    for fold in range(n_folds):
        weights = np.where(np.arange(n) % n_folds == fold, 0.0, 1.0 if base is None else base)
        part = problem.with_weights(weights)
        problems += [part.with_penalty(alpha, L1_RATIOS[penalty]) for alpha in alphas]
    return problems


def assert_as_alone(problems, results, tol, atol):
    assert len(results) == len(problems)
    for problem, result in zip(problems, results, strict=True):
        assert result.status.reached
        assert result.coef.dtype == problem.dtype
        alone = minimize(problem, tol=tol)
        np.testing.assert_allclose(result.coef, alone.coef, atol=atol)
        if problem.fit_intercept and not problem.loss.coupled:
            np.testing.assert_allclose(result.intercept, alone.intercept, atol=10 * atol)
        # neither certificate lies: the lower objective of the two is no lower than a gap allows
        slack = 1e-13 + 1e-15 * np.abs(alone.objective)
        assert (result.objective - alone.objective <= result.dual_gap + slack).all()
        assert (alone.objective - result.objective <= alone.dual_gap + slack).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(("loss", "layout"), CURVED_LAYOUTS)
def test_as_if_alone(loss, layout, storage, penalty):
    problem = random_problem(1, loss, layout, storage=storage, n=90)
    problems = grid_of(problem, penalty)
    assert_as_alone(problems, solve_many(problems, tol=1e-12, n_jobs=2), 1e-12, 3e-5)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("storage", ["csr", "ones"])
def test_as_if_alone_on_rewritten_data(storage, penalty, fit_intercept, dtype, monkeypatch):
    monkeypatch.setattr(preparing, "PREPARE_FROM", 1)
    monkeypatch.setattr(preparing, "CACHED_COLUMNS", 1)
    problem = random_problem(
        2, storage=storage, weights="zeros", fit_intercept=fit_intercept, dtype=dtype, n=120, d=30
    )
    problems = grid_of(problem, penalty)
    prepared = module._shared(problems, 1, 0).problem.rows
    assert prepared.row_order is not None
    assert prepared.n_rows < problem.rows.n_rows  # rows without a weight in any fold are gone
    tol, atol = (1e-12, 3e-5) if dtype is np.float64 else (1e-5, 3e-2)
    assert_as_alone(problems, solve_many(problems, tol=tol, n_jobs=2), tol, atol)


def test_columns_dropped_are_those_that_no_problem_uses(monkeypatch):
    """A column that only the weakest penalty of one fold lets in is there for it."""
    monkeypatch.setattr(preparing, "PREPARE_FROM", 1)
    monkeypatch.setattr(preparing, "CACHED_COLUMNS", 1)
    problem = random_problem(3, storage="csr", n=200, d=40)
    problems = grid_of(problem, "l1", alphas=(0.3, 0.15, 0.03, 0.01))
    results = solve_many(problems, tol=1e-10)
    for one, result in zip(problems, results, strict=True):
        assert result.objective - reference.optimum(one) <= 1e-9
    assert any(r.coef.any() for r in results)


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
def test_equal_calls_give_equal_bits(n_jobs):
    problems = grid_of(random_problem(4, storage="csr", n=150, d=20), "l2", n_folds=5)
    first, again = (solve_many(problems, tol=1e-8, n_jobs=n_jobs) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.coef, b.coef)
        assert a.intercept == b.intercept


def test_problems_without_weights_and_with():
    problem = random_problem(5, n=80)
    weighted = problem.with_weights(np.linspace(0.5, 2.0, 80))
    problems = [weighted.with_penalty(0.1), problem.with_penalty(0.1), problem.with_penalty(1.0)]
    assert_as_alone(problems, solve_many(problems, tol=1e-12), 1e-12, 1e-6)


@pytest.mark.parametrize("solver", ["saga", "svrg"])
def test_named_solvers(solver):
    problems = grid_of(random_problem(6, n=60), "elasticnet", alphas=(0.2, 0.05))
    results = solve_many(problems, solver, tol=1e-9, max_iter=5000)
    assert {r.solver for r in results} == {solver}
    for problem, result in zip(problems, results, strict=True):
        assert result.objective - reference.optimum(problem) <= 1e-8


def test_one_warning_for_all_that_fell_short():
    problems = grid_of(random_problem(7, n=300, d=30, storage="csr"), "l2", alphas=(1e-4, 1e-6))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = solve_many(problems, tol=1e-14, max_iter=1)
    short = [r for r in results if not r.status.reached]
    assert short and all(r.n_iter == 1 for r in short)
    (warning,) = [w for w in caught if issubclass(w.category, ConvergenceWarning)]
    assert f"{len(short)} of {len(results)} problems" in str(warning.message)


def test_nothing_to_solve_and_no_passes():
    assert solve_many([]) == []
    with pytest.warns(ConvergenceWarning):
        (zero,) = solve_many([random_problem(8)], max_iter=0)
    assert not zero.coef.any() and zero.n_iter == 0


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_interrupt_ends_all_paths(n_jobs, monkeypatch):
    solve, calls = _path.PenaltyPath.solve, []

    def interrupted(self, *args):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return solve(self, *args)

    monkeypatch.setattr(_path.PenaltyPath, "solve", interrupted)
    problems = grid_of(random_problem(9, n=60), "l2", n_folds=6)
    with pytest.raises(KeyboardInterrupt):
        solve_many(problems, n_jobs=n_jobs)
    assert len(calls) < len(problems)


def test_a_foretold_start_is_better(monkeypatch):
    """On a fine grid the parabola is nearer to the next solution than the last one is."""
    problem = random_problem(10, storage="csr", n=400, d=50)
    problems = [problem.with_penalty(alpha) for alpha in np.geomspace(0.1, 1e-3, 20)]
    foretold = solve_many(problems, tol=1e-6)
    monkeypatch.setattr(_path.PenaltyPath, "_foretold", lambda self, log_alpha: None)
    plain = solve_many(problems, tol=1e-6)
    assert sum(r.n_iter for r in foretold) < sum(r.n_iter for r in plain)
    for a, b in zip(foretold, plain, strict=True):
        np.testing.assert_allclose(a.coef, b.coef, atol=1e-2)


@pytest.mark.parametrize("n_blocks", [1, 3])
@pytest.mark.parametrize("storage", STORAGES)
def test_rows_taken(storage, n_blocks):
    rows = random_problem(11, storage=storage, n_blocks=n_blocks).rows
    for ids in (np.array([0, 3, 4, 17, 39]), np.arange(20, 25), np.arange(40)):
        taken = rows.take(ids)
        np.testing.assert_array_equal(dense_values(taken), dense_values(rows)[ids])
        assert taken.storage == rows.storage


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(("loss", "layout"), CURVED_LAYOUTS)
def test_a_certificate_under_another_penalty(loss, layout, penalty):
    problem = random_problem(12, loss, layout, weights="random", penalty=penalty)
    other = problem.with_penalty(3.0 * problem.penalty.alpha[0], L1_RATIOS[penalty])
    W = np.random.default_rng(0).standard_normal((problem.rows.n_cols + 1, problem.K))
    certifier = Certifier(problem, 1)
    first = certifier(W)
    W[-1] = first.intercept
    certifier.use(other)
    again, fresh = certifier.again(W), Certifier(other, 1)(W)
    np.testing.assert_allclose(again.objective, fresh.objective, rtol=1e-12)
    np.testing.assert_allclose(again.own_gap, fresh.own_gap, rtol=1e-9)
    np.testing.assert_allclose(again.subgradient, fresh.subgradient, rtol=1e-9)
    assert (again.gap >= fresh.gap * (1 - 1e-9)).all()  # no dual value of before is counted


@pytest.mark.parametrize("storage", ["csr", "ones"])
def test_gram_of_all_columns_in_an_order_of_their_own(storage, monkeypatch):
    """Columns renumbered by frequency do not ascend inside a row, as Gram kernels need them."""
    monkeypatch.setattr(preparing, "PREPARE_FROM", 1)
    monkeypatch.setattr(preparing, "CACHED_COLUMNS", 1)
    rows = preparing.prepare(random_problem(13, storage=storage, n=60, d=20), 1, 0).problem.rows
    X, weight = dense_values(rows), np.random.default_rng(0).uniform(size=rows.n_rows)
    p = rows.n_cols
    H = np.empty((p, p))
    Submatrix(rows, np.arange(p), 1).gram(weight, H, 0, None)
    np.testing.assert_allclose(np.tril(H), np.tril(X.T @ (weight[:, None] * X)), atol=1e-12)


@pytest.mark.parametrize("n_threads", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("n_paths", [1, 2, 3, 5, 7])
def test_chains_cover_every_problem_once_and_evenly(n_paths, n_threads):
    n_chains, length = min(n_threads, n_paths), 12
    paths = [list(range(k * length, (k + 1) * length)) for k in range(n_paths)]
    chains = module._chains(paths, n_chains)
    solved = [i for chain in chains for ids, begin, end in chain for i in ids[begin:end]]
    assert sorted(solved) == list(range(n_paths * length))
    assert len(chains) == n_chains
    work = [sum(end - begin for _, begin, end in chain) for chain in chains]
    assert max(work) - min(work) <= length / 2
    for chain in chains:  # what the pieces start from comes before them
        sizes = [end - begin for _, begin, end in chain]
        assert sizes == sorted(sizes, reverse=True)


# ---- memory


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize(
    ("loss", "storage", "n", "d"),
    [
        ("logistic", "dense", 8000, 40),
        ("logistic", "csr", 3000, 300),
        ("squared", "dense", 90, 900),
    ],
)
def test_a_run_takes_no_more_than_it_says(loss, storage, n, d, penalty, n_jobs):
    problems = grid_of(random_problem(10, loss, storage=storage, n=n, d=d), penalty)
    solve_many(problems[:1])  # what is made once in a process
    footprint = Footprint.of(problems, len(ALPHAS))
    tracemalloc.start()
    try:
        results = solve_many(problems, n_jobs=n_jobs)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(results) == len(problems)
    assert peak <= footprint.total(n_jobs)
    assert footprint.total(n_jobs) <= 4 * peak


def test_a_budget_bounds_what_is_solved_at_a_time(capsys):
    problems = grid_of(random_problem(11, n=400, d=30), "l2")
    footprint = Footprint.of(problems, len(ALPHAS))
    one, two = footprint.total(1), footprint.total(2)
    for budget, at_a_time in ((one, 1), (two - 1, 1), (two, 2), (None, 2)):
        solve_many(problems, n_jobs=2, verbose=1, memory_budget=budget)
        assert f"{at_a_time} at a time" in capsys.readouterr().err
    with pytest.raises(MemoryError, match=r"memory_budget is .* MB, and the problems need about"):
        solve_many(problems, n_jobs=2, memory_budget=one - 1)
    with pytest.raises(ValueError, match="memory_budget must be a positive number of bytes"):
        solve_many(problems, memory_budget=0)


@pytest.mark.parametrize("name", ["LogisticRegressionCV", "LassoCV", "ElasticNetCV", "RidgeCV"])
def test_estimators_keep_to_their_budget(name, capsys):
    rng = np.random.default_rng(12)
    X = rng.standard_normal((60, 4))
    y = (X[:, 0] > 0).astype(int) if name.startswith("Logistic") else X[:, 0]
    estimator = getattr(linear_model, name)
    estimator(cv=3, n_jobs=2, verbose=1, memory_budget=1e6).fit(X, y)
    assert "2 at a time" in capsys.readouterr().err
    with pytest.raises(MemoryError, match="memory_budget"):
        estimator(cv=3, memory_budget=1e3).fit(X, y)
    with pytest.raises(ValueError, match="memory_budget"):
        estimator(cv=3, memory_budget=-1.0).fit(X, y)
