"""Truncated Newton: its kernels against NumPy, its preconditioner, and its steps."""

import numpy as np
import pytest
import scipy.sparse as sp
from in_turn import in_turn
from problems import CURVED_LAYOUTS, DTYPES, STORAGES, dense_values, random_problem
from reference import certificate as reference
from reference.arrays import arrays_of

from fastsum import Problem, data, minimize
from fastsum.certificate import Certifier
from fastsum.result import Status
from fastsum.solvers.phases import _preconditioner, newton_cg
from fastsum.solvers.phases._preconditioner import BlockPreconditioner, own_curvature
from fastsum.solvers.phases.newton_cg import NewtonCG

LAYOUTS = {
    "single": ("logistic", 1, 1),
    "multi": ("squared", 3, 1),
    "coupled": ("multinomial", 1, 3),
}
each_layout = pytest.mark.parametrize("layout", LAYOUTS)


def hessian(X, curvature, B, C, l2=None):
    """A' D A + diag(l2) over (d + 1, K), A = [X, 1]; no l2 on the intercept."""
    n, K = curvature.shape
    A = np.hstack([X, np.ones((n, 1))])
    size = A.shape[1]
    H = np.zeros((size, K, size, K))
    for i in range(n):
        D = np.zeros((K, K))
        for b in range(B):
            part = slice(b * C, (b + 1) * C)
            c = curvature[i, part]
            D[part, part] = np.diag(c)
            if C > 1 and c.sum() > 0:
                D[part, part] -= np.outer(c, c) / c.sum()
        H += np.einsum("j,kl,m->jkml", A[i], D, A[i])
    H = H.reshape(size * K, size * K)
    if l2 is not None:
        H += np.diag(np.append(np.tile(l2, size - 1), np.zeros(K)))
    return H


def some_problem(layout, storage="dense", dtype=np.float64, **settings):
    loss, *_ = LAYOUTS[layout]
    return random_problem(0, loss, layout, storage=storage, dtype=dtype, **settings)


# ---- kernels


