"""The general estimators: any loss with any solver."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy.typing as npt
from sklearn.utils._param_validation import StrOptions

from fastsum.linear_model._base import Constraints
from fastsum.linear_model._docs import documented
from fastsum.linear_model._faces import SolverClassifier, SolverRegressor
from fastsum.solvers._registry import SOLVER_NAMES


@documented
class FiniteSumClassifier(SolverClassifier):
    """Linear classifier with any loss, fitted by any solver to a certified accuracy.

    Parameters
    ----------
    <p:loss_classifier>
    <p:solver>
    <p:alpha>
    <p:l1_ratio>
    <p:group>
    <p:loss_param_classifier>
    <p:fit_intercept>
    <p:tol>
    <p:max_iter>
    <p:class_weight>
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
    <a:classes_>
    <a:coef_classifier>
    <a:intercept_classifier>
    <a:n_iter_>
    <a:common>

    See Also
    --------
    LogisticRegression : scikit-learn's parametrisation.
    FiniteSumRegressor : For targets that are numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastsum import FiniteSumClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = FiniteSumClassifier("smoothed_hinge", alpha=0.01, loss_param=0.5, random_state=0)
    >>> model.fit(X, y).predict(X[:3])
    array([0, 0, 0])
    """

    _parameter_constraints: ClassVar[Constraints] = {
        **SolverClassifier._parameter_constraints,
        "solver": [StrOptions(set(SOLVER_NAMES))],
        "group": [StrOptions({"rows"}), None],
    }

    def __init__(
        self,
        loss: str = "logistic",
        *,
        solver: str = "auto",
        alpha: float = 1e-4,
        l1_ratio: float = 0.0,
        group: str | None = None,
        loss_param: float | None = None,
        fit_intercept: bool = True,
        tol: float = 1e-4,
        max_iter: int = 1000,
        class_weight: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        sampling: str = "auto",
        step_size: float | None = None,
        penalty_factor: npt.ArrayLike | None = None,
        lower: npt.ArrayLike | None = None,
        upper: npt.ArrayLike | None = None,
        device: str = "auto",
    ):
        super().__init__(
            loss,
            alpha=alpha,
            l1_ratio=l1_ratio,
            loss_param=loss_param,
            fit_intercept=fit_intercept,
            tol=tol,
            max_iter=max_iter,
            class_weight=class_weight,
            n_jobs=n_jobs,
            device=device,
            random_state=random_state,
            warm_start=warm_start,
            verbose=verbose,
            sampling=sampling,
            step_size=step_size,
            penalty_factor=penalty_factor,
            lower=lower,
            upper=upper,
        )
        self.solver = solver
        self.group = group


@documented
class FiniteSumRegressor(SolverRegressor):
    """Linear regression with any loss, fitted by any solver to a certified accuracy.

    Parameters
    ----------
    <p:loss_regressor>
    <p:solver>
    <p:alpha>
    <p:l1_ratio>
    <p:group>
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
    Ridge, Lasso, ElasticNet : scikit-learn's parametrisations.
    FiniteSumClassifier : For classes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsum import FiniteSumRegressor
    >>> X = np.arange(6.0)[:, None]
    >>> y = 2 * X.ravel() + [0, 0, 0, 0, 100, 0]  # an outlier
    >>> for loss in ("squared", "huber"):
    ...     print(np.round(FiniteSumRegressor(loss, alpha=1e-6).fit(X, y).predict([[10.0]]), 1))
    [101.]
    [21.6]
    """

    _parameter_constraints: ClassVar[Constraints] = {
        **SolverRegressor._parameter_constraints,
        "solver": [StrOptions(set(SOLVER_NAMES))],
        "group": [StrOptions({"rows"}), None],
    }

    def __init__(
        self,
        loss: str = "squared",
        *,
        solver: str = "auto",
        alpha: float = 1e-4,
        l1_ratio: float = 0.0,
        group: str | None = None,
        loss_param: float | None = None,
        fit_intercept: bool = True,
        tol: float = 1e-4,
        max_iter: int = 1000,
        n_jobs: int | None = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        sampling: str = "auto",
        step_size: float | None = None,
        penalty_factor: npt.ArrayLike | None = None,
        lower: npt.ArrayLike | None = None,
        upper: npt.ArrayLike | None = None,
        device: str = "auto",
    ):
        super().__init__(
            loss,
            alpha=alpha,
            l1_ratio=l1_ratio,
            loss_param=loss_param,
            fit_intercept=fit_intercept,
            tol=tol,
            max_iter=max_iter,
            n_jobs=n_jobs,
            device=device,
            random_state=random_state,
            warm_start=warm_start,
            verbose=verbose,
            sampling=sampling,
            step_size=step_size,
            penalty_factor=penalty_factor,
            lower=lower,
            upper=upper,
        )
        self.solver = solver
        self.group = group
