"""The certificate, recomputed in NumPy; and its gap against the true suboptimality of fits."""

import functools
import warnings

import numpy as np
import pytest
from family import CORE_NAMES
from problems import CURVED_LAYOUTS, DTYPES, LOSS_LAYOUTS, STORAGES, random_problem
from reference import certificate as reference
from reference.arrays import arrays_of

import fastsum
from fastsum import minimize
from fastsum.certificate import Certifier
from fastsum.data import as_rows
from fastsum.penalties import PENALTIES
from fastsum.result import Status


def random_point(problem, scale=0.5, seed=0):
    """Weights (d + 1, K) with some zeros."""
    rng = np.random.default_rng(seed)
    W = scale * rng.standard_normal((problem.rows.n_cols + 1, problem.K))
    W[:-1][rng.random(W[:-1].shape) < 0.3] = 0.0
    if not problem.fit_intercept:
        W[-1] = 0.0
    return W.astype(problem.dtype)


def oracle(problem):
    """The plainest solver there is for the loss."""
    return "saga" if problem.loss.smooth else "auto"


def assert_certificate_is_numpys(problem, W, certificate):
    w, b = W[:-1].astype(float), certificate.intercept
    objective = reference.objectives(problem, w, b)
    np.testing.assert_allclose(certificate.objective, objective, rtol=1e-12)
    expected, size = reference.gaps(problem, w, b), 1 + np.abs(objective)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.isfinite(certificate.gap), finite)
    # the null model's dual point may be the better one
    null = reference.gaps(problem, 0 * w, Certifier(problem, 1).null.intercept)
    F_null = reference.objectives(problem, 0 * w, Certifier(problem, 1).null.intercept)
    with np.errstate(invalid="ignore"):
        best = np.where(finite, np.fmin(expected, objective - (F_null - null)), 0.0)
    gap = np.where(finite, certificate.gap, 0.0)
    assert (np.abs(gap - best) <= 1e-11 * size + 1e-9 * best).all()
    assert (gap >= 0).all()
    np.testing.assert_allclose(
        certificate.subgradient, reference.subgradients(problem, w, b), rtol=1e-9
    )
    if problem.fit_intercept:
        assert np.abs(reference.intercept_slope(problem, w, b)).max() < 1e-8
    else:
        assert not b.any()


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weights", ["none", "zeros"])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(("loss", "layout"), CURVED_LAYOUTS)
def test_certificate_is_numpys(loss, layout, penalty, weights, fit_intercept):
    problem = random_problem(
        20, loss, layout, storage="csr", penalty=penalty, weights=weights,
        fit_intercept=fit_intercept,
    )  # fmt: skip
    for scale in (0.1, 2.0):
        W = random_point(problem, scale)
        assert_certificate_is_numpys(problem, W, Certifier(problem, 1)(W))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(("loss", "layout"), CURVED_LAYOUTS)
def test_sums_are_float64_for_every_storage(loss, layout, storage, dtype):
    problem = random_problem(21, loss, layout, storage=storage, dtype=dtype, penalty="elasticnet")
    W = random_point(problem)
    assert W.dtype == dtype
    assert_certificate_is_numpys(problem, W, Certifier(problem, 1)(W))


