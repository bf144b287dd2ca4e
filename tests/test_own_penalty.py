"""Factors and bounds of the features: prox and conjugate by brute force, every solver, the gap."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from family import EXACT, assert_same_as_twin
from problems import LOSS_LAYOUTS, random_labels, random_matrix, random_problem
from reference import certificate as reference

import fastsum
from fastsum import Problem
from fastsum._core import _kernels, _working_set
from fastsum.certificate import Certifier
from fastsum.penalties import make_own, make_penalty
from fastsum.solvers import SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
D = 7
FACTOR = np.array([0.5, 1.0, 2.0, 0.7, 1.5, 0.9, 1.2])
KINDS = {
    "factor": {"penalty_factor": FACTOR},
    "positive": {"lower": 0.0},
    "box": {"lower": -0.11, "upper": np.linspace(0.0, 0.3, D)},
    "both": {"penalty_factor": FACTOR, "lower": -0.2, "upper": np.full(D, 0.15)},
    "some free": {"penalty_factor": np.where(np.arange(D) == 2, 0.0, FACTOR), "lower": -0.2},
}
ALL = sorted({*EXACT, "saga", "svrg"})


def own_problem(kind, seed=1, loss="logistic", layout="single", *, penalty="elasticnet", **kwargs):
    plain = random_problem(seed, loss, layout, d=D, penalty=penalty, **kwargs)
    own = KINDS[kind] if isinstance(kind, str) else kind
    return with_own(plain, **own)


def with_own(problem, penalty_factor=None, lower=None, upper=None):
    own = make_own(penalty_factor, lower, upper, problem.rows.n_cols)
    return problem._changed(penalty=problem.penalty.with_own(own))


# ---- one coefficient


@pytest.mark.parametrize("ratio", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("own", [(0.3, -0.5, 1.2), (2.0, 0.0, np.inf), (0.0, -1.0, 0.5)])
def test_prox_and_conjugate_by_brute_force(own, ratio):
    factor, lower, upper = own
    penalty = make_penalty(0.8, ratio).with_own(make_own([factor], [lower], [upper], 1))

    def h(w):
        return factor * 0.8 * (ratio * np.abs(w) + (1 - ratio) / 2 * w * w)

    grid = np.linspace(max(lower, -50), min(upper, 50), 200_001)
    for x in (-40.0, -0.9, -0.1, 0.0, 0.2, 0.31, 3.0):
        best = grid[np.argmin(1.7 * h(grid) + (grid - x) ** 2 / 2)]
        assert penalty.prox(x, 1.7) == pytest.approx(best, abs=3e-4)
        conjugate = (x * grid - h(grid)).max()
        if np.isinf(upper) and ratio == 1 and x > factor * 0.8:
            conjugate = np.inf
        assert penalty.conjugate(x) == pytest.approx(conjugate, rel=1e-3, abs=1e-4)
    assert penalty.value(lower - 1e-9 if np.isfinite(lower) else -3.0) == (
        np.inf if np.isfinite(lower) else pytest.approx(h(-3.0))
    )


def test_bounds_rounded_to_float32_stay_inside():
    own = make_own(None, [-0.1, -np.inf], [0.3, 1 / 3], 2)
    packed = own.packed_as(np.dtype(np.float32)).astype(np.float64)
    assert (packed[:, 1] >= own.lower).all() and (packed[:, 2] <= own.upper).all()
    np.testing.assert_allclose(packed, own.packed, rtol=2e-7)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"penalty_factor": [1.0, -1.0]}, "penalty_factor must be finite and >= 0"),
        ({"penalty_factor": [1.0, np.inf]}, "penalty_factor must be finite and >= 0"),
        ({"penalty_factor": [1.0]}, "penalty_factor has shape"),
        ({"penalty_factor": 2.0}, "penalty_factor has shape"),
        ({"lower": 0.1}, "the null model, all coefficients 0, must be within"),
        ({"upper": [1.0, -1e-9]}, "lower must be <= 0 and upper >= 0"),
        ({"lower": [0.0, np.nan]}, "lower must be <= 0"),
        ({"upper": [1.0, 2.0, 3.0]}, "upper has shape"),
        ({"lower": "low"}, "lower must hold numbers"),
    ],
)
def test_bad_input(given, message):
    with pytest.raises(ValueError, match=message):
        Problem(np.eye(2), [0, 1], **given)


def test_nothing_of_their_own_is_none():
    problem = Problem(np.eye(2), [0, 1], penalty_factor=[1, 1], lower=-np.inf, upper=[np.inf] * 2)
    assert problem.penalty.own is None
    shown = repr(Problem(np.eye(2), [0, 1], penalty_factor=[1, 2], lower=0.0))
    assert "penalty_factor, bounds" in shown


# ---- solvers


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("kind", ["factor", "both", "some free"])
@pytest.mark.parametrize("name", sorted(SOLVERS))
def test_kernel_is_its_twin(name, kind, storage, monkeypatch):
    problem = own_problem(kind, storage=storage, weights="random")
    if SOLVERS[name].missing(problem):
        problem = own_problem("factor", storage=storage, weights="random", penalty="l2")
    if missing := SOLVERS[name].missing(problem):
        pytest.skip(missing)
    assert_same_as_twin(name, problem, "blocks", monkeypatch)


@pytest.mark.parametrize(("loss", "layout"), LOSS_LAYOUTS[1::2])
@pytest.mark.parametrize("name", ["sag", "katyusha", "rpdg", "point-saga", "sdca", "miso"])
def test_twin_of_many_columns_of_weights(name, loss, layout, monkeypatch):
    problem = own_problem("both", 2, loss, layout, storage="csr")
    assert_same_as_twin(name, problem, "blocks", monkeypatch)


@pytest.mark.parametrize("penalty", ["l2", "l1", "none"])
@pytest.mark.parametrize("kind", ["factor", "positive", "box"])
@pytest.mark.parametrize("name", ["auto", *ALL])
def test_reaches_the_optimum_of_scipy(name, kind, penalty):
    if penalty == "none" and kind != "box":
        pytest.skip("no dual point: stationary")
    problem = own_problem(kind, 5, "squared", penalty=penalty, storage="csr")
    if name in SOLVERS and SOLVERS[name].missing(problem):
        pytest.skip(SOLVERS[name].missing(problem))
    # mig without an l2 part is O(1 / s^2) in its epochs: 4000 passes to 1e-8 without bounds too
    tol = 1e-5 if name == "mig" and penalty != "l2" else 1e-8
    result = fastsum.minimize(problem, name, tol=tol, max_iter=3000, refine=True)
    (best,) = reference.optimum(problem)
    (null,) = Certifier(problem, 1).null.objective
    assert result.status == "converged"
    assert -1e-10 * null <= result.objective - best <= tol * null
    assert result.objective - result.dual_gap <= best + 1e-10 * null  # not optimistic
    own = problem.penalty.own
    assert (own.lower <= result.coef).all() and (result.coef <= own.upper).all()


@pytest.mark.parametrize("name", ["auto", "saga", "fista", "sdca", "katyusha"])
def test_float32_stays_within_bounds(name):
    problem = own_problem("both", 3, "squared", dtype=np.float32, storage="dense", penalty="l2")
    result = fastsum.minimize(problem, name, tol=1e-5)
    own, coef = problem.penalty.own, result.coef.astype(np.float64)
    assert np.isfinite(result.objective) and result.coef.dtype == np.float32
    assert (own.lower <= coef).all() and (coef <= own.upper).all()


def test_what_a_solver_lacks_is_said_with_those_that_can():
    for name, penalty, word in (
        ("lbfgs", "l2", "bounds"),
        ("sketchy-saga", "l2", "bounds"),
        ("frank-wolfe", "l1", "factors or bounds"),
    ):
        with pytest.raises(ValueError, match=f"{word}.*Solvers that can: .*saga"):
            fastsum.minimize(own_problem("box", penalty=penalty), name)


# ---- the certificate


@pytest.mark.parametrize(("loss", "layout"), LOSS_LAYOUTS)
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
def test_certificate_is_that_of_numpy(loss, layout, penalty):
    for kind in ("factor", "positive", "both"):
        problem = own_problem(kind, 4, loss, layout, penalty=penalty)
        rng = np.random.default_rng(0)
        W = np.zeros((D + 1, problem.K))
        W[:-1] = problem.within(rng.standard_normal((D, problem.K)) / 5)
        W[1] = 0.0
        certificate = Certifier(problem, 1)(W)
        b = certificate.intercept
        want = reference.objectives(problem, W[:-1], b)
        np.testing.assert_allclose(certificate.objective, want, rtol=1e-12)
        np.testing.assert_allclose(
            certificate.subgradient, reference.subgradients(problem, W[:-1], b), rtol=1e-9
        )
        assert (certificate.gap >= want - reference.optimum(problem) - 1e-9).all()
        # the reference has more factors c to choose from
        assert (certificate.own_gap >= reference.gaps(problem, W[:-1], b) * (1 - 1e-9)).all()
        W[0] = -0.5 if kind != "factor" else 0.0
        outside = Certifier(problem, 1)(W).objective
        assert np.isinf(outside).all() == (kind != "factor")


def test_terms_of_the_gap_do_not_cancel():
    """Near an optimum the terms are right to many digits: rational numbers."""
    rng = np.random.default_rng(3)
    low, high = -0.3, 1.1
    own = make_own([0.7], [low], [high], 1)
    for _ in range(200):
        alpha, ratio = rng.uniform(0.1, 2), rng.choice([0.0, 0.5])
        penalty = make_penalty(alpha, ratio).with_own(own)
        l1, l2 = Fraction(0.7 * penalty.l1[0]), Fraction(0.7 * penalty.l2[0])
        v = Fraction(rng.standard_normal())
        best = max(abs(v) - l1, 0) / l2 * (1 if v > 0 else -1)
        best = min(max(best, Fraction(low)), Fraction(high))
        w = float(np.clip(float(best) + 1e-7 * rng.standard_normal(), low, high))
        h_w, h_best = (l1 * abs(x) + l2 / 2 * x * x for x in (Fraction(w), best))
        want, sums = float(h_w - h_best - v * (Fraction(w) - best)), np.zeros((3, 1))
        _kernels.penalty_terms(
            np.array([[w], [0.0]]), np.array([[float(v)]]), penalty.l1, penalty.l2,
            own.packed, np.ones(1), *sums,
        )  # fmt: skip
        fused = 5e-17  # a fused multiply-add leaves the rounding of one product
        assert sums[1, 0] == pytest.approx(want, rel=1e-6, abs=1e-15 * want**0.5 + fused)


# ---- the same problem in other words


def data(storage="dense", seed=0, n=50):
    rng = np.random.default_rng(seed)
    X = random_matrix(rng, n, D, storage)
    return X, random_labels(rng, X, "squared", "single")


def fenchel_young_by_hand(w, v, f, lower, upper, l1):
    """h(w) + h*(v) - w v without l2: the supremum of h* is at a bound, at 0, or infinite."""
    if (v > f * l1 and upper == np.inf) or (v < -f * l1 and lower == -np.inf):
        return np.inf
    ends = [end for end in (lower, 0.0, upper) if np.isfinite(end)]
    return f * l1 * abs(w) + max(v * end - f * l1 * abs(end) for end in ends) - w * v


@pytest.mark.parametrize("l1", [0.02, 0.3, 3.0])
def test_gap_of_a_quadratic_with_bounds_and_factors(l1):
    """Eq. (68) of least squares from its parts; a free coordinate adds what its step gains."""
    rng, inf = np.random.default_rng(11), np.inf
    A, y = rng.standard_normal((30, 6)), 3 * rng.standard_normal(30)
    own = np.array(
        [[1, -inf, inf], [0.5, -inf, 0.3], [2, 0, inf], [1, -0.4, 0.7], [0, -1, 1], [0, -inf, inf]]
    )
    for _ in range(20):
        x = np.clip(rng.standard_normal(6), own[:, 1], own[:, 2])
        u = A @ x - y
        q, diagonal = A.T @ u / 30, (A**2).sum(axis=0) / 30
        way = np.where(q < 0, own[:, 2], -own[:, 1])  # the bound that a step along -q meets
        far = np.isinf(way) & (own[:, 0] > 0)
        top = max(1.0, (np.abs(q[far]) / (own[far, 0] * l1)).max())
        gaps = []
        for c in (1.0, (1 - 1e-15) / top):
            terms = [fenchel_young_by_hand(*row, l1) for row in np.c_[x, -c * q, own][:5]]
            gaps.append((1 - c) ** 2 * np.mean(u**2) / 2 + sum(terms))
        expected = min(gaps) + q[5] ** 2 / (2 * diagonal[5])
        got = _working_set.quadratic_gap(x, q, l1, 0.0, np.mean(u**2), diagonal, own)
        assert got == pytest.approx(expected, rel=1e-9)


def test_a_point_outside_its_bounds_has_no_gap():
    problem = own_problem("box", 5, "squared", penalty="l2")
    W = np.zeros((problem.rows.n_cols + 1, problem.K))
    assert np.isfinite(Certifier(problem, 1)(W).gap).all()
    for outside in (-1e3, 1e3):
        W[1] = outside
        certificate = Certifier(problem, 1)(W)
        assert np.isposinf(certificate.objective).all() and np.isposinf(certificate.own_gap).all()


@pytest.mark.parametrize("name", ["auto", "saga", "sdca"])
@pytest.mark.parametrize(("ratio", "power"), [(1.0, 1.0), (0.0, 0.5)])
def test_factors_are_scales_of_columns(name, ratio, power):
    """Pure l1: x_j / f_j and f_j w_j; pure l2: by the root of f_j."""
    X, y = data("csr")
    scale = FACTOR**power
    ours = Problem(X, y, loss="squared", alpha=0.05, l1_ratio=ratio, penalty_factor=FACTOR)
    scaled = Problem(sp.csr_array(X / scale), y, loss="squared", alpha=0.05, l1_ratio=ratio)
    a, b = (fastsum.minimize(p, name, tol=1e-11, max_iter=5000) for p in (ours, scaled))
    np.testing.assert_allclose(a.coef, b.coef / scale, atol=2e-6)
    assert a.objective == pytest.approx(b.objective, rel=1e-10)


@pytest.mark.parametrize("name", ["auto", "saga", "fista", "sdca"])
@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_factor_0_on_a_column_of_ones_is_an_intercept(name, loss, ratio):
    X, y = data()
    y = y if loss == "squared" else np.where(y > np.median(y), 1.0, -1.0)
    settings = {"loss": loss, "alpha": 0.05, "l1_ratio": ratio}
    ones = Problem(
        np.hstack([X, np.ones((len(y), 1))]), y, fit_intercept=False,
        penalty_factor=np.append(np.ones(D), 0.0), **settings,
    )  # fmt: skip
    a = fastsum.minimize(ones, name, tol=1e-9, max_iter=4000)
    b = fastsum.minimize(Problem(X, y, **settings), "auto", tol=1e-11)
    assert a.status == "converged"
    assert a.objective - a.dual_gap <= b.objective * (1 + 1e-12)
    np.testing.assert_allclose(a.coef[:-1], b.coef, atol=1e-4)
    assert a.coef[-1] == pytest.approx(b.intercept, abs=1e-4)
    assert a.objective == pytest.approx(b.objective, rel=1e-8)


@pytest.mark.parametrize(("loss", "layout"), LOSS_LAYOUTS)
def test_certificate_with_unpenalised_columns(loss, layout):
    """Between the optimum's distance and a little more near it; a gap of softmax is not known."""
    own = {"penalty_factor": np.where(np.arange(D) < 2, 0.0, FACTOR), "upper": 2.0}
    problem = own_problem(own, 6, loss, layout, n=60, penalty="elasticnet", weights="random")
    result = fastsum.minimize(problem, "fista", tol=1e-9, max_iter=3000)
    if problem.loss.coupled:
        assert result.status == "stationary" and np.isinf(result.dual_gap).all()
        return
    assert result.status == "converged"
    best, certifier = reference.optimum(problem), Certifier(problem, 1)
    W = np.vstack([result.coef.reshape(D, -1), np.atleast_1d(result.intercept)])
    for off in (0.0, 1e-3, 0.1, 1.0):
        there = certifier(W * (1 + off))
        far = there.objective - best
        assert (there.gap >= far - 1e-9).all() and (there.own_gap >= far - 1e-9).all()
        assert off > 0.01 or (there.gap <= 30 * np.maximum(far, 0) + 1e-6).all()


