"""FastGridSearchCV where fits, scores and grids fail, as in scikit-learn's GridSearchCV."""

import numpy as np
import pytest
from estimator_cases import BINARY, CLASSES, TARGET, X
from grid_search_cases import (
    ALPHAS,
    NAMES,
    TIGHT,
    assert_same,
    searches,
)
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
)

import fastsum
from fastsum.model_selection import FastGridSearchCV


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
