"""LassoCV and ElasticNetCV: the lasso and the elastic net with alpha by cross-validation."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metadata_routing import _raise_for_params
from sklearn.utils.validation import column_or_1d

from fastsum.data import as_rows
from fastsum.linear_model._base import POSITIVE, Array, Constraints
from fastsum.linear_model._cv import (
    CV_CONSTRAINTS,
    CrossValidated,
    FoldScorer,
    choose,
)
from fastsum.linear_model._docs import documented
from fastsum.linear_model._grids import checked_grid, made_grid
from fastsum.linear_model._regressor import CoordinateDescentFace
from fastsum.linear_model.regressors import ElasticNet
from fastsum.null_model import alpha_max
from fastsum.problem import FloatArray, Problem
from fastsum.threads import resolve_n_threads


class SquaredErrorCV(CrossValidated, CoordinateDescentFace):
    """What LassoCV and ElasticNetCV share: grids of alpha, squared errors of the rows held out."""

    _parameter_constraints: ClassVar[Constraints] = {
        **{
            name: kinds
            for name, kinds in CoordinateDescentFace._parameter_constraints.items()
            if name not in ("alpha", "l1_ratio", "warm_start")
        },
        **CV_CONSTRAINTS,
        "eps": [POSITIVE],
        "alphas": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "precompute": [StrOptions({"auto"}), "boolean", "array-like"],
    }
    _default_only: ClassVar[dict[str, tuple[Any, str]]] = {
        **CoordinateDescentFace._default_only,
        "precompute": (("auto", False), CoordinateDescentFace._default_only["precompute"][1]),
    }

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output, tags.target_tags.single_output = False, True
        return tags

    def _strengths(self, total_weight: float) -> tuple[Any, Any]:
        return self.alpha_, getattr(self, "l1_ratio_", 1.0)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
        **params: Any,
    ) -> Any:
        """Chooses the penalty and fits the model.

        Parameters
        ----------
        X : array-like, sparse matrix or fastsum.store.Dataset of shape (n_samples, n_features)
            Training rows; never modified. float32 and CSR are kept as they are.
        y : array-like of shape (n_samples,)
            Targets; None takes those of a Dataset.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Weights >= 0 of the fits and of the errors of the rows held out.
        **params : dict
            What metadata routing hands to the splitter, such as groups.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        _raise_for_params(params, self, "fit")
        self._forget()
        X, y = self._arrays(X, y, stores=True, multi_output=True, y_numeric=True)
        if y.ndim > 1 and y.shape[1] > 1:
            raise ValueError(
                f"For multi-task outputs, use MultiTask{type(self).__name__} of scikit-learn, or "
                "one estimator a target"
            )
        target: Array = column_or_1d(y, warn=True)
        target = target.astype(np.float64, copy=False)
        weights = self._check_weights(sample_weight, len(target))
        self.alpha_ = 0.0  # until one is chosen
        base = self._base_problem(as_rows(X, validated=True), target, weights)
        l1_ratios = checked_grid("l1_ratio", getattr(self, "l1_ratio", 1.0), top=1.0)
        alphas = self._grid(base, l1_ratios)
        folds, _ = self._split(X, target, weights, weights, params)
        points = [(a, r) for r, row in zip(l1_ratios, alphas, strict=True) for a in row]
        plain = [ElasticNet(alpha, l1_ratio=ratio) for alpha, ratio in points]
        models = self._fit_folds(base, target, folds, plain)
        to_scorer = {} if weights is None else {"sample_weight": weights}
        errors = FoldScorer(squared_error, X, target, to_scorer)(folds, models)
        alpha, ratio = np.array(points).T
        at = choose(-errors, alpha, ratio, self.selection_rule)
        self.alpha_ = float(alpha[at])
        if hasattr(self, "l1_ratio"):
            self.l1_ratio_ = float(ratio[at])
        self.mse_path_: FloatArray = np.squeeze(errors.T.reshape(*alphas.shape, len(folds)))
        one_grid = len(alphas) == 1 or not isinstance(self.alphas, Integral)
        self.alphas_: FloatArray = alphas[0] if one_grid else alphas
        self._unpack(self._solve(base.with_penalty(self.alpha_, ratio[at])), target)
        return self

    def _grid(self, base: Problem, l1_ratios: FloatArray) -> FloatArray:
        """Decreasing alphas of each l1_ratio, (n_l1_ratios, n_alphas)."""
        if not isinstance(self.alphas, Integral):
            given = np.sort(checked_grid("alphas", self.alphas))[::-1]
            return np.tile(given, (len(l1_ratios), 1))
        if (l1_ratios == 0).any():
            raise ValueError(
                "Automatic alpha grid generation is not supported for l1_ratio=0. Please supply a "
                "grid by providing your estimator with the appropriate `alphas=` argument."
            )
        slope = alpha_max(base.with_penalty(1.0, 1.0), resolve_n_threads(self.n_jobs))
        return made_grid(slope / l1_ratios, self.eps, int(self.alphas))


