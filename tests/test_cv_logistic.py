"""LogisticRegressionCV: folds, scores, choice and refit against independent fits."""

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
import sklearn
import sklearn.linear_model
from cv_cases import EXACT, FORMS, classification, each_form, weights_of
from in_turn import in_turn
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

import fastsum
from fastsum.linear_model import _cv, _many


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


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    ("weighted", "scoring", "form"),  # peers serve the first row
    in_turn([False, True], ["neg_log_loss", "accuracy", "roc_auc_ovr"], FORMS),
)
def test_every_fold_and_point_is_a_fit_of_its_own(form, n_classes, weighted, scoring):
    X, y = classification(n_classes)
    data, weights = FORMS[form](X), weights_of(len(y)) if weighted else None
    cv, Cs, l1_ratios = StratifiedKFold(4), [0.2, 1.0, 0.5], [0.0, 0.5, 1.0]
    exact = {**EXACT, "tol": 1e-12}  # coefficients are known to the root of it
    model = fastsum.LogisticRegressionCV(
        Cs=Cs, l1_ratios=l1_ratios, cv=cv, scoring=scoring, **exact
    ).fit(data, y, sample_weight=weights)

    scorer = get_scorer(scoring)

    def ours(C, l1_ratio):
        return fastsum.LogisticRegression(C=C, l1_ratio=l1_ratio, **exact)

    def theirs(C, l1_ratio):
        return sklearn.linear_model.LogisticRegression(
            C=C, l1_ratio=l1_ratio, solver="saga", tol=1e-11, max_iter=100_000, random_state=0
        )

    for make in (ours, theirs):
        if make is theirs and (weighted or form == "sparse" or scoring != "neg_log_loss"):
            continue  # its saga is wrong with weights, damps the intercept on sparse data, is slow
        scores, paths = scores_of_fits(data, y, cv, Cs, l1_ratios, scorer, make, weights)
        np.testing.assert_allclose(model.coefs_paths_, paths, atol=3e-5)
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
    monkeypatch.setattr(_many, "SHARED_VALUES", 1)
    parts = fastsum.LogisticRegressionCV(**settings).fit(X, y)
    np.testing.assert_allclose(parts.scores_, whole.scores_, rtol=1e-12)


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
    with pytest.warns(UserWarning, match="non-finite"):
        assert _cv.choose(scores + np.nan, strength, ratio, "one_standard_error") == 0


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
    for bad in ({"a": 1.0}, "high", np.ones(3)):
        with pytest.raises(ValueError, match=r"scoring must return a number, got .*scorer="):
            fastsum.LogisticRegressionCV(**settings, scoring=lambda *_, s=bad: s).fit(X, y)


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"Cs": []}, "Cs is empty; give at least one value"),
        ({"Cs": [0.0, 1.0]}, r"Cs\[0\] == 0.0, must be > 0"),
        ({"Cs": [np.nan]}, "Cs == nan, must be a number"),
        ({"Cs": [1.0, "2"]}, r"Cs\[1\] must be an instance of float, not str"),
        ({"Cs": {1.0, 2.0}}, "Cs must be an instance of float, not set"),
        ({"Cs": 0}, "'Cs' parameter"),
        ({"l1_ratios": []}, "l1_ratios is empty"),
        ({"l1_ratios": [1.5]}, r"l1_ratios == 1.5, must be <= 1"),
        ({"l1_ratios": [[0.5], [1.0]]}, r"l1_ratios\[0\] must be an instance of float, not list"),
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
    with pytest.raises((ValueError, TypeError), match=message):
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


@pytest.mark.parametrize("routing", [False, True])
def test_folds_may_be_a_generator(routing):
    """It can be read once only."""
    X, y = classification(2)
    target = np.where(y == "bee", 1.0, 0.0)
    with sklearn.config_context(enable_metadata_routing=routing):
        for kind, labels in (
            (partial(fastsum.LogisticRegressionCV, Cs=2), y),
            (partial(fastsum.LassoCV, alphas=2), target),
            (fastsum.RidgeCV, target),
        ):
            once = kind(cv=KFold(3).split(X)).fit(X, labels)
            again = kind(cv=list(KFold(3).split(X))).fit(X, labels)
            np.testing.assert_array_equal(once.coef_, again.coef_)


def test_a_fit_forgets_the_one_before():
    X, y = classification(2)
    model = fastsum.LogisticRegressionCV(Cs=2, cv=2).fit(X, y)
    assert model.dual_gap_ >= 0
    model.set_params(refit=False).fit(X, y)  # the mean of the folds has no certificate
    fresh = fastsum.LogisticRegressionCV(Cs=2, cv=2, refit=False).fit(X, y)
    learned = [{name for name in vars(m) if name.endswith("_")} for m in (model, fresh)]
    assert learned[0] == learned[1] and "dual_gap_" not in learned[0]
    ridge = fastsum.RidgeCV(store_cv_results=True).fit(X, y == "bee")
    assert not hasattr(ridge.set_params(store_cv_results=False).fit(X, y == "bee"), "cv_results_")


def test_models_that_a_scorer_keeps_hold_no_data():
    """Nor do they answer for other rows: pickled they are as large as their coefficients."""
    X, y = classification(2, n=2000)
    kept = []

    def keep(estimator, X, y):
        kept.append(estimator)
        return estimator.score(X, y)

    fastsum.LogisticRegressionCV(Cs=2, cv=2, scoring=keep).fit(X, y)
    assert len(kept) == 4 and max(len(pickle.dumps(model)) for model in kept) < 5000
