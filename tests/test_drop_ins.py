"""LinearSVC, PoissonRegressor and HuberRegressor beside scikit-learn's and independent optima."""

import warnings

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
import sklearn.linear_model as sk
import sklearn.svm
from estimator_cases import BINARY, CLASSES, COUNTS, FORMS, TARGET, X
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import d2_tweedie_score, mean_poisson_deviance

import fastsum

WEIGHTS = np.random.default_rng(1).integers(0, 4, len(X)).astype(float)
each_form = pytest.mark.parametrize("form", FORMS)
weighted = pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
either_intercept = pytest.mark.parametrize("fit_intercept", [True, False])

# --- LinearSVC ------------------------------------------------------------------------------------


@weighted
@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("y", [BINARY, CLASSES], ids=["two", "three"])
def test_linear_svc_without_an_intercept_is_scikit_learns(y, loss, weights):
    settings = {"loss": loss, "C": 0.3, "fit_intercept": False}
    theirs = sklearn.svm.LinearSVC(**settings, tol=1e-9, max_iter=10**6, dual=True)
    theirs.fit(X, y, sample_weight=weights)
    ours = fastsum.LinearSVC(**settings, tol=1e-9, max_iter=5000).fit(X, y, weights)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-4)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_linear_svc_is_liblinears_whose_intercept_is_hardly_penalised(loss):
    theirs = sklearn.svm.LinearSVC(
        loss=loss,
        C=0.3,
        intercept_scaling=300.0,
        tol=1e-10,
        max_iter=2 * 10**6,
        dual=True,
        random_state=0,  # whether it gets there depends on the order of its rows
    ).fit(X, BINARY)
    ours = fastsum.LinearSVC(loss=loss, C=0.3, tol=1e-9, max_iter=5000).fit(X, BINARY)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=5e-3)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=5e-3)


@each_form
@weighted
@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_linear_svc_by_cvxpy(loss, penalty, weights, form):
    cp = pytest.importorskip("cvxpy")
    s, y = np.ones(len(X)) if weights is None else weights, 2.0 * BINARY - 1.0
    w, b = cp.Variable(X.shape[1]), cp.Variable()
    short = cp.pos(1 - cp.multiply(y, X @ w + b))
    norm = cp.norm1(w) if penalty == "l1" else cp.sum_squares(w) / 2
    goal = cp.Problem(cp.Minimize(0.2 * s @ (short if loss == "hinge" else short**2) + norm))
    goal.solve(solver="CLARABEL")
    model = fastsum.LinearSVC(penalty, loss, C=0.2, tol=1e-7, max_iter=5000)
    model.fit(FORMS[form](X), BINARY, weights)
    total = model.objective_ * 0.2 * s.sum()
    assert total == pytest.approx(goal.value, rel=1e-6)
    assert total - goal.value <= model.dual_gap_ * 0.2 * s.sum() + 1e-6


def test_linear_svc_in_float32_with_class_weight_and_warm_start():
    model = fastsum.LinearSVC(loss="hinge", C=0.1, class_weight="balanced", warm_start=True)
    model.fit(X.astype(np.float32), CLASSES)
    assert model.coef_.dtype == np.float32 and model.coef_.shape == (3, 6)
    first = model.objective_.copy()
    model.set_params(tol=1e-5, max_iter=3000).fit(X.astype(np.float32), CLASSES)
    assert (model.objective_ <= first + 1e-7).all()
    with pytest.raises(AttributeError, match="predict_proba"):
        model.predict_proba(X)


def test_linear_svc_refuses_what_has_no_meaning():
    with pytest.raises(ValueError, match="intercept_scaling=2 has no meaning"):
        fastsum.LinearSVC(intercept_scaling=2).fit(X, BINARY)
    with pytest.raises(ValueError, match="multi_class='crammer_singer' has no meaning"):
        fastsum.LinearSVC(multi_class="crammer_singer").fit(X, BINARY)
    with pytest.raises(ValueError, match=r"'hinge' has no finite curvature"):
        fastsum.LinearSVC(loss="hinge", solver="saga").fit(X, BINARY)


# --- PoissonRegressor -----------------------------------------------------------------------------