@pytest.mark.parametrize("weights", ["none", "zeros"])
@pytest.mark.parametrize(("loss", "layout"), CURVED_LAYOUTS)
def test_derivatives_gradient_and_curvature(loss, layout, weights):
    problem = random_problem(22, loss, layout, weights=weights)
    W, certifier, a = random_point(problem), Certifier(problem, 2), arrays_of(problem)
    z = a.X @ W[:-1] + certifier(W).intercept
    u = a.derivatives(slice(None), z)
    np.testing.assert_allclose(certifier.derivatives, u, rtol=1e-9, atol=1e-12)
    gradient = a.X.T @ (a.s[:, None] * u) / a.S
    np.testing.assert_allclose(certifier.gradient, gradient, rtol=1e-9, atol=1e-12)
    h = certifier.curvature()
    for i in (0, 5, len(z) - 1):
        for k, z_k in enumerate(a.per_problem(z[i])):
            expected = problem.loss.second(z_k, a.Y[i, k])
            np.testing.assert_allclose(h[i, k], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("weights", ["none", "random"])
@pytest.mark.parametrize(("loss", "layout"), CURVED_LAYOUTS)
def test_null_model_has_the_best_intercept(loss, layout, weights):
    problem = random_problem(23, loss, layout, weights=weights)
    a, null = arrays_of(problem), Certifier(problem, 1).null
    s = a.s / a.S
    assert_certificate_is_numpys(problem, np.zeros((8, problem.K)), null)
    if loss == "squared":
        means = s @ a.Y
        np.testing.assert_allclose(null.intercept, means)
        np.testing.assert_allclose(null.objective, s @ (a.Y - means) ** 2 / 2)
    elif loss == "logistic":
        p = s @ (a.Y > 0)
        np.testing.assert_allclose(null.intercept, np.log(p / (1 - p)), atol=1e-10)
        entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p))
        np.testing.assert_allclose(null.objective, entropy, rtol=1e-12)
    elif loss == "multinomial":
        p = np.array([s @ (a.Y[:, 0] == c) for c in range(a.C)])
        np.testing.assert_allclose(null.intercept, np.log(p) - np.log(p).mean(), atol=1e-10)
        assert null.objective[0] == pytest.approx(-(p * np.log(p)).sum(), rel=1e-12)


@functools.cache
def problem_and_optimum(loss, layout, penalty, dtype=np.float64):
    options = {"weights": "zeros", "alpha": 0.05, "n": 60, "d": 5, "dtype": dtype}
    problem = random_problem(24, loss, layout, penalty=penalty, **options)
    return problem, reference.optimum(problem)


def assert_gap_is_a_bound(result, least):
    objective = result.trace["objective"].reshape(len(result.trace), -1)
    gap = result.trace["gap"].reshape(len(result.trace), -1)
    assert (gap >= 0).all()
    assert (objective - least <= gap + 1e-9 * (1 + least)).all()
    assert (objective >= least - 1e-9 * (1 + least)).all()


@pytest.mark.filterwarnings("ignore:the certified gap is at the floor")  # where w = 0 is optimal
@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("penalty", [name for name in PENALTIES if name != "none"])
@pytest.mark.parametrize(("loss", "layout"), LOSS_LAYOUTS)
@pytest.mark.parametrize("name", CORE_NAMES)
def test_gap_bounds_the_suboptimality_along_a_fit(name, loss, layout, penalty, refine):
    problem, least = problem_and_optimum(loss, layout, penalty)
    rng = np.random.default_rng(0)
    far = (5 * rng.standard_normal((problem.rows.n_cols, problem.K)), np.zeros(problem.K))
    for init in (None, far):
        fit = {"tol": 1e-7, "max_iter": 2000, "random_state": 0, "refine": refine, "init": init}
        result = fastsum.minimize(problem, name, **fit)
        assert_gap_is_a_bound(result, least)
        assert result.status.reached
        own = reference.objectives(problem, result.coef.reshape(-1, problem.K), result.intercept)
        np.testing.assert_allclose(result.objective, own, rtol=1e-12)


@pytest.mark.filterwarnings("ignore:the certified gap is at the floor of float32")
@pytest.mark.parametrize(("loss", "layout"), LOSS_LAYOUTS)
@pytest.mark.parametrize("name", CORE_NAMES)
def test_gap_bounds_the_suboptimality_in_float32(name, loss, layout):
    problem, least = problem_and_optimum(loss, layout, "l1", np.float32)
    result = fastsum.minimize(problem, name, tol=1e-5, max_iter=2000, random_state=0)
    assert result.coef.dtype == np.float32
    assert_gap_is_a_bound(result, least)


@pytest.mark.parametrize("scale", [1e2, 1e3, 1e5])
@pytest.mark.parametrize(("loss", "layout"), CURVED_LAYOUTS)
def test_a_far_point_does_not_spoil_later_certificates(loss, layout, scale):
    """Saturated margins: the best intercept is hard to find, and the dual point hangs on it."""
    problem = random_problem(26, loss, layout)
    least = reference.optimum(problem)
    certifier = Certifier(problem, 1)
    for seed in range(5):
        far = certifier(random_point(problem, scale, seed))
        assert (far.gap >= (far.objective - least) * (1 - 1e-9)).all()
    near = certifier(random_point(problem, 0.3))
    assert (near.gap >= (near.objective - least) * (1 - 1e-9)).all()


