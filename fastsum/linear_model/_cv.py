"""Cross-validation over the engine: folds are weights, and all fits are one call of the solvers."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.metrics import log_loss, make_scorer
from sklearn.utils import Bunch
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metadata_routing import _routing_enabled, process_routing
from sklearn.utils.validation import _check_method_params

from fastsum.data import Rows, as_rows
from fastsum.linear_model._base import SHARED_CONSTRAINTS, Array, Constraints
from fastsum.problem import FloatArray, Problem
from fastsum.result import Result
from fastsum.solvers._registry import SOLVER_NAMES
from fastsum.solvers.many import solve_many
from fastsum.threads import resolve_n_threads

CV_CONSTRAINTS: Constraints = {
    **{name: kinds for name, kinds in SHARED_CONSTRAINTS.items() if name != "warm_start"},
    "cv": ["cv_object"],
    "solver": [StrOptions(set(SOLVER_NAMES))],
    "selection_rule": [StrOptions({"best", "one_standard_error"})],
}
# Weights and margins of the models scored together: 128 MiB of float64.
SCORED_VALUES = 1 << 24


@dataclass(frozen=True)
class Fold:
    """One split of the rows.

    Attributes
    ----------
    weights : (n,) array
        Of each row in the training part; 0 outside of it.
    test : array of int64
        The rows held out.
    """

    weights: FloatArray
    test: npt.NDArray[np.int64]


def make_folds(
    splits: Iterable[tuple[Any, Any]], n_rows: int, weights: FloatArray | None
) -> list[Fold]:
    """The folds of a splitter; a row that a training part repeats has its weight repeated."""
    ids, folds = np.arange(n_rows), []
    for k, (train, test) in enumerate(splits):
        count = np.bincount(ids[train], minlength=n_rows).astype(np.float64)
        own = count if weights is None else count * weights
        if not own.any():
            raise ValueError(f"the training part of fold {k} has no row with a positive weight")
        folds.append(Fold(own, ids[test]))
    if not folds:
        raise ValueError("cv made no folds; it must yield at least one (train, test) split")
    return folds


def route(estimator: Any, weights: Array | None, params: dict[str, Any]) -> Bunch:
    """What the splitter and the scorer get in a fit; without routing the scorer gets weights."""
    if _routing_enabled():
        return process_routing(estimator, "fit", sample_weight=weights, **params)
    to_scorer = {} if weights is None else {"sample_weight": weights}
    return Bunch(splitter=Bunch(split={}), scorer=Bunch(score=to_scorer))


def takes_weights(scorer: Any) -> bool:
    """Whether a scorer takes sample_weight; warns if not, as scikit-learn's searches do."""
    function = getattr(scorer, "_score_func", scorer)
    if "sample_weight" in inspect.signature(function).parameters:
        return True
    warnings.warn(
        f"The scoring {scorer} does not support sample_weight: the rows held out are scored "
        "without their weights",
        UserWarning,
        stacklevel=4,
    )
    return False


# --- scores ---------------------------------------------------------------------------------------


