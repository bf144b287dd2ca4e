"""RidgeCV: ridge regression that chooses alpha by cross-validation or leave-one-out."""

from __future__ import annotations

import time
import warnings
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import _fit_context
from sklearn.metrics import check_scoring, get_scorer, get_scorer_names
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metadata_routing import _raise_for_params, _routing_enabled

from fastsum.certificate import Certifier
from fastsum.data import as_rows
from fastsum.linear_model._base import POSITIVE, Array, Constraints
from fastsum.linear_model._cv import (
    CV_CONSTRAINTS,
    CrossValidated,
    FoldScorer,
    choose,
    number_of,
    route,
    takes_weights,
)
from fastsum.linear_model._docs import documented
from fastsum.linear_model._grids import checked_grid
from fastsum.linear_model._leave_one_out import LeaveOneOut
from fastsum.linear_model.ridge import Ridge
from fastsum.problem import FloatArray, Problem
from fastsum.result import SENTENCES, Result, Status, trace_dtype
from fastsum.row_source import RowSource
from fastsum.solvers._driver import plain
from fastsum.solvers._warm_start import initial_weights
from fastsum.threads import blas_threads, resolve_n_threads, useful_threads


@documented
class RidgeCV(CrossValidated, Ridge):
    """Ridge regression that chooses alpha, by leave-one-out from one decomposition or by folds.

    After leave-one-out the model is the closed form with its certificate; after folds it is fitted
    to all rows, with `solver`, `tol` and `max_iter` as in `Ridge`.

    Parameters
    ----------
    alphas : float or array-like of shape (n_alphas,), default=(0.1, 1.0, 10.0)
        Strengths of the penalty, > 0, or with folds >= 0, in their order.
    <p:fit_intercept>
    scoring : str or callable, default=None
        A scorer's name or ``scorer(estimator, X, y)``, higher is better; None is the negative mean
        squared error for leave-one-out and R^2 for folds.
    cv : int, cross-validation generator or iterable, default=None
        None is leave-one-out, from a decomposition of X in time n d min(n, d); else a number of
        folds, a splitter of scikit-learn's or (train, test) splits.
    gcv_mode : {"auto", "svd", "eigen"}, default=None
        Of leave-one-out: "svd" decomposes a dense X itself, the others its Gram matrix.
    store_cv_results : bool, default=False
        Whether to keep `cv_results_`; for leave-one-out only.
    alpha_per_target : bool, default=False
        Whether to choose an alpha for each target; for leave-one-out only.
    <p:tol>
    max_iter : int, default=None
        Most passes over the data; None is 1000.
    <p:solver>
    <p:random_state>
    <p:n_jobs>
    <p:verbose>
    <p:selection_rule>
    <p:memory_budget>
    <p:device>

    Attributes
    ----------
    <a:coef_regressor>
    <a:intercept_regressor>
    alpha_ : float or ndarray of shape (n_targets,)
        The alpha chosen, or that of each target.
    best_score_ : float or ndarray of shape (n_targets,)
        Its score.
    cv_results_ : ndarray of shape (n_samples, n_alphas) or (n_samples, n_targets, n_alphas)
        Squared errors of the rows left out, or their predictions if there is a `scoring`; only if
        `store_cv_results`.
    n_iter_ : ndarray of shape (n_targets,)
        Passes over the data of the last fit, a decomposition among them; the targets share them.
    <a:common>

    See Also
    --------
    Ridge : With alpha given.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastsum import RidgeCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = RidgeCV(alphas=[1e-3, 1e-2, 1e-1, 1]).fit(X, y)
    >>> model.alpha_, round(model.score(X, y), 4)
    (0.01, 0.5166)
    """

    _parameter_constraints: ClassVar[Constraints] = {
        **CV_CONSTRAINTS,
        "max_iter": [Interval(Integral, 0, None, closed="left"), None],
        "alphas": ["array-like", POSITIVE],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "gcv_mode": [StrOptions({"auto", "svd", "eigen"}), None],
        "store_cv_results": ["boolean"],
        "alpha_per_target": ["boolean"],
    }
    _default_only: ClassVar[dict[str, tuple[Any, str]]] = {}
    alpha_: Any
    best_score_: Any

    def __init__(
        self,
        alphas: Any = (0.1, 1.0, 10.0),
        *,
        fit_intercept: bool = True,
        scoring: Any = None,
        cv: Any = None,
        gcv_mode: str | None = None,
        store_cv_results: bool = False,
        alpha_per_target: bool = False,
        tol: float = 1e-4,
        max_iter: int | None = None,
        solver: str = "auto",
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        selection_rule: str = "best",
        memory_budget: float | None = None,
        device: str = "auto",
    ):
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.scoring = scoring
        self.cv = cv
        self.gcv_mode = gcv_mode
        self.store_cv_results = store_cv_results
        self.alpha_per_target = alpha_per_target
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.selection_rule = selection_rule
        self.memory_budget = memory_budget
        self.device = device

    def _strengths(self, total_weight: float) -> tuple[Any, Any]:
        return self.alpha_ / total_weight, 0.0

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
        **params: Any,
    ) -> Any:
        """Chooses alpha and fits the model.

        Parameters
        ----------
        X : array-like, sparse matrix or fastsum.store.Dataset of shape (n_samples, n_features)
            Training rows; never modified. float32 and CSR are kept as they are.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets; None takes those of a Dataset.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Weights >= 0 of the fits and, where the scorer takes them, of the scores.
        **params : dict
            What metadata routing hands to the splitter and the scorer.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        _raise_for_params(params, self, "fit")
        self._forget()
        if self.cv is not None and self.store_cv_results:
            raise ValueError("cv!=None and store_cv_results=True are incompatible")
        if self.cv is not None and self.alpha_per_target:
            raise ValueError("cv!=None and alpha_per_target=True are incompatible")
        if self.cv is None and self.device == "cuda":
            raise ValueError("device='cuda' needs cv: leaving one out (cv=None) is for the CPU")
        if self.cv is None and isinstance(X, RowSource):
            raise ValueError(
                "leaving one out (cv=None) decomposes X in memory, and a store is on the disk: "
                "give cv, for example cv=5"
            )
        X, y = self._arrays(X, y, stores=True, multi_output=True, y_numeric=True)
        weights = self._check_weights(sample_weight, len(y))
        self.alpha_ = 0.0  # until one is chosen
        base = self._base_problem(as_rows(X, validated=True), y, weights)
        if self.cv is None:
            result = self._leave_one_out(base, X, y, weights, params)
        else:
            self._choose_by_folds(base, X, y, weights, params)
            result = self._solve(base.with_penalty(*self._strengths(base.total_weight)))
        self._unpack(result, y)
        return self

    def _choose_by_folds(
        self, base: Problem, X: Any, y: Array, weights: Array | None, params: dict[str, Any]
    ) -> None:
        """Sets alpha_ and best_score_."""
        alphas, scorer = checked_grid("alphas", self.alphas), self._get_scorer()
        folds, routed = self._split(X, y, weights, weights, params)
        to_scorer = routed.scorer.score
        if not _routing_enabled() and to_scorer and not takes_weights(scorer):
            to_scorer = {}
        models = self._fit_folds(base, y, folds, [Ridge(alpha) for alpha in alphas])
        scores = FoldScorer(scorer, X, y, to_scorer)(folds, models)
        at = choose(scores, alphas, np.zeros(len(alphas)), self.selection_rule)
        self.alpha_, self.best_score_ = float(alphas[at]), float(scores[:, at].mean())

    def _leave_one_out(
        self, base: Problem, X: Any, y: Array, weights: Array | None, params: dict[str, Any]
    ) -> Result:
        """Sets alpha_, best_score_ and cv_results_; the model of all rows, certified."""
        began = time.perf_counter()
        alphas, scorer = checked_grid("alphas", self.alphas, zero=False), self._get_scorer()
        to_scorer = route(self, weights, params).scorer.score
        if sp.issparse(X) and self.gcv_mode == "svd":
            warnings.warn(
                "The 'svd' mode is not supported for sparse X, fallback to 'eigen'; to avoid this "
                "warning, set gcv_mode='eigen'",
                FutureWarning,
                stacklevel=3,
            )
        targets = y.reshape(len(y), -1).astype(np.float64)
        with blas_threads(resolve_n_threads(self.n_jobs), X.shape[0] * X.shape[1]):
            double = X.astype(np.float64, copy=False)
            fits = LeaveOneOut(double, targets, weights, self.fit_intercept, self.gcv_mode == "svd")
            if self.scoring is None:
                found = np.stack([fits.scaled_errors(a) ** 2 for a in alphas], axis=-1)
                per_target = -np.swapaxes(found, 0, 1)  # the rows are the folds
            else:
                found = np.stack([fits.predictions(a) for a in alphas], axis=-1)
                per_target = self._scored(X, y, found, alphas, scorer, to_scorer)
            self._choose_by_rows(per_target, alphas, targets.shape[1])
            if self.store_cv_results:
                kept = found if y.ndim == 2 else found[:, 0]
                single = X.dtype == np.float32
                self.cv_results_ = kept.astype(np.float32 if single else np.float64, copy=False)
            coef, intercept = fits.model(np.broadcast_to(self.alpha_, targets.shape[1]))
        point = (coef if targets.shape[1] > 1 else coef[:, 0]), intercept
        result = self._certified(base, point, time.perf_counter() - began)
        self._report(result)
        return result

    def _choose_by_rows(self, per_target: FloatArray, alphas: FloatArray, n_targets: int) -> None:
        """Sets alpha_ and best_score_ by scores (n_targets or 1, n_rows or 1, n_alphas)."""
        none, rule = np.zeros(len(alphas)), self.selection_rule
        if self.alpha_per_target and n_targets > 1:
            at = [choose(scores, alphas, none, rule) for scores in per_target]
            self.alpha_ = alphas[at]
            self.best_score_ = per_target.mean(axis=1)[np.arange(len(at)), at]
            return
        scores = per_target.mean(axis=0)
        best = choose(scores, alphas, none, rule)
        self.alpha_, self.best_score_ = float(alphas[best]), float(scores[:, best].mean())

    def _certified(
        self, base: Problem, point: tuple[FloatArray, FloatArray], seconds: float
    ) -> Result:
        """The closed form as a result: its certificate says how exact it is."""
        problem = base.with_penalty(*self._strengths(base.total_weight))
        work = problem.rows.nnz * problem.K
        certifier = Certifier(problem, useful_threads(resolve_n_threads(self.n_jobs), work))
        W = initial_weights(point, problem, certifier.null.intercept)
        certificate = certifier(W)
        objective, gap = plain(certificate.objective), plain(certificate.gap)
        reached = (certificate.gap <= self.tol * certifier.tolerance_scale()).all()
        status = Status.CONVERGED if reached else Status.PRECISION
        dtype = trace_dtype(problem.columns.n_problems)
        return Result(
            coef=W[:-1, 0] if problem.K == 1 else W[:-1],
            intercept=plain(certificate.intercept),
            objective=objective,
            dual_gap=gap,
            n_iter=1,
            trace=np.array([("decomposition", 1.0, seconds, objective, gap)], dtype=dtype),
            solver="decomposition",
            status=status,
            message=SENTENCES[status],
            state={},
        )

    def _scored(
        self,
        X: Any,
        y: Array,
        predictions: FloatArray,
        alphas: FloatArray,
        scorer: Any,
        params: dict[str, Any],
    ) -> FloatArray:
        """The scores of leave-one-out predictions (n, B, n_alphas), (B or 1, 1, n_alphas)."""
        parts = [(y, predictions)]
        if self.alpha_per_target and predictions.shape[1] > 1:
            parts = [(y[:, b], predictions[:, b : b + 1]) for b in range(y.shape[1])]
        scores = np.empty((len(parts), 1, len(alphas)))
        for part, (truth, found) in enumerate(parts):
            for k, alpha in enumerate(alphas):
                model = Ridge(alpha)
                model.coef_ = np.zeros((*truth.shape[1:], X.shape[1]))  # read for its shape
                model._known_margins = X, found[..., k]
                scores[part, 0, k] = number_of(scorer(model, X, truth, **params), scorer)
        return scores

    def _get_scorer(self) -> Any:
        if self.scoring is not None:
            return check_scoring(self, scoring=self.scoring)
        scorer = get_scorer("r2")
        return scorer.set_score_request(sample_weight=True) if _routing_enabled() else scorer
