"""Estimators whose `fit` takes rows that are spread over workers."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import _fit_context
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from fastsum.distributed._communicator import Communicator
from fastsum.distributed._fit import DistributedResult, Settings, fit_with, of_dask
from fastsum.linear_model._base import POSITIVE, SHARED_CONSTRAINTS, Constraints
from fastsum.linear_model._classifier import CLASSIFICATION_LOSSES, LinearClassifier
from fastsum.linear_model._regressor import REGRESSION_LOSSES, LinearRegressor
from fastsum.losses import LOSSES

Array = npt.NDArray[Any]
NAMES = ("fit_intercept", "tol", "max_iter", "n_jobs", "verbose")
SHARED: Constraints = {
    **{name: SHARED_CONSTRAINTS[name] for name in NAMES},
    "client": [None, int, Communicator, HasMethods(["submit", "scheduler_info"])],
}


def smooth(names: tuple[str, ...]) -> set[str]:
    """The losses that distributed fits serve."""
    return {name for name in names if not LOSSES[name].kinked}


class OnWorkers:
    """What an estimator of workers has beside one of this machine."""

    random_state = None
    warm_start = False

    def _fitted(self, X: Any, y: Any, sample_weight: Any, **settings: Any) -> DistributedResult:
        """The fit; sets what every estimator reports."""
        given = {name: getattr(self, name) for name in NAMES}
        given["verbose"] = int(given["verbose"])
        chosen = Settings(**given, **settings)
        result = fit_with(X, self.client, y, sample_weight, chosen)  # type: ignore[attr-defined]
        self._report(result)  # type: ignore[attr-defined]
        self.n_features_in_ = result.problem.rows.n_features
        self.n_rounds_, self.n_replaced_ = result.n_rounds, result.replaced
        return result

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        return {**state, "client": None} if isinstance(state, dict) else state

    def _over_blocks(self, method: str, X: Any) -> Any:
        """What a method gives for each block of rows that dask holds."""
        if hasattr(X, "map_partitions"):
            X = X.to_dask_array(lengths=None)
        sample = _applied(np.zeros((1, self.n_features_in_)), self, method)
        chunks = (X.chunks[0], *((n,) for n in sample.shape[1:]))
        dropped = [1] if sample.ndim == 1 else None
        return X.map_blocks(
            _applied, self, method, dtype=sample.dtype, chunks=chunks, drop_axis=dropped
        )


def _applied(X: Any, estimator: Any, method: str) -> Array:
    out: Array = getattr(estimator, method)(X)
    return out


class ClassifierOnWorkers(OnWorkers, LinearClassifier):
    """The classifiers: labels of all partitions together are the classes."""

    def _classified(self, X: Any, y: Any, sample_weight: Any, **settings: Any) -> Any:
        result = self._fitted(X, y, sample_weight, **settings)
        self.classes_: Any = result.classes
        self._unpack(result, result.problem)
        return self

    def decision_function(self, X: Any, offset: npt.ArrayLike | None = None) -> Any:
        """As of the estimators of one machine; X from dask gives an array of dask."""
        if of_dask(X):
            return self._over_blocks("decision_function", X)
        return super().decision_function(X, offset)

    def predict(self, X: Any, offset: npt.ArrayLike | None = None) -> Any:
        """As of the estimators of one machine; X from dask gives an array of dask."""
        return self._over_blocks("predict", X) if of_dask(X) else super().predict(X, offset)


class LogisticRegression(ClassifierOnWorkers):
    """Logistic regression over the rows of many workers, in scikit-learn's parametrisation.

    ``alpha = 1 / (C sum_i s_i)`` in the objective (1). More than two classes are coupled by a
    softmax.

    Parameters
    ----------
    C : float, default=1.0
        Inverse strength of the l2 penalty, > 0.
    client : dask.distributed.Client, int, Communicator or None
        As in `fastsum.distributed.fit`.
    fit_intercept : bool, default=True
        Whether to fit an unpenalised intercept.
    tol : float, default=1e-4
        The certified gap wanted, of the improvement over the null model that is possible.
    max_iter : int, default=100
        Most passes over the data.
    n_jobs : int, default=None
        Threads of each worker; None is 1.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    classes_, coef_, intercept_, n_iter_, objective_, dual_gap_, trace_, status_
        As of `fastsum.LogisticRegression`.
    n_rounds_ : int
        Messages to all workers and back.
    n_replaced_ : int
        Shards made again because their worker was lost.

    Examples
    --------
    >>> from fastsum.datasets import make_click_log
    >>> from fastsum.distributed import LogisticRegression
    >>> X, y = make_click_log(2000, 5000, random_state=0)
    >>> model = LogisticRegression(C=0.1).fit([(X[:1000], y[:1000]), (X[1000:], y[1000:])])
    >>> model.coef_.shape
    (1, 5000)
    """

    _parameter_constraints: ClassVar[Constraints] = {
        **SHARED,
        "C": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        C: float = 1.0,
        *,
        client: Any = None,
        fit_intercept: bool = True,
        tol: float = 1e-4,
        max_iter: int = 100,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.C = C
        self.client = client
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Fits the model; X, y and sample_weight as in `fastsum.distributed.fit`."""
        settings = {"loss": "logistic", "coupled": True, "total_penalty": 1.0 / self.C}
        return self._classified(X, y, sample_weight, **settings)

    def _loss_name(self) -> str:
        return "logistic" if len(self.classes_) == 2 else "multinomial"

    def _strengths(self, total_weight: float) -> tuple[float, float]:
        return 1.0 / (self.C * total_weight), 0.0


