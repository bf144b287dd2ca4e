"""LassoCV and ElasticNetCV: grids, errors and choice against scikit-learn and separate fits."""

import numpy as np
import pytest
import sklearn
import sklearn.linear_model
from cv_cases import FORMS, each_form, regression, weights_of
from sklearn.model_selection import (
    KFold,
    LeaveOneGroupOut,
)
from sklearn.utils.fixes import parse_version

import fastsum

SQUARED = [
    ("Lasso", {"alphas": 8}),
    ("Lasso", {"alphas": [0.03, 0.3, 0.1]}),
    ("ElasticNet", {"alphas": 5}),
    ("ElasticNet", {"alphas": 4, "l1_ratio": [0.9, 0.2, 0.5]}),
    ("ElasticNet", {"alphas": [0.03, 0.3, 0.1], "l1_ratio": [0.0, 0.7]}),
    ("ElasticNet", {"alphas": [0.1], "l1_ratio": [0.7]}),
]


@pytest.mark.parametrize(("name", "grid"), SQUARED)
@each_form
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.filterwarnings("ignore:.*floor of float64:sklearn.exceptions.ConvergenceWarning")
def test_squared_errors_and_choice_are_those_of_scikit_learn(
    name, grid, form, weighted, fit_intercept
):
    X, y = regression()
    data, weights = FORMS[form](X), weights_of(len(y)) if weighted else None
    common = {**grid, "cv": KFold(4), "fit_intercept": fit_intercept, "eps": 1e-2}
    theirs = getattr(sklearn.linear_model, name + "CV")(**common, tol=1e-12, max_iter=100_000)
    if parse_version(sklearn.__version__) < parse_version("1.7") and isinstance(
        grid["alphas"], int
    ):
        theirs.set_params(n_alphas=grid["alphas"], alphas=None)
    theirs.fit(data, y, sample_weight=weights)
    ours = getattr(fastsum, name + "CV")(**common, tol=1e-12, max_iter=10_000)
    ours.fit(data, y, sample_weight=weights)
    np.testing.assert_allclose(ours.alphas_, theirs.alphas_, rtol=1e-12)
    assert ours.mse_path_.shape == theirs.mse_path_.shape
    np.testing.assert_allclose(ours.mse_path_, theirs.mse_path_, rtol=1e-5)
    assert ours.alpha_ == pytest.approx(theirs.alpha_, rel=1e-12)
    assert getattr(ours, "l1_ratio_", None) == getattr(theirs, "l1_ratio_", None)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-4)
    extra = {"l1_ratio": ours.l1_ratio_} if name == "ElasticNet" else {}
    plain = getattr(fastsum, name)(
        ours.alpha_, fit_intercept=fit_intercept, tol=1e-12, max_iter=10_000, **extra
    ).fit(data, y, sample_weight=weights)
    np.testing.assert_array_equal(ours.coef_, plain.coef_)
    assert ours.dual_gap_ == plain.dual_gap_ and ours.n_iter_ == plain.n_iter_


@pytest.mark.parametrize("name", ["Lasso", "ElasticNet"])
def test_squared_errors_are_those_of_separate_fits(name):
    X, y = regression()
    cv = [(np.arange(10, 60), np.arange(10)), (np.arange(15), np.arange(15, 60))]  # unbalanced
    model = getattr(fastsum, name + "CV")(alphas=[1.0, 0.1, 0.02], cv=cv, tol=1e-10).fit(X, y)
    for k, (train, test) in enumerate(cv):
        for a, alpha in enumerate(model.alphas_):
            fold = getattr(fastsum, name)(alpha, tol=1e-10).fit(X[train], y[train])
            error = np.mean((fold.predict(X[test]) - y[test]) ** 2)
            assert model.mse_path_[a, k] == pytest.approx(error, rel=1e-4)


