"""FastGridSearchCV against scikit-learn's GridSearchCV, which fits every candidate by itself."""

import pickle
import warnings
from functools import partial

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from estimator_cases import BINARY, CLASSES, TARGET, TARGETS, X
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, make_scorer, mean_squared_error
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ShuffleSplit,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

import fastsum
from fastsum.linear_model import _many
from fastsum.linear_model._base import FiniteSumEstimator
from fastsum.model_selection import FastGridSearchCV, one_standard_error

TIGHT = {"tol": 1e-10, "max_iter": 20000}
TIGHTER = {"tol": 1e-13, "max_iter": 20000}  # where coefficients or unbounded scores are compared
NAMES = np.array(["ant", "bee", "cat"])
RNG = np.random.default_rng(0)
WEIGHTS = RNG.integers(0, 4, len(X)).astype(float)
GROUPS = RNG.integers(0, 9, len(X))
ALPHAS = [1e-3, 0.3, 0.03]


@pytest.fixture
def solved(monkeypatch):
    """How many problems each shared solve took, and how many fits were made alone."""
    counts = {"shared": [], "alone": 0}
    solve_many, solve = _many.solve_many, FiniteSumEstimator._solve

    def many(problems, *args, **kwargs):
        counts["shared"].append(len(problems))
        return solve_many(problems, *args, **kwargs)

    def alone(self, problem):
        counts["alone"] += 1
        return solve(self, problem)

    monkeypatch.setattr(_many, "solve_many", many)
    monkeypatch.setattr(FiniteSumEstimator, "_solve", alone)
    return counts


def assert_same(fast, plain, atol=1e-6):
    """cv_results_ and what follows from it; times are each search's own."""
    assert list(fast.cv_results_) == list(plain.cv_results_)
    for key, values in plain.cv_results_.items():
        if key.endswith("_time"):
            assert np.all(fast.cv_results_[key] >= 0)
        elif key == "params":
            np.testing.assert_equal(fast.cv_results_[key], values)
        elif key.startswith("param_"):
            np.testing.assert_array_equal(fast.cv_results_[key].mask, values.mask)
            np.testing.assert_equal(fast.cv_results_[key].tolist(), values.tolist())
        elif key.startswith("rank_"):
            np.testing.assert_array_equal(fast.cv_results_[key], values)
        else:
            np.testing.assert_allclose(fast.cv_results_[key], values, rtol=0, atol=atol)
    for name in ("best_index_", "best_params_", "best_score_", "multimetric_", "n_splits_"):
        assert hasattr(fast, name) == hasattr(plain, name)
        if name == "best_score_" and hasattr(plain, name):
            np.testing.assert_allclose(fast.best_score_, plain.best_score_, rtol=0, atol=atol)
        elif hasattr(plain, name):
            np.testing.assert_equal(getattr(fast, name), getattr(plain, name))


def searches(estimator, grid, data, y, *, params=None, **settings):
    """Both searches, fitted."""
    kinds = FastGridSearchCV, GridSearchCV
    return [kind(estimator, grid, **settings).fit(data, y, **(params or {})) for kind in kinds]


CASES = {
    "C": (fastsum.LogisticRegression(**TIGHT), {"C": [1e-2, 10.0, 0.3]}, BINARY),
    "C, multinomial": (fastsum.LogisticRegression(**TIGHT), {"C": [1e-2, 1.0]}, CLASSES),
    "class weights": (
        fastsum.LogisticRegression(**TIGHT),
        {"C": [0.1, 1.0], "class_weight": [None, "balanced", {0: 1.0, 1: 5.0}]},
        BINARY,
    ),
    "l1_ratio": (
        fastsum.LogisticRegression(**TIGHT),
        {"l1_ratio": [0.0, 0.5, 1.0], "C": [0.1, 1.0]},
        BINARY,
    ),
    "one against the rest": (
        fastsum.FiniteSumClassifier(**TIGHT),
        {"alpha": ALPHAS, "class_weight": [None, "balanced"]},
        CLASSES,
    ),
    "smoothed hinge": (
        fastsum.FiniteSumClassifier("smoothed_hinge", **TIGHT),
        {"alpha": ALPHAS},
        BINARY,
    ),
    "saga": (fastsum.SAGAClassifier(**TIGHT), {"alpha": ALPHAS}, BINARY),
    "ridge": (fastsum.Ridge(**TIGHT), {"alpha": [0.1, 10.0]}, TARGET),
    "ridge, two targets": (
        fastsum.Ridge(**TIGHT),
        {"alpha": [0.1, [1.0, 10.0], np.array([3.0, 2.0])]},
        TARGETS,
    ),
    "lasso": (fastsum.Lasso(**TIGHT), {"alpha": ALPHAS}, TARGET),
    "lasso, y a column": (fastsum.Lasso(**TIGHT), {"alpha": ALPHAS}, TARGET[:, None]),
    "elastic net": (fastsum.ElasticNet(**TIGHT), {"alpha": ALPHAS, "l1_ratio": [0.2, 0.9]}, TARGET),
    "huber": (fastsum.FiniteSumRegressor("huber", **TIGHT), {"alpha": ALPHAS}, TARGET),
}


