"""Working sets: their kernels against NumPy, the phase against optima found by other means."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from problems import DTYPES, STORAGES, random_labels, random_matrix, random_weights, split_rows
from scipy.special import expit, xlogy
from sklearn.linear_model import ElasticNet, lars_path

from fastsum import Problem, minimize, prepare
from fastsum._core import _working_set
from fastsum.certificate import Certifier
from fastsum.data import as_rows
from fastsum.losses import LOSSES
from fastsum.solvers.phases import _local_model
from fastsum.solvers.phases import working_set as module
from fastsum.solvers.phases._face import ImplicitQuadratic
from fastsum.solvers.phases._quadratic import minimise_on_gram
from fastsum.solvers.phases._submatrix import Submatrix, sparse_gram
from fastsum.solvers.phases.working_set import WorkingSet

IDS = np.array([7, 2, 11, 3, 0])
SEPARATE = [name for name, loss in LOSSES.items() if not (loss.coupled or loss.kinked)]


def dense(X):
    return np.asarray(X.todense() if sp.issparse(X) else X, dtype=float)


@pytest.fixture(params=STORAGES)
def storage(request):
    return request.param


# --- kernels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_blocks", [1, 3])
def test_submatrix_holds_the_columns_in_their_order(storage, dtype, n_blocks):
    X = random_matrix(np.random.default_rng(0), 30, 12, storage, dtype=dtype)
    rows, A = split_rows(X, n_blocks), dense(X)[:, IDS]
    part = Submatrix(rows, IDS, 2)
    rng = np.random.default_rng(1)
    x, r = rng.standard_normal(5), rng.standard_normal(30)
    np.testing.assert_allclose(part.margins(x, 0.5), A @ x + 0.5, atol=1e-12)
    np.testing.assert_allclose(part.transposed(r), A.T @ r, atol=1e-12)
    np.testing.assert_allclose(part.squares(r**2), (r**2) @ A**2, atol=1e-12)
    columns = part.by_columns
    assert (columns.n_rows, columns.n_cols) == (5, 30)
    held = Submatrix.__new__(Submatrix)
    held.rows, held.n_threads = type(rows)((columns,), rows.dtype), 1
    np.testing.assert_allclose(held.transposed(x), A @ x, atol=1e-12)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("centred", [False, True])
def test_gram_grows_to_the_whole(storage, n_threads, centred, monkeypatch):
    monkeypatch.setattr("fastsum.solvers.phases._submatrix.DENSE_FROM", 2.0)
    monkeypatch.setattr("fastsum.solvers.phases._submatrix.CHUNK_BYTES", 400)
    rng = np.random.default_rng(0)
    X = random_matrix(rng, 40, 12, storage)
    weight, A = random_weights(rng, 40, "zeros"), dense(X)[:, IDS]
    rows, mean = as_rows(X), weight @ A / weight.sum()
    H = np.full((5, 5), np.nan)
    H[:2, :2] = 0.0
    first = Submatrix(rows, IDS[:2], n_threads)
    assert first.dense == (storage == "dense")
    start = np.empty((2, 2))
    first.gram(weight, start, 0, mean[:2] if centred else None)
    H[:2, :2] = start
    Submatrix(rows, IDS, n_threads).gram(weight, H, 2, mean if centred else None)
    B = A - mean if centred else A
    np.testing.assert_allclose(H, (B.T * weight) @ B, atol=1e-12)
    if storage != "dense":  # the same from the rows themselves, whose ids are in any order
        H[2:] = H[:, 2:] = np.nan
        sparse_gram(rows, IDS, weight, H, 2, mean if centred else None, n_threads)
        np.testing.assert_allclose(H, (B.T * weight) @ B, atol=1e-12)


def test_threads_keep_their_rows_apart():
    """Each thread holds the selected values of a row of its own; rows enough for them to meet."""
    rng = np.random.default_rng(2)
    X = random_matrix(rng, 20_000, 12, "csr")
    H, A = np.full((5, 5), np.nan), dense(X)[:, IDS]
    for _ in range(5):
        sparse_gram(as_rows(X), IDS, np.ones(20_000), H, 0, None, 2)
        np.testing.assert_allclose(H, A.T @ A, rtol=1e-10)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("first", [0, 1, 32, 45])
def test_gram_of_more_columns_than_a_tile(first, n_threads):
    rng = np.random.default_rng(2)
    X = random_matrix(rng, 30, 70, "csr")
    weight, A = random_weights(rng, 30, "zeros"), dense(X)
    expected = (A.T * weight) @ A
    H = expected.copy()
    H[first:], H[:first, first:] = 0.0, np.nan
    _working_set.add_gram(as_rows(X).blocks[0], None, weight, first, H, None, n_threads)
    np.testing.assert_allclose(H, expected, atol=1e-12)


def quadratic(seed, p=25, n=40):
    rng = np.random.default_rng(seed)
    A, y = rng.standard_normal((n, p)) @ np.diag(np.logspace(0, -1, p)), rng.standard_normal(n)
    y += A @ rng.standard_normal(p)
    A, y = A - A.mean(axis=0), y - y.mean()
    return A, y


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_descent_finds_the_elastic_net(seed, l1_ratio):
    """On the Gram matrix and on the columns, from 0 and from a far start."""
    A, y = quadratic(seed)
    n, alpha = len(y), 0.05
    model = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, fit_intercept=False, tol=1e-14)
    wanted = model.fit(A, y).coef_
    assert 3 < np.count_nonzero(wanted) < 25
    l1, l2 = alpha * l1_ratio, alpha * (1 - l1_ratio)
    H, weight = A.T @ A / n, np.full(n, 1 / n)
    for start in (np.zeros(25), np.ones(25)):
        u = A @ start - y
        q, size = A.T @ u / n, float(u @ u / n)
        x = start.copy()
        assert minimise_on_gram(H, q.copy(), x, l1, l2, size, 1e-14, n) <= 1e-14
        np.testing.assert_allclose(x, wanted, atol=1e-6)
        x = start.copy()
        model = ImplicitQuadratic(Submatrix(as_rows(A), np.arange(25), 1), weight, None, l1, l2)
        for _ in range(60):  # a model is minimised to a share of what it gains
            u = A @ x - y
            model.minimise(A.T @ u / n, x, float(u @ u / n), 1e-14)
        np.testing.assert_allclose(x, wanted, atol=1e-6)


@pytest.mark.parametrize("l2", [0.0, 0.02])
@pytest.mark.parametrize("dtype", DTYPES)
def test_descent_on_columns_is_of_the_centred_quadratic(storage, dtype, l2):
    """Columns with means far from 0, and a start that has left the point of the gradient."""
    rng = np.random.default_rng(4)
    X = random_matrix(rng, 60, 12, storage, dtype=dtype)
    X = X + dtype(1.5) if storage == "dense" else X
    A, weight, l1 = dense(X), random_weights(rng, 60, "zeros") / 60, 0.05
    mean = weight @ A / weight.sum()
    H = ((A - mean).T * weight) @ (A - mean)
    origin, start, y = rng.standard_normal(12), rng.standard_normal(12), rng.standard_normal(60)
    g = (A - mean).T @ (weight * ((A - mean) @ origin - y))
    size = weight @ ((A - mean) @ start - y) ** 2
    x, r, q = start.copy(), weight * (A @ (start - origin)), np.zeros(12)
    columns = Submatrix(as_rows(X), np.arange(12), 1).by_columns
    descent = _working_set.Descent(
        l1, l2, H.diagonal().copy(), x, q, size, np.empty(12, dtype=np.int32)
    )
    _, sweeps = descent.on_columns(columns, g, weight, mean, r, 1e-15, 0.0, 5000)
    assert sweeps < 5000
    q = g + H @ (x - origin)
    off = np.where(x != 0, np.abs(q + l2 * x + l1 * np.sign(x)), np.maximum(np.abs(q) - l1, 0))
    assert off.max() <= 1e-7
    np.testing.assert_allclose(r, weight * (A @ (x - origin)), atol=1e-12)
    assert descent.size == pytest.approx(weight @ ((A - mean) @ x - y) ** 2, rel=1e-9)


@pytest.mark.parametrize("on_columns", [False, True])
def test_descent_clears_columns_without_curvature(on_columns):
    A, y = quadratic(2, p=6)
    A[:, 3] = 0.0
    x, n, H = np.ones(6), len(y), A.T @ A / len(y)
    u = A @ x - y
    q, active = A.T @ u / n, np.empty(6, dtype=np.int32)
    descent = _working_set.Descent(0.05, 0.0, H.diagonal().copy(), x, q.copy(), u @ u / n, active)
    if on_columns:
        columns = Submatrix(as_rows(A), np.arange(6), 1).by_columns
        weight = np.full(n, 1 / n)
        gap, _ = descent.on_columns(columns, q, weight, None, np.zeros(n), 1e-12, 0.0, 1000)
    else:
        gap, _ = descent.on_gram(H, 1e-12, 0.0, 1000)
    assert x[3] == 0.0 and gap <= 1e-12
    assert kkt_residual(A, y, 0.05, 0.0, x) <= 1e-6


def pivoted(A, y, l1, l2, start):
    """(x, gap, pivots) of exact pivots alone from a start."""
    n, p = A.shape
    x, u = start.copy(), A @ start - y
    H, q, size = A.T @ A / n, A.T @ u / n, u @ u / n
    active, cap = np.empty(p, dtype=np.int32), p + 1
    descent = _working_set.Descent(l1, l2, H.diagonal().copy(), x, q, size, active)
    gap, pivots = descent.pivots(H, 0.0, 1000, np.empty(cap * cap + 5 * cap + 2 * p), cap)
    u = A @ x - y
    np.testing.assert_allclose(q, A.T @ u / n, atol=1e-12)
    np.testing.assert_allclose(descent.size, u @ u / n, rtol=1e-9, atol=1e-12)
    return x, gap, pivots


def kkt_residual(A, y, l1, l2, x):
    """How far x is from optimal: the largest violation of the subgradient condition."""
    g = A.T @ (A @ x - y) / len(y) + l2 * x
    return np.where(x != 0, np.abs(g + l1 * np.sign(x)), np.maximum(np.abs(g) - l1, 0)).max()


@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("shape", [(40, 25), (12, 60)])
@pytest.mark.parametrize("seed", range(5))
def test_pivots_end_at_the_optimum(seed, shape, l2):
    """From 0 and from dense starts, whose columns depend on each other where p > n."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal(shape) + 2.0 * rng.standard_normal((shape[0], 1))
    y = rng.standard_normal(shape[0])
    for l1 in (0.3, 0.01, 0.0001):
        for start in (np.zeros(shape[1]), rng.standard_normal(shape[1])):
            x, gap, pivots = pivoted(A, y, l1, l2, start)
            assert kkt_residual(A, y, l1, l2, x) <= 1e-11
            assert gap <= 1e-11 and pivots < 500
            assert l2 > 0 or np.count_nonzero(x) <= shape[0]