@pytest.mark.parametrize(("loss", "layout"), LOSS_LAYOUTS)
@pytest.mark.parametrize("name", CORE_NAMES)
def test_without_a_penalty_the_subgradient_decides(name, loss, layout):
    problem = random_problem(27, loss, layout, penalty="none", n=80, d=3)
    tol = 1e-6
    result = fastsum.minimize(problem, name, tol=tol, max_iter=20000, random_state=0)
    assert result.status is Status.STATIONARY
    assert np.isinf(result.dual_gap).all()
    null = Certifier(problem, 1).null
    w = result.coef.reshape(3, -1)
    norms = reference.subgradients(problem, w, result.intercept)
    limit = tol * reference.subgradients(problem, 0 * w, null.intercept)
    assert (norms <= limit * (1 + 1e-9)).all()
    np.testing.assert_allclose(result.objective, reference.optimum(problem), rtol=1e-6)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(("loss", "layout"), CURVED_LAYOUTS)
def test_no_passes_return_zeros(loss, layout, fit_intercept):
    problem = random_problem(28, loss, layout, fit_intercept=fit_intercept)
    result = fastsum.minimize(problem, max_iter=0)
    K = problem.K
    assert result.coef.shape == ((7,) if K == 1 else (7, K))
    assert not result.coef.any() and not np.any(result.intercept)
    assert (result.n_iter, result.status, len(result.trace)) == (0, Status.MAX_ITER, 0)
    zero = reference.objectives(problem, np.zeros((7, K)), np.zeros(K))
    np.testing.assert_allclose(result.objective, zero, rtol=1e-12)
    assert (result.dual_gap >= zero - reference.optimum(problem) - 1e-12).all()


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(("loss", "layout"), CURVED_LAYOUTS)
def test_threads_change_nothing_but_rounding(loss, layout, storage):
    problem = random_problem(29, loss, layout, n=400, storage=storage, penalty="elasticnet")
    W = random_point(problem)
    one, two, again = (Certifier(problem, k)(W) for k in (1, 2, 2))
    for name in ("objective", "gap", "subgradient", "intercept"):
        np.testing.assert_allclose(getattr(two, name), getattr(one, name), rtol=1e-12, atol=1e-13)
        np.testing.assert_array_equal(getattr(two, name), getattr(again, name))


def test_coupled_intercepts_sum_to_zero():
    problem = random_problem(30, "multinomial", "coupled")
    W = random_point(problem)
    certificate = Certifier(problem, 1)(W)
    assert abs(certificate.intercept.sum()) < 1e-12
    W[-1] += 3.0  # a common shift changes nothing
    shifted = Certifier(problem, 1)(W)
    np.testing.assert_allclose(shifted.intercept, certificate.intercept, atol=1e-9)
    assert shifted.objective[0] == pytest.approx(certificate.objective[0], rel=1e-12)


@pytest.mark.parametrize("weights", ["none", "zeros"])
@pytest.mark.parametrize(("loss", "layout"), LOSS_LAYOUTS)
def test_the_best_intercept_leaves_no_slope_beyond_rounding(loss, layout, weights):
    """From a start as near as 1e-15; the gap adds the slope times a reach, here 3 or so."""
    problem = random_problem(31, loss, layout, n=200, weights=weights, alpha=0.1)
    best = minimize(problem, "saga", tol=1e-13, max_iter=3000, random_state=0)
    W = np.vstack([best.coef.reshape(-1, problem.K), np.reshape(best.intercept, (1, -1))])
    certifier = Certifier(problem, 1)
    for far in (0.0, 3e-16, 1e-15, 3e-15, 1e-14, 1e-13):
        moved = W.copy()
        moved[-1] += far * np.cos(np.arange(problem.K))
        c = certifier(moved)
        assert (c.own_gap <= 1e-20).all()
        assert (c.gap <= 16 * np.finfo(float).eps * np.abs(c.objective)).all()


