"""The losses with a parameter, at several values: optima, exact intercepts, certificates."""

import numpy as np
import pytest
import scipy.optimize
from family import CORE_NAMES
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_problem
from reference import certificate as reference
from reference.arrays import arrays_of

import fastsum
from fastsum.certificate import Certifier
from fastsum.line_search import Minimum
from fastsum.losses import LOSSES, get_loss

CASES = [("huber", p) for p in (0.05, 1.35, 30.0)]
CASES += [("smoothed_hinge", p) for p in (0.05, 1.0, 4.0)]
each_case = pytest.mark.parametrize(("loss", "param"), CASES)
FIT = {"tol": 1e-10, "max_iter": 20000, "random_state": 0}


def with_param(problem, loss, param, **changes):
    """The same rows and labels with a loss and a parameter."""
    given = {
        "alpha": problem.penalty.alpha,
        "l1_ratio": problem.penalty.l1_ratio,
        "sample_weight": problem.sample_weight,
        "fit_intercept": problem.fit_intercept,
    }
    return fastsum.Problem(
        problem.rows, problem.y, loss=loss, loss_param=param, **{**given, **changes}
    )


# ---- optima


@each_case
@pytest.mark.parametrize("penalty", ["l2", "elasticnet", "l1"])
@pytest.mark.parametrize("name", CORE_NAMES)
def test_agrees_with_cvxpy(name, penalty, loss, param):
    cp = pytest.importorskip("cvxpy")
    p = with_param(random_problem(1, loss, penalty=penalty, weights="random"), loss, param)
    a = arrays_of(p)
    w, b, y = cp.Variable(a.X.shape[1]), cp.Variable(), a.Y[:, 0]
    z = a.X @ w + b
    if loss == "huber":
        terms = cp.huber(z - y, param) / 2
    else:  # the Moreau envelope of the hinge: min over q of [q]_+ + (t - q)^2 / (2 p)
        q = cp.Variable(len(y))
        t = 1 - cp.multiply(y, z)
        terms = cp.pos(q) + cp.square(t - q) / (2 * param)
    h = a.l1[0] * cp.norm1(w) + a.l2[0] / 2 * cp.sum_squares(w)
    goal = cp.Problem(cp.Minimize(a.s @ terms / a.S + h))
    goal.solve(solver="CLARABEL")
    ours = fastsum.minimize(p, name, **FIT)
    assert ours.status.reached
    assert ours.objective == pytest.approx(goal.value, abs=1e-7)
    assert ours.objective - goal.value <= ours.dual_gap + 1e-7


@pytest.mark.parametrize("storage", ["dense", "csr", "ones"])
def test_a_wide_huber_is_the_squared_loss(storage):
    options = {"storage": storage, "weights": "zeros", "penalty": "elasticnet"}
    squared = random_problem(2, "squared", **options)
    wide = with_param(squared, "huber", 1e6)
    to_the_floor = {**FIT, "tol": 0.0}  # their ways there differ
    one, two = fastsum.minimize(squared, **to_the_floor), fastsum.minimize(wide, **to_the_floor)
    np.testing.assert_allclose(two.coef, one.coef, atol=1e-12)
    assert two.objective == pytest.approx(one.objective, rel=1e-12)


def test_huber_scales_with_the_targets():
    """F(c w; c y, c delta) = c^2 F(w; y, delta) for the l2 penalty."""
    p = with_param(random_problem(3, "huber"), "huber", 0.4)
    q = fastsum.Problem(p.rows, 50 * p.y, loss="huber", loss_param=20.0, alpha=p.penalty.alpha)
    one, two = fastsum.minimize(p, **FIT), fastsum.minimize(q, **FIT)
    np.testing.assert_allclose(two.coef, 50 * one.coef, rtol=1e-4)
    assert two.objective == pytest.approx(2500 * one.objective, rel=1e-9)