def test_lasso_pivots_are_the_steps_of_lars():
    """From 0 the homotopy is the LARS path: one pivot for each of its events, and the last step."""
    rng = np.random.default_rng(8)
    A, y = rng.standard_normal((30, 50)), rng.standard_normal(30)
    alphas, _, path = lars_path(A, y, method="lasso", alpha_min=0.02)
    x, _, pivots = pivoted(A, y, 0.02, 0.0, np.zeros(50))
    np.testing.assert_allclose(x, path[:, -1], atol=1e-10)
    assert abs(pivots - len(alphas)) <= 1


def test_pivots_with_equal_and_empty_columns():
    rng = np.random.default_rng(9)
    A = rng.standard_normal((20, 8))
    A = np.hstack([np.zeros((20, 1)), A, A, -A, np.zeros((20, 1))])
    y = rng.standard_normal(20)
    for start in (np.zeros(26), np.ones(26)):
        x, gap, pivots = pivoted(A, y, 0.02, 0.0, start)
        assert kkt_residual(A, y, 0.02, 0.0, x) <= 1e-12 and gap <= 1e-12 and pivots < 100
        wanted = ElasticNet(alpha=0.02, l1_ratio=1.0, fit_intercept=False, tol=1e-14).fit(A, y)
        np.testing.assert_allclose(A @ x, A @ wanted.coef_, atol=1e-6)