@pytest.mark.parametrize(
    "form", [np.asarray, sp.csr_array, sp.csc_matrix], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_results_are_those_of_separate_fits(case, form, solved):
    estimator, grid, y = case
    fast, plain = searches(estimator, grid, form(X), y)
    assert_same(fast, plain)
    n_fits = 5 * len(plain.cv_results_["params"])
    assert solved == {"shared": [n_fits], "alone": n_fits + 2}  # all but the refits
    np.testing.assert_allclose(fast.best_estimator_.coef_, plain.best_estimator_.coef_, atol=1e-6)
    np.testing.assert_array_equal(fast.predict(X), plain.predict(X))


def test_scores_are_those_of_scikit_learn():
    """An oracle that shares no code with ours."""
    grid = {"C": [0.01, 1.0, 100.0], "class_weight": [None, "balanced"]}
    settings = {"scoring": "neg_log_loss", "return_train_score": True}
    fast = FastGridSearchCV(fastsum.LogisticRegression(**TIGHT), grid, **settings).fit(X, BINARY)
    plain = GridSearchCV(LogisticRegression(tol=1e-10, max_iter=20000), grid, **settings)
    assert_same(fast, plain.fit(X, BINARY))
    fast = FastGridSearchCV(fastsum.Ridge(**TIGHT), {"alpha": [0.1, 30.0]}).fit(X, TARGET)
    assert_same(fast, GridSearchCV(Ridge(), {"alpha": [0.1, 30.0]}).fit(X, TARGET))


def test_each_candidate_of_a_fold_is_fitted_as_by_itself():
    """All attributes of a fit, seen by a scorer that keeps the estimators."""
    kept = {}

    def keep(estimator, data, y):
        kept[estimator.C, estimator.class_weight, data.index[0]] = estimator
        return estimator.score(data, y)

    frame = pd.DataFrame(X, columns=list("abcdef"))
    y = NAMES[CLASSES]
    base = fastsum.LogisticRegression(random_state=np.random.RandomState(1), **TIGHTER)
    grid = {"C": [0.1, 1.0], "class_weight": ["balanced", None]}
    FastGridSearchCV(base, grid, scoring=keep, cv=3, refit=False).fit(frame, y)
    fitted, kept = kept, {}
    GridSearchCV(base, grid, scoring=keep, cv=3, refit=False).fit(frame, y)
    assert len(fitted) == 12 and fitted.keys() == kept.keys()
    for key, a in fitted.items():
        b = kept[key]
        assert type(a) is type(b)
        assert set(vars(a)) == set(vars(b)) - {"_last"} and a.fit.__func__ is b.fit.__func__
        for name in ("coef_", "intercept_", "objective_"):
            assert np.asarray(getattr(a, name)).dtype == np.asarray(getattr(b, name)).dtype
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-6)
        assert a.dual_gap_ <= 1e-9 and a.status_.reached
        for name in ("classes_", "feature_names_in_", "n_features_in_"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        assert a.n_iter_.shape == b.n_iter_.shape and a.trace_.dtype == b.trace_.dtype
        pickle.loads(pickle.dumps(a)).predict(frame)


def test_ties_share_their_rank():
    """Equal accuracies: ranks and the choice between them are scikit-learn's."""
    grid = {"C": [3.0, 1.0, 1e-6, 1e-7, 2.0]}
    fast, plain = searches(fastsum.LogisticRegression(**TIGHT), grid, X, BINARY, cv=3)
    ranks = fast.cv_results_["rank_test_score"]
    assert len(set(ranks)) < len(ranks)
    assert_same(fast, plain)


@pytest.mark.filterwarnings("ignore:the certified gap is at the floor")
def test_equal_candidates_and_null_models_tie():
    """Equal problems have equal scores to the last bit, and so do models without a coefficient."""
    grid = [{"alpha": [0.1, 1e3, 0.3, 1e4]}, {"alpha": [0.1, 1e5]}]
    fast, plain = searches(fastsum.Lasso(**TIGHT), grid, X, TARGET)
    np.testing.assert_array_equal(fast.cv_results_["rank_test_score"], [1, 4, 3, 4, 1, 4])
    assert_same(fast, plain)


def test_other_parameters_are_groups_of_their_own(solved):
    grid = [
        {"loss": ["logistic", "squared_hinge"], "alpha": ALPHAS, "fit_intercept": [True, False]},
        {"sampling": ["importance"], "solver": ["saga"], "alpha": [0.1, 0.2]},
        {"alpha": [1.0]},
    ]
    estimator = fastsum.FiniteSumClassifier(**TIGHT)
    fast = FastGridSearchCV(estimator, grid, cv=3).fit(X, BINARY)
    # the last candidate has the settings of the first group; sampling is for separate fits
    assert sorted(solved["shared"]) == [9, 9, 9, 12] and solved["alone"] == 6 + 1
    assert_same(fast, GridSearchCV(estimator, grid, cv=3).fit(X, BINARY))


@pytest.mark.parametrize("scoring", [
    {"ll": "neg_log_loss", "auc": "roc_auc", "acc": "accuracy"},
    ["neg_log_loss", "roc_auc"],
    lambda model, data, y: {"a": model.score(data, y), "b": np.abs(model.coef_).sum() / 100},
], ids=["dict", "list", "callable"])  # fmt: skip
@pytest.mark.parametrize("train", [False, True])
def test_several_metrics(scoring, train):
    refit = "a" if callable(scoring) else list(scoring)[1]
    settings = {"scoring": scoring, "refit": refit, "return_train_score": train, "cv": 3}
    fast, plain = searches(
        fastsum.LogisticRegression(**TIGHTER), {"C": [1e-3, 0.1, 10.0]}, X, BINARY, **settings
    )
    assert fast.multimetric_
    assert_same(fast, plain)
    assert fast.score(X, BINARY) == pytest.approx(plain.score(X, BINARY), abs=1e-6)


def test_refit_by_a_missing_metric():
    search = FastGridSearchCV(
        fastsum.Ridge(), {"alpha": [1.0, 2.0]}, scoring=["r2"], refit="accuracy"
    )
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        search.fit(X, TARGET)


def test_refit_by_a_callable_and_none():
    grid, last = {"alpha": ALPHAS}, lambda results: len(results["params"]) - 1
    for refit in (last, False):
        fast, plain = searches(fastsum.Lasso(**TIGHT), grid, X, TARGET, refit=refit)
        assert_same(fast, plain)
        assert hasattr(fast, "best_estimator_") == bool(refit)


class Scaled(TransformerMixin, BaseEstimator):
    """Counts its fits."""

    fits = transforms = 0

    def __init__(self, by=1.0):
        self.by = by

    def fit(self, X, y=None):
        Scaled.fits += 1
        self.scale_ = np.abs(X).max(axis=0) * self.by
        return self

    def transform(self, X):
        Scaled.transforms += 1
        return X / self.scale_


def test_pipeline_fits_its_transformers_once_a_fold_and_setting(solved):
    pipeline = Pipeline([("scale", Scaled()), ("fit", fastsum.LogisticRegression(**TIGHT))])
    grid = {
        "scale__by": [1.0, 5.0],
        "fit__C": [0.1, 1.0, 10.0],
        "fit__fit_intercept": [True, False],
    }
    Scaled.fits = Scaled.transforms = 0
    fast = FastGridSearchCV(pipeline, grid, cv=3, refit=False, return_train_score=True)
    fast.fit(X, BINARY)
    assert Scaled.fits == 3 * 2
    assert Scaled.transforms == 3 * 2 * 3  # to fit, to score the rows held out and those of the fit
    assert solved == {"shared": [3] * (3 * 2 * 2), "alone": 0}
    plain = GridSearchCV(pipeline, grid, cv=3, refit=False, return_train_score=True)
    assert_same(fast, plain.fit(X, BINARY))
    assert Scaled.fits == 3 * 2 + 36


def test_transformers_that_work_in_place():
    """Scaling twice what was scaled already would show."""
    scaler = StandardScaler(copy=False)
    pipeline = Pipeline([("first", scaler), ("fit", fastsum.Ridge(**TIGHT))])
    grid = {"first__with_std": [True, False], "fit__alpha": [0.1, 1.0, 10.0]}
    settings = {"cv": 3, "scoring": ["r2", "neg_max_error"], "refit": "r2"}
    assert_same(*searches(pipeline, grid, X.copy(), TARGET, **settings))


def test_steps_of_a_pipeline_can_be_searched():
    """Whole steps are parameters: some are ours, some scikit-learn's, some no transformer."""
    pipeline = Pipeline([("scale", StandardScaler()), ("fit", fastsum.Ridge(**TIGHT))])
    grid = [
        {"scale": [StandardScaler(), MaxAbsScaler(), "passthrough"], "fit__alpha": [0.1, 1.0]},
        {"fit": [fastsum.Lasso(alpha=0.1, **TIGHT), Ridge(), fastsum.Lasso(alpha=0.3, **TIGHT)]},
        {"scale": [PCA(3)], "fit": [fastsum.ElasticNet(**TIGHT)], "fit__alpha": [0.1, 0.2]},
    ]
    fast, plain = searches(pipeline, grid, X, TARGET, cv=3)
    assert_same(fast, plain)
    pickle.loads(pickle.dumps(fast)).predict(X)


def test_pipeline_with_memory_and_sample_weight(tmp_path):
    pipeline = make_pipeline(StandardScaler(), fastsum.LogisticRegression(**TIGHT))
    pipeline.set_params(memory=str(tmp_path))
    grid = {"logisticregression__C": [0.1, 1.0]}
    params = {"logisticregression__sample_weight": WEIGHTS}
    fast, plain = searches(pipeline, grid, X, BINARY, params=params, cv=3)
    assert_same(fast, plain)


def test_sample_weight_and_groups():
    splitter = GroupKFold(4)
    grid = {"C": [0.1, 1.0], "class_weight": [None, "balanced"]}
    params = {"sample_weight": WEIGHTS, "groups": GROUPS}
    fast, plain = searches(
        fastsum.LogisticRegression(**TIGHT), grid, X, CLASSES, params=params, cv=splitter
    )
    assert_same(fast, plain)
    unweighted = FastGridSearchCV(fastsum.LogisticRegression(**TIGHT), grid, cv=splitter)
    unweighted.fit(X, CLASSES, groups=GROUPS)
    differs = unweighted.cv_results_["mean_test_score"] != fast.cv_results_["mean_test_score"]
    assert differs.any()


def test_metadata_routing_reaches_fit_score_and_splitter():
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = fastsum.LogisticRegression(**TIGHT)
        estimator.set_fit_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=True), estimator)
        params = {"sample_weight": WEIGHTS, "groups": GROUPS}
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        settings = {"params": params, "scoring": scorer, "cv": GroupKFold(3)}
        for model, name in ((estimator, "C"), (pipeline, "logisticregression__C")):
            fast, plain = searches(model, {name: [0.1, 1.0]}, X, BINARY, **settings)
            assert_same(fast, plain)


