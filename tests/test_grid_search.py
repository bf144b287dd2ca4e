"""FastGridSearchCV against scikit-learn's GridSearchCV, which fits every candidate by itself."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from estimator_cases import BINARY, CLASSES, TARGET, TARGETS, X
from grid_search_cases import (
    ALPHAS,
    GROUPS,
    NAMES,
    TIGHT,
    TIGHTER,
    WEIGHTS,
    assert_same,
    searches,
)
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    ShuffleSplit,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastsum
from fastsum.linear_model import _many
from fastsum.model_selection import FastGridSearchCV

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
