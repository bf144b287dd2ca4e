"""The machinery of the regressors: targets, weights, the problem and predictions."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import MultiOutputMixin, RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import Interval, StrOptions

from fastsum.data import Rows
from fastsum.device import like, to_host
from fastsum.linear_model._base import (
    NON_NEGATIVE,
    OWN_CONSTRAINTS,
    SHARED_CONSTRAINTS,
    Array,
    Constraints,
    FiniteSumEstimator,
)
from fastsum.linear_model._callbacks import FitTask, with_callbacks
from fastsum.losses import LOSSES
from fastsum.problem import Problem
from fastsum.result import Result
from fastsum.solvers._registry import SOLVER_NAMES
from fastsum.wide import as_rows_of

REGRESSION_LOSSES = tuple(name for name, loss in LOSSES.items() if loss.domain == "real")
_X_IS_SAFE = "leave it at its default; the solvers work on the rows of X as they are"


class LinearRegressor(MultiOutputMixin, RegressorMixin, FiniteSumEstimator):
    """A linear regressor over the engine; several targets are problems side by side."""

    def _loss_name(self) -> str:
        return "squared"

    def _strengths(self, total_weight: float) -> tuple[Any, Any]:
        """alpha and l1_ratio of the objective (1) for weights that sum to total_weight."""
        return self.alpha, self.l1_ratio

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
        offset: npt.ArrayLike | None = None,
    ) -> Any:
        """Fits the model.

        Parameters
        ----------
        X : array-like, sparse matrix or fastsum.store.Dataset of shape (n_samples, n_features)
            Training rows; never modified. float32 and CSR are kept as they are.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets; None takes those of a Dataset.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Weights >= 0; integer weights equal repeated rows, a weight of 0 an absent row.
        offset : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            A known part of x . w + b: for counts the logarithm of their exposure. `predict` takes
            that of new rows.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        rows, y, weights = self._check_data(X, y, sample_weight)
        problem = self._base_problem(rows, y, weights, offset)
        task = FitTask(self, X, y, sample_weight, lambda model, result: model._unpack(result, y))
        self._unpack(self._solve(problem, task), y)
        self._remember_point()
        task.end()
        return self

    def _check_data(self, X: Any, y: Any, sample_weight: Any) -> tuple[Rows, Array, Array | None]:
        """Rows, targets and weights by scikit-learn's rules."""
        rows, y = self._validate(X, y, multi_output=True, y_numeric=True)
        return rows, y, self._check_weights(sample_weight, rows.n_rows)

    def _base_problem(
        self, rows: Rows, y: Array, weights: Array | None, offset: Any = None
    ) -> Problem:
        """Several targets are problems side by side."""
        alpha, l1_ratio = self._strengths(float(rows.n_rows if weights is None else weights.sum()))
        return Problem(
            rows,
            y,
            loss=self._loss_name(),
            loss_param=getattr(self, "loss_param", None),
            alpha=alpha,
            l1_ratio=l1_ratio,
            sample_weight=weights,
            fit_intercept=self.fit_intercept,
            group=self._group(),
            offset=offset,
            **self._own(),
        )

    def _group(self) -> str | None:
        """Of the penalty: see `Problem`."""
        return getattr(self, "group", None)

    def _weights_on(self, train: Array, y: Array, weights: Array | None) -> Array | None:
        """Weights of all rows in a fit on the rows `train`."""
        part = None if weights is None else weights[train]
        return np.bincount(train, part, minlength=len(y)).astype(np.float64)

    def _accept(self, result: Result, problem: Problem, y: Array) -> None:
        """Becomes fitted by a result that was found elsewhere."""
        self._report(result)
        self._unpack(result, y)
        self._remember_point()

    def _unpack(self, result: Result, y: Array) -> None:
        """coef_ (d,) for y (n,), (n_targets, d) for y (n, n_targets), and where it is sparse."""
        coef, intercept = as_rows_of(result.coef), result.intercept
        if y.ndim == 2:
            intercept = np.atleast_1d(intercept).astype(coef.dtype)
        else:
            intercept = coef.dtype.type(intercept)
            coef = coef if sp.issparse(coef) else coef[0]
        self.coef_: Any = coef
        self.intercept_ = intercept if self.fit_intercept else 0.0
        self.n_iter_: Any = result.n_iter

    def predict(self, X: Any, offset: npt.ArrayLike | None = None) -> Array:
        """Predicted targets: x . w + b plus the offset, or the exponential of this for counts.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows to predict.
        offset : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            As in `fit`, of these rows; None is 0.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Predictions.
        """
        mean: Array = LOSSES[self._loss_name()].response(self._margins(X, offset))
        one = self.coef_.ndim == 1 or (sp.issparse(self.coef_) and self.coef_.shape[0] == 1)
        return like(mean.ravel() if one else mean, X)

    def score(
        self,
        X: Any,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        offset: npt.ArrayLike | None = None,
    ) -> float:
        """R^2, the share of the variance of y that the model explains.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.
        offset : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            As in `fit`, of these rows; None is 0.

        Returns
        -------
        score : float
            1 is best, 0 that of the mean of y.
        """
        found, weights = to_host(self.predict(X, offset)), to_host(sample_weight)
        return float(r2_score(to_host(y), found, sample_weight=weights))

    @property
    def sparse_coef_(self) -> Any:
        """coef_ as a CSR matrix."""
        return sp.csr_matrix(self.coef_)


class CoordinateDescentFace(LinearRegressor):
    """The parameters that Lasso and ElasticNet share in scikit-learn."""

    _parameter_constraints: ClassVar[Constraints] = {
        **SHARED_CONSTRAINTS,
        "alpha": [NON_NEGATIVE],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "precompute": ["boolean", "array-like"],
        "copy_X": ["boolean"],
        "positive": ["boolean"],
        **OWN_CONSTRAINTS,
        "selection": [StrOptions({"cyclic", "random"})],
        "solver": [StrOptions(set(SOLVER_NAMES))],
    }
    _default_only: ClassVar[dict[str, tuple[Any, str]]] = {
        "precompute": (False, _X_IS_SAFE),
        "selection": ("cyclic", "no coordinates are selected; SAGARegressor has `sampling`"),
    }

    def _unpack(self, result: Result, y: Array) -> None:
        super()._unpack(result, y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y)
        if y.ndim == 2:
            self.intercept_ = np.atleast_1d(self.intercept_) if self.fit_intercept else 0.0
