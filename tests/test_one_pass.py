"""Problems side by side with weights of their own: each as if it were alone."""

import numpy as np
import pytest
from problems import CURVED_LAYOUTS, DTYPES, L1_RATIOS, STORAGES, dense_values, random_problem
from reference import certificate as reference
from test_many import PENALTIES, grid_of

from fastsum.beside import beside
from fastsum.certificate import Certifier
from fastsum.solvers import _one_pass as module
from fastsum.solvers import many
from fastsum.solvers._registry import SOLVERS, lacks, resolve_solver
from fastsum.solvers.many import solve_many

BOTH = ["saga", "svrg"]  # whose kernels take them


def together(problems, solver, *, tol=1e-4, max_iter=1000, n_jobs=None, memory_budget=None):
    settings = {"tol": tol, "max_iter": max_iter, "n_jobs": n_jobs}
    results = dict(module.solve_together(problems, solver, 0, settings, memory_budget))
    return [results[i] for i in range(len(problems))]


def several(loss="logistic", layout="single", *, n=40, penalty="l2", **options):
    """Three problems of unlike weights and strengths, some of them 0."""
    problem = random_problem(1, loss, layout, n=n, **options)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, (3, n))
    weights[1, 3::4] = 0.0
    weights[2] *= 100.0
    alphas = (0.3, 0.05, 0.1)
    return [
        problem.with_weights(s).with_penalty(alpha, L1_RATIOS[penalty])
        for s, alpha in zip(weights, alphas, strict=True)
    ]


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(("loss", "layout"), CURVED_LAYOUTS)
def test_certificate_is_that_of_each(loss, layout, penalty, storage, n_threads):
    problems = several(loss, layout, penalty=penalty, storage=storage)
    if problems[0].columns.n_problems > 1:
        return
    together = beside(problems)
    W = np.random.default_rng(2).standard_normal((together.rows.n_cols + 1, together.K))
    C = together.columns.n_outputs
    certifier = Certifier(together, n_threads)
    found = certifier(W.copy())
    for b, problem in enumerate(problems):
        columns = slice(b * C, (b + 1) * C)
        alone = Certifier(problem, n_threads)
        one = alone(np.ascontiguousarray(W[:, columns]))
        for name in ("objective", "own_gap", "subgradient"):
            np.testing.assert_allclose(getattr(found, name)[b], getattr(one, name)[0], 1e-9, 1e-12)
        np.testing.assert_allclose(found.intercept[columns], one.intercept, atol=1e-9)
        gradient = certifier.gradient[:, columns]
        np.testing.assert_allclose(gradient, alone.gradient, atol=1e-11)
        np.testing.assert_allclose(
            certifier.tolerance_scale()[b], alone.tolerance_scale()[0], 1e-9, 1e-12
        )


