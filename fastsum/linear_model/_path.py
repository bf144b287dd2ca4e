"""Solutions along a grid of strengths of the penalty."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from fastsum import null_model
from fastsum.linear_model._base import (
    OWN_CONSTRAINTS,
    POSITIVE,
    SHARED_CONSTRAINTS,
    Array,
    Constraints,
)
from fastsum.linear_model._classifier import CLASSIFICATION_LOSSES
from fastsum.linear_model._grids import checked_grid, made_grid
from fastsum.linear_model.finite_sum import FiniteSumClassifier, FiniteSumRegressor
from fastsum.losses import LOSSES
from fastsum.problem import FloatArray, Problem
from fastsum.solvers._registry import SOLVER_NAMES
from fastsum.solvers.many import solve_many
from fastsum.threads import resolve_n_threads

DATA_CONSTRAINTS: Constraints = {
    "X": ["array-like", "sparse matrix"],
    "y": ["array-like"],
    "loss": [StrOptions(set(LOSSES))],
    "loss_param": [None, POSITIVE],
    "l1_ratio": [Interval(Real, 0, 1, closed="both")],
    "sample_weight": [None, "array-like"],
    "fit_intercept": ["boolean"],
    "n_jobs": [None, Integral],
    "offset": [None, "array-like"],
    **OWN_CONSTRAINTS,
}
PATH_CONSTRAINTS: Constraints = {
    **DATA_CONSTRAINTS,
    "alphas": [Interval(Integral, 1, None, closed="left"), "array-like"],
    "eps": [Interval(Real, 0, 1, closed="neither")],
    "solver": [StrOptions(set(SOLVER_NAMES))],
    **{name: SHARED_CONSTRAINTS[name] for name in ("tol", "max_iter", "random_state", "verbose")},
    "memory_budget": [Interval(Real, 0, None, closed="neither"), None],
}


@dataclass(frozen=True)
class RegularizationPath:
    """Solutions for a decreasing alpha: what `fastsum.path` returns.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
        Strengths of the penalty, from the greatest to the least.
    coefs : CSC array or ndarray of shape (n_features, n_alphas), or a list of them
        Coefficients, a column an alpha; sparse if l1_ratio > 0. With several targets or more than
        two classes a list, one an output.
    intercepts : ndarray of shape (n_alphas,) or (n_outputs, n_alphas)
        Intercepts.
    gaps : ndarray of shape (n_alphas,) or (n_problems, n_alphas)
        Certified bounds on the distance of `objectives` from the least ones.
    objectives : ndarray of shape (n_alphas,) or (n_problems, n_alphas)
        Values of the objective (1).
    n_iter : ndarray of shape (n_alphas,)
        Passes over the data.
    classes : ndarray of shape (n_classes,) or None
        Class labels, sorted.
    feature_names : ndarray of shape (n_features,) or None
        Names of the columns of X, if it had some.
    """

    alphas: npt.NDArray[np.float64]
    coefs: Any
    intercepts: Array
    gaps: npt.NDArray[np.float64]
    objectives: npt.NDArray[np.float64]
    n_iter: npt.NDArray[np.int64]
    classes: Array | None = None
    feature_names: Array | None = None

    def __repr__(self) -> str:
        several = isinstance(self.coefs, list)
        outputs = f", {len(self.coefs)} outputs" if several else ""
        n_features = (self.coefs[0] if several else self.coefs).shape[0]
        first, last = self.alphas[0], self.alphas[-1]
        return (
            f"RegularizationPath({len(self.alphas)} alphas from {first:.4g} to {last:.4g}, "
            f"{n_features} features{outputs})"
        )


@validate_params(DATA_CONSTRAINTS, prefer_skip_nested_validation=True)
def alpha_max(
    X: Any,
    y: npt.ArrayLike,
    *,
    loss: str = "squared",
    loss_param: float | None = None,
    l1_ratio: float = 1.0,
    sample_weight: npt.ArrayLike | None = None,
    fit_intercept: bool = True,
    n_jobs: int | None = None,
    offset: npt.ArrayLike | None = None,
    penalty_factor: npt.ArrayLike | None = None,
    lower: npt.ArrayLike | None = None,
    upper: npt.ArrayLike | None = None,
) -> float:
    """The smallest alpha of the objective (1) at which all coefficients are 0.

    For `LogisticRegression`, ``C = 1 / (alpha_max * sum of the weights)`` is the greatest such C.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Targets or class labels. More than two classes: "multinomial" couples them, the other losses
        see one class against the rest.
    loss : str, default="squared"
        Any loss of the library.
    loss_param : float, default=None
        Its parameter, if it has one.
    l1_ratio : float, default=1.0
        Share of the l1 norm in the penalty; the answer is inf for 0, where no alpha is enough.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights >= 0.
    fit_intercept : bool, default=True
        Whether the unpenalised intercept is free.
    n_jobs : int, default=None
        Threads; None is 1 or the joblib context, -1 all CPUs.
    offset : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Known part of the margins, added to X w + b.
    penalty_factor : array-like of shape (n_features,), default=None
        Factors >= 0 of the features' penalties; one of 0 has no such alpha.
    lower, upper : float or array-like of shape (n_features,), default=None
        Bounds of the coefficients, with 0 between them.

    Returns
    -------
    alpha : float
        The greatest over the targets or classes, if there are several problems.

    See Also
    --------
    path : Solutions from here on downwards.

    Examples
    --------
    >>> import numpy as np, fastsum
    >>> X, y = np.array([[0.0], [1.0], [2.0]]), np.array([0.0, 1.0, 2.0])
    >>> alpha = fastsum.alpha_max(X, y)
    >>> [float(fastsum.Lasso(alpha=a).fit(X, y).coef_[0]) > 0 for a in (alpha, 0.99 * alpha)]
    [False, True]
    """
    own = {"penalty_factor": penalty_factor, "lower": lower, "upper": upper}
    settings = {"loss_param": loss_param, "l1_ratio": l1_ratio, "fit_intercept": fit_intercept}
    _, problem, _ = _without_alpha(X, y, loss, sample_weight, offset, **settings, **own)
    return _top(problem, n_jobs)


@validate_params(PATH_CONSTRAINTS, prefer_skip_nested_validation=True)
def path(
    X: Any,
    y: npt.ArrayLike,
    *,
    loss: str = "squared",
    loss_param: float | None = None,
    alphas: Any = 100,
    eps: float = 1e-3,
    l1_ratio: float = 1.0,
    sample_weight: npt.ArrayLike | None = None,
    fit_intercept: bool = True,
    solver: str = "auto",
    tol: float = 1e-4,
    max_iter: int = 1000,
    n_jobs: int | None = None,
    random_state: Any = None,
    verbose: int = 0,
    offset: npt.ArrayLike | None = None,
    penalty_factor: npt.ArrayLike | None = None,
    lower: npt.ArrayLike | None = None,
    upper: npt.ArrayLike | None = None,
    memory_budget: float | None = None,
) -> RegularizationPath:
    """Coefficients along a grid of strengths of the penalty, each with its own certificate.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Rows; never modified.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Targets or class labels. More than two classes: "multinomial" couples them, the other losses
        fit one class against the rest.
    loss : str, default="squared"
        Any loss of the library.
    loss_param : float, default=None
        Its parameter, if it has one.
    alphas : int or array-like, default=100
        Strengths of the penalty. A number stands for that many between `alpha_max` and
        ``eps * alpha_max``, in equal steps of their logarithm; with ``l1_ratio=0`` there is no
        alpha_max, and the strengths must be given.
    eps : float, default=1e-3
        The least alpha over the greatest, where `alphas` is a number.
    l1_ratio : float, default=1.0
        Share of the l1 norm in the penalty, in [0, 1]: 0 is l2, 1 is l1.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights >= 0.
    fit_intercept : bool, default=True
        Whether to fit an unpenalised intercept.
    solver : str, default="auto"
        Method, any name of `fastsum.minimize`.
    tol, max_iter : float and int, default=1e-4 and 1000
        When the solution of one alpha ends, see the estimators.
    n_jobs : int, default=None
        Threads; None is 1 or the joblib context, -1 all CPUs.
    random_state : int, RandomState instance or None, default=None
        Seed of the order of the rows; None is a fixed seed.
    verbose : int, default=0
        1 shows what memory the path takes, about, and the progress.
    offset : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Known part of the margins, added to X w + b.
    penalty_factor : array-like of shape (n_features,), default=None
        Factors >= 0 of the features' penalties; with one of 0 the strengths must be given.
    lower, upper : float or array-like of shape (n_features,), default=None
        Bounds of the coefficients, with 0 between them.
    memory_budget : float, default=None
        Bytes that it may take, else it is refused; None is no limit.

    Returns
    -------
    RegularizationPath
        With `alphas`, `coefs`, `intercepts`, `gaps`, `objectives` and `n_iter`.

    See Also
    --------
    alpha_max : Where the path begins.
    fastsum.plot.PathDisplay : Draws it.

    Examples
    --------
    >>> import fastsum
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> found = fastsum.path(X, y, alphas=5)
    >>> found.coefs.shape, [int(n) for n in (found.coefs != 0).sum(axis=0)]
    ((10, 5), [0, 4, 7, 9, 10])
    """
    own = {"penalty_factor": penalty_factor, "lower": lower, "upper": upper}
    settings = {"loss_param": loss_param, "l1_ratio": l1_ratio, "fit_intercept": fit_intercept}
    estimator, problem, targets = _without_alpha(
        X, y, loss, sample_weight, offset, **settings, **own
    )
    grid = _grid(alphas, eps, problem, n_jobs)
    problems = [problem.with_penalty(alpha, l1_ratio) for alpha in grid]
    results = solve_many(
        problems,
        solver,
        tol=tol,
        max_iter=max_iter,
        n_jobs=n_jobs,
        random_state=random_state,
        verbose=int(verbose),
        memory_budget=memory_budget,
    )
    columns, intercepts = [], []
    for result, one in zip(results, problems, strict=True):
        estimator._accept(result, one, targets)
        wide = sp.issparse(estimator.coef_)
        coef = estimator.coef_ if wide else np.atleast_2d(estimator.coef_)
        columns.append(sp.csr_array(coef) if wide or l1_ratio > 0 else coef)
        intercepts.append(np.broadcast_to(estimator.intercept_, coef.shape[0]))
    coefs: Any = [_output(columns, k) for k in range(columns[0].shape[0])]
    several = len(coefs) > 1
    return RegularizationPath(
        alphas=grid,
        coefs=coefs if several else coefs[0],
        intercepts=np.transpose(intercepts) if several else np.ravel(intercepts),
        gaps=np.transpose([result.dual_gap for result in results]),
        objectives=np.transpose([result.objective for result in results]),
        n_iter=np.array([result.n_iter for result in results]),
        classes=getattr(estimator, "classes_", None),
        feature_names=getattr(estimator, "feature_names_in_", None),
    )


def _without_alpha(
    X: Any, y: Any, loss: str, sample_weight: Any, offset: Any, **settings: Any
) -> tuple[Any, Problem, Array]:
    """The estimator that checked the data, its problem at some alpha, and the checked y."""
    kind = FiniteSumClassifier if loss in CLASSIFICATION_LOSSES else FiniteSumRegressor
    estimator = kind(loss, **settings)
    rows, targets, weights = estimator._check_data(X, y, sample_weight)
    return estimator, estimator._base_problem(rows, targets, weights, offset), targets


def _top(problem: Problem, n_jobs: int | None) -> float:
    return float(null_model.alpha_max(problem, resolve_n_threads(n_jobs)).max())


def _grid(alphas: Any, eps: float, problem: Problem, n_jobs: int | None) -> FloatArray:
    """The strengths, decreasing."""
    if not isinstance(alphas, Integral):
        return np.sort(checked_grid("alphas", alphas))[::-1]
    top = _top(problem, n_jobs)
    if not np.isfinite(top):
        raise ValueError(
            f"alphas={alphas} needs l1_ratio > 0: with l1_ratio=0 no alpha is so strong that "
            "all coefficients are 0. Give the strengths, for example "
            "alphas=np.logspace(2, -4, 50)"
        )
    return made_grid(top, eps, int(alphas))[0]


def _output(columns: list[Any], k: int) -> Any:
    """Coefficients of output k, (d, n_alphas)."""
    if isinstance(columns[0], np.ndarray):
        return np.stack([column[k] for column in columns], axis=1)
    return sp.csc_array(sp.vstack([column[[k]] for column in columns], format="csr").T)