@pytest.mark.parametrize("offset", [0.0, 30.0])
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize(("loss", "layout"), CURVED_LAYOUTS)
def test_a_slope_left_in_the_intercept_is_paid_for(loss, layout, penalty, offset):
    """Where columns lie far from 0 the best intercept does so too, and the slope counts more."""
    base = random_problem(33, loss, layout, penalty=penalty, alpha=0.02, d=4)
    shift = offset * np.array([1.0, 0.0, -0.5, 0.0])
    X = arrays_of(base).X + shift
    problem = base.on_rows(as_rows(X), None, None)
    rng, least = np.random.default_rng(0), reference.optimum(base)  # of the same data, shifted
    best = minimize(base, tol=1e-10)
    W = np.vstack([best.coef.reshape(4, -1), np.reshape(best.intercept, (1, -1))])
    W[-1] -= shift @ W[:-1]
    certifier, paid = Certifier(problem, 1), 0
    for in_w, in_b in ((0.0, 0.3), (0.0, 2.0), (1e-3, 0.3), (1.0, 1.0)):
        noise = rng.standard_normal((5, problem.K))
        w, b = W[:-1] + in_w * noise[:-1], W[-1] + in_b * noise[-1]
        slope = reference.intercept_slope(problem, w, b)
        F, missing = reference.objectives(problem, w, b), (b * slope).reshape(len(least), -1)
        gap = reference.gaps(problem, w, b) - missing.sum(axis=1)
        certifier._terms = (np.abs(X) @ np.abs(w) + np.abs(b)).max(axis=0)
        certifier._terms = certifier._terms.reshape(len(least), -1).max(axis=1)
        slope = np.abs(slope).reshape(len(least), -1).max(axis=1)
        bound = certifier._with_slope(F, gap, slope)
        assert (F - bound <= least + 1e-6 * (1 + least)).all()
        paid += (F - gap > least + 1e-3).sum()
    assert paid > 0 or offset > 0 or penalty == "l2"  # without it the gap would not be one


def exactly(X, y, loss, alpha, offset, w, b):
    """F - min F in extended precision, for X whose columns are near `offset`."""
    A = np.hstack([X.astype(LONG) - offset, np.ones((len(X), 1))])
    w = w.astype(LONG)
    at = np.append(w, LONG(b) + offset.astype(LONG) @ w)
    ridge = np.append(np.full(len(w), LONG(alpha)), 0)

    def value_slope_curvature(v):
        z = A @ v
        if loss == "squared":
            f, u, h = (z - y) ** 2 / 2, z - y, np.ones_like(z)
        else:
            p = 1 / (1 + np.exp(y * z))
            f, u, h = np.logaddexp(0, -y * z), -y * p, p * (1 - p)
        n = len(y)
        return f.mean() + ridge @ v**2 / 2, A.T @ u / n + ridge * v, (A.T * h) @ A / n

    best = at
    for _ in range(60):  # float64 steps with slopes in extended precision
        _, g, H = value_slope_curvature(best)
        best = best - np.linalg.solve((H + np.diag(ridge)).astype(float), g.astype(float))
    return float(value_slope_curvature(at)[0] - value_slope_curvature(best)[0])


LONG = np.longdouble


@pytest.mark.skipif(np.finfo(LONG).eps > 1e-18, reason="no extended precision")
@pytest.mark.parametrize("solver", ["auto", "saga"])
@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("size", [1e4, 1e6, 1e8])
def test_gaps_bound_the_truth_where_margins_cancel(size, loss, solver):
    offset = size * np.array([1.0, 0.0, -0.5])
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((int(rng.integers(8, 40)), 3)) + offset
        s = (X - offset) @ rng.standard_normal(3) + rng.standard_normal(len(X))
        y = s if loss == "squared" else np.where(s > np.median(s), 1.0, -1.0)
        for tol in (1e-9, 1e-13):
            problem = fastsum.Problem(X, y, loss=loss, alpha=1e-5)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # such a tol is below what float64 can give here
                result = minimize(problem, solver, tol=tol, max_iter=200)
            truth = exactly(X, y, loss, 1e-5, offset, result.coef, result.intercept)
            assert truth <= result.dual_gap