def test_folds_that_lack_a_class(solved):
    """Sorted labels without shuffling: fits of other problems, made by themselves."""
    order = np.argsort(CLASSES, kind="stable")
    data, y = X[order], NAMES[CLASSES[order]]
    cv = [(np.arange(60), np.arange(60, 90)), (np.arange(30, 90), np.arange(30)),
          (np.arange(0, 90, 2), np.arange(1, 90, 2))]  # fmt: skip
    assert len(np.unique(y[cv[0][0]])) == 2 and len(np.unique(y[cv[2][0]])) == 3
    grid = {"C": [0.1, 1.0]}
    fast = FastGridSearchCV(fastsum.LogisticRegression(**TIGHT), grid, cv=cv).fit(data, y)
    assert solved["shared"] == [2 * sum(len(np.unique(y[t])) == 3 for t, _ in cv)]
    assert_same(fast, GridSearchCV(fastsum.LogisticRegression(**TIGHT), grid, cv=cv).fit(data, y))


@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_folds_of_one_class_fail_as_in_scikit_learn():
    y = np.r_[np.zeros(60), np.ones(30)]
    grid = {"alpha": [0.1, 1.0]}
    with pytest.warns(FitFailedWarning, match="only one class: 0"):
        fast, plain = searches(
            fastsum.SVRGClassifier(**TIGHT), grid, X, y, cv=KFold(3), refit=False
        )
    assert np.isnan(fast.cv_results_["split2_test_score"]).all()
    assert_same(fast, plain)
    with pytest.raises(ValueError, match="only one class: 0"):
        FastGridSearchCV(fastsum.SVRGClassifier(), grid, cv=KFold(3), error_score="raise").fit(X, y)


