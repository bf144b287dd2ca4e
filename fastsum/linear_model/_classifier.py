"""The machinery of the classifiers: labels, weights, the problem, scores and probabilities."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.utils import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from fastsum.columns import Columns
from fastsum.data import Rows
from fastsum.device import like, to_host
from fastsum.linear_model._base import (
    Array,
    FiniteSumEstimator,
)
from fastsum.linear_model._callbacks import FitTask, with_callbacks
from fastsum.losses import LOSSES, distinct
from fastsum.problem import FloatArray, Problem
from fastsum.problem_parts import check_offset
from fastsum.result import Result
from fastsum.wide import as_rows_of

CLASSIFICATION_LOSSES = tuple(name for name, loss in LOSSES.items() if loss.domain != "real")
# Of one score of two classes, in two coupled outputs that decide by their difference.
HALVES = np.array([-0.5, 0.5])
_WEIGHTED_BALANCE = "sample_weight" in inspect.signature(compute_class_weight).parameters


def _has_probabilities(estimator: LinearClassifier) -> bool:
    name = getattr(estimator, "loss", "logistic")
    if name in LOSSES and not LOSSES[name].has_probabilities:
        raise AttributeError(
            f"loss={name!r} is not the likelihood of a probability model: use loss='logistic' or "
            "'multinomial', or wrap the estimator in CalibratedClassifierCV"
        )
    return True


def in_two_outputs(offset: FloatArray | None) -> FloatArray | None:
    """An offset (n, 1) of the score of two classes, as that of two coupled outputs."""
    return None if offset is None else offset * HALVES


class LinearClassifier(ClassifierMixin, FiniteSumEstimator):
    """A linear classifier over the engine; subclasses say which problem it solves."""

    def _loss_name(self) -> str:
        return str(self.loss)

    def _strengths(self, total_weight: float) -> tuple[float, float]:
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
        y : array-like of shape (n_samples,)
            Class labels, numbers or strings; None takes those of a Dataset.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0; integer weights equal repeated rows, a weight of 0 an absent row.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            A known part of the scores, in their units: the log odds of ``classes_[1]`` for two
            classes. `predict` and its kin take that of new rows.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        rows, y, weights = self._check_data(X, y, sample_weight)
        codes, weights = self._coded(y, weights)
        problem = self._problem(rows, codes, weights, offset)
        task = FitTask(
            self, X, y, sample_weight, lambda model, result: model._unpack(result, problem)
        )
        self._unpack(self._solve(problem, task), problem)
        self._remember_point()
        task.end()
        return self

    def _coded(self, y: Array, weights: Array | None) -> tuple[Array, Array | None]:
        """Sets classes_; the codes of the labels, and the weights times those of the classes."""
        codes = self._encode(y, weights)
        weights, classes_left_out = self._with_class_weight(codes, weights)
        return (self._encode(y, weights) if classes_left_out else codes), weights

    def _check_data(self, X: Any, y: Any, sample_weight: Any) -> tuple[Rows, Array, Array | None]:
        """Rows, labels and weights by scikit-learn's rules."""
        rows, y = self._validate(X, y)
        if y.dtype.kind not in "biu" or len(distinct(y)) > 2:  # two integers pass its checks
            check_classification_targets(y)
        return rows, y, self._check_weights(sample_weight, rows.n_rows)

    def _base_problem(
        self, rows: Rows, y: Array, weights: Array | None, offset: Any = None
    ) -> Problem:
        """The problem without class weights, which `_weights_on` brings."""
        return self._problem(rows, self._encode(y, weights), weights, offset)

    def _weights_on(self, train: Array, y: Array, weights: Array | None) -> Array | None:
        """Weights of all rows in a fit on the rows `train`; None if a class has none."""
        classes = self.classes_
        part = None if weights is None else weights[train]
        codes = self._encode(y[train], part)
        part, classes_left_out = self._with_class_weight(codes, part)
        if classes_left_out or not np.array_equal(self.classes_, classes):
            return None
        return np.bincount(train, part, minlength=len(y)).astype(np.float64)

    def _encode(self, y: Array, weights: Array | None) -> Array:
        """Sets classes_ to the labels with a positive weight; the position of each row's there."""
        present = y if weights is None else y[weights > 0]
        self.classes_ = distinct(present)
        if len(self.classes_) < 2:
            found = self.classes_.tolist()
            raise ValueError(
                f"{type(self).__name__} needs rows of at least 2 classes, but the data (with a "
                f"positive weight) hold only one class: {found[0] if found else 'none'}"
            )
        if len(self.classes_) == 2 and weights is None:
            return (y == self.classes_[1]).astype(np.intp)
        codes: Array = np.searchsorted(self.classes_, y)
        codes[codes == len(self.classes_)] = 0  # labels of zero weight alone: never looked at
        return codes

    def _with_class_weight(self, codes: Array, weights: Array | None) -> tuple[Array | None, bool]:
        """The weights times those of the classes; whether some class has weight 0."""
        if self.class_weight is None:
            return weights, False
        labels = self.classes_[codes]
        options = {"sample_weight": weights} if _WEIGHTED_BALANCE else {}
        per_class = compute_class_weight(
            self.class_weight, classes=self.classes_, y=labels, **options
        )
        for label, factor in zip(self.classes_, per_class, strict=True):
            if not (np.isfinite(factor) and factor >= 0):
                raise ValueError(
                    f"class_weight of class {label} must be a finite number >= 0 (0 leaves the "
                    f"class out), got {factor}"
                )
        factors: Array = per_class[codes]
        return factors if weights is None else factors * weights, bool((per_class == 0).any())

    def _problem(
        self, rows: Any, codes: Array, weights: Array | None, offset: Any = None
    ) -> Problem:
        """Sign labels for two classes, one problem a class or coupled outputs for more."""
        loss = LOSSES[self._loss_name()]
        n_classes = len(self.classes_)
        if loss.coupled:
            columns, labels = Columns.coupled(n_classes), codes
        elif n_classes == 2:
            columns, labels = Columns(), np.where(codes == 1, 1.0, -1.0)
        else:
            columns, labels = Columns.one_vs_rest(n_classes), codes
        if loss.coupled and n_classes == 2:
            offset = in_two_outputs(check_offset(offset, rows.n_rows, 1))
        if (
            loss.coupled
            and n_classes == 2
            and any(self._own()[b] is not None for b in ("lower", "upper"))
        ):
            raise ValueError(
                "bounds are of each output, and loss='multinomial' has two for two classes whose "
                "difference is coef_: use loss='logistic'"
            )
        total = float(rows.n_rows) if weights is None else float(weights.sum())
        alpha, l1_ratio = self._strengths(total)
        return Problem(
            rows,
            labels,
            loss=loss.name,
            loss_param=getattr(self, "loss_param", None),
            alpha=alpha,
            l1_ratio=l1_ratio,
            sample_weight=weights,
            fit_intercept=self.fit_intercept,
            group=getattr(self, "group", None),
            columns=columns,
            offset=offset,
            **self._own(),
        )

    def _accept(self, result: Result, problem: Problem, y: Array) -> None:
        """Becomes fitted by a result that was found elsewhere."""
        self._report(result)
        self._unpack(result, problem)
        self._remember_point()

    def _unpack(self, result: Result, problem: Problem) -> None:
        """coef_ (1, d) for two classes, (n_classes, d) for more."""
        coef, intercept = as_rows_of(result.coef), np.atleast_1d(result.intercept)
        if problem.loss.coupled and len(self.classes_) == 2:
            # two coupled outputs decide by their difference: softmax(z)_1 = sigmoid(z_1 - z_0)
            coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
        self.coef_: Any = coef
        self.intercept_ = intercept.astype(coef.dtype)
        self.n_iter_: Any = result.n_iter

    def _starting_point(self, problem: Problem) -> tuple[Array, Array]:
        coef, intercept = super()._starting_point(problem)
        if problem.loss.coupled and sp.issparse(coef) and coef.shape[1] == 1:
            halves = sp.hstack([half * coef for half in HALVES], format="csc")
            return halves, intercept * HALVES
        if problem.loss.coupled and coef.ndim == 1:
            return coef[:, None] * HALVES, intercept * HALVES
        return coef, intercept

    def decision_function(self, X: Any, offset: npt.ArrayLike | None = None) -> Array:
        """Signed distances x . w + b, plus the offset.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows to score.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            As in `fit`, of these rows; None is 0.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            One score a row for two classes (> 0 means ``classes_[1]``), one a class for more.
        """
        scores: Array = like(self._scores(X, offset), X)
        return scores

    def _scores(self, X: Any, offset: Any) -> Array:
        """`decision_function` as a numpy array."""
        margins = self._margins(X, offset)
        return margins.ravel() if margins.shape[1] == 1 else margins

    def predict(self, X: Any, offset: npt.ArrayLike | None = None) -> Array:
        """Predicted classes.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows to predict.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            As in `fit`, of these rows; None is 0.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Values of ``classes_``.
        """
        scores = self._scores(X, offset)
        codes = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        labels: Array = self.classes_[codes]
        return like(labels, X)

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any, offset: npt.ArrayLike | None = None) -> Array:
        """Probabilities of the loss's own model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows to predict.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            As in `fit`, of these rows; None is 0.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            sigmoid of the score for two classes, softmax for the multinomial loss, normalised
            sigmoids for one-vs-rest.
        """
        probabilities: Array = like(self._probabilities(self._scores(X, offset)), X)
        return probabilities

    def _probabilities(self, scores: Array) -> Array:
        """`predict_proba` of scores."""
        if scores.ndim == 1:
            return np.column_stack([expit(-scores), expit(scores)])
        if LOSSES[self._loss_name()].coupled:
            p: Array = softmax(scores, axis=1)
            return p
        p = expit(scores)
        total = p.sum(axis=1, keepdims=True)
        even = np.full_like(p, 1.0 / p.shape[1])
        return np.divide(p, total, out=even, where=total > 0)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Any, offset: npt.ArrayLike | None = None) -> Array:
        """Logarithms of the probabilities, without underflow for two classes and softmax.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows to predict.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            As in `fit`, of these rows; None is 0.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Logarithm of `predict_proba`.
        """
        scores = self._scores(X, offset)
        if scores.ndim == 1:
            logs: Array = np.column_stack([log_expit(-scores), log_expit(scores)])
        elif LOSSES[self._loss_name()].coupled:
            logs = log_softmax(scores, axis=1)
        else:
            with np.errstate(divide="ignore"):
                logs = np.log(self._probabilities(scores))
        return like(logs, X)

    def score(
        self,
        X: Any,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        offset: npt.ArrayLike | None = None,
    ) -> float:
        """Share of the rows whose class is predicted.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Their classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            As in `fit`, of these rows; None is 0.

        Returns
        -------
        score : float
            The accuracy.
        """
        found, weights = to_host(self.predict(X, offset)), to_host(sample_weight)
        return float(accuracy_score(to_host(y), found, sample_weight=weights))

    def sparsify(self) -> Any:
        """Turns coef_ into a CSR matrix, smaller when most coefficients are 0.

        Returns
        -------
        self : object
            The estimator.
        """
        check_is_fitted(self)
        self.coef_ = sp.csr_matrix(self.coef_)
        return self

    def densify(self) -> Any:
        """Turns coef_ back into an array.

        Returns
        -------
        self : object
            The estimator.
        """
        check_is_fitted(self)
        if sp.issparse(self.coef_):
            self.coef_ = self.coef_.toarray()
        return self