SEPARATE = [(loss, layout) for loss, layout in CURVED_LAYOUTS if loss != "multinomial"]


def slopes_at(problem, W):
    """A fresh certifier and its (n, K) dual point at W."""
    certifier = Certifier(problem, 1)
    certifier(W)
    return certifier.derivatives.copy()


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weights", ["none", "zeros"])
@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
@pytest.mark.parametrize(("loss", "layout"), SEPARATE)
def test_a_given_dual_point_proves_what_is_true(loss, layout, penalty, weights, fit_intercept):
    problem = random_problem(
        30, loss, layout, penalty=penalty, weights=weights, alpha=0.05, n=60, d=5,
        fit_intercept=fit_intercept,
    )  # fmt: skip
    best = minimize(problem, oracle(problem), tol=1e-14, max_iter=20000)
    optimum = np.vstack([best.coef, best.intercept]) if best.coef.ndim == 2 else np.append(
        best.coef, best.intercept)[:, None]  # fmt: skip
    W = random_point(problem, 0.3)
    rng = np.random.default_rng(31)
    exact = slopes_at(problem, optimum)
    for noise in (0.0, 0.01, 0.3, 3.0):
        u = exact + noise * rng.standard_normal(exact.shape)
        certifier = Certifier(problem, 1)
        plain = certifier(W)
        better = certifier.with_dual(W, plain, (u, 0 * plain.gap), plain.gap * (1 - 1e-9))
        suboptimality = plain.objective - best.objective
        assert (better.gap >= suboptimality - 1e-9).all()
        assert (better.gap <= plain.gap).all()
        np.testing.assert_array_equal(better.objective, plain.objective)
        if noise == 0:  # the best dual point leaves no gap but the suboptimality
            np.testing.assert_allclose(better.gap, suboptimality, atol=1e-8)


def test_a_dual_point_that_cannot_reach_the_target_is_left_alone():
    problem = random_problem(32, "logistic", "single", penalty="l2", n=60, d=5)
    certifier = Certifier(problem, 1)
    plain = certifier(random_point(problem))
    u = certifier.derivatives.copy()
    assert certifier.with_dual(None, plain, (u, plain.gap), 0.5 * plain.gap) is plain


def test_a_dual_point_that_is_not_balanced_pays_for_its_slope(monkeypatch):
    # columns far from 0: a common shift of the slopes takes the gradient away, not its cost
    monkeypatch.setattr("fastsum.certificate.MAX_BALANCE", 0)
    centred = np.random.default_rng(0).standard_normal((200, 3))
    centred -= centred.mean(axis=0)
    y = centred.sum(axis=1)
    problem = fastsum.Problem(centred + 10.0, y, loss="squared", alpha=0.1)
    H, q = centred.T @ centred / 200, centred.T @ y / 200
    suboptimality = 0.5 * q @ np.linalg.solve(H + 0.1 * np.eye(3), q)  # of w = 0
    certifier, zero = Certifier(problem, 1), np.zeros((4, 1))
    plain = certifier(zero)
    for shift in np.linspace(-0.5, 0.5, 51):
        u = certifier.derivatives + shift
        better = certifier.with_dual(zero, plain, (u, 0 * plain.gap), 0.999 * plain.gap)
        assert better.gap[0] >= suboptimality * (1 - 1e-9)


@pytest.mark.parametrize(("loss", "layout"), SEPARATE)
def test_dual_points_are_moved_into_the_domain(loss, layout):
    problem = random_problem(33, loss, layout, n=20, d=3)
    wild = 5.0 * np.random.default_rng(34).standard_normal((20, problem.K))
    y = np.column_stack([problem.labels_of(b) for b in range(problem.K)])
    moved = problem.loss.dual_feasible(wild, y)
    for u, start, label in zip(moved.ravel(), wild.ravel(), y.ravel(), strict=True):
        assert np.isfinite(problem.loss.conjugate(u, label))
        if np.isfinite(problem.loss.conjugate(start, label)):
            assert u == start