def test_class_weight_of_zero_leaves_the_class_out():
    grid = {"class_weight": [{0: 0.0, 1: 1.0, 2: 2.0}, None]}
    fast, plain = searches(fastsum.LogisticRegression(**TIGHT), grid, X, CLASSES, cv=3)
    assert_same(fast, plain)


@pytest.mark.parametrize("cv", [
    ShuffleSplit(3, train_size=0.4, test_size=0.2, random_state=0),
    TimeSeriesSplit(3),
    ShuffleSplit(1, random_state=1),
    [(np.r_[0:50, 0:20], np.arange(50, 90)), (np.r_[20:90], np.r_[0:20, 0:3])],
    [(np.arange(90) < 60, np.arange(90) >= 60), (np.arange(90) >= 30, np.arange(90) < 30)],
], ids=["few rows", "growing", "one split", "repeated rows", "masks"])  # fmt: skip
def test_any_splitter(cv, solved):
    classifier = fastsum.FiniteSumClassifier(class_weight="balanced", **TIGHT)
    for estimator, y in ((fastsum.Lasso(**TIGHT), TARGET), (classifier, BINARY)):
        fast, plain = searches(estimator, {"alpha": ALPHAS}, X, y, cv=cv)
        assert_same(fast, plain)
    assert len(solved["shared"]) == 2


