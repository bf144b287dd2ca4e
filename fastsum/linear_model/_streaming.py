"""`partial_fit`: models of rows that come a batch at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import _fit_context
from sklearn.utils import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets

from fastsum.data import Rows, as_rows
from fastsum.linear_model._base import Array, FiniteSumEstimator
from fastsum.linear_model._classifier import LinearClassifier
from fastsum.linear_model._regressor import LinearRegressor
from fastsum.problem import Problem
from fastsum.result import Result
from fastsum.solvers import resolve_solver
from fastsum.solvers._minimize import seed_of
from fastsum.solvers.stream import STREAMS
from fastsum.threads import resolve_n_threads, useful_threads


def _streams(estimator: Any) -> bool:
    name = getattr(estimator, "solver", estimator._solver)
    if name not in STREAMS:
        able = " or ".join(f"solver={known!r}" for known in STREAMS)
        raise AttributeError(
            f"solver={name!r} needs all rows at once: partial_fit is there with {able}"
        )
    return True


class StreamingEstimator(FiniteSumEstimator):
    """Mixed into the estimators with `alpha`, whose objective is one of a mean."""

    def _batch(
        self, X: Any, y: Any, sample_weight: Any, **checks: Any
    ) -> tuple[Rows, Array, Array | None]:
        """Rows of the dtype of the stream, labels and weights."""
        if self.device == "cuda":
            raise ValueError("device='cuda' has no streams: partial_fit takes its steps on the CPU")
        X, y = self._arrays(X, y, reset=not hasattr(self, "coef_"), **checks)
        if hasattr(self, "_stream"):
            X = X.astype(self._stream["weights"].dtype, copy=False)
        rows = as_rows(X, validated=True)
        return rows, y, self._check_weights(sample_weight, rows.n_rows)

    def _take(self, problem: Problem) -> Result:
        """Steps on a batch, and what every estimator reports, without a certificate."""
        name = getattr(self, "solver", self._solver)
        resolve_solver(name, problem)  # raises if the problem is none for it
        threads = useful_threads(resolve_n_threads(self.n_jobs), problem.rows.nnz * problem.K)
        stream = STREAMS[name](self.step_size, threads)
        if getattr(self, "_stream", {"solver": ""})["solver"] != name:
            W = np.zeros((problem.rows.n_cols + 1, problem.K), dtype=problem.dtype)
            if hasattr(self, "coef_"):  # of a fit, or of another method's stream
                coef, intercept = self._starting_point(problem)
                W[:-1], W[-1] = coef.reshape(W[:-1].shape), intercept
            self._stream = {"solver": name, **stream.start(W, seed_of(self.random_state))}
        result = stream.take(problem, self._stream)
        self._report(result)
        return result


class StreamingClassifier(StreamingEstimator, LinearClassifier):
    """A linear classifier that can take rows a batch at a time."""

    @available_if(_streams)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: npt.ArrayLike,
        classes: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
        offset: npt.ArrayLike | None = None,
    ) -> Any:
        """Takes the rows of a batch, each once, and goes on from where the last batch ended.

        There with solver="sgd" and, by streaming SVRG, "svrg". What is minimised is the objective
        over all rows that could come: `dual_gap_` is inf, and `objective_` that of this batch.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows of the batch.
        y : array-like of shape (n_samples,)
            Their labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that can come; needed in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0, relative to those of all batches.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            As in `fit`.

        Returns
        -------
        self : object
            The estimator.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight='balanced' is not supported for partial_fit: the classes of rows to "
                "come are not known. Give a dict, for example of sklearn.utils.compute_class_weight"
            )
        _check_partial_fit_first_call(self, classes)
        if len(self.classes_) < 2:
            raise ValueError(f"partial_fit needs at least 2 classes, got {self.classes_.tolist()}")
        rows, y, weights = self._batch(X, y, sample_weight)
        check_classification_targets(y)
        if len(unknown := np.setdiff1d(y, self.classes_)):
            raise ValueError(
                f"y holds labels {unknown[:5].tolist()} that are not among the classes of the "
                "first call to partial_fit"
            )
        codes = np.searchsorted(self.classes_, y)
        if self.class_weight is not None:
            of_class = compute_class_weight(
                self.class_weight, classes=self.classes_, y=self.classes_
            )
            weights = of_class[codes] if weights is None else weights * of_class[codes]
        problem = self._problem(rows, codes, weights, offset)
        self._unpack(self._take(problem), problem)
        return self


class StreamingRegressor(StreamingEstimator, LinearRegressor):
    """A linear regressor that can take rows a batch at a time."""

    @available_if(_streams)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        offset: npt.ArrayLike | None = None,
    ) -> Any:
        """Takes the rows of a batch, each once, and goes on from where the last batch ended.

        There with solver="sgd" and, by streaming SVRG, "svrg". What is minimised is the objective
        over all rows that could come: `dual_gap_` is inf, and `objective_` that of this batch.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows of the batch.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0, relative to those of all batches.
        offset : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            As in `fit`.

        Returns
        -------
        self : object
            The estimator.
        """
        rows, y, weights = self._batch(X, y, sample_weight, multi_output=True, y_numeric=True)
        self._unpack(self._take(self._base_problem(rows, y, weights, offset)), y)
        return self