def test_one_standard_error_of_a_lasso():
    X, y = regression()
    settings = {"alphas": 30, "cv": 6, "tol": 1e-6}
    best = fastsum.LassoCV(**settings).fit(X, y)
    model = fastsum.LassoCV(**settings, selection_rule="one_standard_error").fit(X, y)
    mean = best.mse_path_.mean(axis=1)
    at = int(mean.argmin())
    bar = mean[at] + best.mse_path_[at].std(ddof=1) / np.sqrt(6)
    assert model.alpha_ == best.alphas_[mean <= bar].max() > best.alpha_
    assert (model.coef_ != 0).sum() < (best.coef_ != 0).sum()
    np.testing.assert_array_equal(
        model.coef_, fastsum.Lasso(model.alpha_, tol=1e-6).fit(X, y).coef_
    )


def test_grids_of_targets_that_nothing_explains():
    X, _ = regression()
    model = fastsum.LassoCV(alphas=3, cv=3).fit(X, np.ones(len(X)))
    assert (model.alphas_ == np.finfo(float).resolution).all() and (model.coef_ == 0).all()


def test_groups_reach_the_splitter_of_a_lasso():
    X, y = regression()
    groups = np.arange(len(y)) % 4
    with sklearn.config_context(enable_metadata_routing=True):
        model = fastsum.LassoCV(alphas=4, cv=LeaveOneGroupOut()).fit(X, y, groups=groups)
    splits = list(LeaveOneGroupOut().split(X, y, groups))
    expected = fastsum.LassoCV(alphas=4, cv=splits).fit(X, y)
    np.testing.assert_array_equal(model.mse_path_, expected.mse_path_)
    assert model.mse_path_.shape == (4, 4)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"alphas": []}, ValueError, "alphas is empty"),
        ({"alphas": [0.1, -1.0]}, ValueError, r"alphas\[1\] == -1.0, must be >= 0"),
        ({"alphas": [0.1, "1"]}, TypeError, r"alphas\[1\] must be an instance of float"),
        ({"alphas": [0.1, np.nan]}, ValueError, r"alphas\[1\] == nan, must be a finite number"),
        ({"alphas": [np.inf]}, ValueError, "alphas == inf, must be a finite number"),
        ({"alphas": 0}, ValueError, "'alphas' parameter"),
        ({"eps": 0.0}, ValueError, "'eps' parameter"),
        ({"l1_ratio": [0.5, 1.5]}, ValueError, r"l1_ratio\[1\] == 1.5, must be <= 1"),
        ({"l1_ratio": [[0.5, 0.6]]}, TypeError, "l1_ratio must be an instance of float, not list"),
        ({"l1_ratio": []}, ValueError, "l1_ratio is empty"),
        ({"l1_ratio": 0.0}, ValueError, "grid generation is not supported for l1_ratio=0"),
        ({"precompute": True}, ValueError, "precompute=True has no meaning"),
        ({"precompute": np.eye(20)}, ValueError, "precompute=.*has no meaning"),
        ({"selection": "random"}, ValueError, "selection='random' has no meaning"),
        ({"cv": 61}, ValueError, "n_splits=61"),
    ],
)
def test_bad_parameters_of_elastic_nets(settings, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        fastsum.ElasticNetCV(**settings).fit(*regression())


def test_targets_given_as_strings_are_numbers():
    """As in scikit-learn, whose LassoCV turns them into floats."""
    X, y = regression()
    expected = fastsum.LassoCV(alphas=3).fit(X, y)
    for given in (y.astype(str), y.astype(object)):
        model = fastsum.LassoCV(alphas=3).fit(X, given)
        np.testing.assert_array_equal(model.mse_path_, expected.mse_path_)


def test_several_targets_are_for_other_estimators():
    X, y = regression()
    with pytest.raises(ValueError, match="For multi-task outputs, use MultiTaskLassoCV"):
        fastsum.LassoCV().fit(X, np.column_stack([y, y]))
    with pytest.warns(sklearn.exceptions.DataConversionWarning):
        assert fastsum.LassoCV(alphas=3).fit(X, y[:, None]).coef_.shape == (20,)
