"""Cross-validation over the engine: folds are weights, and all fits are one call of the solvers."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from numbers import Number, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.metrics import log_loss, make_scorer
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.validation import _check_method_params

from fastsum.linear_model._base import SHARED_CONSTRAINTS, Array, Constraints, Part
from fastsum.linear_model._many import shared_margins, solved
from fastsum.problem import FloatArray, Problem
from fastsum.row_source import RowSource
from fastsum.solvers._registry import SOLVER_NAMES

CV_CONSTRAINTS: Constraints = {
    **{name: kinds for name, kinds in SHARED_CONSTRAINTS.items() if name != "warm_start"},
    "cv": ["cv_object"],
    "solver": [StrOptions(set(SOLVER_NAMES))],
    "selection_rule": [StrOptions({"best", "one_standard_error"})],
    "memory_budget": [Interval(Real, 0, None, closed="neither"), None],
}


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


class FoldScorer:
    """Scores the models of folds with a scorer of scikit-learn's.

    Parameters
    ----------
    scorer : callable
        Of signature scorer(estimator, X, y, **params).
    X, y : arrays, or a store and an array
        All rows as they were validated.
    params : dict
        What is routed to the scorer: of its arrays it gets the rows held out.
    """

    def __init__(self, scorer: Any, X: Any, y: Array, params: dict[str, Any]):
        self.scorer, self.X, self.y, self.params = scorer, X, y, params

    def __call__(self, folds: Sequence[Fold], models: Sequence[Sequence[Any]]) -> FloatArray:
        """Scores of the models of each fold on the rows that it holds out, (n_folds, n_models)."""
        pairs = zip(folds, models, strict=True)
        return np.array([self._of_fold(fold.test, own) for fold, own in pairs], dtype=np.float64)

    def _of_fold(self, test: Array, models: Sequence[Any]) -> list[Any]:
        X = Part(self.X, test) if isinstance(self.X, RowSource) else self.X[test]
        y = self.y[test]
        params = _check_method_params(X=self.X, params=self.params, indices=test)
        scorer = _LogLoss.of(self.scorer, y, params) or self.scorer
        with shared_margins(models, X):
            return [number_of(scorer(model, X, y, **params), self.scorer) for model in models]


def number_of(score: Any, scorer: Any) -> Any:
    """The score, if it is a number."""
    with suppress(AttributeError, ValueError):  # of other types, or an array
        score = score.item()
    if not isinstance(score, Number):
        raise ValueError(
            f"scoring must return a number, got {score!r} ({type(score)}) instead. "
            f"(scorer={scorer})"
        )
    return score


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
    if not np.isfinite(total[best]):
        return best
    bar = total[best] / n_folds - standard_error(scores)[best]
    close = (total / n_folds >= bar) & (l1_ratio == l1_ratio[best])
    return int(np.flatnonzero(close)[np.argmax(strength[close])])


def standard_error(scores: FloatArray) -> FloatArray:
    """Of the means of scores (n_folds, n_points) over the folds, (n_points,); 0 for one fold."""
    n_folds = len(scores)
    error: FloatArray = scores.std(axis=0, ddof=int(n_folds > 1)) / np.sqrt(n_folds)
    return error


# --- estimators -----------------------------------------------------------------------------------


class CrossValidated:
    """Mixed into the estimators that choose their penalty by cross-validation."""

    warm_start = False  # no parameter: each fit is a search of its own
    n_jobs: int | None
    cv: Any
    selection_rule: str
    memory_budget: float | None
    _parameter_constraints: ClassVar[Constraints]
    # The methods whose parameters are routed to the scorer.
    _scoring_methods: ClassVar[tuple[str, ...]] = ("fit",)

    def set_callbacks(self, *callbacks: Any) -> Any:
        """Refuses callbacks, which see one fit at a time.

        Parameters
        ----------
        *callbacks : callback instances
            None is accepted here.

        Returns
        -------
        self : object
            The estimator itself.

        Raises
        ------
        NotImplementedError
            If there are callbacks.
        """
        if callbacks:
            raise NotImplementedError(
                f"{type(self).__name__} solves all folds together, and callbacks see one fit at a "
                "time: set them on the estimator without CV, or search with scikit-learn's "
                "GridSearchCV"
            )
        return self

    def _forget(self) -> None:
        """Drops what an earlier fit has set: not every fit sets every attribute."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)

    def _get_scorer(self) -> Any:
        """The scorer of the rows held out; None if the user cannot choose it."""
        return None

    def _split(
        self,
        X: Any,
        y: Array,
        sample_weight: Array | None,
        weights: Array | None,
        params: dict[str, Any],
        *,
        classifier: bool = False,
    ) -> tuple[list[Fold], Bunch]:
        """The folds, with the `weights` of fits, and the routed parameters."""
        cv = check_cv(self.cv, y, classifier=classifier)
        routed = route(self, sample_weight, params)
        if isinstance(X, RowSource):  # splitters look at the number of rows alone
            X = np.empty((len(y), 0))
        return make_folds(cv.split(X, y, **routed.splitter.split), len(y), weights), routed

    def _fit_folds(
        self,
        base: Problem,
        y: Array,
        folds: Sequence[Fold],
        plain: Sequence[Any],
    ) -> list[list[Any]]:
        """Models of each fold, of all folds in one call.

        `plain` are estimators without cross-validation, one a point of the grid: the models are
        fitted copies of them.
        """
        problems: list[Problem] = []
        for fold in folds:
            part = base.with_weights(fold.weights)
            problems += [part.with_penalty(*e._strengths(part.total_weight)) for e in plain]
        results = solved(self, problems, self.n_jobs, memory_budget=self.memory_budget)
        known = ("classes_", "n_features_in_", "fit_intercept", "n_jobs")
        own = {name: value for name, value in vars(self).items() if name in known}
        models = [copy.copy(estimator) for _ in folds for estimator in plain]
        for model, result in zip(models, results, strict=True):
            vars(model).update(own)
            model._accept(result, base, y)
        return [models[i : i + len(plain)] for i in range(0, len(models), len(plain))]

    def get_metadata_routing(self) -> MetadataRouter:
        """Which parameters of fit (and of a score by `scoring`) go to the splitter and the scorer.

        Returns
        -------
        routing : MetadataRouter
            Their requests.
        """
        to_splitter = MethodMapping().add(caller="fit", callee="split")
        router = MetadataRouter(owner=self).add_self_request(self)
        router.add(splitter=self.cv, method_mapping=to_splitter)
        if (scorer := self._get_scorer()) is not None:
            to_scorer = MethodMapping()
            for method in self._scoring_methods:
                to_scorer.add(caller=method, callee="score")
            router.add(scorer=scorer, method_mapping=to_scorer)
        return router