def test_pivots_stop_where_there_is_no_room():
    A, y = quadratic(1)
    x, q, n = np.zeros(25), -A.T @ y / len(y), len(y)
    H, active = A.T @ A / n, np.empty(25, dtype=np.int32)
    descent = _working_set.Descent(0.001, 0.0, H.diagonal().copy(), x, q, y @ y / n, active)
    gap, _ = descent.pivots(H, 0.0, 1000, np.empty(9 + 15 + 50), 3)
    assert np.count_nonzero(x) <= 3 and gap > 1e-6
    np.testing.assert_allclose(q, A.T @ (A @ x - y) / n, atol=1e-12)


def test_descent_reports_the_duality_gap():
    A, y = quadratic(0)
    n, l1 = len(y), 0.05
    x, q = np.zeros(25), -A.T @ y / n
    H = A.T @ A / n
    descent = _working_set.Descent(
        l1, 0.0, H.diagonal().copy(), x, q, y @ y / n, np.empty(25, dtype=np.int32)
    )
    for _ in range(3):
        gap, _ = descent.on_gram(H, 0.0, 0.0, 1)
        u = A @ x - y
        c = min(1.0, l1 / np.abs(A.T @ u / n).max())
        dual = -np.mean(0.5 * (c * u) ** 2 + c * u * y)
        primal = 0.5 * np.mean(u**2) + l1 * np.abs(x).sum()
        np.testing.assert_allclose(gap, primal - dual, rtol=1e-9)
        np.testing.assert_allclose(descent.size, np.mean(u**2), rtol=1e-12)


