"""Estimators with cross-validation: folds, scores, choice and refit against independent fits."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
import sklearn.linear_model
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    ShuffleSplit,
    StratifiedKFold,
)
from sklearn.utils.fixes import parse_version

import fastsum
from fastsum.linear_model import _cv, _leave_one_out

FORMS = {"dense": np.array, "sparse": sp.csr_array}
each_form = pytest.mark.parametrize("form", FORMS)
EXACT = {"tol": 1e-10, "max_iter": 5000}


def classification(n_classes, n=150, d=8, seed=0):
    X, y = make_classification(
        n,
        d,
        n_informative=5,
        n_classes=n_classes,
        weights=[0.5, 0.3][: n_classes - 1],
        flip_y=0.1,
        random_state=seed,
    )
    X[np.abs(X) < 0.3] = 0.0
    return X, np.array(["ant", "bee", "cat"])[y]


def weights_of(n):
    return np.random.default_rng(5).integers(0, 4, n).astype(float)


def scores_of_fits(X, y, cv, Cs, l1_ratios, scorer, make, weights=None):
    """Scores and coefficients of one fit of `make(C, l1_ratio)` a fold and point."""
    scores, paths = [], []
    for train, test in cv.split(X, y):
        options = {} if weights is None else {"sample_weight": weights[train]}
        scored = {} if weights is None else {"sample_weight": weights[test]}
        for l1_ratio in l1_ratios:
            for C in Cs:
                model = make(C, l1_ratio).fit(X[train], y[train], **options)
                scores.append(scorer(model, X[test], y[test], **scored))
                paths.append(np.column_stack([model.coef_, model.intercept_]))
    shape = cv.get_n_splits(), len(l1_ratios), len(Cs)
    return np.reshape(scores, shape), np.reshape(paths, (*shape, *paths[0].shape))


# --- LogisticRegressionCV -------------------------------------------------------------------------


@each_form
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scoring", ["neg_log_loss", "accuracy", "roc_auc_ovr"])
def test_every_fold_and_point_is_a_fit_of_its_own(form, n_classes, weighted, scoring):
    X, y = classification(n_classes)
    data, weights = FORMS[form](X), weights_of(len(y)) if weighted else None
    cv, Cs, l1_ratios = StratifiedKFold(4), [0.2, 1.0, 0.5], [0.0, 0.5, 1.0]
    model = fastsum.LogisticRegressionCV(
        Cs=Cs, l1_ratios=l1_ratios, cv=cv, scoring=scoring, **EXACT
    ).fit(data, y, sample_weight=weights)

    scorer = get_scorer(scoring)

    def ours(C, l1_ratio):
        return fastsum.LogisticRegression(C=C, l1_ratio=l1_ratio, **EXACT)

    def theirs(C, l1_ratio):
        return sklearn.linear_model.LogisticRegression(
            C=C, l1_ratio=l1_ratio, solver="saga", tol=1e-11, max_iter=100_000, random_state=0
        )

    for make in (ours, theirs):
        if make is theirs and (weighted or form == "sparse" or scoring != "neg_log_loss"):
            continue  # its saga is wrong with weights, damps the intercept on sparse data, is slow
        scores, paths = scores_of_fits(data, y, cv, Cs, l1_ratios, scorer, make, weights)
        np.testing.assert_allclose(model.coefs_paths_, paths, atol=3e-5)  # the root of tol
        np.testing.assert_allclose(model.scores_, scores, atol=3e-6)
    mean = model.scores_.mean(axis=0)
    assert mean[l1_ratios.index(model.l1_ratio_), Cs.index(model.C_)] == mean.max()
    plain = ours(model.C_, model.l1_ratio_).fit(data, y, sample_weight=weights)
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    np.testing.assert_array_equal(model.intercept_, plain.intercept_)
    assert model.objective_ == plain.objective_ and model.dual_gap_ == plain.dual_gap_
    assert model.solver_ == "auto" and model.status_ in ("converged", "precision")


@each_form
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_attributes_are_those_of_scikit_learn(form, n_classes, class_weight, refit, fit_intercept):
    X, y = classification(n_classes)
    data, weights = FORMS[form](X), weights_of(len(y))
    common = {
        "Cs": 4, "l1_ratios": (0.0,), "cv": 3, "scoring": "neg_log_loss", "refit": refit,
        "class_weight": class_weight, "fit_intercept": fit_intercept,
    }  # fmt: skip
    ours = fastsum.LogisticRegressionCV(**common, tol=1e-14, max_iter=5000)
    ours.fit(data, y, sample_weight=weights)
    if not hasattr(sklearn.linear_model.LogisticRegressionCV(), "use_legacy_attributes"):
        pytest.skip("this scikit-learn has the legacy attributes only")
    theirs = sklearn.linear_model.LogisticRegressionCV(
        **common, tol=1e-10, solver="newton-cholesky", use_legacy_attributes=False
    ).fit(data, y, sample_weight=weights)
    assert ours.C_ == theirs.C_ and ours.l1_ratio_ == theirs.l1_ratio_
    np.testing.assert_array_equal(ours.Cs_, theirs.Cs_)
    np.testing.assert_array_equal(ours.l1_ratios_, theirs.l1_ratios_)
    np.testing.assert_allclose(ours.scores_, theirs.scores_, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours.coefs_paths_, theirs.coefs_paths_, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-4, atol=1e-4)
    assert ours.n_iter_.shape == theirs.n_iter_.shape
    assert ours.score(data, y) == pytest.approx(theirs.score(data, y), abs=1e-5)


def by_decision(estimator, X, y):
    return float(np.mean(estimator.decision_function(X) * (y == "bee")))


def by_another_part(estimator, X, y):
    """Predicts other rows than it was given, so that known margins would be wrong."""
    return float(np.mean(estimator.predict(X[::-2]) == y[::-2]))


def by_coefficients(estimator, X, y):
    return -float(np.abs(estimator.coef_).sum()) * estimator.C


SCORERS = ["f1", "average_precision", "neg_brier_score", "matthews_corrcoef", None]


@pytest.mark.parametrize("scoring", [*SCORERS, by_decision, by_another_part, by_coefficients])
def test_scores_are_those_of_grid_search(scoring):
    X, y = classification(2)
    y = np.where(y == "bee", "bee", "ant") if callable(scoring) else (y == "bee").astype(int)
    Cs, cv = [0.01, 0.1, 1.0], StratifiedKFold(3)
    model = fastsum.LogisticRegressionCV(Cs=Cs, cv=cv, scoring=scoring, **EXACT).fit(X, y)
    plain = sklearn.linear_model.LogisticRegression(solver="newton-cholesky", tol=1e-10)
    search = GridSearchCV(plain, {"C": Cs}, cv=cv, scoring=scoring).fit(X, y)
    for k in range(3):
        expected = search.cv_results_[f"split{k}_test_score"]
        np.testing.assert_allclose(model.scores_[k, 0], expected, rtol=1e-5)
    assert model.C_ == search.best_params_["C"]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_folds_without_a_class(n_classes):
    X, y = classification(n_classes)
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    ends = np.cumsum(np.unique(y, return_counts=True)[1])
    parts = np.split(np.arange(len(y)), ends[:-1])
    cv = [(np.setdiff1d(np.arange(len(y)), part), part) for part in parts]
    cv.append(next(iter(StratifiedKFold(3).split(X, y))))
    model = fastsum.LogisticRegressionCV(
        Cs=[1e-3, 1.0], cv=cv, scoring="neg_brier_score", max_iter=1000, tol=1e-8
    ).fit(X, y)
    assert np.isfinite(model.coefs_paths_).all()
    # what was never seen is never expected, and says so: the worst score but for the other classes
    assert (model.scores_[:n_classes] < -0.9).all() and (model.scores_[n_classes] > -0.9).all()
    if n_classes == 3:
        train = cv[0][0]
        pair = sklearn.linear_model.LogisticRegression(
            solver="newton-cholesky",
            tol=1e-10,
            C=2.0,  # of two outputs: |w|^2 / 2 of each
        ).fit(X[train], y[train])
        coef = model.coefs_paths_[0, 0, 1]
        np.testing.assert_allclose(coef[0, :-1], 0.0, atol=1e-6)  # of the absent class
        np.testing.assert_allclose(coef[2, :-1] - coef[1, :-1], pair.coef_[0], atol=1e-3)


def test_training_rows_that_a_splitter_repeats_weigh_more():
    X, y = classification(2)
    rng = np.random.default_rng(0)
    cv = [(rng.integers(0, len(y), 100), np.arange(0, len(y), 3)) for _ in range(2)]
    model = fastsum.LogisticRegressionCV(Cs=[0.1], cv=cv, **EXACT).fit(X, y)
    for k, (train, _) in enumerate(cv):
        plain = fastsum.LogisticRegression(C=0.1, **EXACT).fit(X[train], y[train])
        np.testing.assert_allclose(model.coefs_paths_[k, 0, 0, 0, :-1], plain.coef_[0], atol=1e-6)


def test_masks_and_unbalanced_folds():
    X, y = classification(2)
    mask = np.arange(len(y)) < 20
    cv = [(~mask, mask), (mask, ~mask)]
    model = fastsum.LogisticRegressionCV(Cs=[0.1], cv=cv, **EXACT).fit(X, y)
    for k, (train, test) in enumerate(cv):
        plain = fastsum.LogisticRegression(C=0.1, **EXACT).fit(X[train], y[train])
        expected = get_scorer("neg_log_loss")(plain, X[test], y[test])
        assert model.scores_[k, 0, 0] == pytest.approx(expected, abs=1e-7)


def test_class_without_weight_is_left_out():
    X, y = classification(3)
    settings = {"Cs": [0.1, 1.0], "cv": KFold(3), **EXACT}
    weights = np.where(y == "ant", 0.0, 1.0)
    model = fastsum.LogisticRegressionCV(**settings).fit(X, y, sample_weight=weights)
    by_class = fastsum.LogisticRegressionCV(**settings, class_weight={"ant": 0.0}).fit(X, y)
    for fitted in (model, by_class):
        assert fitted.classes_.tolist() == ["bee", "cat"]
        np.testing.assert_allclose(fitted.scores_, model.scores_)
        assert np.isfinite(fitted.scores_).all()


def test_float32_is_kept():
    X, y = classification(2)
    settings = {"Cs": [0.1, 1.0], "cv": 3}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = fastsum.LogisticRegressionCV(**settings).fit(X.astype(np.float32), y)
    double = fastsum.LogisticRegressionCV(**settings).fit(X, y)
    assert model.coef_.dtype == model.coefs_paths_.dtype == np.float32
    np.testing.assert_allclose(model.coefs_paths_, double.coefs_paths_, atol=0.05)


def test_same_bits_again():
    X, y = classification(3)
    a, b = (fastsum.LogisticRegressionCV(Cs=3, cv=3, max_iter=1000).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(a.coefs_paths_, b.coefs_paths_)
    np.testing.assert_array_equal(a.scores_, b.scores_)


def test_margins_in_small_parts(monkeypatch):
    X, y = classification(3)
    settings = {"Cs": 4, "cv": 3, "max_iter": 1000}
    whole = fastsum.LogisticRegressionCV(**settings).fit(X, y)
    monkeypatch.setattr(_cv, "SCORED_VALUES", 1)
    parts = fastsum.LogisticRegressionCV(**settings).fit(X, y)
    np.testing.assert_allclose(parts.scores_, whole.scores_, rtol=1e-12)


# --- LassoCV, ElasticNetCV ------------------------------------------------------------------------


def regression(n=60, d=20, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + rng.standard_normal(d)
    X[rng.random(X.shape) < 0.4] = 0.0
    return X, X[:, :4] @ [3.0, -2.0, 1.0, 0.5] + rng.standard_normal(n) + 5.0


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
        ({"alphas": [np.nan]}, ValueError, "alpha must be finite"),
        ({"alphas": 0}, ValueError, "'alphas' parameter"),
        ({"eps": 0.0}, ValueError, "'eps' parameter"),
        ({"l1_ratio": [0.5, 1.5]}, ValueError, r"l1_ratio must be .* in \[0, 1\]"),
        ({"l1_ratio": []}, ValueError, "l1_ratio must be a number or numbers"),
        ({"l1_ratio": 0.0}, ValueError, "grid generation is not supported for l1_ratio=0"),
        ({"positive": True}, ValueError, "positive=True has no meaning"),
        ({"precompute": True}, ValueError, "precompute=True has no meaning"),
        ({"precompute": np.eye(20)}, ValueError, "precompute=.*has no meaning"),
        ({"selection": "random"}, ValueError, "selection='random' has no meaning"),
        ({"cv": 61}, ValueError, "n_splits=61"),
    ],
)
def test_bad_parameters_of_elastic_nets(settings, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        fastsum.ElasticNetCV(**settings).fit(*regression())


def test_several_targets_are_for_other_estimators():
    X, y = regression()
    with pytest.raises(ValueError, match="For multi-task outputs, use MultiTaskLassoCV"):
        fastsum.LassoCV().fit(X, np.column_stack([y, y]))
    with pytest.warns(sklearn.exceptions.DataConversionWarning):
        assert fastsum.LassoCV(alphas=3).fit(X, y[:, None]).coef_.shape == (20,)


# --- RidgeCV --------------------------------------------------------------------------------------


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


# --- groups, routing ------------------------------------------------------------------------------


def test_groups_and_weights_are_routed():
    X, y = classification(2)
    groups, weights = np.arange(len(y)) % 5, weights_of(len(y))
    settings = {"Cs": [0.1, 1.0], **EXACT}
    with sklearn.config_context(enable_metadata_routing=True):
        weighted = get_scorer("accuracy").set_score_request(sample_weight=True)
        plain = get_scorer("accuracy").set_score_request(sample_weight=False)
        for scorer in (weighted, plain):
            model = fastsum.LogisticRegressionCV(**settings, cv=GroupKFold(3), scoring=scorer)
            model.fit(X, y, sample_weight=weights, groups=groups)
            for k, (train, test) in enumerate(GroupKFold(3).split(X, y, groups)):
                fold = fastsum.LogisticRegression(C=0.1, **EXACT)
                fold.fit(X[train], y[train], sample_weight=weights[train])
                given = weights[test] if scorer is weighted else None
                correct = np.average(fold.predict(X[test]) == y[test], weights=given)
                assert model.scores_[k, 0, 0] == pytest.approx(correct)
        with pytest.raises(TypeError, match="unexpected argument"):
            model.fit(X, y, colour="red")
    with pytest.raises(ValueError, match="enable_metadata_routing=True"):
        fastsum.LogisticRegressionCV(cv=LeaveOneGroupOut()).fit(X, y, groups=groups)


# --- the choice -----------------------------------------------------------------------------------


def test_one_standard_error_by_hand():
    # means 0.5, 0.8, 0.9, 0.85; the errors of the best over three folds: sd 0.1, 0.1 / sqrt(3)
    scores = np.array([[0.5, 0.8, 0.8, 0.85], [0.5, 0.85, 0.9, 0.85], [0.5, 0.9, 1.0, 0.85]])
    assert scores[:, 2].std(ddof=1) / np.sqrt(3) == pytest.approx(0.0577, abs=1e-4)
    strength, ratio = np.array([4.0, 3.0, 2.0, 2.5]), np.zeros(4)
    assert _cv.choose(scores, strength, ratio, "best") == 2
    assert _cv.choose(scores, strength, ratio, "one_standard_error") == 1  # 0.85 >= 0.9 - 0.0577
    ratio[1] = 0.5  # the strengths of another l1_ratio are no measure
    assert _cv.choose(scores, strength, ratio, "one_standard_error") == 3
    with pytest.raises(ValueError, match="at least two folds"):
        _cv.choose(scores[:1], strength, ratio, "one_standard_error")


def test_one_standard_error_of_a_fit():
    X, y = classification(2)
    settings = {"Cs": np.logspace(-3, 1, 17), "cv": 5, "max_iter": 1000}
    best = fastsum.LogisticRegressionCV(**settings).fit(X, y)
    model = fastsum.LogisticRegressionCV(**settings, selection_rule="one_standard_error").fit(X, y)
    scores = best.scores_[:, 0]
    at = int(np.flatnonzero(best.Cs_ == best.C_)[0])
    bar = scores[:, at].mean() - scores[:, at].std(ddof=1) / np.sqrt(5)
    assert model.C_ == next(
        C for C, s in zip(best.Cs_, scores.mean(axis=0), strict=True) if s >= bar
    )
    assert model.C_ < best.C_
    plain = fastsum.LogisticRegression(C=model.C_, max_iter=1000).fit(X, y)
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    mean = fastsum.LogisticRegressionCV(
        **settings, selection_rule="one_standard_error", refit=False
    ).fit(X, y)
    assert mean.C_ == pytest.approx(model.C_)
    folds = model.coefs_paths_[:, 0, list(model.Cs_).index(model.C_)]
    np.testing.assert_allclose(mean.coef_, folds.mean(axis=0)[:, :-1])


def test_ties_go_to_the_first_point():
    X, y = classification(2)
    calls = iter(np.tile([1.0, 2.0, 2.0, 2.0, 1.0, 2.0], 2))  # l1_ratio by l1_ratio, C by C
    model = fastsum.LogisticRegressionCV(
        Cs=[1.0, 2.0, 3.0], l1_ratios=[0.0, 1.0], cv=2, scoring=lambda *_: next(calls)
    ).fit(X, y)
    assert (model.C_, model.l1_ratio_) == (1.0, 1.0)  # C=2, l1_ratio=0 comes after


def test_scores_that_are_no_numbers():
    X, y = classification(2)

    def nan_for_one(estimator, X, y):
        return np.nan if estimator.C == 1.0 else estimator.C

    settings = {"Cs": [0.1, 1.0, 0.2], "cv": 3}
    with pytest.warns(UserWarning, match="non-finite"):
        model = fastsum.LogisticRegressionCV(**settings, scoring=nan_for_one).fit(X, y)
    assert model.C_ == 0.2
    with pytest.raises(ValueError, match="scoring must return a number"):
        fastsum.LogisticRegressionCV(**settings, scoring=lambda *_: {"a": 1.0}).fit(X, y)


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"Cs": []}, "Cs must be an array-like of at least one number"),
        ({"Cs": [0.0, 1.0]}, r"Cs must be .* in \(0, inf\]"),
        ({"Cs": [np.nan]}, "Cs must be"),
        ({"Cs": 0}, "'Cs' parameter"),
        ({"l1_ratios": []}, "l1_ratios must be an array-like of at least one number"),
        ({"l1_ratios": [1.5]}, r"l1_ratios must be .* in \[0, 1\]"),
        ({"cv": []}, "cv made no folds"),
        ({"cv": [([], [0, 1])]}, "the training part of fold 0 has no row"),
        ({"scoring": "no_such_score"}, "'scoring' parameter"),
        ({"selection_rule": "worst"}, "'selection_rule' parameter"),
        ({"use_legacy_attributes": True}, "use_legacy_attributes=True has no meaning"),
        ({"penalty": "l1"}, "penalty='l1' has no meaning"),
        ({"cv": 200}, "n_splits=200"),
    ],
)
def test_bad_parameters(settings, message):
    X, y = classification(2)
    with pytest.raises(ValueError, match=message):
        fastsum.LogisticRegressionCV(**settings).fit(X, y)


def test_errors_of_a_scorer_reach_the_user():
    X, y = classification(2)

    def broken(estimator, X, y):
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"):
        fastsum.LogisticRegressionCV(Cs=2, cv=2, scoring=broken).fit(X, y)


def test_a_splitter_is_asked_once_and_given_the_labels():
    X, y = classification(2)
    seen = []

    class Splitter(ShuffleSplit):
        def split(self, X, y=None, groups=None):
            seen.append(np.array(y))
            yield from super().split(X, y, groups)

    fastsum.LogisticRegressionCV(Cs=2, cv=Splitter(2, random_state=0)).fit(X, y)
    assert len(seen) == 1
    np.testing.assert_array_equal(seen[0], y)
