"""A fitted linear model by itself: what a model file holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.special import expit, softmax
from sklearn.utils import check_array
from sklearn.utils.extmath import safe_sparse_dot

from fastsum.data import Rows
from fastsum.losses import LOSSES
from fastsum.problem_parts import check_offset
from fastsum.row_source import RowSource
from fastsum.sparse_structure import check_sparse_structure
from fastsum.wide import narrowed

from ._twins import sklearn_twin


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A fitted linear model, free of its training data and of any solver.

    Parameters
    ----------
    coef : ndarray or csr_array of shape (n_outputs, n_features)
        Coefficients, float32 or float64. `n_outputs` is 1 for two classes and for a single
        target, otherwise the number of classes or targets. Sparse where a store has very many
        columns.
    intercept : ndarray of shape (n_outputs,)
        Intercepts, zeros if none was fitted.
    classes : ndarray of shape (n_classes,) or None
        The labels in sorted order; None for regression.
    loss : str
        The loss the model was fitted with, a name of `fastsum.losses.LOSSES`.
    header : mapping
        What else is known of the fit: ``alpha``, ``l1_ratio``, ``loss_param``, ``fit_intercept``,
        ``n_samples``, ``objective``, ``dual_gap``, ``n_iter``, ``status``, ...; values as in
        JSON. ``target_ndim`` 2 makes a regression predict shape (n, n_outputs) even for one
        output.
    feature_names : ndarray of str of shape (n_features,) or None, default=None
        Names of the columns, if the training data had any.

    Raises
    ------
    ValueError
        If the parts do not fit together.
    """

    coef: Any
    intercept: npt.NDArray[Any]
    classes: npt.NDArray[Any] | None
    loss: str
    header: Mapping[str, Any] = field(default_factory=dict)
    feature_names: npt.NDArray[Any] | None = None

    def __post_init__(self) -> None:
        _check_parts(self.coef, self.intercept, self.classes, self.loss)
        if self.feature_names is not None and self.feature_names.shape != (self.n_features,):
            raise ValueError(
                f"{self.feature_names.size} feature names do not fit {self.n_features} features"
            )

    def __repr__(self) -> str:
        n_outputs, n_features = self.coef.shape
        kinds = "" if self.classes is None else f", {len(self.classes)} classes"
        return (
            f"FittedModel(loss={self.loss!r}, {n_features} features{kinds}, "
            f"{n_outputs} output{'s' if n_outputs > 1 else ''}, "
            f"{self.n_nonzero} non-zero coefficients)"
        )

    @property
    def n_nonzero(self) -> int:
        """Coefficients that are not 0."""
        return int(self.coef.nnz if sp.issparse(self.coef) else np.count_nonzero(self.coef))

    @property
    def size(self) -> str:
        """How many coefficients there are and are not 0, for people."""
        return f"{self.n_nonzero:,} of {self.coef.shape[0] * self.n_features:,}"

    @property
    def n_features(self) -> int:
        """Number of columns the model expects."""
        return int(self.coef.shape[1])

    @property
    def coef_(self) -> Any:
        """`coef`, by the name that estimators have for it."""
        return self.coef

    @property
    def intercept_(self) -> npt.NDArray[Any]:
        """`intercept`, likewise."""
        return self.intercept

    def decision_function(self, X: Any, offset: Any = None) -> npt.NDArray[Any]:
        """Return the linear scores ``X @ coef.T + intercept``, plus the offset.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            A known part of their scores, as in the fit; None is 0.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            One score per sample for two classes (positive means the second class) and for a
            single target, else one per class or target.
        """
        scores = self._scores(X, offset)
        one_axis = scores.shape[1] == 1 and self.header.get("target_ndim", 1) == 1
        return scores[:, 0] if one_axis else scores

    def predict(self, X: Any, offset: Any = None) -> npt.NDArray[Any]:
        """Return the predicted label, or the predicted value for a regression.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            A known part of their scores, as in the fit; None is 0.

        Returns
        -------
        y : ndarray of shape (n_samples,), or (n_samples, n_outputs) for several targets
            Classes, or predictions of the targets.
        """
        if self.classes is None:
            return LOSSES[self.loss].response(self.decision_function(X, offset))
        scores = self._scores(X, offset)
        if scores.shape[1] == 1:
            best = (scores[:, 0] > 0).astype(np.intp)
        else:
            best = np.argmax(scores, axis=1)
        labels: npt.NDArray[Any] = self.classes[best]
        return labels

    def predict_proba(self, X: Any, offset: Any = None) -> npt.NDArray[Any]:
        """Return class probabilities, columns in the order of `classes`.

        They are the loss's own: the sigmoid of the score for ``"logistic"`` (divided by their
        sum if there are more than two classes), the softmax for ``"multinomial"``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            A known part of their scores, as in the fit; None is 0.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Probabilities of the classes, in the order of `classes`; each row sums to 1.

        Raises
        ------
        AttributeError
            If the loss defines no probabilities.
        """
        if not LOSSES[self.loss].has_probabilities:
            raise AttributeError(
                f"loss={self.loss!r} has no probabilities; fit with loss='logistic' or "
                "'multinomial', or use decision_function."
            )
        scores = self._scores(X, offset)
        if scores.shape[1] == 1:
            p = np.empty((scores.shape[0], 2), dtype=scores.dtype)
            p[:, 0] = expit(-scores[:, 0])
            p[:, 1] = expit(scores[:, 0])
            return p
        if self.loss == "multinomial":
            return np.asarray(softmax(scores, axis=1))
        p = expit(scores)
        total = p.sum(axis=1, keepdims=True)
        even = np.full_like(p, 1.0 / p.shape[1])  # where every class underflows to 0
        return np.asarray(np.divide(p, total, out=even, where=total > 0))

    def to_sklearn(self) -> Any:
        """Return the fitted scikit-learn estimator that predicts the same.

        Returns
        -------
        estimator : LogisticRegression, OneVsRestClassifier, LinearSVC, Ridge, Lasso, ElasticNet \
or SGDRegressor
            Ready to predict, to serve and to export; `coef_`, `intercept_`, `classes_` and
            `n_features_in_` are copies of this model's. Its regularisation parameter is set
            where scikit-learn states the same objective, so that a refit means the same
            problem.
        """
        return sklearn_twin(self)

    def _scores(self, X: Any, offset: Any) -> npt.NDArray[Any]:
        """Return the scores with two axes."""
        if isinstance(X, RowSource):
            return self._scores_of_rows(X.rows)
        check_sparse_structure(X)
        X = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32])
        if X.shape[1] != self.n_features:
            raise ValueError(
                f"X has {X.shape[1]} features, the model was fitted with {self.n_features}."
            )
        coef = self.coef.T
        if sp.issparse(coef):
            X, coef = narrowed(X, coef)
        scores: npt.NDArray[Any] = np.asarray(safe_sparse_dot(X, coef, dense_output=True))
        scores = scores + self.intercept
        halves = self.classes is not None and len(self.classes) == 2 == scores.shape[1]
        given = check_offset(offset, len(scores), 1 if halves else scores.shape[1])
        if given is None:
            return scores
        # two coupled outputs decide by their difference
        moved = scores + (given * np.array([-0.5, 0.5]) if halves else given)
        return moved.astype(scores.dtype)

    def _scores_of_rows(self, rows: Rows) -> npt.NDArray[Any]:
        """The same for rows that need not be in memory."""
        if rows.n_features != self.n_features:
            raise ValueError(
                f"X has {rows.n_features} features, the model was fitted with {self.n_features}."
            )
        W = np.ascontiguousarray(np.vstack([rows.stored(self.coef.T), self.intercept]))
        return rows.margins(W, 1, np.empty((rows.n_rows, W.shape[1])))