def test_random_splits_are_drawn_once():
    """A splitter without a seed: all candidates see the same folds."""
    search = FastGridSearchCV(
        fastsum.Ridge(**TIGHT), {"alpha": [1.0, 1.0 + 1e-13]}, cv=ShuffleSplit(4, test_size=0.3)
    ).fit(X, TARGET)
    for k in range(4):
        a, b = search.cv_results_[f"split{k}_test_score"]
        assert a == pytest.approx(b, abs=1e-9)


@pytest.mark.parametrize("kind", ["frame", "list", "float32", "strings"])
def test_kinds_of_data(kind):
    frame = pd.DataFrame(X, columns=list("abcdef"))
    data = {"frame": frame, "list": X.tolist(), "float32": X.astype(np.float32), "strings": X}[kind]
    y = {"frame": pd.Series(NAMES[CLASSES]), "strings": NAMES[CLASSES].astype(object)}.get(
        kind, CLASSES
    )
    estimator = fastsum.LogisticRegression(tol=1e-6 if kind == "float32" else 1e-13, max_iter=20000)
    fast, plain = searches(estimator, {"C": [0.1, 1.0]}, data, y, scoring="neg_log_loss")
    assert_same(fast, plain, atol=1e-3 if kind == "float32" else 1e-6)
    assert hasattr(fast, "feature_names_in_") == (kind == "frame")
    assert fast.best_estimator_.coef_.dtype == (np.float32 if kind == "float32" else np.float64)


def test_one_bad_candidate_does_not_harm_the_others(solved):
    grid = {"alpha": [0.1, -1.0, 0.3]}
    with pytest.warns(FitFailedWarning, match="5 fits failed out of a total of 15"):
        fast = FastGridSearchCV(fastsum.Lasso(**TIGHT), grid, error_score=-7.0).fit(X, TARGET)
    assert solved["shared"] == [10]
    np.testing.assert_array_equal(fast.cv_results_["rank_test_score"], [1, 3, 2])
    assert fast.cv_results_["mean_test_score"][1] == -7.0
    with pytest.raises(ValueError, match="'alpha' parameter of Lasso"):
        FastGridSearchCV(fastsum.Lasso(), grid, error_score="raise").fit(X, TARGET)


