"""RidgeCV: leave-one-out against as many fits, folds against a grid search."""

import numpy as np
import pytest
import sklearn
import sklearn.linear_model
from cv_cases import FORMS, each_form, regression, weights_of
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    KFold,
)
from sklearn.utils.fixes import parse_version

import fastsum
from fastsum.linear_model import _leave_one_out


def closed_form(X, y, alpha, s, fit_intercept):
    """Ridge by the normal equations, the intercept as a column without a penalty."""
    A = np.column_stack([X, np.ones(len(X)) * fit_intercept])
    penalty = np.diag([alpha] * X.shape[1] + [0.0 if fit_intercept else 1.0])
    w = np.linalg.solve(A.T @ (s[:, None] * A) + penalty, A.T @ (s[:, None] * y))
    return w[:-1], w[-1]


@pytest.mark.parametrize("shape", [(25, 6), (12, 20), (10, 10)], ids=str)
@each_form
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("gcv_mode", [None, "svd"])
@pytest.mark.filterwarnings("ignore:The 'svd' mode:FutureWarning")
def test_leave_one_out_is_that_of_as_many_fits(shape, form, weighted, fit_intercept, gcv_mode):
    X, _ = regression(*shape)
    Y = X @ np.random.default_rng(1).standard_normal((shape[1], 2)) + 3.0
    Y += np.random.default_rng(2).standard_normal(Y.shape)
    s = np.random.default_rng(3).uniform(0.5, 2, len(X)) if weighted else np.ones(len(X))
    s[:2] = 0.0 if weighted else 1.0  # rows that are in no model are predicted all the same
    alphas = [0.1, 10.0, 1.0]
    left_out = np.empty((*Y.shape, 3))
    for a, alpha in enumerate(alphas):
        for i in range(len(X)):
            rest = np.arange(len(X)) != i
            w, b = closed_form(X[rest], Y[rest], alpha, s[rest], fit_intercept)
            left_out[i, :, a] = X[i] @ w + b
    common = {"fit_intercept": fit_intercept, "gcv_mode": gcv_mode, "store_cv_results": True}
    given = s if weighted else None
    model = fastsum.RidgeCV(alphas, **common).fit(FORMS[form](X), Y, sample_weight=given)
    squares = s[:, None, None] * (left_out - Y[:, :, None]) ** 2
    np.testing.assert_allclose(model.cv_results_, squares, rtol=1e-7, atol=1e-9)
    mean = squares.mean(axis=(0, 1))
    assert model.alpha_ == alphas[mean.argmin()]
    assert model.best_score_ == pytest.approx(-mean.min())
    w, b = closed_form(X, Y, model.alpha_, s, fit_intercept)
    np.testing.assert_allclose(model.coef_, w.T, atol=1e-8)
    np.testing.assert_allclose(model.intercept_, b, atol=1e-8)
    assert (model.dual_gap_ <= 1e-12 * model.objective_).all() and model.status_ == "converged"

    scored = fastsum.RidgeCV(alphas, **common, scoring="neg_mean_absolute_error")
    scored.fit(FORMS[form](X), Y, sample_weight=given)
    np.testing.assert_allclose(scored.cv_results_, left_out, atol=1e-7)
    error = np.average(np.abs(left_out - Y[:, :, None]), axis=0, weights=s).mean(axis=0)
    assert scored.best_score_ == pytest.approx(-error.min())

    each = fastsum.RidgeCV(alphas, **common, alpha_per_target=True)
    each.fit(FORMS[form](X), Y, sample_weight=given)
    for b in range(2):
        one = fastsum.RidgeCV(alphas, **common).fit(FORMS[form](X), Y[:, b], sample_weight=given)
        assert each.alpha_[b] == one.alpha_
        assert each.best_score_[b] == pytest.approx(one.best_score_)
        np.testing.assert_allclose(each.coef_[b], one.coef_, atol=1e-8)