def margins_of(rows: Rows, results: Sequence[Result], n_jobs: int | None) -> Iterator[FloatArray]:
    """x . w + b on the rows for each result in turn, (n, K): many models share a read of a row."""
    d, n, n_threads = rows.n_cols, rows.n_rows, resolve_n_threads(n_jobs)
    K = results[0].coef.reshape(d, -1).shape[1]
    size = max(1, SCORED_VALUES // ((d + 1 + n) * K))
    for begin in range(0, len(results), size):
        part = results[begin : begin + size]
        W = np.empty((d + 1, len(part) * K), dtype=rows.dtype)
        for k, result in enumerate(part):
            mine = slice(k * K, (k + 1) * K)
            W[:-1, mine], W[-1, mine] = result.coef.reshape(d, K), result.intercept
        out = rows.margins(W, n_threads, np.empty((n, W.shape[1])))
        for k in range(len(part)):
            yield out[:, k * K : (k + 1) * K]


class FoldScorer:
    """Scores the models of a fold with a scorer of scikit-learn's.

    Parameters
    ----------
    scorer : callable
        Of signature scorer(estimator, X, y, **params).
    X, y : arrays
        All rows as they were validated.
    params : dict
        What is routed to the scorer: of its arrays it gets the rows held out.
    n_jobs : int or None
    """

    def __init__(self, scorer: Any, X: Any, y: Array, params: dict[str, Any], n_jobs: int | None):
        self.scorer, self.X, self.y, self.params, self.n_jobs = scorer, X, y, params, n_jobs

    def __call__(self, test: Array, results: Sequence[Result], models: Iterable[Any]) -> list[Any]:
        """The scores of models (plain estimators with the coefficients of the results)."""
        X, y = self.X[test], self.y[test]
        params = _check_method_params(X=self.X, params=self.params, indices=test)
        scorer = _LogLoss.of(self.scorer, y, params) or self.scorer
        scores = []
        margins = margins_of(as_rows(X, validated=True), results, self.n_jobs)
        for model, z in zip(models, margins, strict=True):
            model._known_margins = X, z.astype(model.coef_.dtype, copy=False)
            score = scorer(model, X, y, **params)
            score = score.item() if hasattr(score, "item") else score
            if not isinstance(score, Number):
                raise ValueError(
                    f"scoring must return a number, got {score!r} ({type(score)}) instead"
                )
            scores.append(score)
        return scores


class _LogLoss:
    """scikit-learn's neg_log_loss of one set of rows, for many models.

    Its labels are looked up once: for 12,000 rows a score takes 0.5 ms, and 5 ms by the scorer.
    """

    def __init__(self, at: npt.NDArray[np.intp], weights: Array | None):
        self._at, self._weights = at, weights

    @classmethod
    def of(cls, scorer: Any, y: Array, params: dict[str, Any]) -> _LogLoss | None:
        """What takes the place of a scorer for labels y; None if that is another score."""
        settings = dict(getattr(scorer, "_kwargs", {}))
        labels = settings.pop("labels", None)
        plain = getattr(scorer, "_score_func", None) is log_loss and scorer._sign == -1
        if not plain or labels is None or settings or params.keys() - {"sample_weight"}:
            return None
        return cls(np.searchsorted(labels, y), params.get("sample_weight"))

    def __call__(self, model: Any, X: Any, y: Array, sample_weight: Any = None) -> float:
        p = model.predict_proba(X)
        eps = np.finfo(p.dtype).eps
        p = np.clip(p[np.arange(len(p)), self._at], eps, 1 - eps)
        return float(np.average(np.log(p), weights=self._weights))


def with_labels(scorer: Any, classes: Array) -> Any:
    """The scorer, told of all classes where it asks: a test part may lack some of them.

    As scikit-learn's LogisticRegressionCV does it.
    """
    function = getattr(scorer, "_score_func", None)
    asked = {} if function is None else inspect.signature(function).parameters
    if "labels" not in asked:
        return scorer
    positive = {"pos_label": classes[-1]} if len(classes) == 2 and "pos_label" in asked else {}
    return make_scorer(
        function,
        greater_is_better=scorer._sign == 1,
        response_method=scorer._response_method,
        **{"labels": classes, **positive, **getattr(scorer, "_kwargs", {})},
    )


# --- the choice -----------------------------------------------------------------------------------


def choose(scores: FloatArray, strength: FloatArray, l1_ratio: FloatArray, rule: str) -> int:
    """The point of the grid that the rule chooses.

    Parameters
    ----------
    scores : (n_folds, n_points) array
        Higher is better; NaN ranks last. Of equal points the first is the best.
    strength, l1_ratio : (n_points,) arrays
        Of the penalty at each point.
    rule : {"best", "one_standard_error"}
        The highest mean, or the strongest penalty (of the same l1_ratio) whose mean is within one
        standard error of it (Hastie, Tibshirani, Friedman, 2009, section 7.10).
    """
    total = scores.sum(axis=0)
    if not np.isfinite(total).all():
        warnings.warn(
            f"One or more of the test scores are non-finite: {scores.mean(axis=0)}",
            UserWarning,
            stacklevel=3,
        )
    total = np.where(np.isnan(total), -np.inf, total)
    best, n_folds = int(np.argmax(total)), len(scores)
    if rule == "best":
        return best
    if n_folds == 1:
        raise ValueError(
            "selection_rule='one_standard_error' needs the scores of at least two folds: give cv "
            "more folds or use selection_rule='best'"
        )
    error = scores[:, best].std(ddof=1) / np.sqrt(n_folds)
    close = (total / n_folds >= total[best] / n_folds - error) & (l1_ratio == l1_ratio[best])
    return int(np.flatnonzero(close)[np.argmax(strength[close])])


# --- estimators -----------------------------------------------------------------------------------


class CrossValidated:
    """Mixed into the estimators that choose their penalty by cross-validation."""

    warm_start = False  # no parameter: each fit is a search of its own
    solver: str
    tol: float
    max_iter: Any
    n_jobs: int | None
    random_state: Any
    verbose: int
    selection_rule: str
    _parameter_constraints: ClassVar[Constraints]

    def _solve_folds(
        self, base: Problem, folds: Sequence[Fold], grids: Sequence[Sequence[tuple[Any, float]]]
    ) -> list[list[Result]]:
        """The results of each fold on its grid of (alpha, l1_ratio), of all folds in one call."""
        problems: list[Problem] = []
        for fold, grid in zip(folds, grids, strict=True):
            problem = base.with_weights(fold.weights)
            problems += [problem.with_penalty(*point) for point in grid]
        results = solve_many(
            problems,
            self.solver,
            tol=self.tol,
            max_iter=1000 if self.max_iter is None else self.max_iter,
            n_jobs=self.n_jobs,
            random_state=self.random_state,
            verbose=int(self.verbose),
        )
        size = len(problems) // len(folds)
        return [results[i : i + size] for i in range(0, len(results), size)]
