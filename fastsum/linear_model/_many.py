"""Fits of many estimators on parts of the same rows, made together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import joblib
import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

from fastsum.linear_model._base import Array, FiniteSumEstimator, margins_of
from fastsum.linear_model._classifier import LinearClassifier
from fastsum.linear_model._regressor import LinearRegressor
from fastsum.problem import Problem
from fastsum.result import Result
from fastsum.solvers.many import solve_many

SHARED_VALUES = 1 << 25  # of weights and margins that are made at a time
FITS = LinearClassifier.fit, LinearRegressor.fit  # those that `fit_together` stands for


def can_share(estimator: Any) -> bool:
    """Whether `fit_together` may have a gain for the estimator."""
    if not isinstance(estimator, FiniteSumEstimator) or "fit" in vars(estimator):
        return False
    return type(estimator).fit in FITS and estimator._can_share()


def fit_together(
    estimators: Sequence[Any],
    trains: Sequence[Array],
    X: Any,
    y: Any,
    sample_weight: Any = None,
    offset: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    memory_budget: float | None = None,
) -> list[bool]:
    """Fits estimator i on the rows ``trains[i]`` of X and y, as its own `fit` on them would.

    Estimators that differ in the weights and the penalty only are solved together.

    Parameters
    ----------
    estimators : sequence of estimators of this library
    trains : sequence of integer arrays
        Rows may be repeated. Fits on the same rows share the array.
    X, y, sample_weight, offset :
        All rows.
    n_jobs : int, default=None
        Threads of estimators whose own `n_jobs` is None.
    verbose : int, default=0
        1 shows the memory that fits take and their progress, as `verbose` of the estimators does.
    memory_budget : float, default=None
        Bytes that the fits may take, as in `solve_many`.

    Returns
    -------
    list of bool
        False for an estimator that is left unfitted and needs a fit of its own: its settings or its
        part of the data make another problem, or one that fails.

    Raises
    ------
    MemoryError
        If the budget was given and is too small.
    """
    how = {"n_jobs": n_jobs, "verbose": verbose, "memory_budget": memory_budget}
    groups: dict[str, list[int]] = {}
    for i, estimator in enumerate(estimators):
        if _is_valid(estimator):
            groups.setdefault(_other_settings(estimator), []).append(i)
    fitted = [False] * len(estimators)
    for members in groups.values():
        if len(members) < 2:
            continue
        try:
            done = _fit_group(
                [(estimators[i], trains[i]) for i in members], X, y, sample_weight, offset, how
            )
        except MemoryError:  # so would each fit, or take what is not there
            raise
        except Exception:  # each fit shall fail, or not, by itself
            continue
        for i, good in zip(members, done, strict=True):
            fitted[i] = good
    return fitted


@contextmanager
def shared_margins(estimators: Sequence[Any], X: Any) -> Iterator[None]:
    """Inside, fitted estimators of this library know their margins on X, found in few passes."""
    try:
        if all(isinstance(estimator, FiniteSumEstimator) for estimator in estimators):
            # n_features + n_rows values for each column of the weights
            width = max(1, SHARED_VALUES // (sum(X.shape) * np.size(estimators[0].intercept_)))
            for start in range(0, len(estimators), width):
                some = estimators[start : start + width]
                for estimator, margins in zip(some, margins_of(some, X), strict=True):
                    estimator._known_margins = X, margins
    except Exception:  # each shall fail by itself
        pass
    try:
        yield
    finally:
        for estimator in estimators:
            vars(estimator).pop("_known_margins", None)


def _is_valid(estimator: Any) -> bool:
    try:
        estimator._validate_params()
    except ValueError:
        return False
    return can_share(estimator)


def _other_settings(estimator: Any) -> str:
    """Equal for estimators that differ in weights and penalty only."""
    shared = estimator._shared_params
    settings = estimator.get_params(deep=False).items()
    key: str = joblib.hash((type(estimator), {k: v for k, v in settings if k not in shared}))
    return key


def _fit_group(
    fits: list[tuple[Any, Array]],
    X: Any,
    y: Any,
    sample_weight: Any,
    offset: Any,
    how: dict[str, Any],
) -> list[bool]:
    head = clone(fits[0][0])
    rows, y, weights = head._check_data(X, y, sample_weight)
    base = head._base_problem(rows, y, weights, offset)
    learned = {name: value for name, value in vars(head).items() if name.endswith("_")}
    on_parts: dict[Any, Problem | None] = {}
    problems: dict[Any, Problem] = {}  # equal ones once: they shall have equal scores
    keys: list[Any] = []
    for estimator, train in fits:
        vars(estimator).update(learned)
        part = id(train), joblib.hash(getattr(estimator, "class_weight", None))
        if part not in on_parts:
            on_parts[part] = _on_part(estimator, base, train, y, weights)
        if (problem := on_parts[part]) is None:
            keys.append(None)
            continue
        problem = problem.with_penalty(*estimator._strengths(problem.total_weight))
        penalty = problem.penalty
        keys.append((part, penalty.alpha.tobytes(), penalty.l1_ratio.tobytes()))
        problems.setdefault(keys[-1], problem)
    results = dict(zip(problems, solved(head, list(problems.values()), **how), strict=True))
    for (estimator, _), key in zip(fits, keys, strict=True):
        if key is not None:
            estimator._accept(results[key], problems[key], y)
    return [key is not None for key in keys]


def solved(
    head: Any,
    problems: list[Problem],
    n_jobs: int | None,
    verbose: int = 0,
    memory_budget: float | None = None,
) -> list[Result]:
    """The results of problems under the settings of an estimator."""
    results = solve_many(
        problems,
        getattr(head, "solver", head._solver),
        tol=head.tol,
        max_iter=1000 if head.max_iter is None else head.max_iter,
        n_jobs=n_jobs if head.n_jobs is None else head.n_jobs,
        device=head.device,
        random_state=head.random_state,
        verbose=max(verbose, int(head.verbose)),
        memory_budget=memory_budget,
    )
    # Null models of the same rows are one model, though rounding may tell them apart.
    null: dict[int, Any] = {}
    for i, (problem, result) in enumerate(zip(problems, results, strict=True)):
        if not (result.coef.nnz if sp.issparse(result.coef) else result.coef.any()):
            intercept = null.setdefault(id(problem.sample_weight), result.intercept)
            results[i] = replace(result, intercept=intercept)
    return results


def _on_part(
    estimator: Any, base: Problem, train: Array, y: Array, weights: Array | None
) -> Problem | None:
    """The base problem with the weights of the rows `train`; None if theirs is another one."""
    try:
        part = estimator._weights_on(train, y, weights)
        return None if part is None else base.with_weights(part)
    except ValueError:
        return None
