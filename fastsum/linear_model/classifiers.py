"""Classifiers: SAGAClassifier, SVRGClassifier and the drop-in LogisticRegression."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.utils._param_validation import Hidden, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from fastsum.linear_model._base import (
    OWN_CONSTRAINTS,
    POSITIVE,
    SHARED_CONSTRAINTS,
    Constraints,
)
from fastsum.linear_model._classifier import LinearClassifier
from fastsum.linear_model._docs import documented
from fastsum.linear_model._faces import SolverClassifier
from fastsum.problem import Problem
from fastsum.result import Result
from fastsum.solvers._registry import SOLVER_NAMES


@documented
class SAGAClassifier(SolverClassifier):
    """Linear classifier fitted by SAGA to a certified accuracy.

    Parameters
    ----------
    <p:loss_classifier>
    <p:alpha>
    <p:l1_ratio>
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
    SVRGClassifier : The same with SVRG.
    LogisticRegression : scikit-learn's parametrisation.

    References
    ----------
    Defazio, Bach, Lacoste-Julien, "SAGA: A fast incremental gradient method with support for
    non-strongly convex composite objectives", NIPS 2014.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastsum import SAGAClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> SAGAClassifier(alpha=0.01, random_state=0).fit(X, y).predict(X[:3])
    array([0, 0, 0])
    """

    _solver = "saga"


@documented
class SVRGClassifier(SolverClassifier):
    """Linear classifier fitted by SVRG to a certified accuracy.

    Parameters
    ----------
    <p:loss_classifier>
    <p:alpha>
    <p:l1_ratio>
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
    SAGAClassifier : The same with SAGA.
    LogisticRegression : scikit-learn's parametrisation.

    References
    ----------
    Johnson, Zhang, "Accelerating stochastic gradient descent using predictive variance reduction",
    NIPS 2013; Xiao, Zhang, "A proximal stochastic gradient method with progressive variance
    reduction", SIAM J. Optim. 2014.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastsum import SVRGClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> SVRGClassifier(alpha=0.01, random_state=0).fit(X, y).predict(X[:3])
    array([0, 0, 0])
    """

    _solver = "svrg"


@documented
class LogisticRegression(LinearClassifier):
    """Logistic regression with scikit-learn's parametrisation, solved to a certified accuracy.

    Minimises ``C sum_i s_i log-loss_i + l1_ratio ||w||_1 + (1 - l1_ratio)/2 ||w||_2^2`` like
    `sklearn.linear_model.LogisticRegression`: the objective (1) with ``alpha = 1 / (C sum_i s_i)``,
    whose units `objective_` and `dual_gap_` have. More than two classes are coupled by a softmax.

    Parameters
    ----------
    <p:penalty>
    C : float, default=1.0
        Inverse strength of the penalty, > 0; ``np.inf`` for none.
    <p:l1_ratio>
    <p:dual>
    <p:tol>
    <p:fit_intercept>
    <p:intercept_scaling>
    <p:class_weight>
    <p:random_state>
    <p:solver>
    max_iter : int, default=100
        Most passes over the data; 0 leaves all coefficients at 0.
    <p:verbose>
    <p:warm_start>
    <p:n_jobs>
    <p:penalty_factor>
    <p:lower>
    <p:upper>
    <p:device>

    Attributes
    ----------
    <a:classes_>
    <a:coef_classifier>
    <a:intercept_classifier>
    <a:n_iter_array>
    <a:common>

    See Also
    --------
    SAGAClassifier : With alpha instead of C, and other losses.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastsum import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000, random_state=0).fit(X, y)
    >>> model.predict(X[:2]), bool(model.dual_gap_ <= 1e-4)
    (array([0, 0]), True)
    """

    _parameter_constraints: ClassVar[Constraints] = {
        **SHARED_CONSTRAINTS,
        "penalty": [Hidden(StrOptions({"deprecated"})), None, str],
        "C": [Interval(Real, 0, None, closed="right")],  # np.inf is no penalty
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "dual": ["boolean"],
        "intercept_scaling": [POSITIVE],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "solver": [StrOptions(set(SOLVER_NAMES))],
        **OWN_CONSTRAINTS,
    }
    _default_only: ClassVar[dict[str, tuple[Any, str]]] = {
        "penalty": ("deprecated", "use l1_ratio=0 (l2), 1 (l1) or between, and C=np.inf for none"),
        "dual": (False, "leave it at False; every solver certifies its gap in the dual"),
        "intercept_scaling": (1, "leave it at 1; the intercept is never penalised"),
    }

    def __init__(
        self,
        penalty: Any = "deprecated",
        *,
        C: float = 1.0,
        l1_ratio: float = 0.0,
        dual: bool = False,
        tol: float = 1e-4,
        fit_intercept: bool = True,
        intercept_scaling: float = 1,
        class_weight: Any = None,
        random_state: Any = None,
        solver: str = "auto",
        max_iter: int = 100,
        verbose: int = 0,
        warm_start: bool = False,
        n_jobs: int | None = None,
        penalty_factor: npt.ArrayLike | None = None,
        lower: npt.ArrayLike | None = None,
        upper: npt.ArrayLike | None = None,
        device: str = "auto",
    ):
        self.penalty = penalty
        self.C = C
        self.l1_ratio = l1_ratio
        self.dual = dual
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.random_state = random_state
        self.solver = solver
        self.max_iter = max_iter
        self.verbose = verbose
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.penalty_factor = penalty_factor
        self.lower = lower
        self.upper = upper
        self.device = device

    def _loss_name(self) -> str:
        check_is_fitted(self, "classes_")
        return "logistic" if len(self.classes_) == 2 else "multinomial"

    def _strengths(self, total_weight: float) -> tuple[float, float]:
        return 1.0 / (self.C * total_weight), self.l1_ratio

    def _unpack(self, result: Result, problem: Problem) -> None:
        super()._unpack(result, problem)
        self.n_iter_ = np.array([result.n_iter], dtype=np.int32)
