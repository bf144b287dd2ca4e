"""The hinge loss: a linear program's intercept, certificates at kinks, fits against cvxpy."""

import numpy as np
import pytest
import scipy.optimize
from problems import DTYPES, KINKED_LAYOUTS, STORAGES, random_problem
from reference import certificate as reference
from reference.arrays import arrays_of
from sklearn.svm import LinearSVC

import fastsum
from fastsum.certificate import Certifier
from fastsum.null_model import alpha_max
from fastsum.solvers import SOLVERS

WEIGHTS = ("none", "random", "zeros")
LAYOUTS = [layout for _, layout in KINKED_LAYOUTS]


def least(problem, b=0):
    """The optimum of problem b by cvxpy."""
    cp = pytest.importorskip("cvxpy")
    a = arrays_of(problem)
    w, intercept = cp.Variable(a.X.shape[1]), cp.Variable()
    z = a.X @ w + (intercept if a.fit_intercept else 0.0)
    h = a.l1[b] * cp.norm1(w) + a.l2[b] / 2 * cp.sum_squares(w)
    terms = cp.pos(1 - cp.multiply(a.Y[:, b], z))
    goal = cp.Problem(cp.Minimize(a.s @ terms / a.S + h))
    goal.solve(solver="CLARABEL")
    return goal.value


# ---- the intercept and the certificate


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_intercept_is_a_best_one(layout, weights):
    """F is piecewise linear in b: no kink is lower, and the slopes at it sum to 0."""
    problem = random_problem(1, "hinge", layout, weights=weights, n=50)
    a, certifier = arrays_of(problem), Certifier(problem, 1)
    for scale in (0.0, 0.3, 3.0, 1e3):
        W = scale * np.random.default_rng(2).standard_normal((8, problem.K))
        c = certifier(W)
        Z = a.X @ W[:-1]
        kinks = a.Y - Z
        for k in range(problem.K):
            values = [a.s @ np.maximum(1 - a.Y[:, k] * (Z[:, k] + b), 0) for b in kinks[:, k]]
            h = a.l2[k] / 2 * W[:-1, k] @ W[:-1, k]
            assert c.objective[k] == pytest.approx(min(values) / a.S + h, rel=1e-12, abs=1e-13)
        u = certifier.derivatives
        assert (np.abs(a.s @ u) <= 1e-10 * a.S).all()
        assert ((-a.Y * u >= 0) & (-a.Y * u <= 1)).all()


def test_classes_of_one_weight_leave_the_intercept_where_it_is():
    """Any b in [-1, 1] is best for w = 0, and all slopes are 1."""
    problem = fastsum.Problem(np.eye(4), [1, 1, 0, 0], loss="hinge")
    certifier = Certifier(problem, 1)
    null = certifier.null
    assert -1 <= null.intercept[0] <= 1 and null.objective[0] == 1.0
    np.testing.assert_array_equal(certifier.derivatives[:, 0], [-1, -1, 1, 1])
    uneven = Certifier(fastsum.Problem(np.eye(4), [1, 1, 1, 0], loss="hinge"), 1).null
    assert uneven.intercept[0] == pytest.approx(1.0) and uneven.objective[0] == pytest.approx(0.5)


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_gaps_at_any_point_are_bounds(layout, weights, penalty):
    problem = random_problem(3, "hinge", layout, weights=weights, penalty=penalty, alpha=0.03)
    best = np.array([least(problem, b) for b in range(problem.K)])
    certifier = Certifier(problem, 1)
    for scale in (0.0, 0.1, 1.0, 30.0):
        W = scale * np.random.default_rng(4).standard_normal((8, problem.K))
        c = certifier(W)
        F = reference.objectives(problem, W[:-1], c.intercept)
        np.testing.assert_allclose(c.objective, F, rtol=1e-12)
        assert (c.objective - best <= c.gap + 1e-8).all()


# ---- fits