def test_bounded_least_squares_of_scipy():
    X, y = data(n=60)
    lower, upper = np.full(D, -0.2), np.linspace(0.0, 0.4, D)
    problem = Problem(
        X, y, loss="squared", alpha=0.0, lower=lower, upper=upper, fit_intercept=False
    )
    ours = fastsum.minimize(problem, tol=1e-10, max_iter=5000)
    theirs = scipy.optimize.lsq_linear(X, y, (lower, upper + 1e-300), tol=1e-14)
    assert ours.status == "converged"  # a box needs no penalty for a gap
    np.testing.assert_allclose(ours.coef, theirs.x, atol=1e-5)
    assert ours.objective == pytest.approx(theirs.cost / len(y), rel=1e-9)


def test_non_negative_least_squares_is_stationary():
    X, y = data(n=60)
    problem = Problem(X, y, loss="squared", alpha=0.0, lower=0.0, fit_intercept=False)
    ours = fastsum.minimize(problem, tol=1e-9, max_iter=5000)
    assert ours.status == "stationary" and ours.dual_gap == np.inf
    np.testing.assert_allclose(ours.coef, scipy.optimize.nnls(X, y)[0], atol=1e-6)


# ---- warm starts


def test_warm_start_under_other_bounds():
    X, y = data()
    wide = Problem(X, y, loss="squared", alpha=0.01, lower=-1.0, upper=1.0)
    first = fastsum.minimize(wide, "saga", tol=1e-8)
    narrow = Problem(X, y, loss="squared", alpha=0.01, lower=-0.1, upper=0.1)
    cold = fastsum.minimize(narrow, "saga", tol=1e-8)
    warm = fastsum.minimize(narrow, "saga", tol=1e-8, init=first)
    assert warm.status == cold.status == "converged"
    assert warm.objective == pytest.approx(cold.objective, rel=1e-7)
    assert warm.objective - warm.dual_gap <= cold.objective  # no dual value of the wide one
    again = fastsum.minimize(wide, "saga", tol=1e-8, init=first, max_iter=50)
    assert again.n_iter <= 1