def squared_error(model: Any, X: Any, y: Array, sample_weight: Array | None = None) -> float:
    """The mean squared error of a model: a scorer without scikit-learn's checks of each call."""
    return float(np.average((model.predict(X) - y) ** 2, weights=sample_weight))


@documented
class LassoCV(SquaredErrorCV):
    """Lasso that chooses alpha by cross-validation.

    All folds and alphas are problems over one data set and are solved together, each to its own
    certificate; the model is then fitted to all rows.

    Parameters
    ----------
    <p:eps>
    <p:alphas>
    <p:fit_intercept>
    <p:precompute>
    <p:max_iter>
    <p:tol>
    <p:copy_X>
    <p:cv>
    <p:verbose>
    <p:n_jobs>
    <p:positive>
    <p:random_state>
    <p:selection>
    <p:solver>
    <p:selection_rule>
    <p:memory_budget>
    <p:device>

    Attributes
    ----------
    <a:coef_regressor>
    <a:intercept_regressor>
    alpha_ : float
        The alpha chosen.
    alphas_ : ndarray of shape (n_alphas,)
        The grid, decreasing.
    mse_path_ : ndarray of shape (n_alphas, n_folds)
        Mean squared errors of the rows held out.
    <a:n_iter_>
    <a:common>

    See Also
    --------
    Lasso : With alpha given.
    ElasticNetCV : With an l2 part beside the l1 norm.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from fastsum import LassoCV
    >>> X, y = make_regression(80, 200, n_informative=5, noise=4.0, random_state=0)
    >>> model = LassoCV(cv=5, tol=1e-6).fit(X, y)
    >>> model.mse_path_.shape, int((model.coef_ != 0).sum()) < 60
    ((100, 5), True)
    """

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        precompute: Any = "auto",
        max_iter: int = 1000,
        tol: float = 1e-4,
        copy_X: bool = True,
        cv: Any = None,
        verbose: int = 0,
        n_jobs: int | None = None,
        positive: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        solver: str = "auto",
        selection_rule: str = "best",
        memory_budget: float | None = None,
        device: str = "auto",
    ):
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.max_iter = max_iter
        self.tol = tol
        self.copy_X = copy_X
        self.cv = cv
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.solver = solver
        self.selection_rule = selection_rule
        self.memory_budget = memory_budget
        self.device = device


@documented
class ElasticNetCV(SquaredErrorCV):
    """Elastic net that chooses alpha and l1_ratio by cross-validation.

    All folds and points of the grid are problems over one data set and are solved together, each
    to its own certificate; the model is then fitted to all rows.

    Parameters
    ----------
    l1_ratio : float or array-like of shape (n_l1_ratios,), default=0.5
        Shares of the l1 norm in the penalty to choose from, in [0, 1].
    <p:eps>
    <p:alphas>
    <p:fit_intercept>
    <p:precompute>
    <p:max_iter>
    <p:tol>
    <p:cv>
    <p:copy_X>
    <p:verbose>
    <p:n_jobs>
    <p:positive>
    <p:random_state>
    <p:selection>
    <p:solver>
    <p:selection_rule>
    <p:memory_budget>
    <p:device>

    Attributes
    ----------
    <a:coef_regressor>
    <a:intercept_regressor>
    alpha_ : float
        The alpha chosen.
    l1_ratio_ : float
        The l1_ratio chosen.
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
        The grid, decreasing; one for each l1_ratio if it was made and there are several.
    mse_path_ : ndarray of shape (n_l1_ratios, n_alphas, n_folds)
        Mean squared errors of the rows held out; axes of length 1 are left out.
    <a:n_iter_>
    <a:common>

    See Also
    --------
    ElasticNet : With alpha and l1_ratio given.
    LassoCV : The l1 norm alone.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from fastsum import ElasticNetCV
    >>> X, y = make_regression(80, 30, n_informative=5, noise=4.0, random_state=0)
    >>> model = ElasticNetCV(l1_ratio=[0.1, 0.9], alphas=20, cv=4).fit(X, y)
    >>> model.l1_ratio_, model.mse_path_.shape
    (0.9, (2, 20, 4))
    """

    _parameter_constraints: ClassVar[Constraints] = {
        **SquaredErrorCV._parameter_constraints,
        "l1_ratio": [Interval(Real, 0, 1, closed="both"), "array-like"],
    }

    def __init__(
        self,
        *,
        l1_ratio: Any = 0.5,
        eps: float = 1e-3,
        alphas: Any = 100,
        fit_intercept: bool = True,
        precompute: Any = "auto",
        max_iter: int = 1000,
        tol: float = 1e-4,
        cv: Any = None,
        copy_X: bool = True,
        verbose: int = 0,
        n_jobs: int | None = None,
        positive: bool = False,
        random_state: Any = None,
        selection: str = "cyclic",
        solver: str = "auto",
        selection_rule: str = "best",
        memory_budget: float | None = None,
        device: str = "auto",
    ):
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.copy_X = copy_X
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.solver = solver
        self.selection_rule = selection_rule
        self.memory_budget = memory_budget
        self.device = device