def test_smoothed_hinge_of_small_margins_is_half_the_squared_hinge():
    """With all margins in [1 - gamma, inf) it is the squared hinge over 2 gamma."""
    p = random_problem(4, "squared_hinge", alpha=0.2)
    gamma = 50.0
    q = with_param(p, "smoothed_hinge", gamma, alpha=0.2 / (2 * gamma))
    one, two = fastsum.minimize(p, **FIT), fastsum.minimize(q, **FIT)
    np.testing.assert_allclose(two.coef, one.coef, atol=1e-5)
    assert two.objective == pytest.approx(one.objective / (2 * gamma), rel=1e-9)


@each_case
def test_general_estimators_take_the_parameter(loss, param):
    problem = with_param(random_problem(5, loss, alpha=0.02), loss, param)
    name = "FiniteSumRegressor" if loss == "huber" else "FiniteSumClassifier"
    model = getattr(fastsum, name)(loss, loss_param=param, alpha=0.02, **FIT)
    a = arrays_of(problem)
    model.fit(a.X, a.Y[:, 0])
    ours = fastsum.minimize(problem, **FIT)
    np.testing.assert_allclose(np.ravel(model.coef_), ours.coef, atol=1e-6)
    assert model.objective_ == pytest.approx(reference.optimum(problem)[0], rel=1e-7)


def test_a_warm_start_with_another_parameter_keeps_no_tables():
    p = with_param(random_problem(6, "huber"), "huber", 0.2)
    first = fastsum.minimize(p, **FIT)
    other = with_param(p, "huber", 2.0)
    again = fastsum.minimize(other, init=first, **FIT)
    np.testing.assert_allclose(again.coef, fastsum.minimize(other, **FIT).coef, atol=1e-5)
    assert p.data_fingerprint() != other.data_fingerprint()
    assert "loss=huber, loss_param=0.2" in repr(p)


# ---- the certificate


def long_objective(problem, w, b):
    """F(w, b) for l2 in extended precision, from docs/maths.md eq. (1) and (3)."""
    a, p, T = arrays_of(problem), np.longdouble(problem.loss.param), np.longdouble
    X, y, s, w = a.X.astype(T), a.Y[:, 0].astype(T), a.s.astype(T), np.asarray(w, dtype=T).ravel()
    z = X @ w + T(b)
    if problem.loss.name == "huber":
        r = z - y
        value = np.where(np.abs(r) <= p, r * r / 2, p * (np.abs(r) - p / 2))
    else:
        t = 1 - y * z
        value = np.where(t <= 0, 0 * t, np.where(t <= p, t * t / (2 * p), t - p / 2))
    return s @ value / s.sum() + T(a.l2[0]) / 2 * (w @ w)


@pytest.mark.parametrize("seed", range(12))
@each_case
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_no_gap_is_optimistic(loss, param, seed):
    """Gaps of a rough fit against the objective of a much better one, in extended precision."""
    rng = np.random.default_rng(seed)
    base = random_problem(seed, loss, weights="random" if seed % 2 else "none", n=30, d=4)
    scale = 10.0 ** rng.integers(-3, 4) if loss == "huber" else 1.0
    problem = fastsum.Problem(
        base.rows,
        scale * base.y + (100 * scale * (seed % 3) if loss == "huber" else 0),
        loss=loss,
        loss_param=param * 10.0 ** rng.integers(-2, 2),
        alpha=10.0 ** rng.integers(-3, 0),
        sample_weight=base.sample_weight,
    )
    best = fastsum.minimize(problem, tol=1e-14, max_iter=3000, random_state=0)
    least = long_objective(problem, best.coef, best.intercept)
    certifier = Certifier(problem, 1)
    for far in (10.0, 1.0, 1e-2, 1e-5, 1e-9, 0.0):
        W = np.append(best.coef, best.intercept)[:, None]
        W = W + far * rng.standard_normal(W.shape) * (np.abs(W) + 1e-3)
        c = certifier(W)
        F = long_objective(problem, W[:-1], c.intercept[0])
        assert float(F) == pytest.approx(c.objective[0], rel=1e-13)
        rounding = 4 * np.finfo(float).eps * float(F)
        assert float(F - least) <= c.gap[0] + rounding
        assert c.own_gap[0] >= 0