@each_form
@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error", "neg_max_error"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.filterwarnings("ignore:The scoring .* does not support sample_weight")
def test_ridge_folds_are_those_of_grid_search(form, scoring, weighted):
    X, y = regression()
    data, weights = FORMS[form](X), weights_of(len(y)) if weighted else None
    alphas, cv = [0.1, 100.0, 1.0], KFold(4)
    if scoring != "neg_max_error":
        y = np.column_stack([y, np.roll(y, 1)])
    ours = fastsum.RidgeCV(alphas, cv=cv, scoring=scoring, tol=1e-12)
    ours.fit(data, y, sample_weight=weights)
    if weighted and parse_version(sklearn.__version__) < parse_version("1.9"):
        pytest.skip("this scikit-learn scores without the weights")
    theirs = sklearn.linear_model.RidgeCV(alphas, cv=cv, scoring=scoring)
    theirs.fit(X, y, sample_weight=weights)
    assert ours.alpha_ == theirs.alpha_
    assert ours.best_score_ == pytest.approx(theirs.best_score_, rel=1e-6)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    plain = fastsum.Ridge(ours.alpha_, tol=1e-12).fit(data, y, sample_weight=weights)
    np.testing.assert_array_equal(ours.coef_, plain.coef_)


def test_ridge_on_one_alpha_and_another_number_of_targets():
    X, y = regression()
    model = fastsum.RidgeCV(alphas=2.0).fit(X, np.column_stack([y, y]))
    assert model.alpha_ == 2.0 and model.coef_.shape == (2, 20)
    model.set_params(alpha_per_target=True, alphas=[2.0, 1.0]).fit(X, np.column_stack([y, y, y]))
    assert model.alpha_.shape == (3,)
    assert model.fit(X, y).coef_.shape == (20,)


def test_one_standard_error_of_a_ridge():
    X, y = regression()
    alphas = np.logspace(-3, 3, 19)
    best = fastsum.RidgeCV(alphas, store_cv_results=True).fit(X, y)
    model = fastsum.RidgeCV(alphas, selection_rule="one_standard_error").fit(X, y)
    errors = best.cv_results_
    at = list(alphas).index(best.alpha_)
    bar = errors[:, at].mean() + errors[:, at].std(ddof=1) / np.sqrt(len(y))
    assert model.alpha_ == alphas[errors.mean(axis=0) <= bar].max() > best.alpha_
    with pytest.raises(ValueError, match="needs the scores of at least two folds"):
        model.set_params(scoring="r2").fit(X, y)  # one score of all rows
    model.set_params(cv=5).fit(X, y)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"alphas": []}, ValueError, "alphas is empty"),
        ({"alphas": [1.0, 0.0]}, ValueError, r"alphas\[1\] == 0.0, must be > 0"),
        ({"alphas": [1.0, -1.0], "cv": 3}, ValueError, r"alphas\[1\] == -1.0, must be >= 0"),
        ({"alphas": [-1.0]}, ValueError, "alphas == -1.0, must be > 0"),
        ({"alphas": [1.0, np.nan]}, ValueError, r"alphas\[1\] == nan, must be a finite number"),
        ({"scoring": lambda *_: "high"}, ValueError, "scoring must return a number, got 'high'"),
        ({"alphas": ["1", 1.0]}, TypeError, r"alphas\[0\] must be an instance of float"),
        ({"cv": 3, "store_cv_results": True}, ValueError, "store_cv_results=True are incompat"),
        ({"cv": 3, "alpha_per_target": True}, ValueError, "alpha_per_target=True are incompat"),
        ({"gcv_mode": "qr"}, ValueError, "'gcv_mode' parameter"),
    ],
)
def test_bad_parameters_of_ridge(settings, error, message):
    with pytest.raises(error, match=message):
        fastsum.RidgeCV(**settings).fit(*regression())


def test_leave_one_out_too_large_for_the_machine(monkeypatch):
    monkeypatch.setattr(_leave_one_out.os, "sysconf", lambda name: 100)
    with pytest.raises(ValueError, match="use folds instead, for example cv=5"):
        fastsum.RidgeCV().fit(*regression())


def test_weights_reach_the_scorer_of_a_ridge_when_asked():
    X, y = regression()
    weights = weights_of(len(y)) + 1
    with sklearn.config_context(enable_metadata_routing=True):
        for asked in (True, False):
            scorer = get_scorer("neg_mean_absolute_error").set_score_request(sample_weight=asked)
            model = fastsum.RidgeCV([1.0], cv=KFold(3), scoring=scorer, tol=1e-12)
            model.fit(X, y, sample_weight=weights)
            errors = []
            for train, test in KFold(3).split(X):
                w, b = closed_form(X[train], y[train, None], 1.0, weights[train], True)
                off = np.abs(X[test] @ w[:, 0] + b - y[test])
                errors.append(np.average(off, weights=weights[test] if asked else None))
            assert model.best_score_ == pytest.approx(-np.mean(errors), rel=1e-6)
