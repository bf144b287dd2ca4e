"""Working sets of coupled outputs: the model against dense algebra, the phase against optima found
by other means."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from problems import DTYPES, STORAGES, random_labels, random_matrix, random_weights, split_rows
from scipy.special import log_softmax, softmax
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from fastsum import Problem, minimize
from fastsum._core import _working_set
from fastsum.certificate import Certifier
from fastsum.solvers.phases import _coupled_model as model_module
from fastsum.solvers.phases import coupled_set as module
from fastsum.solvers.phases._coupled_model import Coefficients, CoupledQuadratic, common_part
from fastsum.solvers.phases._submatrix import Submatrix
from fastsum.solvers.phases.coupled_set import CoupledSet

N, D, C = 50, 9, 4


def dense(X):
    return np.asarray(X.todense() if sp.issparse(X) else X, dtype=float)


@pytest.fixture(params=STORAGES)
def storage(request):
    return request.param


@pytest.fixture(params=["spread", "wide"])
def form(request, monkeypatch):
    """Whether sparse columns are copied for each output that uses them."""
    if request.param == "wide":
        monkeypatch.setattr(model_module, "SPREAD_VALUES", 0)


# --- the quadratic --------------------------------------------------------------------------------


def quadratic(storage, *, free, dtype=np.float64, l1=0.01, l2=0.002, seed=0):
    """A model on a third of all coefficients, its A (n C, p) and its H (p, p) as dense arrays."""
    rng = np.random.default_rng(seed)
    X = random_matrix(rng, N, D, storage, dtype=dtype)
    inside = np.sort(rng.permutation(C * D)[: C * D // 3])
    output, column = np.divmod(inside, D)
    ids, place = np.unique(column, return_inverse=True)
    block = Submatrix(split_rows(X, 2), ids, 1).by_columns
    c = softmax(rng.standard_normal((C, N)), axis=0) * rng.uniform(0.5, 2, N) / N
    c[:, 3] = 0.0
    model = CoupledQuadratic(Coefficients(block, place, output, C), c, free, l1, l2, False)
    A = np.zeros((N, C, len(inside)))
    for p, (j, k) in enumerate(zip(column, output, strict=True)):
        A[:, k, p] = dense(X)[:, j]
    curvature = np.zeros((N, C, N, C))
    for i in range(N):
        total = max(c[:, i].sum(), 1e-300)
        curvature[i, :, i] = np.diag(c[:, i]) - np.outer(c[:, i], c[:, i]) / total
    A, curvature = A.reshape(N * C, -1), curvature.reshape(N * C, N * C)
    H = A.T @ curvature @ A
    if free:
        ones = np.tile(np.eye(C), (N, 1))
        cross = A.T @ curvature @ ones
        H -= cross @ np.linalg.pinv(ones.T @ curvature @ ones, rcond=1e-9) @ cross.T
    return model, A, H


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_products_are_those_of_the_hessian(storage, form, free, dtype):
    model, A, H = quadratic(storage, free=free, dtype=dtype)
    rng, rtol = np.random.default_rng(1), 1e-12 if dtype == np.float64 else 1e-5
    x, r = rng.standard_normal(A.shape[1]), rng.standard_normal((C, N))
    coefficients = model.coefficients
    np.testing.assert_allclose(coefficients.margins(x).T.ravel(), A @ x, rtol=rtol, atol=10 * rtol)
    np.testing.assert_allclose(
        coefficients.transposed(r), A.T @ r.T.ravel(), rtol=rtol, atol=100 * rtol
    )
    np.testing.assert_allclose(
        coefficients.squares(r**2), (A**2).T @ (r**2).T.ravel(), rtol=rtol, atol=100 * rtol
    )
    np.testing.assert_allclose(model.product(x), H @ x, rtol=1e-4, atol=rtol * np.abs(H @ x).max())


def least_quadratic(H, q, l1, l2):
    """min q'x + x'Hx/2 + l1 |x| + l2/2 |x|^2 from 0, over the parts of x of each sign."""
    p = len(q)

    def value_and_gradient(v):
        x = v[:p] - v[p:]
        g = q + H @ x + l2 * x
        value = q @ x + 0.5 * x @ H @ x + 0.5 * l2 * x @ x + l1 * v.sum()
        return value, np.concatenate([g + l1, l1 - g])

    options = {"maxiter": 10000, "maxfun": 20000, "ftol": 1e-16, "gtol": 1e-13}
    return scipy.optimize.minimize(
        value_and_gradient, np.zeros(2 * p), jac=True, method="L-BFGS-B",
        bounds=[(0, None)] * (2 * p), options=options,
    ).fun  # fmt: skip


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("way", ["sweeps", "sampled", "stored", "stalled"])
def test_minimiser_of_the_quadratic(storage, form, free, way, monkeypatch):
    monkeypatch.setattr(model_module, "ALWAYS", 1e9 if way == "sampled" else 0)
    monkeypatch.setattr(model_module, "STORED", 1e9 if way == "stored" else 0)
    monkeypatch.setattr(model_module, "STALLED", 0.0 if way == "stalled" else np.inf)
    monkeypatch.setattr(model_module, "WORTH", 0)
    monkeypatch.setattr(model_module, "LEAST_ROWS", 12)
    for seed in range(2):
        model, _, H = quadratic(storage, free=free, l1=0.005, seed=seed)
        q = 0.1 * np.random.default_rng(seed).standard_normal(len(H))
        x = np.zeros(len(H))
        for _ in range(20):
            model.minimise(q + H @ x, x, 1.0, 0.0)
        value = q @ x + 0.5 * x @ H @ x + 0.001 * x @ x + 0.005 * np.abs(x).sum()
        best = least_quadratic(H, q, 0.005, 0.002)
        assert best < -1e-4
        np.testing.assert_allclose(value, best, rtol=1e-9)


@pytest.mark.parametrize("outputs", [2, 3, 4, 7])
@pytest.mark.parametrize("l2", [0.0, 1e-3, 0.4])
def test_common_part_of_a_column_is_the_best_one(outputs, l2):
    W = np.random.default_rng(outputs).standard_normal((20, outputs))
    W[::2, 0] = 0.0
    found = common_part(W, 0.1, l2)[:, 0]

    def penalty(t):
        shifted = W[:, :, None] - t[:, None, :]
        return (0.1 * np.abs(shifted) + 0.5 * l2 * shifted**2).sum(axis=1)

    grid = np.linspace(-3, 3, 20001)
    least = penalty(np.broadcast_to(grid, (20, len(grid)))).min(axis=1)
    assert (penalty(found[:, None])[:, 0] <= least + 1e-12).all()


@pytest.mark.parametrize("l2", [0.0, 1e-7])
@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("stored", [False, True])
def test_nearly_no_penalty(l2, free, stored, monkeypatch):
    """Neither a common change of all outputs nor columns that depend on others stall a fit."""
    monkeypatch.setattr(model_module, "STORED", 5e7 if stored else 0)
    X, y = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
    for alpha in (5e-4, 1e-6):
        problem = Problem(
            X, y, loss="multinomial", alpha=alpha, l1_ratio=1.0 - l2, fit_intercept=free
        )
        W, certificate = run(problem, tol=1e-7, most=15)
        p = softmax(X @ W[:-1] + W[-1], axis=1)
        g, l1 = X.T @ (p - np.eye(3)[y]) / len(y) + alpha * l2 * W[:-1], alpha * (1.0 - l2)
        assert certificate.gap.max() <= 1e-7
        assert np.abs(g).max() <= l1 + 5e-4  # |residual|^2 <= 2 L gap


def test_descent_follows_the_margins(storage):
    """A sweep gains, and z and m are those of its x."""
    model, A, H = quadratic(storage, free=False)
    H += 0.002 * np.eye(len(H))
    p, q = len(H), 0.1 * np.random.default_rng(1).standard_normal(len(H))
    x, z, m, seen = np.zeros(p), np.zeros((C, N)), np.zeros(N), q.copy()
    descent = _working_set.Descent(
        0.005, 0.002, model.diagonal, x, seen, 1.0, np.empty(p, dtype=np.int32)
    )
    held, values = model.coefficients, [0.0]
    for _ in range(40):
        _, sweeps = descent.on_outputs(
            held.block, held.column, held.output, q, model.c, model.share, z, m, 0.0, 0.0, 1
        )
        assert sweeps == 1
        values.append(q @ x + 0.5 * x @ H @ x + 0.005 * np.abs(x).sum())
    assert (np.diff(values) <= 1e-14).all()
    np.testing.assert_allclose(z.T.ravel(), A @ x, atol=1e-12)
    np.testing.assert_allclose(m, (model.c * z).sum(axis=0) * model.share, atol=1e-12)
    np.testing.assert_allclose(values[-1], least_quadratic(H, q, 0.005, 0.0), rtol=1e-4)


# --- the phase ------------------------------------------------------------------------------------


def run(problem, tol=1e-10, n_threads=1, most=80):
    """(W, certificate) of the phase alone, from the null model; points that are worse go back."""
    certifier = Certifier(problem, n_threads)
    W = np.zeros((problem.rows.n_cols + 1, problem.K), dtype=problem.dtype)
    certificate, phase = certifier.null, CoupledSet(problem, certifier, n_threads)
    W[-1] = certificate.intercept
    for _ in range(most):
        target = tol * certifier.tolerance_scale()
        if (certificate.gap <= target).all():
            break
        moved, passes = phase.improve(W, certificate, target, 50)
        assert isinstance(passes, int) and 1 <= passes <= 50 and moved.dtype == problem.dtype
        there = certifier(moved)
        if there.objective[0] > certificate.objective[0] * (1 + 1e-14):
            phase.failed(np.array([True]))
            certificate = certifier(W)
            continue
        W, certificate = moved, there
        W[-1] = certificate.intercept
    return W, certificate


def least_objective(X, y, alpha, l1_ratio, s, fit_intercept):
    """The minimum of eq. (1) by L-BFGS-B over the positive and negative parts of W."""
    d, K, S = X.shape[1], int(y.max()) + 1, s.sum()
    own = np.arange(len(y)), y.astype(int)

    def value_and_gradient(v):
        parts, b = v[: 2 * d * K].reshape(2, d, K), v[2 * d * K :] * fit_intercept
        W = parts[0] - parts[1]
        z = X @ W + b
        u = softmax(z, axis=1)
        u[own] -= 1.0
        u *= s[:, None] / S
        value = -s @ log_softmax(z, axis=1)[own] / S
        value += alpha * (l1_ratio * parts.sum() + (1 - l1_ratio) / 2 * (W**2).sum())
        g = X.T @ u + alpha * (1 - l1_ratio) * W
        both = np.concatenate([(g + alpha * l1_ratio).ravel(), (alpha * l1_ratio - g).ravel()])
        return value, np.concatenate([both, u.sum(axis=0) * fit_intercept])

    bounds = [(0, None)] * (2 * d * K) + [(None, None)] * K
    options = {"maxiter": 20000, "maxfun": 40000, "ftol": 1e-16, "gtol": 1e-10}
    found = scipy.optimize.minimize(
        value_and_gradient, np.zeros(2 * d * K + K), jac=True, method="L-BFGS-B", bounds=bounds,
        options=options,
    )  # fmt: skip
    return found.fun


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_phase_finds_the_optimum(l1_ratio, storage, form, monkeypatch):
    """Weights, some of them 0, and working sets that start with three coefficients."""
    monkeypatch.setattr(module, "LEAST", 3)
    monkeypatch.setattr(module, "LEAST_OF_OUTPUT", 0)
    for seed in range(2):
        rng = np.random.default_rng(seed)
        X = random_matrix(rng, 60, 15, storage)
        y = random_labels(rng, X, "multinomial", "coupled", C)
        s, free = random_weights(rng, 60, "zeros"), bool(seed)
        settings = {"loss": "multinomial", "l1_ratio": l1_ratio, "fit_intercept": free}
        _, certificate = run(Problem(X, y, alpha=0.01, sample_weight=s, **settings))
        best = least_objective(dense(X), y, 0.01, l1_ratio, s, free)
        np.testing.assert_allclose(certificate.objective[0], best, rtol=1e-8)
        assert certificate.gap[0] <= 1e-9 * best


def test_coefficients_are_those_of_scikit_learn():
    rng = np.random.default_rng(3)
    X = random_matrix(rng, 120, 6, "dense")
    y = random_labels(rng, X, "multinomial", "coupled")
    settings = {"loss": "multinomial", "l1_ratio": 0.7, "fit_intercept": True}
    W, _ = run(Problem(X, y, alpha=0.02, **settings), tol=1e-12)
    other = LogisticRegression(
        C=1 / (0.02 * 120), l1_ratio=0.7, solver="saga", tol=1e-12,
        max_iter=100_000,
    ).fit(X, y)  # fmt: skip
    np.testing.assert_allclose(W[:-1].T, other.coef_, atol=1e-6)
    b = other.intercept_ - other.intercept_.mean()
    np.testing.assert_allclose(W[-1], b, atol=1e-5)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_float32_and_blocks_of_rows_end_at_the_same_optimum(storage, n_threads):
    rng = np.random.default_rng(5)
    X = random_matrix(rng, 80, 20, storage)
    y = random_labels(rng, X, "multinomial", "coupled")
    settings = {"loss": "multinomial", "alpha": 0.01, "l1_ratio": 1.0}
    _, wanted = run(Problem(X, y, **settings))
    _, found = run(Problem(X.astype(np.float32), y, **settings), tol=1e-5, n_threads=n_threads)
    np.testing.assert_allclose(found.objective, wanted.objective, rtol=1e-5)
    _, found = run(Problem(split_rows(X, 3), y, **settings), n_threads=n_threads)
    np.testing.assert_allclose(found.objective, wanted.objective, rtol=1e-9)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("alpha", [1e-2, 1e-5])
def test_separable_classes_with_odd_columns(alpha, fit_intercept):
    """Constant, empty, repeated and badly scaled columns; rows far inside their class."""
    rng = np.random.default_rng(7)
    y = np.repeat(np.arange(3.0), 20)
    X = 4.0 * np.eye(3)[y.astype(int)] + 0.3 * rng.standard_normal((60, 3))
    X = np.column_stack([X, np.ones(60), np.zeros(60), X[:, 0], 1e3 * X[:, 1], 1e-4 * X[:, 2]])
    problem = Problem(
        X, y, loss="multinomial", alpha=alpha, l1_ratio=1.0, fit_intercept=fit_intercept
    )
    _, certificate = run(problem, tol=1e-8, most=200)
    assert certificate.gap[0] <= 1e-7 * Certifier(problem, 1).null.objective[0]


def test_equal_calls_give_equal_bits(storage):
    rng = np.random.default_rng(4)
    X = random_matrix(rng, 300, 40, storage)
    y = random_labels(rng, X, "multinomial", "coupled")
    problem = Problem(X, y, loss="multinomial", alpha=0.005, l1_ratio=1.0)
    for n_threads in (1, 2):
        first, second = (run(problem, tol=1e-6, n_threads=n_threads)[0] for _ in range(2))
        assert first.tobytes() == second.tobytes()


def test_working_sets_stay_small(storage):
    """At half of the largest strength few of 2000 coefficients are ever copied."""
    rng = np.random.default_rng(8)
    X = random_matrix(rng, 60, 500, storage)
    y = random_labels(rng, X, "multinomial", "coupled", C)
    largest = Problem(X, y, loss="multinomial", alpha=1.0, l1_ratio=1.0)
    slope = np.abs(Certifier(largest, 1).gradient).max()
    problem = Problem(X, y, loss="multinomial", alpha=0.5 * slope, l1_ratio=1.0)
    certifier = Certifier(problem, 1)
    phase, W, certificate = CoupledSet(problem, certifier, 1), np.zeros((501, C)), certifier.null
    target = 1e-6 * certifier.tolerance_scale()
    for _ in range(20):
        W, _ = phase.improve(W, certificate, target, 50)
        certificate = certifier(W)
        assert len(phase._ids) < 150
    assert certificate.gap[0] <= target[0] and W[:-1].any()


@pytest.mark.parametrize("weights", ["none", "zeros"])
def test_auto_ends_where_saga_does(weights, storage):
    rng = np.random.default_rng(9)
    X = random_matrix(rng, 90, 12, storage)
    y = random_labels(rng, X, "multinomial", "coupled")
    s = random_weights(rng, 90, weights)
    problem = Problem(X, y, loss="multinomial", alpha=0.01, l1_ratio=0.8, sample_weight=s)
    here = minimize(problem, tol=1e-9)
    assert here.solver == "auto" and set(here.trace["phase"]) == {"coupled set"}
    there = minimize(problem, "saga", tol=1e-9, max_iter=100_000)
    np.testing.assert_allclose(here.objective, there.objective, rtol=1e-8)
    np.testing.assert_allclose(here.coef, there.coef, atol=1e-3)
    again = minimize(problem, tol=1e-9, init=here)
    assert again.n_iter == 0 and again.objective <= here.objective * (1 + 1e-15)


def test_many_rows_begin_on_a_sample():
    """The sample's point is nearer than the null model; the fit ends where the phase alone does."""
    rng = np.random.default_rng(11)
    X = random_matrix(rng, 8000, 5, "dense")
    y = random_labels(rng, X, "multinomial", "coupled", C)
    problem = Problem(X, y, loss="multinomial", alpha=0.002, l1_ratio=1.0)
    result = minimize(problem, tol=1e-9)
    phases, null = list(result.trace["phase"]), Certifier(problem, 1).null.objective[0]
    assert phases[0] == "row samples" and set(phases[1:]) == {"coupled set"}
    gains = null - result.trace["objective"]
    assert gains[0] > 0.9 * gains[-1]
    _, certificate = run(problem)
    np.testing.assert_allclose(result.objective, certificate.objective[0], rtol=1e-9)