@each_form
@weighted
@either_intercept
@pytest.mark.parametrize("alpha", [1e-3, 1.0])
def test_poisson_is_scikit_learns(alpha, fit_intercept, weights, form):
    settings = {"alpha": alpha, "fit_intercept": fit_intercept}
    theirs = sk.PoissonRegressor(**settings, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    theirs.fit(X, COUNTS, sample_weight=weights)
    ours = fastsum.PoissonRegressor(**settings, tol=1e-11).fit(FORMS[form](X), COUNTS, weights)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    assert ours.intercept_ == pytest.approx(theirs.intercept_, abs=1e-5)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-5)
    assert ours.score(X, COUNTS, weights) == pytest.approx(theirs.score(X, COUNTS, weights))
    assert ours.score(X, COUNTS, weights) == pytest.approx(
        d2_tweedie_score(COUNTS, ours.predict(X), power=1, sample_weight=weights)
    )
    mean, s = ours.predict(X), np.ones(len(X)) if weights is None else weights
    deviance = mean_poisson_deviance(COUNTS, mean, sample_weight=s)
    expected = deviance / 2 + alpha / 2 * ours.coef_ @ ours.coef_
    assert ours.objective_ == pytest.approx(expected, rel=1e-9)


def test_poisson_without_a_penalty_fits_the_means_of_groups():
    groups = np.eye(3)[np.arange(60) % 3]
    y = np.random.default_rng(0).poisson(np.arange(60) % 3 + 1.0)
    model = fastsum.PoissonRegressor(alpha=0.0, fit_intercept=False, tol=1e-10).fit(groups, y)
    np.testing.assert_allclose(model.predict(np.eye(3)), [y[k::3].mean() for k in range(3)])
    assert model.status_ == "stationary" and model.dual_gap_ == np.inf


def test_poisson_weights_are_repeated_rows_and_float32_is_kept():
    some = np.repeat(np.arange(len(X)), WEIGHTS.astype(int))
    one = fastsum.PoissonRegressor(alpha=0.1, tol=1e-10).fit(X, COUNTS, WEIGHTS)
    two = fastsum.PoissonRegressor(alpha=0.1, tol=1e-10).fit(X[some], COUNTS[some])
    np.testing.assert_allclose(one.coef_, two.coef_, atol=1e-7)
    narrow = fastsum.PoissonRegressor(alpha=0.1, tol=1e-4).fit(X.astype(np.float32), COUNTS)
    assert narrow.coef_.dtype == np.float32 and narrow.predict(X[:2]).shape == (2,)


def test_poisson_general_estimator_takes_l1_and_several_targets():
    Y = np.column_stack([COUNTS, COUNTS[::-1]])
    model = fastsum.FiniteSumRegressor("poisson", alpha=0.05, l1_ratio=1.0, tol=1e-8).fit(X, Y)
    for k in range(2):
        alone = fastsum.FiniteSumRegressor("poisson", alpha=0.05, l1_ratio=1.0, tol=1e-8)
        np.testing.assert_allclose(model.coef_[k], alone.fit(X, Y[:, k]).coef_, atol=1e-4)
    z = X @ model.coef_.T + model.intercept_
    np.testing.assert_allclose(model.predict(X), np.exp(z), rtol=1e-12)
    with pytest.raises(ValueError, match=r"'poisson' has no finite curvature.*can: \['auto'"):
        fastsum.SAGARegressor("poisson").fit(X, COUNTS)
    with pytest.raises(ValueError, match="needs y >= 0"):
        fastsum.PoissonRegressor().fit(X, TARGET)


# --- HuberRegressor -------------------------------------------------------------------------------

SPOILT = TARGET + np.where(np.arange(len(X)) % 9 == 0, 40.0, 0.0)


def joint_objective(v, epsilon, alpha, s, y, free):
    """Scikit-learn's objective and its gradient at v = (w, b, log sigma)."""
    w, b, sigma = v[:-2], v[-2] * free, np.exp(v[-1])
    t = (X @ w + b - y) / sigma
    inside = np.clip(t, -epsilon, epsilon)
    H = inside**2 + 2 * epsilon * (np.abs(t) - np.abs(inside))
    value = s @ (sigma + H * sigma) + alpha * w @ w
    g = s * 2 * inside
    slope = s.sum() + s @ (H - 2 * inside * t)
    return value, np.concatenate([X.T @ g + 2 * alpha * w, [g.sum() * free, slope * sigma]])


@each_form
@weighted
@either_intercept
@pytest.mark.parametrize(("epsilon", "alpha"), [(1.35, 1e-4), (1.1, 5.0), (3.0, 50.0)])
def test_huber_is_the_joint_minimum(epsilon, alpha, fit_intercept, weights, form):
    s = np.ones(len(X)) if weights is None else weights
    args = (epsilon, alpha, s, SPOILT, fit_intercept)
    best = scipy.optimize.minimize(
        joint_objective, np.zeros(X.shape[1] + 2), args, jac=True, method="L-BFGS-B",
        options={"maxiter": 20000, "maxfun": 40000, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 30},
    )  # fmt: skip
    settings = {"epsilon": epsilon, "alpha": alpha, "fit_intercept": fit_intercept}
    model = fastsum.HuberRegressor(**settings, tol=1e-9).fit(FORMS[form](X), SPOILT, weights)
    point = np.concatenate([model.coef_, [model.intercept_, np.log(model.scale_)]])
    value = joint_objective(point, *args)[0]
    assert value - best.fun <= 1e-8 * best.fun
    assert 2 * s.sum() * model.objective_ == pytest.approx(value, rel=1e-10)
    assert best.fun >= 2 * s.sum() * (model.objective_ - model.dual_gap_) - 1e-9 * best.fun
    r = np.abs(X @ model.coef_ + model.intercept_ - SPOILT)
    np.testing.assert_array_equal(model.outliers_, r > epsilon * model.scale_)


