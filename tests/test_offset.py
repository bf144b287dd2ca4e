"""Offsets of the margins: every solver, the certificate, the estimators and what routes to them."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
import sklearn
from family import EXACT, assert_same_as_twin
from problems import CURVED_LAYOUTS, planted, random_offset, random_problem
from reference import certificate as reference
from scipy.special import expit, softmax
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastsum
from fastsum import Problem, minimize
from fastsum.linear_model import (
    FiniteSumClassifier,
    FiniteSumRegressor,
    Lasso,
    LogisticRegression,
    LogisticRegressionCV,
    PoissonRegressor,
    Ridge,
)
from fastsum.model_selection import FastGridSearchCV
from fastsum.null_model import alpha_max
from fastsum.result import Status
from fastsum.solvers import SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
TWINS = [("logistic", "single"), ("multinomial", "coupled"), ("smoothed_hinge", "one_vs_rest")]


def data(seed=0, n=80, d=5):
    """X, an offset and the linear predictor of a model with both."""
    rng = np.random.default_rng(seed)
    X, o = rng.standard_normal((n, d)), random_offset(rng, n)[:, 0]
    return X, o, X @ rng.standard_normal(d) / 2 + o, rng


# ---- solvers


@pytest.mark.parametrize(("loss", "layout"), TWINS)
@pytest.mark.parametrize("name", SOLVERS)
def test_steps_are_those_of_the_twin(name, loss, layout, monkeypatch):
    penalty = "l1" if name == "frank-wolfe" else "l2"
    storage = "dense" if loss == "logistic" else "csr"
    problem = random_problem(1, loss, layout, storage=storage, penalty=penalty, offset=True)
    if missing := SOLVERS[name].missing(problem):
        pytest.skip(missing)
    assert_same_as_twin(name, problem, "blocks", monkeypatch)


@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize("name", ["auto", "saga", "svrg", *EXACT])
def test_planted_optimum(name, penalty):
    case = planted(5, "logistic", penalty=penalty, weights="zeros", offset=True)
    if name != "auto" and (missing := SOLVERS[name].missing(case.problem)):
        pytest.skip(missing)
    result = minimize(case.problem, name, tol=1e-9, max_iter=20000, random_state=0)
    assert result.status is Status.CONVERGED
    assert result.objective == pytest.approx(case.objective, rel=1e-8)
    assert result.objective - case.objective <= result.dual_gap + 1e-14


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize(("loss", "layout"), CURVED_LAYOUTS)
def test_auto_is_scipy(loss, layout, penalty):
    problem = random_problem(3, loss, layout, penalty=penalty, weights="zeros", offset=True)
    result = minimize(problem, tol=1e-10)
    best = reference.optimum(problem)
    np.testing.assert_allclose(result.objective, best, rtol=1e-8)
    w = np.asarray(result.coef).reshape(problem.rows.n_cols, -1)
    at = reference.objectives(problem, w, np.atleast_1d(result.intercept))
    np.testing.assert_allclose(result.objective, at, rtol=1e-12)


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize(("loss", "layout"), CURVED_LAYOUTS)
def test_certificate_is_that_of_numpy(loss, layout, penalty):
    problem = random_problem(4, loss, layout, penalty=penalty, weights="random", offset=True)
    result = (
        minimize(problem, "gd", max_iter=5)
        if loss == "poisson"
        else minimize(problem, "saga", max_iter=3, refine=False)
    )
    w = np.asarray(result.coef).reshape(problem.rows.n_cols, -1)
    b = np.atleast_1d(result.intercept)
    assert np.abs(reference.intercept_slope(problem, w, b)).max() < 1e-8
    F, least = reference.objectives(problem, w, b), reference.optimum(problem)
    np.testing.assert_allclose(result.objective, F, rtol=1e-12)
    assert (F - least <= np.asarray(result.dual_gap) + 1e-12).all()
    assert (np.asarray(result.dual_gap) <= reference.gaps(problem, w, b) * (1 + 1e-6) + 1e-12).all()


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_hinge_is_a_linear_or_quadratic_program(l1_ratio):
    X, o, z, rng = data()
    y = np.where(z + rng.logistic(size=len(z)) > 0, 1.0, -1.0)
    alpha, n = 0.05, len(y)
    result = minimize(Problem(X, y, loss="hinge", alpha=alpha, l1_ratio=l1_ratio, offset=o))

    def smooth(t, width):  # softplus, within width log 2 of the hinge
        m = 1 - y * (X @ t[:-1] + t[-1] + o)
        value = width * np.logaddexp(0, m / width).mean() + alpha / 2 * t[:-1] @ t[:-1]
        r = -y * expit(m / width) / n
        return value, np.append(X.T @ r + alpha * t[:-1], r.sum())

    if l1_ratio == 0:
        least = scipy.optimize.minimize(smooth, np.zeros(6), 1e-4, jac=True, tol=1e-12).fun
        assert result.objective == pytest.approx(least, abs=2e-4)
        return
    # min mean(xi) + alpha sum(p + q) with y (X (p - q) + b + o) >= 1 - xi
    A = y[:, None] * np.hstack([X, -X, np.ones((n, 1))])
    found = scipy.optimize.linprog(
        np.concatenate([np.full(10, alpha), [0.0], np.full(n, 1 / n)]),
        A_ub=-np.hstack([A, np.eye(n)]),
        b_ub=y * o - 1,
        bounds=[(0, None)] * 10 + [(None, None)] + [(0, None)] * n,
    )
    assert result.objective == pytest.approx(found.fun, abs=2e-4)
    assert result.objective - found.fun <= result.dual_gap + 1e-12


@pytest.mark.parametrize("loss", ["logistic", "hinge", "poisson"])
def test_alpha_max_is_where_coefficients_begin(loss):
    X, o, z, rng = data()
    y = (
        rng.poisson(np.exp(z / 2))
        if loss == "poisson"
        else np.where(z > rng.logistic(size=80), 1.0, -1.0)
    )
    problem = Problem(X, y, loss=loss, l1_ratio=1.0, offset=o)
    top = alpha_max(problem)
    for factor, active in ((1.001, False), (0.9, True)):
        result = minimize(problem.with_penalty(factor * top, 1.0), tol=1e-6)
        assert result.coef.any() == active


def test_weights_repeat_rows_and_their_offsets():
    X, o, z, rng = data()
    y, s = np.where(z > 0, 1.0, -1.0), rng.integers(0, 3, len(z))
    weighted = minimize(Problem(X, y, alpha=0.1, sample_weight=s, offset=o), tol=1e-12)
    repeated = [np.repeat(a, s, axis=0) for a in (X, y, o)]
    other = minimize(Problem(*repeated[:2], alpha=0.1, offset=repeated[2]), tol=1e-12)
    np.testing.assert_allclose(weighted.coef, other.coef, rtol=1e-6)


@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_residuals_take_their_offset_from_the_targets(loss):
    X, o, z, rng = data()
    y = z + rng.standard_normal(len(z))
    Y, both = np.stack([y, -y], axis=1), np.stack([o, 2 * o], axis=1)
    for targets, offset in ((y, o), (Y, both)):
        problem = Problem(X, targets, loss=loss, offset=offset)
        assert problem.offset is None
        np.testing.assert_array_equal(problem.y, targets - offset)


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_sampled_and_rewritten_rows_keep_their_offset(l1_ratio):
    """Data of a size at which `auto` rewrites them and starts on samples."""
    rng = np.random.default_rng(0)
    n, d, k = 70_000, 34_000, 16
    columns = np.minimum(rng.zipf(1.3, (n, k)) - 1, rng.integers(0, d, (n, k)))
    X = sp.csr_array((np.ones(n * k), (np.repeat(np.arange(n), k), columns.ravel())), (n, d))
    o = 3 * rng.standard_normal(n)
    y = np.where(X[:, :50] @ rng.standard_normal(50) + o > rng.logistic(size=n), 1.0, -1.0)
    alpha = 1e-4 if l1_ratio == 0 else 2e-3
    problem = Problem(X, y, alpha=alpha, l1_ratio=l1_ratio, offset=o)
    result = minimize(problem, tol=1e-5)
    assert result.status is Status.CONVERGED

    def slopes(found):
        """u and v of the optimality conditions, in NumPy."""
        u = -y * expit(-y * (X @ found.coef + found.intercept + o))
        return u, -np.asarray(X.T @ u) / n

    u, v = slopes(result)
    assert abs(u.mean()) < 1e-8
    if l1_ratio == 1:
        assert np.abs(v).max() < 1.02 * alpha and 0 < np.count_nonzero(result.coef) < 200
        return

    def objective(found):
        z = X @ found.coef + found.intercept + o
        return np.logaddexp(0, -y * z).mean() + alpha / 2 * (found.coef**2).sum()

    near = minimize(problem, tol=1e-10)
    _, v = slopes(near)
    left = ((v - alpha * near.coef) ** 2).sum() / (2 * alpha)  # what its own slopes prove
    assert left < 1e-8
    assert objective(result) - objective(near) <= result.dual_gap + left


def test_warm_starts_see_another_offset():
    X, o, z, rng = data()
    y = np.where(z > rng.logistic(size=len(z)), 1.0, -1.0)
    first = minimize(Problem(X, y, alpha=0.1, offset=o), "saga")
    fingerprints = {Problem(X, y, alpha=0.1, offset=a).data_fingerprint() for a in (o, 2 * o, None)}
    assert len(fingerprints) == 3
    moved = Problem(X, y, alpha=0.1, offset=2 * o)
    again = minimize(moved, "saga", init=first, tol=1e-8)
    np.testing.assert_allclose(again.objective, minimize(moved, tol=1e-10).objective, rtol=1e-7)


@pytest.mark.parametrize(
    ("offset", "message"),
    [
        (np.zeros(3), "offset has shape"),
        (np.full(80, np.nan), "offset holds NaN"),
        (["a"] * 80, "offset must hold numbers"),
        (np.zeros((80, 2)), "offset has shape"),
    ],
)
def test_bad_offsets_are_refused(offset, message):
    X, _, z, _ = data()
    with pytest.raises(ValueError, match=message):
        Problem(X, np.sign(z), offset=offset)
    with pytest.raises(ValueError, match=message):
        LogisticRegression().fit(X, z > 0, offset=offset)
    with pytest.raises(ValueError, match=message):
        LogisticRegression().fit(X, z > 0).predict(X, offset=offset)


# ---- estimators


def test_exposures_of_counts():
    """Counts over exposures e are rates of weight e: the same likelihood up to constants."""
    X, _, z, rng = data(n=300)
    e = rng.uniform(0.1, 20.0, len(z))
    y = rng.poisson(e * np.exp(z / 3))
    model = PoissonRegressor(alpha=0.1, tol=1e-10).fit(X, y, offset=np.log(e))
    # alpha is beside the mean over weights e in the one, over rows in the other
    other = PoissonRegressor(alpha=0.1 * len(e) / e.sum(), tol=1e-10).fit(X, y / e, sample_weight=e)
    np.testing.assert_allclose(model.coef_, other.coef_, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.intercept_, other.intercept_, rtol=1e-4)
    np.testing.assert_allclose(model.predict(X, np.log(e)), e * model.predict(X), rtol=1e-12)
    deviance = sklearn.metrics.mean_poisson_deviance
    rate = e * y.sum() / e.sum()
    share = 1 - deviance(y, model.predict(X, np.log(e))) / deviance(y, rate)
    assert model.score(X, y, offset=np.log(e)) == pytest.approx(share)


@pytest.mark.parametrize("loss", ["logistic", "multinomial"])
def test_two_classes_are_one_score(loss):
    """Both are logistic regression with an offset, solved by scipy."""
    X, o, z, rng = data()
    y, alpha = np.where(z > rng.logistic(size=len(z)), "yes", "no"), 0.05
    sign = np.where(y == "yes", 1.0, -1.0)
    # two coupled outputs share the penalty: each has half of the weights
    strength = alpha if loss == "logistic" else 2 * alpha
    model = FiniteSumClassifier(loss, alpha=strength, tol=1e-11).fit(X, y, offset=o)

    def goal(t):
        m = sign * (X @ t[:-1] + t[-1] + o)
        r = -sign * expit(-m) / len(m)
        value = np.logaddexp(0, -m).mean() + alpha / 2 * t[:-1] @ t[:-1]
        return value, np.append(X.T @ r + alpha * t[:-1], r.sum())

    t = scipy.optimize.minimize(goal, np.zeros(6), jac=True, method="BFGS", tol=1e-10).x
    np.testing.assert_allclose(model.coef_[0], t[:-1], atol=2e-5)
    scores = X @ t[:-1] + t[-1] + o
    np.testing.assert_allclose(model.decision_function(X, o), scores, atol=1e-4)
    np.testing.assert_allclose(model.predict_proba(X, o)[:, 1], expit(scores), atol=1e-4)
    np.testing.assert_allclose(
        model.predict_log_proba(X, o), np.log(model.predict_proba(X, o)), atol=1e-10
    )
    assert model.score(X, y, offset=o) == np.mean((scores > 0) == (y == "yes"))


def test_offset_of_each_class():
    X, _, _, rng = data()
    per_class, y = rng.standard_normal((80, 3)), rng.integers(0, 3, 80)
    model = LogisticRegression(tol=1e-10, max_iter=1000).fit(X, y, offset=per_class)
    p = softmax(X @ model.coef_.T + model.intercept_ + per_class, axis=1)
    np.testing.assert_allclose(model.predict_proba(X, per_class), p, atol=1e-12)
    # the gradient of sum log-loss + 1/2 ||w||^2
    g = (p - np.eye(3)[y]).T @ X + model.coef_
    assert np.abs(g).max() < 1e-3 and np.abs((p - np.eye(3)[y]).sum(axis=0)).max() < 1e-6


def test_ridge_and_lasso_fit_the_rest():
    X, o, z, rng = data()
    y = z + rng.standard_normal(len(z))
    for model in (Ridge(tol=1e-12), Lasso(alpha=0.1, tol=1e-12), FiniteSumRegressor("huber")):
        with_offset = sklearn.base.clone(model).fit(X, y, offset=o)
        plain = model.fit(X, y - o)
        np.testing.assert_allclose(with_offset.coef_, plain.coef_, rtol=1e-12)
        np.testing.assert_allclose(with_offset.predict(X, offset=o), plain.predict(X) + o)
        assert with_offset.score(X, y, offset=o) == pytest.approx(
            sklearn.metrics.r2_score(y, plain.predict(X) + o)
        )


def test_routing_through_pipelines_and_searches():
    X, o, z, rng = data(n=120)
    y = rng.poisson(np.exp(z / 2))
    grid = {"poissonregressor__alpha": [1e-3, 1e-1, 10.0]}
    with sklearn.config_context(enable_metadata_routing=True):
        model = PoissonRegressor(tol=1e-10).set_fit_request(offset=True)
        model.set_predict_request(offset=True).set_score_request(offset=True)
        pipeline = make_pipeline(StandardScaler(), model)
        fitted = pipeline.fit(X, y, offset=o)
        Z = StandardScaler().fit_transform(X)
        plain = PoissonRegressor(tol=1e-10).fit(Z, y, offset=o)
        np.testing.assert_allclose(fitted.predict(X, offset=o), plain.predict(Z, offset=o))
        searches = [kind(pipeline, grid, cv=3) for kind in (GridSearchCV, FastGridSearchCV)]
        for search in searches:
            search.fit(X, y, offset=o)
        scores = [search.cv_results_["mean_test_score"] for search in searches]
        np.testing.assert_allclose(*scores, rtol=1e-5)
    # by hand
    by_hand = []
    for k in range(3):
        test = np.arange(120) // 40 == k
        one = make_pipeline(StandardScaler(), PoissonRegressor(alpha=1e-3, tol=1e-10))
        one.fit(X[~test], y[~test], poissonregressor__offset=o[~test])
        by_hand.append(one[-1].score(one[0].transform(X[test]), y[test], offset=o[test]))
    assert scores[0][0] == pytest.approx(np.mean(by_hand), rel=1e-6)


def test_shared_fits_slice_their_offset():
    X, o, z, rng = data(n=120)
    y = (z > rng.logistic(size=len(z))).astype(int)
    with sklearn.config_context(enable_metadata_routing=True):
        model = LogisticRegression(tol=1e-10).set_fit_request(offset=True)
        model.set_score_request(offset=True)
        grid, scores = {"C": [0.01, 0.1, 1.0]}, []
        for kind in (GridSearchCV, FastGridSearchCV):
            search = kind(model, grid, cv=4).fit(X, y, offset=o)
            scores.append(search.cv_results_["mean_test_score"])
            np.testing.assert_allclose(
                search.best_estimator_.coef_,
                LogisticRegression(tol=1e-10, **search.best_params_).fit(X, y, offset=o).coef_,
                rtol=1e-6,
            )
    np.testing.assert_allclose(*scores)


def test_estimators_that_choose_their_penalty_refuse_it():
    X, o, z, _ = data()
    with pytest.raises((TypeError, ValueError), match=r"offset|extra"):
        LogisticRegressionCV().fit(X, z > 0, offset=o)


@pytest.mark.parametrize("loss", ["multinomial", "logistic"])
def test_model_files_take_it(loss, tmp_path):
    X, o, z, rng = data()
    y = np.where(z > rng.logistic(size=len(z)), "yes", "no")
    model = FiniteSumClassifier(loss, alpha=0.1).fit(X, y, offset=o)
    fastsum.save_model(tmp_path / "model.fastsum", model)
    read = fastsum.load_model(tmp_path / "model.fastsum")
    np.testing.assert_allclose(read.predict_proba(X, offset=o), model.predict_proba(X, offset=o))
    np.testing.assert_array_equal(read.predict(X, offset=o), model.predict(X, offset=o))
