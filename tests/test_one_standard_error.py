"""The rule of one standard error as `refit` of a grid search."""

from functools import partial

import numpy as np
import pytest
from estimator_cases import TARGET, X
from grid_search_cases import (
    TIGHT,
    assert_same,
    searches,
)
from sklearn.metrics import make_scorer, mean_squared_error

import fastsum
from fastsum.model_selection import FastGridSearchCV, one_standard_error

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


def test_one_standard_error_of_what_was_not_measured():
    results = results_of([{"alpha": 1.0}], [[0.5], [0.6]], "r2")
    with pytest.raises(
        ValueError, match=r"metric='score' was not measured; choose one of \['r2'\]"
    ):
        one_standard_error(results)
    results = results_of([{"alpha": "auto"}], [[0.5], [0.6]])
    with pytest.raises(
        ValueError, match=r"parameter='alpha' is no strength .* 'auto' is no number"
    ):
        one_standard_error(results)


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