@pytest.mark.filterwarnings("ignore:the certified gap is at the floor")  # where w = 0 is optimal
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize("storage", STORAGES)
def test_auto_agrees_with_cvxpy(storage, penalty, weights, fit_intercept):
    for alpha, tol in ((0.1, 1e-8), (1e-3, 1e-6)):
        problem = random_problem(
            5, "hinge", storage=storage, penalty=penalty, weights=weights,
            fit_intercept=fit_intercept, alpha=alpha,
        )  # fmt: skip
        result = fastsum.minimize(problem, tol=tol, max_iter=3000)
        assert result.status == "converged" or not result.coef.any()
        assert set(result.trace["phase"]) <= {"smoothing", "start"}
        above = result.objective - least(problem)
        assert -1e-8 <= above <= result.dual_gap + 1e-8
        gap, objective = result.trace["gap"], result.trace["objective"]
        assert (objective - result.objective <= gap + 1e-12).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_auto_in_float32_on_blocks_and_side_by_side(layout, dtype):
    tol = 1e-6 if dtype is np.float64 else 1e-4
    for n_blocks in (1, 3):
        problem = random_problem(6, "hinge", layout, dtype=dtype, n_blocks=n_blocks, alpha=0.02)
        result = fastsum.minimize(problem, tol=tol, max_iter=3000)
        best = np.array([least(problem, b) for b in range(problem.K)])
        assert result.coef.dtype == dtype and result.status == "converged"
        assert (result.objective - best <= result.dual_gap + 1e-7).all()
        again = fastsum.minimize(problem, tol=tol, max_iter=3000)
        np.testing.assert_array_equal(again.coef, result.coef)


def test_weights_are_repeated_rows():
    base = random_problem(7, "hinge", alpha=0.05)
    times = np.random.default_rng(7).integers(0, 4, len(base.y))
    X, settings = arrays_of(base).X, {"loss": "hinge", "alpha": 0.05}
    some = np.repeat(np.arange(len(times)), times)
    one = fastsum.Problem(X, base.y, sample_weight=times, **settings)
    two = fastsum.Problem(X[some], base.y[some], **settings)
    one, two = (fastsum.minimize(p, tol=1e-8, max_iter=3000) for p in (one, two))
    np.testing.assert_allclose(one.objective, two.objective, rtol=1e-7)
    np.testing.assert_allclose(one.coef, two.coef, atol=1e-3)


def test_without_an_intercept_it_is_liblinears():
    problem = random_problem(8, "hinge", n=120, fit_intercept=False, alpha=0.01)
    a = arrays_of(problem)
    theirs = LinearSVC(
        loss="hinge", C=1 / (0.01 * a.S), fit_intercept=False, tol=1e-9, max_iter=10**6
    ).fit(a.X, a.Y[:, 0])
    ours = fastsum.minimize(problem, tol=1e-9, max_iter=3000)
    np.testing.assert_allclose(ours.coef, theirs.coef_[0], atol=2e-4)


def test_separable_rows_end_at_the_widest_margin():
    """A weak penalty on separable rows: the hard-margin SVM, by its quadratic program."""
    rng = np.random.default_rng(9)
    X = rng.standard_normal((40, 3))
    y = np.sign(X @ [1.0, -2.0, 0.5] + 0.3)
    X += 0.3 * y[:, None] * np.array([1.0, -2.0, 0.5])
    hard = scipy.optimize.minimize(
        lambda v: v[:3] @ v[:3] / 2, np.r_[3.0, -6.0, 1.5, 0.9], jac=lambda v: np.r_[v[:3], 0.0],
        constraints={"type": "ineq", "fun": lambda v: y * (X @ v[:3] + v[3]) - 1},
        method="SLSQP", options={"ftol": 1e-14, "maxiter": 500},
    ).x  # fmt: skip
    result = fastsum.minimize(fastsum.Problem(X, y, loss="hinge", alpha=1e-5), tol=1e-8)
    np.testing.assert_allclose(np.append(result.coef, result.intercept), hard, rtol=1e-3)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_alpha_max_separates_no_coefficient_from_some(fit_intercept, weights):
    problem = random_problem(3, "hinge", weights=weights, fit_intercept=fit_intercept, penalty="l1")
    top = alpha_max(problem)[0]
    above = fastsum.minimize(problem.with_penalty(1.001 * top, 1.0), tol=1e-7, max_iter=2000)
    below = fastsum.minimize(problem.with_penalty(0.99 * top, 1.0), tol=1e-7, max_iter=3000)
    assert not np.abs(above.coef).max() > 1e-9 and np.abs(below.coef).max() > 1e-3
    assert below.objective < Certifier(problem, 1).null.objective[0] - 1e-6


# ---- what is refused


def test_who_cannot_serve_says_so():
    problem = random_problem(10, "hinge")
    for name in ("saga", "svrg"):
        with pytest.raises(
            ValueError, match=r"'hinge' has no finite curvature.*that can: \['auto'"
        ):
            fastsum.minimize(problem, name)
    with pytest.raises(ValueError, match="cannot serve this problem"):
        fastsum.minimize(random_problem(10, "hinge", penalty="none"))
    assert {"saga", "svrg"} <= set(SOLVERS)
