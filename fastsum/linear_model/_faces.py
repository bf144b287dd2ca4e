"""The faces of the estimators with `alpha` and a choice of the loss."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy.typing as npt
from sklearn.utils._param_validation import StrOptions

from fastsum.linear_model._base import SHARED_CONSTRAINTS, SOLVER_CONSTRAINTS, Constraints
from fastsum.linear_model._classifier import CLASSIFICATION_LOSSES
from fastsum.linear_model._regressor import REGRESSION_LOSSES
from fastsum.linear_model._streaming import StreamingClassifier, StreamingRegressor


class SolverClassifier(StreamingClassifier):
    """The shared face of the classifiers with a choice of the loss."""

    _parameter_constraints: ClassVar[Constraints] = {
        **SHARED_CONSTRAINTS,
        **SOLVER_CONSTRAINTS,
        "loss": [StrOptions(set(CLASSIFICATION_LOSSES))],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        loss: str = "logistic",
        *,
        alpha: float = 1e-4,
        l1_ratio: float = 0.0,
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
        self.loss = loss
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.loss_param = loss_param
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.sampling = sampling
        self.step_size = step_size
        self.penalty_factor = penalty_factor
        self.lower = lower
        self.upper = upper
        self.device = device


class SolverRegressor(StreamingRegressor):
    """The shared face of the regressors with a choice of the loss."""

    _parameter_constraints: ClassVar[Constraints] = {
        **SHARED_CONSTRAINTS,
        **SOLVER_CONSTRAINTS,
        "loss": [StrOptions(set(REGRESSION_LOSSES))],
    }

    def __init__(
        self,
        loss: str = "squared",
        *,
        alpha: float = 1e-4,
        l1_ratio: float = 0.0,
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
        self.loss = loss
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.loss_param = loss_param
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.sampling = sampling
        self.step_size = step_size
        self.penalty_factor = penalty_factor
        self.lower = lower
        self.upper = upper
        self.device = device

    def _loss_name(self) -> str:
        return str(self.loss)
