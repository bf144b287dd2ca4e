"""positive, bounds and penalty_factor of the estimators, against scikit-learn and scipy."""

import numpy as np
import pytest
import scipy.optimize
import sklearn.linear_model
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression

import fastsum
from fastsum import linear_model

D = 8


@pytest.fixture(name="data", scope="module")
def data_fixture():
    X, y = make_regression(80, D, n_informative=5, noise=8.0, random_state=0)
    X[:, 0] += 2.0
    X[:, 4] *= -1.0
    X[:, 2] *= -1.0
    return X, y / 20 + 3


@pytest.mark.parametrize("solver", ["auto", "saga", "fista"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("Lasso", {"alpha": 0.2}),
        ("ElasticNet", {"alpha": 0.2, "l1_ratio": 0.4}),
        ("Ridge", {"alpha": 3.0}),
    ],
)
def test_positive_is_that_of_scikit_learn(name, settings, fit_intercept, solver, data):
    X, y = data
    settings = {**settings, "positive": True, "fit_intercept": fit_intercept}
    ours = getattr(fastsum, name)(**settings, solver=solver, tol=1e-12, max_iter=4000).fit(X, y)
    theirs = getattr(sklearn.linear_model, name)(**settings, tol=1e-12, max_iter=20000).fit(X, y)
    assert (ours.coef_ >= 0).all() and (ours.coef_ == 0).any()
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=5e-5)
    assert ours.intercept_ == pytest.approx(theirs.intercept_, abs=5e-5)
    assert ours.dual_gap_ < 1e-9


def test_positive_lasso_cv_is_that_of_scikit_learn(data):
    X, y = data
    ours = fastsum.LassoCV(positive=True, alphas=20, tol=1e-8, cv=3).fit(X, y)
    theirs = sklearn.linear_model.LassoCV(positive=True, alphas=ours.alphas_, tol=1e-8, cv=3)
    theirs.fit(X, y)
    assert ours.alpha_ == pytest.approx(theirs.alpha_)
    np.testing.assert_allclose(ours.mse_path_, theirs.mse_path_, rtol=1e-4)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)


@pytest.mark.parametrize("solver", ["auto", "svrg"])
def test_bounds_of_logistic_regression(solver):
    X, y = make_classification(120, D, n_informative=5, random_state=1)
    lower, upper = np.full(D, -0.1), np.linspace(0, 0.5, D)
    model = fastsum.LogisticRegression(
        C=0.5, lower=lower, upper=upper, solver=solver, tol=1e-10, max_iter=4000
    ).fit(X, y)
    s = np.where(y == 1, 1.0, -1.0)

    def goal(v):
        z = X @ v[:D] + v[D]
        slope = -s / (1 + np.exp(s * z))
        value = 0.5 * np.logaddexp(0, -s * z).sum() + v[:D] @ v[:D] / 2
        return value, 0.5 * np.append(X.T @ slope, slope.sum()) + np.append(v[:D], 0)

    bounds = [*zip(lower, upper, strict=True), (None, None)]
    options = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 2000}
    best = scipy.optimize.minimize(goal, np.zeros(D + 1), jac=True, bounds=bounds, options=options)
    np.testing.assert_allclose(model.coef_[0], best.x[:D], atol=2e-5)
    assert model.intercept_[0] == pytest.approx(best.x[D], abs=2e-5)


@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_a_large_factor_removes_and_a_factor_of_0_frees(loss, data):
    X, y = data
    factor = np.ones(D)
    factor[2], factor[3] = 1e6, 0.0
    model = fastsum.FiniteSumRegressor(
        loss, alpha=0.5, l1_ratio=0.5, penalty_factor=factor, tol=1e-8, max_iter=5000
    ).fit(X, y)
    plain = fastsum.FiniteSumRegressor(loss, alpha=0.5, l1_ratio=0.5, tol=1e-8).fit(X, y)
    assert model.coef_[2] == 0
    assert abs(model.coef_[3]) > abs(plain.coef_[3])
    # the slope of the loss in an unpenalised coefficient is 0
    r = X @ model.coef_ + model.intercept_ - y
    u = r if loss == "squared" else np.clip(r, -1.35, 1.35)
    assert np.mean(u * X[:, 3]) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("loss", ["logistic", "multinomial", "squared_hinge"])
def test_classes_share_the_bounds(loss):
    X, y = make_classification(150, D, n_informative=5, n_classes=3, random_state=1)
    model = fastsum.FiniteSumClassifier(loss, alpha=0.01, upper=0.1, penalty_factor=np.arange(D))
    model.set_params(tol=1e-6, max_iter=3000).fit(X, y)
    assert model.coef_.shape == (3, D) and (model.coef_ <= 0.1).all()
    assert np.isfinite(model.objective_).all()


def test_bounds_of_two_coupled_classes_are_refused():
    X, y = make_classification(40, D, random_state=1)
    with pytest.raises(ValueError, match="use loss='logistic'"):
        fastsum.FiniteSumClassifier("multinomial", lower=0.0).fit(X, y)


@pytest.mark.parametrize(
    "name", ["SAGAClassifier", "SDCARegressor", "KatyushaRegressor", "Ridge", "Lasso"]
)
def test_parameters_are_cloned_and_checked(name, data):
    X, y = data
    y = (y > y.mean()) if "Classifier" in name else y
    kind = getattr(linear_model, name)
    model = clone(kind(alpha=0.5, penalty_factor=np.ones(D) / 2, lower=-0.3, upper=[0.3] * D))
    model.set_params(max_iter=2000).fit(X, y)
    assert np.abs(model.coef_).max() <= 0.3
    with pytest.raises(ValueError, match="penalty_factor has shape"):
        kind(penalty_factor=[1.0]).fit(X, y)
    with pytest.raises(ValueError, match="must be within the bounds"):
        kind(lower=0.5).fit(X, y)


def test_positive_and_lower_are_one_thing(data):
    with pytest.raises(ValueError, match="positive=True is lower=0"):
        fastsum.Lasso(positive=True, lower=-1.0).fit(*data)


def test_alpha_max_under_factors_and_bounds(data):
    X, y = data
    own = {"penalty_factor": np.linspace(0.5, 2, D), "lower": 0.0}
    problem = fastsum.Problem(X, y, loss="squared", l1_ratio=1.0, alpha=1.0, **own)
    top = float(fastsum.null_model.alpha_max(problem)[0])
    above, below = (
        fastsum.minimize(problem.with_penalty(a * top, 1.0), tol=1e-7) for a in (1.0001, 0.99)
    )
    assert not above.coef.any() and np.count_nonzero(below.coef) == 1
    free = fastsum.Problem(X, y, loss="squared", penalty_factor=np.append(0.0, np.ones(D - 1)))
    with pytest.raises(ValueError, match="give the alphas"):
        fastsum.null_model.alpha_max(free)


def test_grid_search_with_bounds(data):
    X, y = data
    grid = {"alpha": [0.01, 0.1, 1.0]}
    search = fastsum.model_selection.FastGridSearchCV(
        fastsum.Lasso(positive=True, tol=1e-8), grid, cv=3
    ).fit(X, y)
    theirs = sklearn.model_selection.GridSearchCV(
        sklearn.linear_model.Lasso(positive=True, tol=1e-8), grid, cv=3
    ).fit(X, y)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-5
    )