def test_missing_values_fail_in_the_folds_that_see_them():
    """Row 0 is held out in the first fold: only there the fit works, and the score does not."""
    data = X.copy()
    data[0, 0] = np.nan
    with pytest.warns((FitFailedWarning, UserWarning)):
        fast, plain = searches(
            fastsum.Ridge(**TIGHT), {"alpha": [1.0, 2.0]}, data, TARGET, cv=KFold(3), refit=False
        )
    assert_same(fast, plain)


@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_scores_that_need_probabilities_from_a_hinge():
    grid = {"alpha": [0.1, 1.0]}
    estimator = fastsum.FiniteSumClassifier("squared_hinge", **TIGHT)
    with pytest.warns(UserWarning, match="Scoring failed"):
        fast, plain = searches(estimator, grid, X, BINARY, scoring="neg_log_loss", refit=False)
    assert np.isnan(fast.cv_results_["mean_test_score"]).all()
    assert_same(fast, plain)
    with pytest.raises(AttributeError):
        FastGridSearchCV(estimator, grid, scoring="neg_log_loss", error_score="raise").fit(
            X, BINARY
        )


def test_scores_of_nan_rank_last():
    calls = []

    def nan_sometimes(estimator, data, y):
        calls.append(estimator.alpha)
        return np.nan if estimator.alpha == 0.3 else estimator.score(data, y)

    with pytest.warns(UserWarning, match="non-finite"):
        fast, plain = searches(
            fastsum.Lasso(**TIGHT), {"alpha": ALPHAS}, X, TARGET, scoring=nan_sometimes
        )
    assert fast.cv_results_["rank_test_score"][1] == 3
    assert_same(fast, plain)


def test_empty_and_unknown_grids():
    with pytest.raises(ValueError, match="non-empty sequence"):
        FastGridSearchCV(fastsum.Ridge(), {"alpha": []}).fit(X, TARGET)
    with pytest.raises(ValueError, match="No fits were performed"):
        FastGridSearchCV(fastsum.Ridge(), []).fit(X, TARGET)
    with pytest.raises(ValueError, match="Invalid parameter 'beta'"):
        FastGridSearchCV(fastsum.Ridge(), {"beta": [1.0]}).fit(X, TARGET)
    fast, plain = searches(fastsum.Ridge(**TIGHT), {}, X, TARGET)
    assert_same(fast, plain)


@pytest.mark.parametrize(
    "settings", [{"step_size": 1e-3}, {"sampling": "uniform"}, {"max_iter": 0}]
)
def test_settings_that_cannot_be_shared(settings, solved):
    estimator = fastsum.SAGARegressor(**{"max_iter": 5, **settings})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fast, plain = searches(estimator, {"alpha": ALPHAS}, X, TARGET, cv=3)
    assert solved["shared"] == []
    assert_same(fast, plain)


def test_problems_of_a_fold_and_class_weight_share_their_weights(monkeypatch):
    """By them the solver knows which problems are of one path."""
    weights, solve_many = [], _many.solve_many

    def many(problems, *args, **kwargs):
        weights.extend(problem.sample_weight for problem in problems)
        return solve_many(problems, *args, **kwargs)

    monkeypatch.setattr(_many, "solve_many", many)
    grid = {"C": [0.1, 1.0, 2.0], "class_weight": [None, "balanced"]}
    FastGridSearchCV(fastsum.LogisticRegression(), grid, cv=4).fit(X, BINARY)
    assert len(weights) == 4 * 6 and len(set(map(id, weights))) == 4 * 2


def test_warm_start_carries_nothing_between_the_fits():
    estimator = fastsum.ElasticNet(warm_start=True, **TIGHT)
    fast, plain = searches(estimator, {"alpha": ALPHAS}, X, TARGET)
    assert_same(fast, plain)
    best = fast.best_estimator_
    n_iter = best.n_iter_
    assert best.fit(X, TARGET).n_iter_ <= n_iter  # its own fits go on from each other