@pytest.mark.parametrize("loss", LOSSES)
def test_lipschitz_is_the_largest_slope(loss):
    for kind in [LOSSES[loss], *(get_loss(name, p) for name, p in CASES if name == loss)]:
        C = 3 if kind.coupled else 1
        steepest = [np.abs(kind.derivative(z * np.eye(C)[0], 1.0)).max() for z in (-1e9, 1e9)]
        if np.isinf(kind.lipschitz):
            assert max(steepest) > 1e8
        else:
            assert max(steepest) == pytest.approx(kind.lipschitz, rel=1e-12)


# ---- the exact intercept


def slope_at(problem, b):
    a = arrays_of(problem)
    return float(a.s @ a.loss.derivative(a.Y[:, 0], np.full((len(a.s), 1), b))[:, 0])


@settings(max_examples=150, deadline=None)
@given(
    loss=st.sampled_from(["huber", "smoothed_hinge", "squared_hinge", "logistic"]),
    exponent=st.floats(-4, 3, allow_subnormal=False),
    values=st.lists(st.floats(-1e3, 1e3, allow_subnormal=False), min_size=2, max_size=25),
    weighted=st.booleans(),
)
def test_intercept_is_the_root_of_the_slope(loss, exponent, values, weighted):
    y = np.array(values)
    if loss != "huber":
        y = np.where(y > np.median(y), 1.0, -1.0)
        y[0], y[1] = 1.0, -1.0
    weights = 0.5 + np.abs(np.sin(np.arange(len(y)))) if weighted else None
    param = 10.0**exponent if LOSSES[loss].default_param else None
    problem = fastsum.Problem(
        np.zeros((len(y), 1)), y, loss=loss, loss_param=param, sample_weight=weights
    )
    null = Certifier(problem, 1).null
    b, total = null.intercept[0], problem.total_weight
    exact = scipy.optimize.brentq(lambda t: slope_at(problem, t), -2e3, 2e3, xtol=1e-13, rtol=1e-15)
    steepest = np.abs([problem.loss.derivative(b, y_i)[0] for y_i in y]).max()
    # as flat as rounding of b allows: the slope changes by L a unit of b
    rounding = 8 * np.finfo(float).eps * (1 + np.abs(y).max() + abs(b))
    assert abs(slope_at(problem, b)) / total <= rounding * problem.loss.curvature + 1e-14 * steepest
    objective = reference.objectives(problem, np.zeros((1, 1)), b)[0]
    least = reference.objectives(problem, np.zeros((1, 1)), exact)[0]
    squares = np.finfo(float).eps * (np.abs(y).max() + abs(b)) ** 2  # NumPy's Huber subtracts some
    assert objective <= least * (1 + 1e-12) + 1e-15 + squares


@pytest.mark.parametrize("curvature", [1.0, 1e-8, 1e8])
def test_line_search_on_straight_pieces(curvature):
    """A V with a rounded tip far away: no curvature but at the tip."""
    tip, width = 12345.678, 1e-6

    def terms(b):
        r = b - tip
        inside = abs(r) <= width
        value = r * r / (2 * width) if inside else abs(r) - width / 2
        return value + 1.0, r / width if inside else np.sign(r), 1 / width if inside else 0.0

    search, at, looks = Minimum(curvature, 1e-30), 0.0, 0
    while at is not None:
        at, looks = search.after(at, *terms(at)), looks + 1
    assert search.best == pytest.approx(tip, abs=1e-11)
    assert search.slope <= 1e-5 and looks < 70
