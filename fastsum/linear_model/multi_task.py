"""MultiTaskLasso and MultiTaskElasticNet: features that are in use for all targets or for none."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions

from fastsum.data import Rows
from fastsum.linear_model._base import NON_NEGATIVE, SHARED_CONSTRAINTS, Array, Constraints
from fastsum.linear_model._docs import documented
from fastsum.linear_model._regressor import LinearRegressor
from fastsum.result import Result
from fastsum.solvers._registry import SOLVER_NAMES


class MultiTaskFace(LinearRegressor):
    """What the two share: targets of two axes, and a penalty of rows of coefficients."""

    _parameter_constraints: ClassVar[Constraints] = {
        **SHARED_CONSTRAINTS,
        "alpha": [NON_NEGATIVE],
        "copy_X": ["boolean"],
        "selection": [StrOptions({"cyclic", "random"})],
        "solver": [StrOptions(set(SOLVER_NAMES))],
    }
    _default_only: ClassVar[dict[str, tuple[Any, str]]] = {
        "selection": ("cyclic", "no coordinates are selected; the solvers take features by blocks"),
    }

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = False
        return tags

    def _group(self) -> str | None:
        return "rows"

    def _check_data(self, X: Any, y: Any, sample_weight: Any) -> tuple[Rows, Array, Array | None]:
        rows, y, weights = super()._check_data(X, y, sample_weight)
        if y.ndim == 1:
            raise ValueError(
                f"For mono-task outputs, use {type(self).__name__.removeprefix('MultiTask')}"
            )
        return rows, y, weights

    def _unpack(self, result: Result, y: Array) -> None:
        super()._unpack(result, y)
        if not self.fit_intercept:
            self.intercept_ = np.zeros(y.shape[1], dtype=self.coef_.dtype)


@documented
class MultiTaskElasticNet(MultiTaskFace):
    """Least squares of several targets with a penalty of rows, solved to a certified accuracy.

    Minimises ``(1/(2 S)) sum_i s_i ||y_i - W' x_i - b||^2 + alpha l1_ratio ||W||_21 +
    alpha (1 - l1_ratio)/2 ||W||_F^2`` with ``||W||_21 = sum_j ||w_j||_2`` over the rows of W
    (n_features, n_targets), like `sklearn.linear_model.MultiTaskElasticNet`: (1) under
    ``group="rows"``.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, >= 0.
    l1_ratio : float, default=0.5
        Share of the norm of rows in the penalty, in [0, 1].
    <p:fit_intercept>
    <p:copy_X>
    <p:max_iter>
    <p:tol>
    <p:warm_start>
    <p:random_state>
    <p:selection>
    <p:solver>
    <p:n_jobs>
    <p:verbose>
    <p:device>

    Attributes
    ----------
    coef_ : ndarray of shape (n_targets, n_features)
        Coefficients, in the dtype of X; a feature has all of them 0 or none.
    intercept_ : ndarray of shape (n_targets,)
        Intercepts, exact for coef_.
    <a:n_iter_>
    <a:common>

    See Also
    --------
    ElasticNet : A penalty of each coefficient.
    MultiTaskLasso : The norm of rows alone.

    References
    ----------
    Obozinski, Taskar, Jordan, "Joint covariate selection and joint subspace selection for multiple
    classification problems", Statistics and Computing 20, 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsum import MultiTaskElasticNet
    >>> X = np.arange(6.0)[:, None]
    >>> Y = np.hstack([2 * X, -X])
    >>> np.round(MultiTaskElasticNet(alpha=0.1, tol=1e-8).fit(X, Y).coef_.ravel(), 3)
    array([ 1.951, -0.976])
    """

    _parameter_constraints: ClassVar[Constraints] = {
        **MultiTaskFace._parameter_constraints,
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        copy_X: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-4,
        warm_start: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        solver: str = "auto",
        n_jobs: int | None = None,
        verbose: int = 0,
        device: str = "auto",
    ):
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.selection = selection
        self.solver = solver
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.device = device


@documented
class MultiTaskLasso(MultiTaskFace):
    """Lasso of several targets with a penalty of rows, solved to a certified accuracy.

    Minimises ``(1/(2 S)) sum_i s_i ||y_i - W' x_i - b||^2 + alpha ||W||_21`` with
    ``||W||_21 = sum_j ||w_j||_2`` over the rows of W (n_features, n_targets), like
    `sklearn.linear_model.MultiTaskLasso`: the objective (1) under ``group="rows"``.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, >= 0.
    <p:fit_intercept>
    <p:copy_X>
    <p:max_iter>
    <p:tol>
    <p:warm_start>
    <p:random_state>
    <p:selection>
    <p:solver>
    <p:n_jobs>
    <p:verbose>
    <p:device>

    Attributes
    ----------
    coef_ : ndarray of shape (n_targets, n_features)
        Coefficients, in the dtype of X; a feature has all of them 0 or none.
    intercept_ : ndarray of shape (n_targets,)
        Intercepts, exact for coef_.
    <a:n_iter_>
    <a:common>

    See Also
    --------
    Lasso : A penalty of each coefficient.
    MultiTaskElasticNet : With an l2 part beside the norm of rows.

    References
    ----------
    Obozinski, Taskar, Jordan, "Joint covariate selection and joint subspace selection for multiple
    classification problems", Statistics and Computing 20, 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsum import MultiTaskLasso
    >>> X = np.arange(6.0)[:, None]
    >>> Y = np.hstack([2 * X, -X])
    >>> np.round(MultiTaskLasso(alpha=0.1, tol=1e-8).fit(X, Y).coef_.ravel(), 3)
    array([ 1.969, -0.985])
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        copy_X: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-4,
        warm_start: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        solver: str = "auto",
        n_jobs: int | None = None,
        verbose: int = 0,
        device: str = "auto",
    ):
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.selection = selection
        self.solver = solver
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.device = device

    def _strengths(self, total_weight: float) -> tuple[float, float]:
        return self.alpha, 1.0
