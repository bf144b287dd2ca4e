"""Regressors: SAGARegressor, SVRGRegressor and the drop-ins Lasso and ElasticNet."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy.typing as npt

from fastsum.linear_model._base import (
    Constraints,
)
from fastsum.linear_model._docs import documented
from fastsum.linear_model._faces import SolverRegressor
from fastsum.linear_model._regressor import (
    CoordinateDescentFace,
)


@documented
class SAGARegressor(SolverRegressor):
    """Linear regression fitted by SAGA to a certified accuracy.

    Parameters
    ----------
    <p:loss_regressor>
    <p:alpha>
    <p:l1_ratio>
    <p:loss_param_regressor>
    <p:fit_intercept>
    <p:tol>
    <p:max_iter>
    <p:n_jobs>
    <p:random_state>
    <p:warm_start>
    <p:verbose>
    <p:sampling>
    <p:step_size>
    <p:penalty_factor>
    <p:lower>
    <p:upper>
    <p:device>

    Attributes
    ----------
    <a:coef_regressor>
    <a:intercept_regressor>
    <a:n_iter_>
    <a:common>

    See Also
    --------
    SVRGRegressor : The same with SVRG.
    Ridge, Lasso, ElasticNet : scikit-learn's parametrisations.

    References
    ----------
    Defazio, Bach, Lacoste-Julien, "SAGA: A fast incremental gradient method with support for
    non-strongly convex composite objectives", NIPS 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsum import SAGARegressor
    >>> X = np.arange(6.0)[:, None]
    >>> model = SAGARegressor(alpha=1e-3, tol=1e-8, random_state=0).fit(X, 2 * X.ravel() + 1)
    >>> np.round(model.predict([[6.0]]), 2)
    array([13.])
    """

    _solver = "saga"


@documented
class SVRGRegressor(SolverRegressor):
    """Linear regression fitted by SVRG to a certified accuracy.

    Parameters
    ----------
    <p:loss_regressor>
    <p:alpha>
    <p:l1_ratio>
    <p:loss_param_regressor>
    <p:fit_intercept>
    <p:tol>
    <p:max_iter>
    <p:n_jobs>
    <p:random_state>
    <p:warm_start>
    <p:verbose>
    <p:sampling>
    <p:step_size>
    <p:penalty_factor>
    <p:lower>
    <p:upper>
    <p:device>

    Attributes
    ----------
    <a:coef_regressor>
    <a:intercept_regressor>
    <a:n_iter_>
    <a:common>

    See Also
    --------
    SAGARegressor : The same with SAGA.
    Ridge, Lasso, ElasticNet : scikit-learn's parametrisations.

    References
    ----------
    Johnson, Zhang, "Accelerating stochastic gradient descent using predictive variance reduction",
    NIPS 2013; Xiao, Zhang, "A proximal stochastic gradient method with progressive variance
    reduction", SIAM J. Optim. 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsum import SVRGRegressor
    >>> X = np.arange(6.0)[:, None]
    >>> model = SVRGRegressor(alpha=1e-3, tol=1e-8, random_state=0).fit(X, 2 * X.ravel() + 1)
    >>> np.round(model.predict([[6.0]]), 2)
    array([13.])
    """

    _solver = "svrg"


@documented
class Lasso(CoordinateDescentFace):
    """Lasso with scikit-learn's parametrisation, solved to a certified accuracy.

    Minimises ``(1/(2 S)) sum_i s_i (y_i - x_i . w - b)^2 + alpha ||w||_1``, S the sum of the
    weights: the objective (1) as it is.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, >= 0.
    <p:fit_intercept>
    <p:precompute>
    <p:copy_X>
    <p:max_iter>
    <p:tol>
    <p:warm_start>
    <p:positive>
    <p:random_state>
    <p:selection>
    <p:solver>
    <p:n_jobs>
    <p:verbose>
    <p:penalty_factor>
    <p:lower>
    <p:upper>
    <p:device>

    Attributes
    ----------
    <a:coef_regressor>
    <a:intercept_regressor>
    <a:n_iter_>
    <a:common>

    See Also
    --------
    ElasticNet : With an l2 part beside the l1 norm.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsum import Lasso
    >>> X = np.arange(6.0)[:, None]
    >>> np.round(Lasso(alpha=0.1, tol=1e-8, random_state=0).fit(X, 2 * X.ravel()).coef_, 3)
    array([1.966])
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        precompute: Any = False,
        copy_X: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-4,
        warm_start: bool = False,
        positive: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        solver: str = "auto",
        n_jobs: int | None = None,
        verbose: int = 0,
        penalty_factor: npt.ArrayLike | None = None,
        lower: npt.ArrayLike | None = None,
        upper: npt.ArrayLike | None = None,
        device: str = "auto",
    ):
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.solver = solver
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.penalty_factor = penalty_factor
        self.lower = lower
        self.upper = upper
        self.device = device

    _parameter_constraints: ClassVar[Constraints] = {
        name: kinds
        for name, kinds in CoordinateDescentFace._parameter_constraints.items()
        if name != "l1_ratio"
    }

    def _strengths(self, total_weight: float) -> tuple[Any, Any]:
        return self.alpha, 1.0


@documented
class ElasticNet(CoordinateDescentFace):
    """Elastic net with scikit-learn's parametrisation, solved to a certified accuracy.

    Minimises ``(1/(2 S)) sum_i s_i (y_i - x_i . w - b)^2 + alpha l1_ratio ||w||_1 +
    alpha (1 - l1_ratio)/2 ||w||_2^2``, S the sum of the weights: the objective (1) as it is.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, >= 0.
    l1_ratio : float, default=0.5
        Share of the l1 norm in the penalty, in [0, 1]: 0 is l2, 1 is l1.
    <p:fit_intercept>
    <p:precompute>
    <p:max_iter>
    <p:copy_X>
    <p:tol>
    <p:warm_start>
    <p:positive>
    <p:random_state>
    <p:selection>
    <p:solver>
    <p:n_jobs>
    <p:verbose>
    <p:penalty_factor>
    <p:lower>
    <p:upper>
    <p:device>

    Attributes
    ----------
    <a:coef_regressor>
    <a:intercept_regressor>
    <a:n_iter_>
    <a:common>

    See Also
    --------
    Lasso : The l1 norm alone.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsum import ElasticNet
    >>> X = np.arange(6.0)[:, None]
    >>> np.round(ElasticNet(alpha=0.1, tol=1e-8, random_state=0).fit(X, 2 * X.ravel()).coef_, 3)
    array([1.949])
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        precompute: Any = False,
        max_iter: int = 1000,
        copy_X: bool = True,
        tol: float = 1e-4,
        warm_start: bool = False,
        positive: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        solver: str = "auto",
        n_jobs: int | None = None,
        verbose: int = 0,
        penalty_factor: npt.ArrayLike | None = None,
        lower: npt.ArrayLike | None = None,
        upper: npt.ArrayLike | None = None,
        device: str = "auto",
    ):
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.max_iter = max_iter
        self.copy_X = copy_X
        self.tol = tol
        self.warm_start = warm_start
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.solver = solver
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.penalty_factor = penalty_factor
        self.lower = lower
        self.upper = upper
        self.device = device