@pytest.mark.parametrize("cached", [1 << 15, 2])
@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("n_blocks", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("storage", STORAGES)
@each_layout
def test_hessian_product_and_squares(
    layout, storage, dtype, n_blocks, n_threads, cached, monkeypatch
):
    monkeypatch.setattr(data, "CACHED_COLUMNS", cached)
    rng = np.random.default_rng(1)
    problem = some_problem(layout, storage, dtype, n_blocks=n_blocks)
    _, B, C = LAYOUTS[layout]
    X, K = arrays_of(problem).X, B * C
    c = rng.uniform(0.1, 1.0, (len(X), K))
    c[::4] = 0.0
    V = rng.standard_normal((X.shape[1] + 1, K))
    for sums in DTYPES:  # the sums are of the dtype of V
        work = np.empty(n_threads * (X.shape[1] + 2) * K, dtype=sums)
        out = problem.rows.hessian_product(V.astype(sums), c, B, n_threads, work)
        assert out.dtype == sums
        expected = (hessian(X, c, B, C) @ V.ravel()).reshape(V.shape)
        tol = 1e-11 if sums == np.float64 else 2e-5 * np.abs(expected).max()
        np.testing.assert_allclose(out, expected, atol=tol)
    squares = problem.rows.weighted_squares(c, n_threads)
    np.testing.assert_allclose(squares, np.einsum("ik,ij->jk", c, X**2), atol=1e-12)
    diagonal = np.diag(hessian(X, c, B, C)).reshape(V.shape)[:-1]
    own = problem.rows.weighted_squares(own_curvature(c, C), n_threads)
    np.testing.assert_allclose(own, diagonal, atol=1e-12)


@pytest.mark.parametrize("weights", ["none", "zeros"])
@pytest.mark.parametrize(("loss", "layout"), CURVED_LAYOUTS)
def test_curvature_is_the_second_derivative(loss, layout, weights):
    problem = random_problem(2, loss, layout, weights=weights)
    a, certifier = arrays_of(problem), Certifier(problem, 2)
    W = np.random.default_rng(2).standard_normal((8, problem.K))
    W[-1] = certifier(W).intercept
    c = certifier.weighted_curvature()
    z = a.X @ W[:-1] + W[-1]
    H = np.zeros((8 * problem.K, 8 * problem.K)).reshape(8, problem.K, 8, problem.K)
    for i, x in enumerate(np.hstack([a.X, np.ones((len(z), 1))])):
        for b, part in enumerate(a.per_problem(z)):
            second = problem.loss.second(part[i], a.Y[i, b]) * a.s[i] / a.S
            at = slice(b * a.C, (b + 1) * a.C)
            H[:, at, :, at] += np.einsum("j,kl,m->jkml", x, second, x)
    expected = hessian(a.X, c, a.B, a.C)
    np.testing.assert_allclose(expected, H.reshape(expected.shape), atol=1e-12)


@pytest.mark.parametrize("n_blocks", [1, 4])
@pytest.mark.parametrize("step", [1, 2, 7])
@pytest.mark.parametrize("storage", STORAGES)
def test_every_so_many_rows(storage, step, n_blocks):
    rows = some_problem("single", storage, n_blocks=n_blocks).rows
    X = dense_values(rows)
    np.testing.assert_array_equal(dense_values(rows.every(step)), X[::step])


# ---- the preconditioner


def made(problem, curvature):
    return BlockPreconditioner(problem, curvature, 1, 10.0)


def as_matrix(M, d, K):
    """M^{-1} as one matrix over (d + 1, K)."""
    unit = np.eye((d + 1) * K)
    return np.column_stack([M(e.reshape(d + 1, K)).ravel() for e in unit])


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("hot", [3, 2000])
@pytest.mark.parametrize("storage", STORAGES)
@each_layout
def test_preconditioner_is_positive_definite(layout, storage, hot, fit_intercept, monkeypatch):
    monkeypatch.setattr(_preconditioner, "MOST_COLUMNS", hot)
    if hot == 3:
        monkeypatch.setattr(_preconditioner, "MOST_EXACT", 0)
    problem = some_problem(layout, storage, n=90, alpha=0.1, fit_intercept=fit_intercept)
    curvature = np.random.default_rng(3).uniform(0.1, 1.0, (90, problem.K)) / 90
    M = made(problem, curvature)
    inverse = as_matrix(M, 7, problem.K)
    np.testing.assert_allclose(inverse, inverse.T, atol=1e-9 * np.abs(inverse).max())
    free = np.ones((8, problem.K), dtype=bool)
    free[-1] = fit_intercept
    inside = inverse[np.ix_(free.ravel(), free.ravel())]
    assert np.linalg.eigvalsh(inside)[0] > 0
    if not fit_intercept:
        assert not inverse[~free.ravel()].any()


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("storage", ["csr", "ones"])
@pytest.mark.parametrize("layout", ["single", "multi"])
def test_blocks_in_float32_are_nearly_those_in_float64(layout, storage, fit_intercept, monkeypatch):
    monkeypatch.setattr(_preconditioner, "MOST_COLUMNS", 4)
    problem = some_problem(layout, storage, n=90, alpha=0.1, fit_intercept=fit_intercept)
    curvature = np.random.default_rng(3).uniform(0.1, 1.0, (90, problem.K)) / 90
    double = as_matrix(made(problem, curvature), 7, problem.K)
    monkeypatch.setattr(_preconditioner, "SINGLE_FROM", 2)
    single = as_matrix(made(problem, curvature), 7, problem.K)
    assert not np.array_equal(single, double)
    np.testing.assert_allclose(single, double, atol=1e-5 * np.abs(double).max())


def test_a_block_that_is_singular_in_float32_is_factorised_in_float64(monkeypatch):
    monkeypatch.setattr(_preconditioner, "MOST_COLUMNS", 3)
    monkeypatch.setattr(_preconditioner, "SINGLE_FROM", 2)
    monkeypatch.setattr(_preconditioner, "SINGLE_RIDGE", 0.0)
    X = np.random.default_rng(0).standard_normal((50, 6))
    X[:, 1] = X[:, 0]
    X[:, :3] *= 1e4
    problem = Problem(sp.csr_array(X), np.sign(X[:, 2]), loss="logistic", alpha=1e-3)
    curvature = np.full((50, 1), 0.25 / 50)
    z = made(problem, curvature)(np.append(X.sum(axis=0), 0.0)[:, None])
    assert np.isfinite(z).all()


def test_steps_within_the_block_end_a_solve(monkeypatch):
    # hot columns with nearly equal rows beside many rare ones: CG alone takes longer
    monkeypatch.setattr(_preconditioner, "MOST_COLUMNS", 16)
    rng = np.random.default_rng(5)
    hot = (rng.random((600, 16)) < 0.6).astype(float)
    X = sp.csr_array(np.hstack([hot, sp.random(600, 400, 0.005, random_state=5).toarray() != 0]))
    y = np.where(X @ rng.standard_normal(416) + rng.standard_normal(600) > 0, 1.0, -1.0)
    problem = Problem(X, y, loss="logistic", alpha=1 / 600, fit_intercept=False)
    passes = []
    for enter in (0.1, -1.0):
        monkeypatch.setattr(newton_cg, "ENTER", enter)
        result = minimize(problem, tol=1e-6)
        reference = minimize(problem, solver="saga", tol=1e-12, max_iter=5000)
        assert result.objective - reference.objective <= result.dual_gap <= 1e-6
        passes.append(result.n_iter)
    assert passes[0] <= passes[1]


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("layout", ["single", "coupled"])
def test_exact_preconditioner_inverts_the_hessian(layout, storage, fit_intercept):
    problem = some_problem(layout, storage, fit_intercept=fit_intercept)
    curvature = np.random.default_rng(4).uniform(0.1, 1.0, (40, problem.K)) / 40
    M = made(problem, curvature)
    assert M.exact
    _, B, C = LAYOUTS[layout]
    H = hessian(arrays_of(problem).X, curvature, B, C, problem.l2)
    r = np.random.default_rng(5).standard_normal((8, problem.K))
    r -= r.mean(axis=1, keepdims=True) if C > 1 else 0.0  # softmax has no slope along (1, ..., 1)
    r[-1] *= fit_intercept
    kept = 8 if fit_intercept else 7
    product = (H @ M(r).ravel()).reshape(8, problem.K)
    np.testing.assert_allclose(product[:kept], r[:kept], atol=1e-8)


def test_a_sample_of_several_blocks_keeps_rows_and_curvature_together(monkeypatch):
    """One out of `step` rows, whatever the blocks: the factor is the same."""
    monkeypatch.setattr(_preconditioner, "LEAST_ROWS", 1)
    whole, parts = (some_problem("single", "csr", n=400, n_blocks=k) for k in (1, 3))
    curvature = np.random.default_rng(6).uniform(0.0, 1.0, (400, 1)) / 400
    monkeypatch.setattr(_preconditioner, "FREE", 0.0)
    one, three = (BlockPreconditioner(problem, curvature, 1, 0.0) for problem in (whole, parts))
    assert not one.exact
    r = np.random.default_rng(7).standard_normal((8, 1))
    np.testing.assert_allclose(three(r), one(r), rtol=1e-9)


# ---- steps


def improved(problem, W, n_threads=1, budget=1000, target=0.0):
    certifier = Certifier(problem, n_threads)
    certificate = certifier(W)
    W[-1] = certificate.intercept
    phase = NewtonCG(problem, certifier, n_threads)
    moved, passes = phase.improve(W, certificate, np.full(len(certificate.gap), target), budget)
    assert 1 <= passes <= budget
    return certificate, moved, certifier(moved)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("weights", ["none", "zeros"])
def test_one_exact_step_solves_ridge(storage, weights):
    problem = random_problem(8, "squared", storage=storage, weights=weights, alpha=0.1)
    W = np.random.default_rng(8).standard_normal((8, 1))
    _, moved, after = improved(problem, W)
    a = arrays_of(problem)
    X = np.hstack([a.X, np.ones((len(a.X), 1))])
    H = (X.T * a.s) @ X / a.S + np.diag([0.1] * 7 + [0.0])
    np.testing.assert_allclose(
        moved[:, 0], np.linalg.solve(H, X.T @ (a.s * a.Y[:, 0]) / a.S), atol=1e-9
    )
    assert after.gap[0] < 1e-12


@pytest.mark.parametrize(
    ("kind", "hot", "dtype", "n_threads"), in_turn(CURVED_LAYOUTS, [3, 2000], DTYPES, [1, 2])
)
def test_steps_lead_to_the_optimum(kind, hot, dtype, n_threads, monkeypatch):
    monkeypatch.setattr(_preconditioner, "MOST_COLUMNS", hot)
    monkeypatch.setattr(_preconditioner, "MOST_EXACT", 0 if hot == 3 else 1500)
    problem = random_problem(9, *kind, dtype=dtype, alpha=0.02, storage="csr")
    certifier = Certifier(problem, n_threads)
    phase = NewtonCG(problem, certifier, n_threads)
    W = np.zeros((8, problem.K), dtype=dtype)
    here = certifier(W)
    for _ in range(40):
        W[-1] = here.intercept
        moved, _ = phase.improve(W, here, np.zeros(problem.columns.n_problems), 1000)
        there = certifier(moved)
        if (there.objective > here.objective + 1e-14).any():
            phase.failed(np.ones(problem.columns.n_problems, dtype=bool))
            here = certifier(W)
        else:
            W, here = moved, there
    least = reference.optimum(problem)
    np.testing.assert_allclose(here.objective, least, rtol=1e-9 if dtype == np.float64 else 1e-5)


def test_a_failed_step_is_shortened_along_its_direction():
    problem = some_problem("single", alpha=1e-3)
    certifier = Certifier(problem, 1)
    W = np.zeros((8, 1))
    certificate = certifier(W)
    W[-1] = certificate.intercept
    phase = NewtonCG(problem, certifier, 1)
    full, _ = phase.improve(W, certificate, np.zeros(1), 1000)
    phase.failed(np.array([True]))
    shorter, passes = phase.improve(W, certificate, np.zeros(1), 1000)
    assert passes == 1
    values = {}
    for length in 0.5 ** np.arange(1, 12):
        values[length] = certifier(W + length * (full - W)).objective[0]
    best = min(values, key=values.get)
    np.testing.assert_allclose(shorter - W, best * (full - W), atol=1e-15)


@pytest.mark.parametrize("budget", [1, 3])
def test_the_budget_bounds_the_products(budget, monkeypatch):
    monkeypatch.setattr(_preconditioner, "MOST_COLUMNS", 2)
    problem = random_problem(10, n=200, d=40, alpha=1e-6)
    before, _, after = improved(problem, np.zeros((41, 1)), budget=budget)
    assert after.objective[0] < before.objective[0]


# ---- no penalty: of many minimisers the one of least norm


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("shape", ["wide", "twice"])
def test_unpenalised_least_squares_from_zero_has_least_norm(shape, storage, fit_intercept):
    base = random_problem(11, "squared", storage=storage, n=20, d=7 if shape == "twice" else 30)
    X = arrays_of(base).X
    X = np.hstack([X, X]) if shape == "twice" else X
    problem = Problem(X, base.y, loss="squared", alpha=0.0, fit_intercept=fit_intercept)
    result = minimize(problem, tol=1e-9)
    assert result.status is Status.STATIONARY
    mean = (X.mean(axis=0), base.y.mean()) if fit_intercept else (0.0, 0.0)
    least, *_ = np.linalg.lstsq(X - mean[0], base.y - mean[1], rcond=1e-12)
    np.testing.assert_allclose(result.coef, least, atol=1e-6 * np.abs(least).max())


@pytest.mark.parametrize(
    ("loss", "alpha", "shape"),
    [("huber", 0.0, (30, 60)), ("huber", 0.0, (300, 5)), ("smoothed_hinge", 1e-6, (40, 60))],
)
def test_rows_without_curvature_are_reached(loss, alpha, shape):
    """All of Huber's residuals are beyond delta at the null model, the hinge's mostly."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal(shape)
    z = 5.0 * X @ rng.standard_normal(shape[1])
    y = z + 20.0 * np.sign(z) if loss == "huber" else np.where(z > 0, 1, -1)
    problem = Problem(X, y, loss=loss, alpha=alpha, fit_intercept=False)
    result = minimize(problem, tol=1e-6, max_iter=500)
    assert result.status in ("converged", "stationary")
    other = minimize(problem, "saga", tol=1e-8, max_iter=20_000)
    assert result.objective <= other.objective * (1 + 1e-5) + 1e-8


def test_no_curvature_at_all_leaves_the_null_model():
    """A hinge on its straight parts: no slope, no curvature, and no step."""
    y = np.repeat([1.0, -1.0, -1.0], 10)
    problem = Problem(np.ones((30, 1)), y, loss="smoothed_hinge", alpha=0.0)
    result = minimize(problem, max_iter=20)
    assert np.abs(result.coef).max() < 10