def _check_parts(coef: Any, intercept: Any, classes: Any, loss: Any) -> None:
    """Raise ValueError unless the parts of a model fit together."""
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {list(LOSSES)}, got {loss!r}")
    if sp.issparse(coef):
        check_sparse_structure(coef)
        if coef.format != "csr" or coef.data.dtype not in (np.dtype("f4"), np.dtype("f8")):
            raise ValueError("a sparse coef must be a csr_array of floats")
        if not np.isfinite(coef.data).all():
            raise ValueError("coef holds values that are not finite")
    given = [("intercept", intercept, 1)] + ([] if sp.issparse(coef) else [("coef", coef, 2)])
    for name, array, ndim in given:
        good = isinstance(array, np.ndarray) and array.dtype in (np.dtype("f4"), np.dtype("f8"))
        if not good or array.ndim != ndim:
            raise ValueError(f"{name} must be a float array with {ndim} axes")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds values that are not finite")
    if coef.shape[0] != intercept.shape[0] or 0 in coef.shape:
        raise ValueError(f"coef {coef.shape} and intercept {intercept.shape} do not fit")
    if LOSSES[loss].domain == "real":
        if classes is not None:
            raise ValueError(f"a model with the {loss} loss has no classes")
        return
    if not isinstance(classes, np.ndarray) or classes.ndim != 1 or classes.size < 2:
        raise ValueError(f"a model with the {loss} loss needs at least two classes")
    expected = (1, 2) if classes.size == 2 else (classes.size,)
    if coef.shape[0] not in expected:
        raise ValueError(f"{classes.size} classes do not fit {coef.shape[0]} rows of coefficients")
