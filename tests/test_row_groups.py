"""Penalties of rows of coefficients: prox, certificate, solvers and MultiTask estimators."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
import sklearn.linear_model
from family import recorded_run
from problems import random_problem
from scipy.special import log_softmax, softmax

import fastsum
from fastsum import Problem, minimize
from fastsum._core import _working_set
from fastsum.linear_model import FiniteSumClassifier, MultiTaskElasticNet, MultiTaskLasso
from fastsum.null_model import alpha_max
from fastsum.penalties import shrink_rows
from fastsum.result import Status
from fastsum.solvers import SOLVERS, resolve_solver

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SERVING = ("saga", "svrg", "katyusha", "gd", "fista")
FORMS = {"dense": np.asarray, "csr": sp.csr_array}


def tasks(seed=0, n=60, d=12, C=3, form="dense", weights=False):
    """X, targets of which a third of the features tell, and weights."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.6)
    W = rng.standard_normal((d, C)) * (np.arange(d) < d // 3)[:, None]
    Y = X @ W + 0.3 * rng.standard_normal((n, C)) + [1.0, -2.0, 0.5][:C]
    s = rng.integers(0, 3, n).astype(float) if weights else None
    return FORMS[form](X), Y, s


def codes(seed=0, **kwargs):
    X, Y, s = tasks(seed, **kwargs)
    rng = np.random.default_rng(seed + 1)
    y = (Y - Y.mean(axis=0) + rng.gumbel(size=Y.shape)).argmax(axis=1).astype(float)
    return X, y, s


def problem_of(loss, *, alpha=0.1, l1_ratio=1.0, intercept=True, **kwargs):
    X, y, s = (tasks if loss == "squared" else codes)(**kwargs)
    settings = {"loss": loss, "alpha": alpha, "l1_ratio": l1_ratio, "group": "rows"}
    return Problem(X, y, sample_weight=s, fit_intercept=intercept, **settings)


def plain(X):
    return X.toarray() if sp.issparse(X) else X


def objective(X, y, s, W, b, loss, alpha, l1_ratio):
    """Eq. (1) with the penalty of eq. (77)."""
    Z, s = plain(X) @ W + b, np.ones(len(y)) if s is None else s
    if loss == "squared":
        losses = 0.5 * ((Z - y) ** 2).sum(axis=1)
    else:
        losses = -log_softmax(Z, axis=1)[np.arange(len(y)), y.astype(int)]
    norms = np.sqrt((W**2).sum(axis=1))
    h = alpha * (l1_ratio * norms.sum() + (1 - l1_ratio) / 2 * (norms**2).sum())
    return s @ losses / s.sum() + h


# ---- the kernel


def block_descent(H, x, q, l1, l2, target, most):
    """Twin of row_descent, eq. (79), in NumPy: x, q and the sweeps made."""
    x, q = x.copy(), q.copy()
    for sweep in range(most):
        gain = 0.0
        for j in np.flatnonzero(np.diag(H) > 0):
            v = H[j, j] * x[j] - q[j]
            step = max(0.0, 1.0 - l1 / np.linalg.norm(v)) * v / (H[j, j] + l2) - x[j]
            gain += (H[j, j] + l2) / 2 * step @ step
            x[j] += step
            q += np.outer(H[j], step)
        if gain <= target:
            return x, q, sweep + 1
    return x, q, most


@pytest.mark.parametrize(("l1", "l2"), [(0.2, 0.0), (0.2, 0.3), (0.0, 0.1)])
@pytest.mark.parametrize(("target", "most"), [(0.0, 3), (1e-3, 100), (3e-2, 100), (1e9, 100)])
def test_block_descent_is_its_twin(target, most, l1, l2):
    rng = np.random.default_rng(3)
    A = rng.standard_normal((20, 6))
    A[:, 2] = 0  # nothing is known of its coefficients
    H = A.T @ A / 20
    x, linear = rng.standard_normal((6, 3)), H @ rng.standard_normal((6, 3))
    guarded = np.vstack([H @ x - linear, np.full((1, 3), 7.0)])  # what lies behind q stays
    q = guarded[:6]
    expected = block_descent(H, x, q, l1, l2, target, most)
    sweeps = _working_set.row_descent(H, x, q, l1, l2, target, most, np.empty(3))
    np.testing.assert_allclose(x, expected[0], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(q, expected[1], rtol=1e-11, atol=1e-12)
    assert sweeps == expected[2] and (guarded[6] == 7.0).all()
    np.testing.assert_allclose(q, H @ x - linear, atol=1e-12)


# ---- the penalty


@pytest.mark.parametrize("seed", range(5))
def test_prox_of_a_row_is_the_minimiser(seed):
    rng = np.random.default_rng(seed)
    v, tau, l1, l2 = rng.standard_normal(3), 0.7, 0.9 * rng.random(), rng.random()

    def goal(w):
        return tau * (l1 * np.linalg.norm(w) + l2 / 2 * w @ w) + 0.5 * (w - v) @ (w - v)

    found = scipy.optimize.minimize(goal, v, method="Nelder-Mead", tol=1e-12).x
    K = np.ones(3)
    ours = shrink_rows(v[None], tau * K, l1 * K, l2 * K, 3)[0]
    np.testing.assert_allclose(ours, found, atol=1e-5)
    assert goal(ours) <= goal(found) + 1e-12
    zero = shrink_rows(v[None], tau * K, 10 * K, l2 * K, 3)[0]
    assert not zero.any() and goal(ours) <= goal(np.zeros(3))


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("loss", ["squared", "multinomial"])
def test_certificate_bounds_the_gap(loss, l1_ratio):
    """Against the optimum by scipy, over w = length times direction-free coordinates."""
    X, y, s = (tasks if loss == "squared" else codes)(weights=True)
    problem = problem_of(loss, alpha=0.1, l1_ratio=l1_ratio, weights=True)
    best = minimize(problem, "fista", tol=1e-11, max_iter=50_000, refine=False)
    b = np.atleast_1d(best.intercept)
    args = X, y, s
    assert best.objective == pytest.approx(
        objective(*args, best.coef, b, loss, 0.1, l1_ratio), rel=1e-10
    )

    def smooth(t):  # sqrt(||w||^2 + eps) in the place of the norm
        W, c = t[:-3].reshape(-1, 3), t[-3:]
        Z, w = X @ W + c, s / s.sum()
        R = Z - y if loss == "squared" else softmax(Z, axis=1) - np.eye(3)[y.astype(int)]
        if loss == "squared":
            value = 0.5 * w @ (R**2).sum(axis=1)
        else:
            value = -w @ log_softmax(Z, axis=1)[np.arange(len(y)), y.astype(int)]
        norms = np.sqrt((W**2).sum(axis=1) + 1e-12)
        value += 0.1 * (l1_ratio * norms.sum() + (1 - l1_ratio) / 2 * (W**2).sum())
        g = X.T @ (w[:, None] * R) + 0.1 * (l1_ratio / norms[:, None] + 1 - l1_ratio) * W
        return value, np.append(g, w @ R)

    start = np.append(best.coef + 0.01, b)
    found = scipy.optimize.minimize(
        smooth, start, jac=True, method="L-BFGS-B", options={"maxiter": 3000, "ftol": 1e-16}
    )
    assert best.objective <= found.fun + 1e-9
    assert best.objective == pytest.approx(found.fun, abs=2e-5)
    early = minimize(problem, "fista", max_iter=4, refine=False)
    assert 0 <= early.objective - best.objective <= early.dual_gap + 1e-12


@pytest.mark.parametrize("loss", ["squared", "multinomial"])
def test_alpha_max_is_where_rows_begin(loss):
    problem = problem_of(loss)
    top = float(alpha_max(problem)[0])
    for factor, active in ((1.001, False), (0.95, True)):
        result = minimize(problem.with_penalty(factor * top, 1.0), tol=1e-7)
        assert result.coef.any() == active


# ---- solvers


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("loss", ["squared", "multinomial"])
@pytest.mark.parametrize("name", ["auto", *SERVING])
def test_all_solvers_reach_one_optimum(name, loss, l1_ratio, intercept, form):
    settings = {"form": form, "weights": True, "l1_ratio": l1_ratio, "intercept": intercept}
    problem = problem_of(loss, alpha=0.05, **settings)
    result = minimize(problem, name, tol=1e-8, max_iter=20_000)
    assert result.status is Status.CONVERGED
    best = minimize(problem, "fista", tol=1e-11, max_iter=50_000)
    assert result.objective - best.objective <= result.dual_gap + 1e-12
    assert result.objective == pytest.approx(best.objective, rel=1e-6)
    rows = result.coef.any(axis=1)
    assert ((result.coef != 0).all(axis=1) == rows).all()  # all of a row or nothing
    if l1_ratio == 1 and name == "auto":
        np.testing.assert_array_equal(rows, best.coef.any(axis=1))


def test_others_say_what_they_lack():
    problem = problem_of("squared")
    for name in SOLVERS:
        if name in SERVING:
            assert resolve_solver(name, problem).name == name
            continue
        with pytest.raises(ValueError, match="rows of coefficients") as raised:
            minimize(problem, name)
        assert all(able in str(raised.value) for able in SERVING)


@pytest.mark.parametrize("loss", ["logistic", "huber", "hinge"])
def test_groups_need_outputs(loss):
    with pytest.raises(ValueError, match="needs coupled outputs"):
        Problem(np.eye(3), [0.0, 1.0, 1.0], loss=loss, group="rows")
    with pytest.raises(ValueError, match="is unknown"):
        Problem(np.eye(3), [0.0, 1.0, 1.0], loss="squared", group="columns")
    with pytest.raises(ValueError, match="cannot be combined"):
        Problem(np.eye(3), np.eye(3), loss="squared", group="rows", lower=0.0)


def prox_rows(V, tau, l1, l2):
    norms = np.sqrt((V**2).sum(axis=1, keepdims=True))
    return V * np.maximum(1 - tau * l1 / np.maximum(norms, 1e-300), 0) / (1 + tau * l2)


@pytest.mark.parametrize("name", ["saga", "svrg"])
@pytest.mark.parametrize("loss", ["squared", "multinomial"])
@pytest.mark.parametrize("form", FORMS)
def test_steps_are_those_of_the_twin(name, loss, form, monkeypatch):
    problem = problem_of(loss, l1_ratio=0.7, form=form)
    X, y, _ = (tasks if loss == "squared" else codes)(form=form)
    A, held = plain(X), plain(X) != 0 if form == "csr" else np.ones(X.shape, dtype=bool)
    start, order, seen = recorded_run(name, problem, "blocks", monkeypatch)
    n, L = len(A), 1.0 if loss == "squared" else 0.5
    c2 = 0.1 * (A**2).sum() / n
    gamma = 1 / (3 * L * ((A**2).sum(axis=1) + c2).max())
    D = n / np.maximum(held.sum(axis=0), 1)[:, None]

    def slopes(i, w, b):
        Z = A[i] @ w + b
        return Z - y[i] if loss == "squared" else softmax(Z, axis=-1) - np.eye(3)[int(y[i])]

    w, b = start[:-1].copy(), start[-1].copy()
    table, g, g_b = np.zeros((n, 3)), np.zeros_like(w), np.zeros(3)
    path = [np.vstack([w, b])]
    for t, i in enumerate(order):
        if name == "svrg" and t % (2 * n) == 0:
            table = np.array([slopes(k, w, b) for k in range(n)])
            g, g_b = A.T @ table / n, table.mean(axis=0)
        change, J = slopes(i, w, b) - table[i], np.flatnonzero(held[i])
        w = w.copy()
        step = np.outer(A[i, J], change) + D[J] * g[J]
        w[J] = prox_rows(w[J] - gamma * step, gamma * D[J], 0.07, 0.03)
        b = b - gamma * c2 * (change + g_b)
        if name == "saga":
            g, g_b = g + np.outer(A[i], change) / n, g_b + change / n
            table[i] += change
        path.append(np.vstack([w, b]))
    for steps, weights in seen:
        np.testing.assert_allclose(weights, path[steps], rtol=1e-9, atol=1e-11)


def test_warm_start_knows_the_kind_of_penalty():
    X, Y, _ = codes()
    settings = {"loss": "multinomial", "alpha": 0.05, "l1_ratio": 1.0}
    single = minimize(Problem(X, Y, **settings), "saga")
    rows = Problem(X, Y, group="rows", **settings)
    again = minimize(rows, "saga", init=single, tol=1e-8, max_iter=5000)
    best = minimize(rows, tol=1e-10)
    assert 0 <= again.objective - best.objective + 1e-12 <= again.dual_gap + 2e-12


# ---- estimators


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("alpha", [1e-3, 0.1, 0.5])
def test_multi_task_estimators_are_scikit_learns(alpha, intercept, form):
    X, Y, _ = tasks(n=50, d=30, form=form)
    for ours, theirs, extra in (
        (MultiTaskLasso, sklearn.linear_model.MultiTaskLasso, {}),
        (MultiTaskElasticNet, sklearn.linear_model.MultiTaskElasticNet, {"l1_ratio": 0.3}),
    ):
        settings = {"alpha": alpha, "fit_intercept": intercept, "tol": 1e-12, **extra}
        other = theirs(max_iter=100_000, **settings).fit(plain(X), Y)
        model = ours(max_iter=10_000, **settings).fit(X, Y)
        np.testing.assert_allclose(model.coef_, other.coef_, atol=2e-6)
        np.testing.assert_allclose(model.intercept_, other.intercept_, atol=2e-6)
        assert model.coef_.shape == (3, 30) and np.shape(model.intercept_) == (3,)
        np.testing.assert_allclose(model.predict(X), other.predict(plain(X)), atol=1e-5)


def test_multi_task_needs_two_axes_of_targets():
    X, Y, _ = tasks()
    with pytest.raises(ValueError, match="For mono-task outputs, use ElasticNet"):
        MultiTaskElasticNet().fit(X, Y[:, 0])
    one = MultiTaskLasso(alpha=0.1, tol=1e-10).fit(X, Y[:, :1])
    lasso = fastsum.Lasso(alpha=0.1, tol=1e-10).fit(X, Y[:, 0])
    np.testing.assert_allclose(one.coef_[0], lasso.coef_, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_features_of_softmax_are_in_use_for_all_classes(dtype):
    X, y, _ = codes(n=300, d=20)
    model = FiniteSumClassifier("multinomial", alpha=0.03, l1_ratio=1.0, group="rows", tol=1e-5)
    model.fit(X.astype(dtype), y)
    used = model.coef_.any(axis=0)
    assert 0 < used.sum() < 20 and (model.coef_[:, used] != 0).all()
    assert model.coef_.dtype == dtype and model.status_ is Status.CONVERGED


def test_weights_repeat_rows():
    X, Y, s = tasks(weights=True)
    weighted = MultiTaskLasso(alpha=0.1, tol=1e-12).fit(X, Y, sample_weight=s)
    repeats = s.astype(int)
    repeated = MultiTaskLasso(alpha=0.1, tol=1e-12)
    repeated.fit(np.repeat(X, repeats, axis=0), np.repeat(Y, repeats, axis=0))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-7)
    o = np.random.default_rng(0).standard_normal(Y.shape)
    shifted = MultiTaskLasso(alpha=0.1, tol=1e-12).fit(X, Y + o, offset=o)
    plain_fit = MultiTaskLasso(alpha=0.1, tol=1e-12).fit(X, Y)
    np.testing.assert_allclose(shifted.coef_, plain_fit.coef_, atol=1e-9)


def test_a_plain_problem_is_as_before():
    problem = random_problem(0, "squared", "multi", penalty="l1")
    assert not problem.penalty.rows and problem.loss.name == "squared"
