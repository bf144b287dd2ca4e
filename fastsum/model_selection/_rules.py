"""Rules that choose a candidate of a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.linear_model._cv import standard_error as standard_error  # for the displays too


def one_standard_error(
    cv_results: Mapping[str, Any], *, metric: str = "score", parameter: str | None = None
) -> int:
    """The strongest penalty whose mean score is within one standard error of the best.

    For ``refit=one_standard_error`` of a grid search. Only candidates that differ from the best one
    in the strength of the penalty are looked at. The standard error is that of the best candidate's
    mean over the folds.

    Parameters
    ----------
    cv_results : dict
        `cv_results_` of a search.
    metric : str, default="score"
        The metric in a search with several: ``refit=partial(one_standard_error, metric="r2")``.
    parameter : str, default=None
        Parameter that holds the strength, where more than one is called C or alpha. Under the name
        of C a smaller value is the stronger penalty, under others a greater one.

    Returns
    -------
    best_index : int
        Position of the chosen candidate.

    References
    ----------
    Breiman, Friedman, Olshen, Stone, "Classification and Regression Trees", 1984, section 3.4.3.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from fastsum import Lasso
    >>> from fastsum.model_selection import FastGridSearchCV, one_standard_error
    >>> X, y = load_diabetes(return_X_y=True)
    >>> grid = {"alpha": np.logspace(-2, 0, 9)}
    >>> for refit in (True, one_standard_error):
    ...     search = FastGridSearchCV(Lasso(), grid, refit=refit).fit(X, y)
    ...     print(f"{search.best_params_['alpha']:.3f} {np.sum(search.best_estimator_.coef_ != 0)}")
    0.032 8
    0.178 6
    """
    splits = scores_of_splits(cv_results, metric)
    mean = np.asarray(cv_results[f"mean_test_{metric}"], dtype=float)
    if np.isnan(mean).all():
        return 0
    best = int(np.nanargmax(mean))
    name = strength(cv_results, parameter)
    params = cv_results["params"]
    bar = mean[best] - standard_error(splits)[best]
    near = [
        i
        for i, candidate in enumerate(params)
        if mean[i] >= bar and _differs_only_in(name, candidate, params[best])
    ]
    sign = -1.0 if name.rpartition("__")[2] == "C" else 1.0
    return max(near, key=lambda i: (sign * value_of(params[i], name), mean[i]))


def scores_of_splits(cv_results: Mapping[str, Any], metric: str) -> npt.NDArray[np.float64]:
    """Scores, (n_splits, n_candidates)."""
    if f"mean_test_{metric}" not in cv_results:
        names = sorted(key[10:] for key in cv_results if key.startswith("mean_test_"))
        raise ValueError(f"metric={metric!r} was not measured; choose one of {names}")
    scores, k = [], 0
    while (name := f"split{k}_test_{metric}") in cv_results:
        scores.append(cv_results[name])
        k += 1
    return np.asarray(scores, dtype=float)


def strength(cv_results: Mapping[str, Any], parameter: str | None = None) -> str:
    """`parameter`, or the one parameter of the grid called C or alpha if None."""
    grid = {name for candidate in cv_results["params"] for name in candidate}
    if parameter is not None:
        if parameter not in grid:
            raise ValueError(f"parameter={parameter!r} is not in the grid: {sorted(grid)}")
        return parameter
    names = sorted(name for name in grid if name.rpartition("__")[2] in ("C", "alpha"))
    if len(names) != 1:
        raise ValueError(
            f"the grid has {len(names)} parameters called C or alpha {names}: name the strength of "
            "the penalty by parameter=..."
        )
    return names[0]


def value_of(candidate: dict[str, Any], name: str) -> float:
    """The strength of a candidate, of several targets the largest."""
    try:
        return float(np.max(candidate[name]))
    except (TypeError, ValueError):
        raise ValueError(
            f"parameter={name!r} is no strength of a penalty: its value {candidate[name]!r} is no "
            "number"
        ) from None


def _differs_only_in(name: str, candidate: dict[str, Any], other: dict[str, Any]) -> bool:
    if name not in candidate or candidate.keys() != other.keys():
        return False
    return all(
        candidate[key] is other[key] or _equal(candidate[key], other[key])
        for key in candidate
        if key != name
    )


def _equal(a: Any, b: Any) -> bool:
    return bool(np.all(a == b))
