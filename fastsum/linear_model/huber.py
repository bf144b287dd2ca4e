"""HuberRegressor: Huber's loss with the scale of the residuals estimated beside the coefficients.

    min over w, b, sigma >= 0    sum_i s_i sigma [1 + H(r_i / sigma)] + alpha ||w||_2^2,
    r = x . w + b - y,  H(t) = t^2 for |t| <= epsilon, 2 epsilon |t| - epsilon^2 beyond,

is jointly convex. For a given sigma it is (1) with the loss "huber" of delta = epsilon sigma and
alpha sigma / S, times 2 S / sigma, and a constant. An outer search in log sigma looks for where the
residuals of the fit have the scale that the fit was made for: the mean of
min(r^2 / sigma^2, epsilon^2) is 1. Slopes q_i = c u_i 2 / sigma of a fit, u = l'(z), are a dual
point if sum_i s_i q_i^2 <= 4 S, so each fit certifies the joint problem as well:

    gap = sum_i s_i sigma [H(t_i) + q_i^2 / 4 - t_i q_i] + sigma (S - sum_i s_i q_i^2 / 4)
          + alpha ||w + v / (2 alpha)||^2,  t = r / sigma,  v = sum_i s_i q_i x_i.

Source: Huber, Ronchetti, Robust statistics, 2nd edition, 2009, section 7.8 (Proposal 2; Owen,
Contemp. Math. 443, 2007, for the convex form).
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions

from fastsum.data import Rows
from fastsum.linear_model._base import NON_NEGATIVE, SHARED_CONSTRAINTS, Array, Constraints
from fastsum.linear_model._callbacks import FitTask
from fastsum.linear_model._docs import documented
from fastsum.linear_model._regressor import LinearRegressor
from fastsum.problem import Problem
from fastsum.result import Result, Status
from fastsum.solvers import solve
from fastsum.solvers._progress import Callback
from fastsum.solvers._registry import SOLVER_NAMES
from fastsum.threads import resolve_n_threads

FloatArray = npt.NDArray[np.float64]
FITS = 50  # most of one search
FURTHER = 5.0  # longest step in log sigma while the root is on one side of all
SHARE = 0.1  # of tol: that of the fits
LEAST = 1e-10  # sigma, of that of the null model: below, the rows are interpolated


@documented
class HuberRegressor(LinearRegressor):
    """Linear regression that outliers hardly move, with the scale of its residuals.

    Minimises ``sum_i s_i (sigma + H((x_i . w + b - y_i) / sigma) sigma) + alpha ||w||_2^2`` over w,
    b and sigma like `sklearn.linear_model.HuberRegressor`, H being quadratic up to `epsilon` and
    straight beyond: by a search in sigma over certified fits.

    Parameters
    ----------
    epsilon : float, default=1.35
        Rows further than ``epsilon * sigma`` count as outliers; >= 1.
    <p:max_iter>
    alpha : float, default=1e-4
        Strength of the penalty, >= 0, beside the sum over the rows.
    <p:warm_start>
    <p:fit_intercept>
    <p:tol>
    <p:solver>
    <p:random_state>
    <p:n_jobs>
    <p:verbose>
    <p:device>

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients, in the dtype of X.
    intercept_ : float
        Intercept.
    scale_ : float
        sigma.
    outliers_ : ndarray of bool of shape (n_samples,)
        Rows whose residual is more than ``epsilon * scale_``.
    n_iter_ : int
        Passes over the data, of all fits.
    n_features_in_ : int
        Number of features seen by fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X had string column names.
    objective_ : float
        The joint objective over twice the sum of the weights.
    dual_gap_ : float
        Certified bound on objective_ minus the least one; inf without a penalty.
    trace_ : structured ndarray
        phase, passes, seconds, objective and gap of the last fit.
    solver_ : str
        The solver that ran.
    status_ : fastsum.Status
        Why the search ended.

    See Also
    --------
    FiniteSumRegressor : loss="huber" with a given delta, any penalty and several targets.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsum import HuberRegressor
    >>> X = np.arange(20.0)[:, None]
    >>> y = 2 * X.ravel() + np.tile([0.5, -0.5], 10)
    >>> y[3] = 100.0
    >>> model = HuberRegressor(tol=1e-8).fit(X, y)
    >>> bool(abs(model.coef_[0] - 2) < 0.1), bool(model.outliers_[3])
    (True, True)
    """

    _parameter_constraints: ClassVar[Constraints] = {
        **SHARED_CONSTRAINTS,
        "epsilon": [Interval(Real, 1.0, None, closed="left")],
        "alpha": [NON_NEGATIVE],
        "solver": [StrOptions(set(SOLVER_NAMES))],
    }

    def __init__(
        self,
        *,
        epsilon: float = 1.35,
        max_iter: int = 1000,
        alpha: float = 1e-4,
        warm_start: bool = False,
        fit_intercept: bool = True,
        tol: float = 1e-5,
        solver: str = "auto",
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        device: str = "auto",
    ):
        self.epsilon = epsilon
        self.max_iter = max_iter
        self.alpha = alpha
        self.warm_start = warm_start
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.solver = solver
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.device = device

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = False
        return tags

    def _loss_name(self) -> str:
        return "huber"

    @property
    def loss_param(self) -> float:
        """delta of the last fit."""
        return float(self.epsilon * getattr(self, "scale_", 1.0))

    def _strengths(self, total_weight: float) -> tuple[float, float]:
        return self.alpha * float(getattr(self, "scale_", 1.0)) / total_weight, 0.0

    def _can_share(self) -> bool:
        return False  # each fit has a sigma of its own

    def _check_data(self, X: Any, y: Any, sample_weight: Any) -> tuple[Rows, Array, Array | None]:
        rows, y = self._validate(X, y, y_numeric=True)
        return rows, y, self._check_weights(sample_weight, rows.n_rows)

    def _solve(self, problem: Problem, task: FitTask | None = None) -> Result:
        search = _Search(self, problem, None if task is None else task.callback)
        init = self._init(problem)
        sigma = float(self.scale_) if init is not None else None
        result, scale = search.run(init, sigma)
        self.scale_: float = scale
        self.outliers_ = np.abs(search.residuals) > self.epsilon * self.scale_
        self._report(result)
        self._last = None
        return result

    def _init(self, problem: Problem) -> Any:
        if not (self.warm_start and hasattr(self, "scale_") and hasattr(self, "coef_")):
            return None
        coef, intercept = self._pack()
        return (coef, intercept) if coef.shape[0] == problem.rows.n_features else None


class _Search:
    """The search in log sigma; `residuals` are those of the last fit."""

    def __init__(self, estimator: HuberRegressor, problem: Problem, callback: Callback | None):
        self.estimator, self.rows, self.y = estimator, problem.rows, problem.y
        self.callback = callback
        self.s: FloatArray = (
            np.ones(len(self.y)) if problem.sample_weight is None else problem.sample_weight
        )
        self.S, self.weights = problem.total_weight, problem.sample_weight
        self.epsilon, self.alpha = float(estimator.epsilon), float(estimator.alpha)
        self.residuals: FloatArray = np.empty(0)
        self._n_threads = resolve_n_threads(estimator.n_jobs)

    def run(self, start: Any, sigma: float | None) -> tuple[Result, float]:
        """The last fit, with the objective and the gap of the joint problem, and sigma."""
        model, passes, best_dual = self.estimator, 0, -np.inf
        self.residuals = (_median(self.y, self.s) if model.fit_intercept else 0.0) - self.y
        null = self._scale(self.residuals)
        null_objective = self._objective(0.0, null, self.residuals)
        least = LEAST * (null or float(np.abs(self.y).max()) or 1.0)
        t, low, high, last = np.log(max(sigma or null, least)), -np.inf, np.inf, (np.nan, np.nan)
        for fits in range(FITS):
            sigma = float(np.exp(t))
            result = self._fit(sigma, start, max(0, model.max_iter - passes))
            w = self.rows.stored(result.coef).ravel().astype(np.float64)
            start, passes = result, passes + result.n_iter
            self.residuals = self._residuals(result)
            best_dual = max(best_dual, self._dual(w, sigma))
            scale = self._scale(self.residuals)
            value = self._objective(float(w @ w), scale, self.residuals)
            gap = value - best_dual + 1e-13 * abs(value)
            h = np.log(max(scale, least)) - t
            status = self._status(result, gap, model.tol * (null_objective - best_dual), h)
            if sigma <= least and h <= 0:
                status = status or Status.PRECISION
            if status is not None or passes >= model.max_iter:
                break
            low, high = (max(low, t), high) if h > 0 else (low, min(high, t))
            before, last = last, (t, h)
            t = max(_next(before, last, low, high, fits), float(np.log(least)))
        per = 0.5 / self.S
        if status is None:
            warnings.warn(
                f"the search for the scale stopped at max_iter after {passes} passes: scale X, or "
                "raise max_iter or tol",
                ConvergenceWarning,
                stacklevel=4,
            )
        return replace(
            result,
            objective=per * value,
            dual_gap=per * gap if np.isfinite(gap) else np.inf,
            n_iter=passes,
            status=status or Status.MAX_ITER,
        ), float(scale)

    def _status(self, result: Result, gap: float, target: float, h: float) -> Status | None:
        if result.status is Status.STOPPED:
            return Status.STOPPED
        if self.alpha == 0.0:
            done = abs(h) <= self.estimator.tol and result.status.reached
            return Status.STATIONARY if done else None
        if gap <= target:
            return Status.CONVERGED
        return Status.PRECISION if abs(h) <= 4 * np.finfo(float).eps else None

    def _fit(self, sigma: float, start: Any, max_iter: int) -> Result:
        """The fit of (1) for a given sigma."""
        model = self.estimator
        problem = Problem(
            self.rows,
            self.y,
            loss="huber",
            loss_param=self.epsilon * sigma,
            alpha=self.alpha * sigma / self.S,
            sample_weight=self.weights,
            fit_intercept=model.fit_intercept,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # one for the search
            return solve(
                problem,
                model.solver,
                tol=SHARE * model.tol,
                max_iter=max_iter,
                step_size=None,
                sampling="auto",
                init=start,
                n_jobs=model.n_jobs,
                device=model.device,
                random_state=model.random_state,
                callback=self.callback,
                verbose=int(model.verbose),
                keep_state=False,
            )

    def _residuals(self, result: Result) -> FloatArray:
        W = np.append(self.rows.stored(result.coef), result.intercept)[:, None].astype(np.float64)
        z = np.empty((len(self.y), 1))
        self.rows.margins(W, self._n_threads, z)
        return z[:, 0] - self.y

    def _objective(self, square: float, sigma: float, r: FloatArray) -> float:
        """The joint objective; at sigma = 0 its limit."""
        inside = np.minimum(np.abs(r), self.epsilon * sigma)
        straight = 2.0 * self.epsilon * (np.abs(r) - inside)
        curved = inside**2 / sigma if sigma > 0 else 0.0
        return float(sigma * self.S + self.s @ (curved + straight) + self.alpha * square)

    def _scale(self, r: FloatArray) -> float:
        """The best sigma for residuals: the mean of min(r^2 / sigma^2, epsilon^2) is 1."""
        order = np.argsort(np.abs(r))
        size, s = np.abs(r)[order], self.s[order]
        inside, squares = np.cumsum(s), np.cumsum(s * size**2)
        left = self.S - self.epsilon**2 * (self.S - inside)  # if these rows are inside
        sigma = np.sqrt(np.divide(squares, left, out=np.zeros_like(left), where=left > 0))
        fits = (left > 0) & (size <= self.epsilon * sigma * (1 + 1e-12))
        return float(sigma[np.flatnonzero(fits)[-1]]) if fits.any() else 0.0

    def _dual(self, w: FloatArray, sigma: float) -> float:
        """The dual value of a fit: its objective less the terms of the gap."""
        r, eps = self.residuals, self.epsilon
        if self.alpha == 0.0:
            return -np.inf
        t = r / sigma
        q = 2.0 * np.clip(t, -eps, eps)
        square = float(self.s @ q**2) / 4.0
        scaled = q * min(1.0, np.sqrt(self.S / square)) if square > 0 else q
        inside = np.minimum(np.abs(t), eps)
        H = inside**2 + 2.0 * eps * (np.abs(t) - inside)
        young = sigma * float(self.s @ (H + scaled**2 / 4.0 - t * scaled))
        rest = sigma * max(0.0, self.S - float(self.s @ scaled**2) / 4.0)
        v = self.rows.transposed((self.s * scaled)[:, None], self._n_threads)[:, 0]
        off = w + v / (2.0 * self.alpha)
        gap = max(0.0, young) + rest + self.alpha * float(off @ off)
        return self._objective(float(w @ w), sigma, r) - gap


def _median(y: FloatArray, s: FloatArray) -> float:
    order = np.argsort(y)
    half = np.searchsorted(np.cumsum(s[order]), 0.5 * s.sum())
    return float(y[order][min(half, len(y) - 1)])


def _next(
    before: tuple[float, float], last: tuple[float, float], low: float, high: float, fits: int
) -> float:
    """Where the secant through two points crosses 0; a multiple of h further where it does not."""
    (t0, h0), (t, h) = before, last
    trial = t - h * (t - t0) / (h - h0) if np.isfinite(t0) and h != h0 else t + h
    if np.isfinite(low + high):
        return float(trial if low < trial < high else 0.5 * (low + high))
    onwards = (trial - t) * h > 0 and abs(trial - t) < FURTHER
    return float(trial if onwards else t + np.clip(2.0**fits * h, -FURTHER, FURTHER))