# --- the phase ------------------------------------------------------------------------------------


def run(problem, tol=1e-10, n_threads=1, most=60):
    """(W, certificate, phase) of the phase alone, from the null model."""
    certifier = Certifier(problem, n_threads)
    W = np.zeros((problem.rows.n_cols + 1, problem.K), dtype=problem.dtype)
    certificate, phase = certifier.null, WorkingSet(problem, certifier, n_threads)
    W[-1] = certificate.intercept
    for _ in range(most):
        target = tol * certifier.tolerance_scale()
        if (certificate.gap <= target).all():
            break
        before = certificate
        W, passes = phase.improve(W, certificate, target, 50)
        assert isinstance(passes, int) and 1 <= passes <= 50 and W.dtype == problem.dtype
        certificate = certifier(W)
        slack = 1e-6 if problem.dtype == np.float32 else 1e-12
        assert (certificate.objective <= before.objective * (1 + slack)).all()
        W[-1] = certificate.intercept
    return W, certificate, phase


def losses(loss, z, y):
    if loss == "squared":
        return 0.5 * (z - y) ** 2, z - y
    if loss == "huber":
        r = z - y
        u = np.clip(r, -1.35, 1.35)
        return u * (r - u / 2), u
    if loss == "poisson":
        return np.exp(z) - y * z + xlogy(y, y) - y, np.exp(z) - y
    m = y * z
    if loss == "smoothed_hinge":
        t = np.clip(1 - m, 0, 1)
        return t * (1 - m - t / 2), -y * t
    if loss == "logistic":
        return np.logaddexp(0, -m), -y * np.exp(-np.logaddexp(0, m))
    h = np.maximum(1 - m, 0)
    return h**2, -2 * y * h