def test_foreign_estimators_are_fitted_by_scikit_learn(solved):
    fast, plain = searches(Ridge(), {"alpha": [0.1, 1.0]}, X, TARGET)
    assert_same(fast, plain, atol=0)
    nested = FastGridSearchCV(GridSearchCV(fastsum.Ridge(), {"alpha": [1.0]}), {"cv": [2, 3]})
    nested.fit(X, TARGET)
    # class_weight alone is not enough: the estimator must have an alpha or C of its own
    own_grid = fastsum.LogisticRegressionCV(Cs=[0.1, 1.0], **TIGHT)
    assert_same(*searches(own_grid, {"class_weight": [None, "balanced"]}, X, BINARY, cv=3))
    assert solved["shared"] == []


@pytest.mark.parametrize("kind", [FastGridSearchCV, GridSearchCV])
@pytest.mark.parametrize("pipe", [False, True])
def test_jobs_change_nothing(kind, pipe):
    estimator = fastsum.LogisticRegression(**TIGHT)
    name = "C"
    if pipe:
        estimator, name = make_pipeline(StandardScaler(), estimator), "logisticregression__C"
    grid = {name: [0.1, 1.0]}
    two = kind(estimator, grid, n_jobs=2, cv=3, scoring="neg_log_loss").fit(X, BINARY)
    one = FastGridSearchCV(estimator, grid, cv=3, scoring="neg_log_loss").fit(X, BINARY)
    assert_same(two, one)


def test_fits_in_workers_use_one_thread():
    """n_jobs=None of an estimator is one thread where the jobs of a search run."""
    from fastsum.threads import resolve_n_threads

    threads = joblib.Parallel(n_jobs=2)(joblib.delayed(resolve_n_threads)(None) for _ in range(2))
    assert threads == [1, 1]
    scores = cross_val_score(
        FastGridSearchCV(fastsum.Ridge(**TIGHT), {"alpha": [0.1, 1.0]}), X, TARGET, n_jobs=2, cv=2
    )
    assert np.isfinite(scores).all()


def test_the_threads_of_a_shared_fit(monkeypatch):
    """The search's jobs if the estimator leaves its own open."""
    seen, solve_many = [], _many.solve_many

    def many(problems, *args, n_jobs, **kwargs):
        seen.append(n_jobs)
        return solve_many(problems, *args, n_jobs=n_jobs, **kwargs)

    monkeypatch.setattr(_many, "solve_many", many)
    for own, of_search in ((None, None), (None, 2), (1, 2)):
        FastGridSearchCV(
            fastsum.Ridge(n_jobs=own), {"alpha": [0.1, 1.0]}, n_jobs=of_search, cv=2
        ).fit(X, TARGET)
    assert seen == [None, 2, 1]


@pytest.mark.parametrize("values", [1, 10**6])
def test_margins_are_found_together(values, monkeypatch):
    """In few passes, for the very X only, with the numbers of each estimator alone."""
    models = [fastsum.LogisticRegression(C=c).fit(X, CLASSES) for c in (0.1, 1.0)]
    models.append(fastsum.FiniteSumClassifier("squared_hinge").fit(X, BINARY))
    expected = [model.decision_function(X) for model in models]
    passes, margins_of = [], _many.margins_of

    def counted(estimators, data):
        passes.append(len(estimators))
        return margins_of(estimators, data)

    monkeypatch.setattr(_many, "margins_of", counted)
    monkeypatch.setattr(_many, "SHARED_VALUES", values)
    with _many.shared_margins(models, X):
        assert passes == ([1, 1, 1] if values == 1 else [3])
        for model, scores in zip(models, expected, strict=True):
            np.testing.assert_allclose(model.decision_function(X), scores, rtol=1e-13)
            assert model.decision_function(X).shape == scores.shape
            half = model.decision_function(X[::2])
            np.testing.assert_allclose(half, scores[::2], rtol=1e-13)
    assert not any("_known_margins" in vars(model) for model in models)
    with _many.shared_margins(models, X[:, :3]), pytest.raises(ValueError, match="3 features"):
        models[0].decision_function(X[:, :3])