def test_huber_gaps_bound_rough_fits():
    best = fastsum.HuberRegressor(alpha=0.1, tol=1e-11).fit(X, SPOILT)
    for tol in (1e-1, 1e-2, 1e-4):
        rough = fastsum.HuberRegressor(alpha=0.1, tol=tol).fit(X, SPOILT)
        above = rough.objective_ - best.objective_
        assert -best.dual_gap_ <= above <= rough.dual_gap_ + 1e-13


def test_huber_agrees_with_scikit_learn():
    theirs = sk.HuberRegressor(alpha=0.1, tol=1e-10, max_iter=10000).fit(X, SPOILT)
    ours = fastsum.HuberRegressor(alpha=0.1, tol=1e-10).fit(X, SPOILT)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-3)
    assert ours.scale_ == pytest.approx(theirs.scale_, rel=1e-3)
    np.testing.assert_array_equal(ours.outliers_, theirs.outliers_)


def test_huber_weights_are_repeated_rows_and_scales_follow_the_targets():
    some = np.repeat(np.arange(len(X)), WEIGHTS.astype(int))
    one = fastsum.HuberRegressor(alpha=1.0, tol=1e-10).fit(X, SPOILT, WEIGHTS)
    two = fastsum.HuberRegressor(alpha=1.0, tol=1e-10).fit(X[some], SPOILT[some])
    np.testing.assert_allclose(one.coef_, two.coef_, atol=1e-4)
    assert one.scale_ == pytest.approx(two.scale_, rel=1e-4)
    times = fastsum.HuberRegressor(alpha=1.0 / 50, tol=1e-10).fit(X, 50 * SPOILT, WEIGHTS)
    np.testing.assert_allclose(times.coef_, 50 * one.coef_, rtol=1e-3, atol=1e-3)
    assert times.scale_ == pytest.approx(50 * one.scale_, rel=1e-4)


def test_huber_float32_warm_start_and_no_penalty():
    model = fastsum.HuberRegressor(warm_start=True, tol=1e-4).fit(X.astype(np.float32), SPOILT)
    assert model.coef_.dtype == np.float32
    cold = model.n_iter_
    again = model.fit(X.astype(np.float32), SPOILT)
    assert again.n_iter_ < cold
    free = fastsum.HuberRegressor(alpha=0.0, tol=1e-8).fit(X, SPOILT)
    near = fastsum.HuberRegressor(alpha=1e-9, tol=1e-11).fit(X, SPOILT)
    np.testing.assert_allclose(free.coef_, near.coef_, atol=1e-4)
    assert free.status_ == "stationary" and free.dual_gap_ == np.inf


@pytest.mark.parametrize("form", FORMS)
def test_huber_of_rows_without_residuals(form):
    """The scale goes to 0 and no warning is due."""
    y = X @ np.arange(6.0) + 2.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = fastsum.HuberRegressor(alpha=1e-8, tol=1e-6).fit(FORMS[form](X), y)
    np.testing.assert_allclose(model.coef_, np.arange(6.0), atol=1e-3)
    assert model.scale_ < 1e-3
    flat = fastsum.HuberRegressor().fit(X, np.full(len(X), 3.0))
    assert not flat.coef_.any() and flat.intercept_ == 3.0


def test_huber_says_when_it_stopped_early():
    with pytest.warns(ConvergenceWarning, match="search for the scale stopped at max_iter"):
        model = fastsum.HuberRegressor(max_iter=2, tol=1e-12).fit(X, SPOILT)
    assert model.status_ == "max_iter" and model.n_iter_ == 2


def test_huber_takes_a_named_solver_and_sparse_int64():
    data = sp.csr_array(X)
    data.indices, data.indptr = data.indices.astype("i8"), data.indptr.astype("i8")
    one = fastsum.HuberRegressor(alpha=5.0, tol=1e-7, solver="saga").fit(data, SPOILT)
    two = fastsum.HuberRegressor(alpha=5.0, tol=1e-9).fit(X, SPOILT)
    assert one.solver_ == "saga"
    np.testing.assert_allclose(one.coef_, two.coef_, atol=1e-2)