def least_objective(X, y, loss, alpha, l1_ratio, s, fit_intercept):
    """The minimum of eq. (1) by L-BFGS-B over the positive and negative parts of w."""
    d, S = X.shape[1], s.sum()

    def value_and_gradient(v):
        w = v[:d] - v[d : 2 * d]
        value, u = losses(loss, X @ w + v[-1], y)
        g = X.T @ (s * u) / S + alpha * (1 - l1_ratio) * w
        total = s @ value / S + alpha * (l1_ratio * v[: 2 * d].sum() + (1 - l1_ratio) / 2 * w @ w)
        slope = s @ u / S if fit_intercept else 0.0
        return total, np.concatenate([g + alpha * l1_ratio, alpha * l1_ratio - g, [slope]])

    bounds = [(0, None)] * (2 * d) + [(None, None)]
    options = {"maxiter": 20000, "maxfun": 40000, "ftol": 1e-16, "gtol": 1e-10}
    found = scipy.optimize.minimize(
        value_and_gradient, np.zeros(2 * d + 1), jac=True, method="L-BFGS-B", bounds=bounds,
        options=options,
    )  # fmt: skip
    return found.fun


@pytest.mark.parametrize("on_columns", [False, True])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("loss", SEPARATE)
def test_phase_finds_the_optimum(loss, l1_ratio, storage, on_columns, monkeypatch):
    """Weights, some of them 0, and working sets that start with three columns."""
    monkeypatch.setattr(module, "LEAST", 3)
    monkeypatch.setattr(module, "LEAST_DENSE", 1)
    monkeypatch.setattr(module, "SCREEN_FROM", 1)
    if on_columns:
        monkeypatch.setattr(WorkingSet, "fits", lambda self, p: False)
    for seed in range(2):
        rng = np.random.default_rng(seed)
        X = random_matrix(rng, 60, 30, storage)
        y = random_labels(rng, X, loss, "single")
        y = 5.0 * y if loss == "huber" else y  # rows on both pieces
        s, free = random_weights(rng, 60, "zeros"), bool(seed)
        settings = {"loss": loss, "alpha": 0.02, "l1_ratio": l1_ratio, "fit_intercept": free}
        _, certificate, _ = run(Problem(X, y, sample_weight=s, **settings))
        best = least_objective(dense(X), y, loss, 0.02, l1_ratio, s, free)
        np.testing.assert_allclose(certificate.objective[0], best, rtol=1e-8)
        assert certificate.gap[0] <= 1e-9 * best


@pytest.mark.parametrize("n_threads", [1, 2])
def test_float32_and_blocks_of_rows_end_at_the_same_optimum(storage, n_threads):
    rng = np.random.default_rng(5)
    X = random_matrix(rng, 80, 40, storage)
    y = random_labels(rng, X, "logistic", "single")
    settings = {"loss": "logistic", "alpha": 0.01, "l1_ratio": 1.0}
    _, wanted, _ = run(Problem(X, y, **settings))
    single = Problem(X.astype(np.float32), y, **settings)
    _, found, _ = run(single, tol=1e-5, n_threads=n_threads)
    np.testing.assert_allclose(found.objective, wanted.objective, rtol=1e-5)
    blocks = Problem(split_rows(X, 3), y, **settings)
    _, found, _ = run(blocks, n_threads=n_threads)
    np.testing.assert_allclose(found.objective, wanted.objective, rtol=1e-9)


@pytest.mark.parametrize(("loss", "layout"), [("squared", "multi"), ("logistic", "one_vs_rest")])
def test_problems_side_by_side_are_those_alone(loss, layout, storage, monkeypatch):
    monkeypatch.setattr(module, "LEAST", 4)
    monkeypatch.setattr(module, "LEAST_DENSE", 1)
    from fastsum.columns import Columns

    rng = np.random.default_rng(2)
    X = random_matrix(rng, 70, 25, storage)
    y = random_labels(rng, X, loss, layout)
    columns = None if layout == "multi" else Columns.one_vs_rest(3)
    alphas = np.array([0.01, 0.03, 0.1])
    together = Problem(X, y, loss=loss, alpha=alphas, l1_ratio=1.0, columns=columns)
    W, certificate, _ = run(together)
    for b in range(3):
        own = y[:, b] if layout == "multi" else np.where(y == b, 1.0, -1.0)
        w, alone, _ = run(Problem(X, own, loss=loss, alpha=alphas[b], l1_ratio=1.0))
        np.testing.assert_allclose(certificate.objective[b], alone.objective[0], rtol=1e-9)
        np.testing.assert_allclose(W[:, b], w[:, 0], atol=1e-4)