class FiniteSumClassifier(ClassifierOnWorkers):
    """Linear classifier with any smooth loss, over the rows of many workers.

    Parameters
    ----------
    loss : str, default="logistic"
        As of `fastsum.FiniteSumClassifier`, but for "hinge".
    alpha : float, default=1e-4
        Strength of the l2 penalty, > 0.
    loss_param : float, default=None
        Of the loss.
    client, fit_intercept, tol, n_jobs, verbose
        As of `LogisticRegression`.
    max_iter : int, default=1000
        Most passes over the data.

    Examples
    --------
    >>> from fastsum.datasets import make_click_log
    >>> from fastsum.distributed import FiniteSumClassifier
    >>> X, y = make_click_log(2000, 5000, random_state=0)
    >>> model = FiniteSumClassifier("squared_hinge", alpha=0.01)
    >>> model.fit([(X[:1000], y[:1000]), (X[1000:], y[1000:])]).predict(X[:2])
    array([0, 0], dtype=int8)
    """

    _parameter_constraints: ClassVar[Constraints] = {
        **SHARED,
        "loss": [StrOptions(smooth(CLASSIFICATION_LOSSES))],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "loss_param": [None, POSITIVE],
    }

    def __init__(
        self,
        loss: str = "logistic",
        *,
        alpha: float = 1e-4,
        loss_param: float | None = None,
        client: Any = None,
        fit_intercept: bool = True,
        tol: float = 1e-4,
        max_iter: int = 1000,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.loss = loss
        self.alpha = alpha
        self.loss_param = loss_param
        self.client = client
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Fits the model; X, y and sample_weight as in `fastsum.distributed.fit`."""
        settings = {"loss": self.loss, "loss_param": self.loss_param, "alpha": self.alpha}
        return self._classified(X, y, sample_weight, **settings)

    def _strengths(self, total_weight: float) -> tuple[float, float]:
        return self.alpha, 0.0


class FiniteSumRegressor(OnWorkers, LinearRegressor):
    """Linear regression with any loss, over the rows of many workers.

    Parameters
    ----------
    loss : {"squared", "huber", "poisson"}, default="squared"
        As of `fastsum.FiniteSumRegressor`.
    alpha, loss_param, client, fit_intercept, tol, max_iter, n_jobs, verbose
        As of `FiniteSumClassifier`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsum.distributed import FiniteSumRegressor
    >>> X = np.arange(6.0)[:, None]
    >>> y = 2 * X.ravel()
    >>> model = FiniteSumRegressor(alpha=1e-8).fit([(X[:3], y[:3]), (X[3:], y[3:])])
    >>> np.round(model.predict([[10.0]]), 2)
    array([20.])
    """

    _parameter_constraints: ClassVar[Constraints] = {
        **SHARED,
        "loss": [StrOptions(smooth(REGRESSION_LOSSES))],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "loss_param": [None, POSITIVE],
    }

    def __init__(
        self,
        loss: str = "squared",
        *,
        alpha: float = 1e-4,
        loss_param: float | None = None,
        client: Any = None,
        fit_intercept: bool = True,
        tol: float = 1e-4,
        max_iter: int = 1000,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.loss = loss
        self.alpha = alpha
        self.loss_param = loss_param
        self.client = client
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Fits the model; X, y and sample_weight as in `fastsum.distributed.fit`."""
        settings = {"loss": self.loss, "loss_param": self.loss_param, "alpha": self.alpha}
        result = self._fitted(X, y, sample_weight, **settings)
        self._unpack(result, np.empty(0))
        return self

    def predict(self, X: Any, offset: npt.ArrayLike | None = None) -> Any:
        """As of the estimators of one machine; X from dask gives an array of dask."""
        return self._over_blocks("predict", X) if of_dask(X) else super().predict(X, offset)

    def _loss_name(self) -> str:
        return str(self.loss)