def test_clone_and_pickle():
    search = FastGridSearchCV(fastsum.Ridge(**TIGHT), {"alpha": [0.1, 1.0]}, cv=3)
    assert clone(search).get_params(deep=False).keys() == search.get_params(deep=False).keys()
    again = pickle.loads(pickle.dumps(search.fit(X, TARGET)))
    np.testing.assert_array_equal(again.predict(X), search.predict(X))
    assert_same(again, search)


def test_verbose_shows_the_scores(capsys):
    FastGridSearchCV(fastsum.Ridge(), {"alpha": [0.1, 1.0]}, cv=3, verbose=3).fit(X, TARGET)
    shown = capsys.readouterr().out
    assert "totalling 6 fits" in shown
    assert shown.count("END") == 6 and "alpha=0.1" in shown and "score=" in shown


# --- the one-standard-error rule ------------------------------------------------------------------


def results_of(params, splits, metric="score"):
    splits = np.array(splits, dtype=float)
    table = {f"split{k}_test_{metric}": row for k, row in enumerate(splits)}
    return {"params": params, f"mean_test_{metric}": splits.mean(axis=0), **table}


def test_one_standard_error_by_hand():
    alphas = [0.1, 1.0, 10.0, 100.0]
    # best mean 0.8 at 0.1, its standard error 0.1 / sqrt(4) * sqrt(4/3) = 0.0577
    scores = [
        [0.9, 0.85, 0.9, 0.1],
        [0.7, 0.65, 0.6, 0.1],
        [0.9, 0.85, 0.7, 0.1],
        [0.7, 0.65, 0.7, 0.1],
    ]
    results = results_of([{"alpha": a} for a in alphas], scores)
    np.testing.assert_allclose(results["mean_test_score"], [0.8, 0.75, 0.725, 0.1])
    assert one_standard_error(results) == 1
    inverse = results_of([{"fit__C": a} for a in alphas[::-1]], scores)
    assert one_standard_error(inverse) == 1
    named = results_of([{"alpha": a, "C": 1.0} for a in alphas], scores, "r2")
    assert one_standard_error(named, metric="r2", parameter="alpha") == 1
    with pytest.raises(ValueError, match=r"2 parameters called C or alpha \['C', 'alpha'\]"):
        one_standard_error(named, metric="r2")


def test_one_standard_error_moves_along_the_strength_only():
    params = [{"alpha": a, "l1_ratio": r} for r in (0.1, 0.9) for a in (1.0, 2.0, 3.0)]
    scores = [[1.0, 0.9, 0.0, 0.99, 0.99, 0.99], [0.6, 0.7, 0.0, 0.6, 0.6, 0.6]]
    chosen = params[one_standard_error(results_of(params, scores))]
    assert chosen == {"alpha": 2.0, "l1_ratio": 0.1}


def test_one_standard_error_without_scores():
    params = [{"alpha": 1.0}, {"alpha": 2.0}, {"alpha": 3.0}]
    assert one_standard_error(results_of(params, [[np.nan] * 3] * 2)) == 0
    assert one_standard_error(results_of(params, [[0.5, 0.5, np.nan], [0.7, 0.7, np.nan]])) == 1
    assert one_standard_error(results_of(params, [[0.5, 0.6, 0.4]])) == 1  # one fold: no spread


@pytest.mark.filterwarnings("ignore:the certified gap is at the floor")
def test_one_standard_error_as_refit():
    grid = {"alpha": np.logspace(-4, 1, 20)}
    best = FastGridSearchCV(fastsum.Lasso(**TIGHT), grid).fit(X, TARGET)
    fast, plain = searches(fastsum.Lasso(**TIGHT), grid, X, TARGET, refit=one_standard_error)
    assert_same(fast, plain)
    assert fast.best_params_["alpha"] > best.best_params_["alpha"]
    scores = np.array([best.cv_results_[f"split{k}_test_score"] for k in range(5)])
    error = scores[:, best.best_index_].std(ddof=1) / np.sqrt(5)
    good = scores.mean(axis=0) >= best.best_score_ - error
    assert fast.best_params_["alpha"] == grid["alpha"][good].max()
    scoring = {"r2": "r2", "mse": make_scorer(mean_squared_error, greater_is_better=False)}
    refit = partial(one_standard_error, metric="mse")
    assert_same(*searches(fastsum.Lasso(**TIGHT), grid, X, TARGET, refit=refit, scoring=scoring))