@pytest.mark.parametrize("loss", SEPARATE)
@pytest.mark.parametrize("l1_ratio", [1.0, 0.7])
def test_screening_keeps_the_support(loss, l1_ratio, storage, monkeypatch):
    """At every certificate, what is dropped is 0 in an accurate solution; in the end most is."""
    monkeypatch.setattr(module, "SCREEN_FROM", 1)
    rng = np.random.default_rng(3)
    X = random_matrix(rng, 100, 60, storage)
    y = random_labels(rng, X, loss, "single")
    s = random_weights(rng, 100, "zeros")
    settings = {"loss": loss, "l1_ratio": l1_ratio, "sample_weight": s}
    slope = np.abs(Certifier(Problem(X, y, alpha=1.0, **settings), 1).gradient).max()
    problem = Problem(X, y, alpha=0.4 * slope / l1_ratio, **settings)
    accurate, _, phase = run(problem, tol=1e-13)
    support = set(np.flatnonzero(np.abs(accurate[:-1, 0]) > 1e-10))
    certifier = Certifier(problem, 1)
    dropped = 0
    for tol in (1e-1, 1e-2, 1e-3, 1e-5, 1e-7):
        W, _, _ = run(problem, tol=tol)
        phase = WorkingSet(problem, certifier, 1)
        gap = float(certifier(W).own_gap[0])
        state = phase._states[0]
        phase._screen(state, np.abs(certifier.gradient[:, 0]), 0, gap)
        if state.alive is not None:
            assert support <= set(state.alive)
            dropped = 60 - len(state.alive)
    assert (dropped >= 30 or not problem.loss.smooth) and support


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_working_sets_stay_small(loss, storage, monkeypatch):
    monkeypatch.setattr(module, "LEAST", 8)
    monkeypatch.setattr(module, "LEAST_DENSE", 1)
    rng = np.random.default_rng(7)
    X = random_matrix(rng, 80, 400, storage)
    y = random_labels(rng, X, loss, "single")
    slope = np.abs(Certifier(Problem(X, y, loss=loss, alpha=1.0, l1_ratio=1.0), 1).gradient).max()
    problem = Problem(X, y, loss=loss, alpha=0.5 * slope, l1_ratio=1.0)
    W, certificate, phase = run(problem, tol=1e-6)
    assert certificate.gap[0] <= 1e-6 * certificate.objective[0]
    assert 0 < np.count_nonzero(W[:-1]) <= len(phase._states[0].ids) < 100


def test_equal_calls_give_equal_bits(storage):
    rng = np.random.default_rng(4)
    X = random_matrix(rng, 300, 80, storage)
    y = random_labels(rng, X, "logistic", "single")
    problem = Problem(X, y, loss="logistic", alpha=0.005, l1_ratio=1.0)
    for n_threads in (1, 2):
        first, second = (run(problem, tol=1e-6, n_threads=n_threads)[0] for _ in range(2))
        assert first.tobytes() == second.tobytes()


def test_failure_forgets_the_old_hessian():
    rng = np.random.default_rng(6)
    X = random_matrix(rng, 80, 30, "dense")
    y = random_labels(rng, X, "logistic", "single")
    problem = Problem(X, y, loss="logistic", alpha=0.01, l1_ratio=1.0)
    certifier = Certifier(problem, 1)
    phase, W = WorkingSet(problem, certifier, 1), np.zeros((31, 1))
    target = 1e-10 * certifier.tolerance_scale()
    phase.improve(W, certifier.null, target, 9)
    certificate = certifier(W)  # back to the start
    phase.failed(np.array([True]))
    for _ in range(4):
        W, _ = phase.improve(W, certificate, target, 9)
        certificate = certifier(W)
    assert certificate.gap[0] <= target[0]


