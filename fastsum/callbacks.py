"""Callbacks of estimators, by scikit-learn's protocol (1.9 or newer)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import check_scoring

__all__ = ["EarlyStopping"]


class EarlyStopping:
    """Ends a fit when the score on rows held out gets no better.

    Give it to `set_callbacks` of an estimator. The score is computed at each certificate, for every
    solver; the model is that of the last one, its `status_` is "stopped", and `dual_gap_` tells how
    far from the minimum it ended.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Rows held out.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Their labels or targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Their weights in the score.
    scoring : str or callable, default=None
        As in scikit-learn, greater is better; None is the estimator's `score`.
    patience : int, default=3
        Certificates without an improvement after which the fit ends; at least 1.
    min_improvement : float, default=0.0
        What counts as an improvement of the best score, in its units; >= 0.

    Attributes
    ----------
    scores_ : list of float
        The score at each certificate of the last fit.

    Raises
    ------
    ValueError
        If `patience` or `min_improvement` is out of range.

    See Also
    --------
    fastsum.minimize : Its `callback` stops fits of the engine.

    Examples
    --------
    >>> from fastsum import SAGAClassifier
    >>> from fastsum.callbacks import EarlyStopping
    >>> from fastsum.datasets import load_example
    >>> X, y = load_example("a9a", return_X_y=True)
    >>> stop = EarlyStopping(X[2000:3000], y[2000:3000], scoring="neg_log_loss", patience=2)
    >>> model = SAGAClassifier(alpha=1e-6, tol=1e-8, max_iter=2000)
    >>> model = model.set_callbacks(stop).fit(X[:2000], y[:2000])
    >>> model.status_ == "stopped", max(stop.scores_) > stop.scores_[-1]
    (True, True)
    """

    def __init__(
        self,
        X: Any,
        y: npt.ArrayLike,
        *,
        sample_weight: npt.ArrayLike | None = None,
        scoring: Any = None,
        patience: int = 3,
        min_improvement: float = 0.0,
    ):
        if patience < 1:
            raise ValueError(f"patience must be at least 1, got {patience}")
        if not min_improvement >= 0:
            raise ValueError(f"min_improvement must be >= 0, got {min_improvement}")
        self.X, self.y, self.sample_weight = X, y, sample_weight
        self.scoring, self.patience, self.min_improvement = scoring, patience, min_improvement

    def setup(self, estimator: Any, context: Any) -> None:
        """Begins a fit.

        Parameters
        ----------
        estimator : estimator instance
            What is fitted.
        context : sklearn.callback.CallbackContext
            The task of the fit.
        """
        self._scorer = check_scoring(estimator, self.scoring)
        self.scores_: list[float] = []

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Does nothing.

        Parameters
        ----------
        estimator : estimator instance
            What is fitted.
        context : sklearn.callback.CallbackContext
            The task that begins.
        """

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> bool:
        """Scores the model of a certificate.

        Parameters
        ----------
        estimator : estimator instance
            What is fitted.
        context : sklearn.callback.CallbackContext
            The task that ends.
        fitted_estimator : estimator instance, default=None
            The model as it would be had the fit ended here.

        Returns
        -------
        stop : bool
            Whether the last `patience` scores were no improvement.
        """
        if context.task_name != "certificate" or fitted_estimator is None:
            return False
        weights = {} if self.sample_weight is None else {"sample_weight": self.sample_weight}
        self.scores_.append(float(self._scorer(fitted_estimator, self.X, self.y, **weights)))
        before, last = self.scores_[: -self.patience], self.scores_[-self.patience :]
        return bool(before) and max(last) <= np.max(before) + self.min_improvement

    def teardown(self, estimator: Any, context: Any) -> None:
        """Ends a fit.

        Parameters
        ----------
        estimator : estimator instance
            What was fitted.
        context : sklearn.callback.CallbackContext
            The task of the fit.
        """
