"""The drop-in Ridge."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.utils._param_validation import Interval, StrOptions

from fastsum.linear_model._base import (
    NON_NEGATIVE,
    OWN_CONSTRAINTS,
    SHARED_CONSTRAINTS,
    Array,
    Constraints,
)
from fastsum.linear_model._docs import documented
from fastsum.linear_model._regressor import LinearRegressor
from fastsum.result import Result
from fastsum.solvers._registry import SOLVER_NAMES


@documented
class Ridge(LinearRegressor):
    """Ridge regression with scikit-learn's parametrisation, solved to a certified accuracy.

    Minimises ``sum_i s_i (y_i - x_i . w - b)^2 + alpha ||w||_2^2``: the objective (1) with
    ``alpha / sum_i s_i``, whose units `objective_` and `dual_gap_` have.

    Parameters
    ----------
    alpha : float or array-like of shape (n_targets,), default=1.0
        Strength of the penalty, >= 0; one a target if an array.
    <p:fit_intercept>
    <p:copy_X>
    max_iter : int, default=None
        Most passes over the data; None is 1000.
    <p:tol>
    <p:solver>
    <p:positive>
    <p:random_state>
    <p:n_jobs>
    <p:warm_start>
    <p:verbose>
    <p:penalty_factor>
    <p:lower>
    <p:upper>
    <p:device>

    Attributes
    ----------
    <a:coef_regressor>
    <a:intercept_regressor>
    n_iter_ : ndarray of shape (n_targets,)
        Passes over the data; the targets share them.
    <a:common>

    See Also
    --------
    Lasso, ElasticNet : With an l1 penalty.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsum import Ridge
    >>> X = np.arange(6.0)[:, None]
    >>> np.round(Ridge(alpha=1.0, tol=1e-8, random_state=0).fit(X, 2 * X.ravel()).coef_, 3)
    array([1.892])
    """

    _parameter_constraints: ClassVar[Constraints] = {
        **SHARED_CONSTRAINTS,
        "alpha": [NON_NEGATIVE, np.ndarray, list, tuple],
        "copy_X": ["boolean"],
        "max_iter": [Interval(Integral, 0, None, closed="left"), None],
        "solver": [StrOptions(set(SOLVER_NAMES))],
        "positive": ["boolean"],
        **OWN_CONSTRAINTS,
    }

    def __init__(
        self,
        alpha: Any = 1.0,
        *,
        fit_intercept: bool = True,
        copy_X: bool = True,
        max_iter: int | None = None,
        tol: float = 1e-4,
        solver: str = "auto",
        positive: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        penalty_factor: npt.ArrayLike | None = None,
        lower: npt.ArrayLike | None = None,
        upper: npt.ArrayLike | None = None,
        device: str = "auto",
    ):
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.solver = solver
        self.positive = positive
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.verbose = verbose
        self.penalty_factor = penalty_factor
        self.lower = lower
        self.upper = upper
        self.device = device

    def _strengths(self, total_weight: float) -> tuple[Any, Any]:
        alpha = np.asarray(self.alpha, dtype=np.float64)
        if alpha.ndim > 1 or not (np.isfinite(alpha).all() and (alpha >= 0).all()):
            raise ValueError(
                f"alpha must be a finite number >= 0, or one a target, got {self.alpha!r}"
            )
        return alpha / total_weight, 0.0

    def _unpack(self, result: Result, y: Array) -> None:
        super()._unpack(result, y)
        if y.ndim == 2 and y.shape[1] == 1 and isinstance(self.coef_, np.ndarray):
            self.coef_ = self.coef_[0]  # scikit-learn's shapes: coef_ (d,), intercept_ (1,)
        self.n_iter_ = np.full(1 if y.ndim == 1 else y.shape[1], result.n_iter, dtype=np.int32)