@pytest.mark.parametrize("values", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_rare_columns_are_dropped_and_the_certificate_stays(
    monkeypatch, l1_ratio, weighted, values
):
    """At any point without them: that of all the columns, and no minimiser holds one."""
    monkeypatch.setattr(prepare, "PREPARE_FROM", 0)
    rng = np.random.default_rng(3)
    n, d = 400, 300
    X = sp.csr_array((rng.random((n, d)) < 0.4 * np.linspace(0.02, 1, d) ** 3).astype(float))
    if values:
        X.data *= rng.uniform(0.5, 1.5, X.nnz)
    y = (X @ rng.standard_normal(d) + rng.standard_normal(n) > 0).astype(int)
    s = rng.uniform(0.5, 2, n) if weighted else None
    problem = Problem(X, y, alpha=0.02, l1_ratio=l1_ratio, sample_weight=s)
    monkeypatch.setattr(prepare, "CACHED_COLUMNS", 1 << 8)
    prepared = prepare.prepare(problem, 1, 0)
    assert prepared.columns is not None and 10 < len(prepared.columns) < 0.8 * d
    assert (np.diff(prepared.columns) > 0).all()
    W = np.zeros((len(prepared.columns) + 1, 1))
    W[:-1, 0] = rng.standard_normal(len(W) - 1) * 0.1
    certificates = [
        Certifier(problem, 1)(prepared.to_user(W)), Certifier(prepared.problem, 1)(W)
    ]  # fmt: skip
    for name in ("objective", "gap", "own_gap", "subgradient", "intercept"):
        whole, part = (getattr(c, name) for c in certificates)
        np.testing.assert_allclose(part, whole, rtol=1e-10, err_msg=name)
    dropped = np.setdiff1d(np.arange(d), prepared.columns)
    weight = np.full(n, 1 / n) if s is None else s / s.sum()
    steepest = np.asarray(X.T @ weight)[dropped]  # |u_i| <= 1
    assert (steepest <= 0.02 * l1_ratio).all()


def test_path_ends_where_the_ridge_part_is_strong():
    rng = np.random.default_rng(161)
    X = rng.standard_normal((60, 3))
    y = np.where(X @ [9.0, 4.0, 0.0] > 0, 1, -1)
    problem = Problem(X, y, alpha=1e-2, l1_ratio=0.05)
    result = minimize(problem, tol=1e-8, max_iter=100)
    other = minimize(problem, "saga", tol=1e-8)
    assert result.status == "converged"
    np.testing.assert_allclose(result.objective, other.objective, rtol=1e-8)


def test_a_set_that_outgrows_its_gram_matrix_leaves_the_sample_of_rows(monkeypatch):
    """A Gram matrix of every k-th row is followed by one without storage, of all rows."""
    settings = {"LONG": 0, "SAMPLE": 100, "SAMPLE_OF_COLUMN": 1, "MANY": 20, "LEAST": 16}
    for name, value in settings.items():
        monkeypatch.setattr(module if name == "LEAST" else _local_model, name, value)
    rng = np.random.default_rng(0)
    X = sp.random_array((1000, 300), density=0.2, rng=rng, format="csr")
    y = np.where(X @ rng.standard_normal(300) + 0.3 * rng.standard_normal(1000) > 0, 1, 0)
    result = minimize(Problem(X, y, alpha=1e-4, l1_ratio=0.5), tol=1e-10)
    w, b = result.coef, result.intercept
    assert result.status == "converged" and np.count_nonzero(w) > 50
    u = np.where(y > 0, -1, 1) * expit(-np.where(y > 0, 1, -1) * (X @ w + b)) / len(y)
    slope = X.T @ u + 0.5e-4 * w  # of the smooth part, by NumPy
    assert abs(u.sum()) < 1e-7
    np.testing.assert_allclose(slope[w != 0], -0.5e-4 * np.sign(w[w != 0]), atol=1e-7)
    assert np.abs(slope[w == 0]).max() <= 0.5e-4 + 1e-7
