"""Scores of fitted estimators on a fold, with the work that they share done once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sklearn.model_selection._validation import _score
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params, _num_samples

from fastsum.linear_model._many import shared_margins


def score_fold(
    estimators: list[Any], X: Any, y: Any, settings: dict[str, Any]
) -> list[dict[str, Any]]:
    """What scikit-learn's `_fit_and_score` returns, for fitted estimators.

    Parameters
    ----------
    estimators : list of estimators
        If pipelines, with the same transformers.
    X, y :
        All rows.
    settings : dict
        The named arguments of `_fit_and_score`.
    """
    scored, n_samples = _scores(estimators, X, y, settings, "test")
    out: list[dict[str, Any]] = [
        {
            "fit_error": None,
            "test_scores": scores,
            "n_test_samples": n_samples,
            "fit_time": 0.0,
            "score_time": seconds,
        }
        for scores, seconds in scored
    ]
    if settings["return_train_score"]:
        scored, _ = _scores(estimators, X, y, settings, "train")
        for result, (scores, _) in zip(out, scored, strict=True):
            result["train_scores"] = scores
    return out


def _scores(
    estimators: list[Any], X: Any, y: Any, settings: dict[str, Any], part: str
) -> tuple[list[tuple[Any, float]], int]:
    """Scores and seconds of each estimator, and the number of rows."""
    ids, scorer, error_score = settings[part], settings["scorer"], settings["error_score"]
    params = _check_method_params(X, params=settings["score_params"] or {}, indices=ids)
    X, y = _safe_split(estimators[0], X, y, ids)
    scored = []
    start = time.perf_counter()
    with _shared_transforms(estimators, X) as (last_steps, Xt), shared_margins(last_steps, Xt):
        shared = (time.perf_counter() - start) / len(estimators)
        for estimator in estimators:
            start = time.perf_counter()
            scores = _score(estimator, X, y, scorer, params, error_score)
            scored.append((scores, shared + time.perf_counter() - start))
    return scored, _num_samples(X)


@contextmanager
def _shared_transforms(estimators: list[Any], X: Any) -> Iterator[tuple[list[Any], Any]]:
    """Inside, pipelines transform X once; the last steps and what they see of X."""
    first = estimators[0]
    if not isinstance(first, Pipeline):
        yield estimators, X
        return
    steps = [step for _, step in first.steps[:-1] if hasattr(step, "transform")]
    for step in steps:
        step.transform = _Memo(step.transform)
    try:
        Xt = first[:-1].transform(X) if steps else X
    except Exception:  # each pipeline shall fail by itself
        Xt = X
    try:
        yield [estimator.steps[-1][1] for estimator in estimators], Xt
    finally:
        for step in steps:
            del step.transform


class _Memo:
    """A method that remembers what it made of its last argument."""

    def __init__(self, method: Any):
        self.method = method
        self.last: tuple[Any, Any] | None = None

    def __call__(self, X: Any, **params: Any) -> Any:
        if params:
            return self.method(X, **params)
        if self.last is None or self.last[0] is not X:
            self.last = X, self.method(X)
        return self.last[1]