def saga_by_hand(problem, method, order, W):
    """Steps of eq. (11) to (13) of logistic problems side by side, one problem at a time."""
    X, y, s = dense_values(problem.rows), problem.y, problem.sample_weight
    S, (n, d) = problem.total_weight, dense_values(problem.rows).shape
    D = np.ones(d) if method.density is None else method.density
    out = W.copy()
    for b in range(problem.columns.n_problems):
        w, table, g = W[:, b].copy(), np.zeros(n), np.zeros(d + 1)
        l1, l2 = problem.penalty.l1[b], problem.penalty.l2[b]
        for i in order:
            u = -y[i] / (1.0 + np.exp(y[i] * (X[i] @ w[:-1] + w[-1])))
            share = s[i, b] / S * (u - table[i])
            table[i] = u
            J = np.flatnonzero(X[i]) if problem.rows.sparse else np.arange(d)
            tau = method.gamma * D[J]
            v = w[J] - method.gamma * n * share * X[i, J] - tau * g[J]
            w[J] = np.sign(v) * np.maximum(np.abs(v) - tau * l1, 0.0) / (1.0 + tau * l2)
            w[-1] -= method.gamma * method.intercept_curvature * (n * share + g[-1])
            g += share * np.append(X[i], 1.0)
        out[:, b] = w
    return out


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_steps_of_saga(penalty, storage, n_threads):
    together = beside(several(penalty=penalty, storage=storage))
    method = SOLVERS["saga"](together, sampling="blocks", step_size=None, n_threads=n_threads)
    state = method.start(np.zeros((together.rows.n_cols + 1, 3)), np.random.default_rng(0))
    order = np.random.default_rng(3).permutation(together.rows.n_rows).astype(np.int64)
    expected = saga_by_hand(together, method, order, state["weights"])
    method._steps(state, 0, order)
    np.testing.assert_allclose(state["weights"], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_make_the_same_steps(name, dtype):
    problem = beside(several(storage="csr", dtype=dtype, n=60) * 5)
    ends = []
    for n_threads in (1, 2, 4):
        method = SOLVERS[name](problem, sampling="blocks", step_size=None, n_threads=n_threads)
        start = np.zeros((problem.rows.n_cols + 1, problem.K), dtype)
        state = method.start(start, np.random.Generator(np.random.PCG64(0)))
        method.advance(state, 4)
        ends.append(state["weights"])
    tolerance = 1e-11 if dtype is np.float64 else 1e-4
    np.testing.assert_allclose(ends[1], ends[0], tolerance, tolerance)
    np.testing.assert_allclose(ends[2], ends[0], tolerance, tolerance)


@pytest.mark.parametrize("solver", BOTH)
@pytest.mark.parametrize(
    ("loss", "layout", "penalty", "storage"),
    [
        ("logistic", "single", "l2", "csr"),
        ("squared", "single", "elasticnet", "dense"),
        ("huber", "single", "l1", "ones"),
        ("multinomial", "softmax", "elasticnet", "csr"),
    ],
)
def test_each_as_if_alone(loss, layout, penalty, storage, solver):
    base = random_problem(5, loss, layout, n=50, storage=storage)
    problems = grid_of(base, penalty, alphas=(0.3, 0.05))
    results = together(problems, solver, tol=1e-8, max_iter=4000, n_jobs=2)
    for problem, result in zip(problems, results, strict=True):
        assert result.solver == solver
        assert result.coef.shape == (problem.rows.n_cols, problem.K)[: 1 + (problem.K > 1)]
        excess = result.objective - reference.optimum(problem)
        assert (excess <= result.dual_gap + 1e-9).all() and (excess <= 1e-6).all()
        assert result.trace["passes"][-1] == result.n_iter
        assert (np.diff(result.trace["passes"]) >= 0).all()


def test_what_is_done_leaves(monkeypatch):
    """Easy problems are not carried along with a hard one."""
    widths, solve = [], module.solve
    monkeypatch.setattr(
        module,
        "solve",
        lambda problem, *a, **k: widths.append(problem.K) or solve(problem, *a, **k),
    )
    problem = random_problem(6, storage="csr", n=200, d=20)
    problems = [problem.with_penalty(alpha) for alpha in (1.0, 0.5, 0.3, 1e-4)]
    results = together(problems, "saga", tol=1e-6)
    assert widths[0] == 4 and widths[-1] <= 2 and sorted(widths, reverse=True) == widths
    assert results[3].n_iter > results[0].n_iter
    assert all(r.status.reached for r in results)


def test_a_budget_bounds_what_shares_a_pass(monkeypatch):
    widths, solve = [], module.solve
    monkeypatch.setattr(
        module,
        "solve",
        lambda problem, *a, **k: widths.append(problem.K) or solve(problem, *a, **k),
    )
    problems = [random_problem(7).with_penalty(alpha) for alpha in (0.5, 0.4, 0.3, 0.2)]
    one = module.most_at_a_time(problems[0], 1.0)
    assert one == 1
    size = 1e9 / module.most_at_a_time(problems[0], 1e9)
    together(problems, "saga", memory_budget=2.5 * size)
    assert max(widths) == 2


def test_who_takes_weights_of_each():
    problem = beside(several())
    with pytest.raises(ValueError, match="weights of their own"):
        resolve_solver("sdca", problem)
    assert resolve_solver("auto", problem).own_weights
    assert {name for name, m in SOLVERS.items() if not lacks(m, problem)} == set(BOTH)


@pytest.mark.parametrize(("strengths", "shared"), [((0.1,), [3]), ((0.3, 0.1), [])])
def test_folds_share_passes_where_no_penalty_is_the_start_of_another(
    strengths, shared, monkeypatch
):
    widths, solve = [], many.solve_together
    monkeypatch.setattr(
        many,
        "solve_together",
        lambda problems, *a: widths.append(len(problems)) or solve(problems, *a),
    )
    problems = [fold.with_penalty(alpha) for fold in several() for alpha in strengths]
    results = solve_many(problems, "saga", tol=1e-6)
    assert widths == shared and all(r.status.reached for r in results)
