"""LogisticRegressionCV: logistic regression that chooses its penalty by cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import _fit_context
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.utils._param_validation import Hidden, Interval, StrOptions
from sklearn.utils.metadata_routing import (
    UNUSED,
    _raise_for_params,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.multiclass import check_classification_targets

from fastsum.data import as_rows
from fastsum.linear_model._base import Array, Constraints
from fastsum.linear_model._cv import (
    CV_CONSTRAINTS,
    CrossValidated,
    Fold,
    FoldScorer,
    choose,
    with_labels,
)
from fastsum.linear_model._docs import documented
from fastsum.linear_model._grids import checked_grid
from fastsum.linear_model.classifiers import LogisticRegression
from fastsum.problem import FloatArray, Problem


@documented
class LogisticRegressionCV(CrossValidated, LogisticRegression):
    """Logistic regression that chooses C and l1_ratio by cross-validation.

    All folds and points of the grid are problems over one data set and are solved together, each
    to its own certificate; the model is then fitted to all rows. A fold's training part may lack a
    class, whose intercept then falls until its probability there is nothing.

    Parameters
    ----------
    Cs : int or array-like of shape (n_cs,), default=10
        Inverse strengths of the penalty, > 0, in their order; a number of them is a logarithmic
        grid from 1e-4 to 1e4.
    l1_ratios : array-like of shape (n_l1_ratios,), default=(0.0,)
        Shares of the l1 norm in the penalty, in [0, 1]: 0 is l2, 1 is l1.
    <p:fit_intercept>
    <p:cv>
    <p:dual>
    <p:penalty>
    scoring : str or callable, default="neg_log_loss"
        A scorer's name or ``scorer(estimator, X, y)``, higher is better; None is accuracy.
    <p:solver>
    <p:tol>
    max_iter : int, default=100
        Most passes over the data of each problem.
    class_weight : dict or "balanced", default=None
        Weights of the classes, multiplied with sample_weight; "balanced" makes all classes weigh
        the same in the whole of the data, as in scikit-learn's class.
    <p:n_jobs>
    <p:verbose>
    refit : bool, default=True
        True fits all rows at the chosen point; False takes the mean of the coefficients of the
        folds, each at its best point (or at the one point that "one_standard_error" chooses).
    <p:intercept_scaling>
    <p:random_state>
    use_legacy_attributes : bool, default=False
        Only False has a meaning here.
    <p:selection_rule>
    <p:memory_budget>
    <p:device>

    Attributes
    ----------
    <a:classes_>
    <a:coef_classifier>
    <a:intercept_classifier>
    Cs_ : ndarray of shape (n_cs,)
        The grid of C.
    l1_ratios_ : ndarray of shape (n_l1_ratios,)
        The grid of l1_ratio.
    C_ : float
        The C chosen; the mean of those of the folds if refit is False.
    l1_ratio_ : float
        The l1_ratio chosen, likewise.
    scores_ : ndarray of shape (n_folds, n_l1_ratios, n_cs)
        Scores of the rows held out.
    coefs_paths_ : ndarray of shape (n_folds, n_l1_ratios, n_cs, n_classes, n_features + 1)
        Coefficients of each fold, and intercepts if they are fitted; n_classes is 1 for two. None
        for a store of very many columns.
    n_iter_ : ndarray of shape (n_folds, n_l1_ratios, n_cs)
        Passes over the data of each problem.
    <a:common>

    See Also
    --------
    LogisticRegression : With C given.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastsum import LogisticRegressionCV
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegressionCV(Cs=[0.01, 1.0, 100.0], cv=3, max_iter=1000).fit(X, y)
    >>> model.C_, model.scores_.shape
    (100.0, (3, 1, 3))
    """

    _scoring_methods = ("fit", "score")
    __metadata_request__score: ClassVar[dict[str, str]] = {"sample_weight": UNUSED}

    _parameter_constraints: ClassVar[Constraints] = {
        **{
            name: kinds
            for name, kinds in LogisticRegression._parameter_constraints.items()
            if name not in ("C", "l1_ratio", "warm_start")
        },
        **CV_CONSTRAINTS,
        "Cs": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "l1_ratios": ["array-like"],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "refit": ["boolean"],
        "use_legacy_attributes": ["boolean", Hidden(StrOptions({"warn"}))],
    }
    _default_only: ClassVar[dict[str, tuple[Any, str]]] = {
        **LogisticRegression._default_only,
        "penalty": ("deprecated", "use l1_ratios=(0,) (l2), (1,) (l1) or between, and Cs"),
        "use_legacy_attributes": ((False, "warn"), "the attributes have their new shapes"),
    }

    def __init__(
        self,
        *,
        Cs: Any = 10,
        l1_ratios: Any = (0.0,),
        fit_intercept: bool = True,
        cv: Any = None,
        dual: bool = False,
        penalty: Any = "deprecated",
        scoring: Any = "neg_log_loss",
        solver: str = "auto",
        tol: float = 1e-4,
        max_iter: int = 100,
        class_weight: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        refit: bool = True,
        intercept_scaling: float = 1,
        random_state: Any = None,
        use_legacy_attributes: Any = False,
        selection_rule: str = "best",
        memory_budget: float | None = None,
        device: str = "auto",
    ):
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.dual = dual
        self.penalty = penalty
        self.scoring = scoring
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.refit = refit
        self.intercept_scaling = intercept_scaling
        self.random_state = random_state
        self.use_legacy_attributes = use_legacy_attributes
        self.selection_rule = selection_rule
        self.memory_budget = memory_budget
        self.device = device

    def _strengths(self, total_weight: float) -> tuple[float, float]:
        return 1.0 / (self.C_ * total_weight), self.l1_ratio_

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
        **params: Any,
    ) -> Any:
        """Chooses C and l1_ratio and fits the model.

        Parameters
        ----------
        X : array-like, sparse matrix or fastsum.store.Dataset of shape (n_samples, n_features)
            Training rows; never modified. float32 and CSR are kept as they are.
        y : array-like of shape (n_samples,)
            Class labels, numbers or strings; None takes those of a Dataset.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0; integer weights equal repeated rows, a weight of 0 an absent row. The
            scorer gets them too, or with metadata routing if it requests them.
        **params : dict
            What metadata routing hands to the splitter and the scorer, such as groups.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        _raise_for_params(params, self, "fit")
        self._forget()
        X, y = self._arrays(X, y, stores=True)
        check_classification_targets(y)
        sample_weight = self._check_weights(sample_weight, len(y))
        codes, weights = self._coded(y, sample_weight)
        given = np.logspace(-4, 4, self.Cs) if isinstance(self.Cs, Integral) else self.Cs
        self.Cs_: FloatArray = checked_grid("Cs", given, zero=False, infinite=True)
        self.l1_ratios_: FloatArray = checked_grid("l1_ratios", self.l1_ratios, top=1.0)
        self.C_, self.l1_ratio_ = np.inf, 0.0  # until they are chosen
        base = self._problem(as_rows(X, validated=True), codes, weights)
        folds, routed = self._split(X, y, sample_weight, weights, params, classifier=True)
        known = np.isin(y, self.classes_)  # a class without weight is scored no more than fitted
        folds = [Fold(f.weights, f.test[known[f.test]]) for f in folds]
        scorer = with_labels(self._get_scorer(), self.classes_)
        self._search(base, y, folds, FoldScorer(scorer, X, y, routed.scorer.score))
        return self

    def _search(self, base: Problem, y: Array, folds: Sequence[Fold], score: FoldScorer) -> None:
        """Solves the grid in each fold, scores it, chooses and fits the whole."""
        points = [(C, ratio) for ratio in self.l1_ratios_ for C in self.Cs_]
        plain = [LogisticRegression(C=C, l1_ratio=ratio) for C, ratio in points]
        models = self._fit_folds(base, y, folds, plain)
        shape = len(folds), len(self.l1_ratios_), len(self.Cs_)
        self.scores_: FloatArray = score(folds, models).reshape(shape)
        self.__dict__.pop("coefs_paths_", None)  # of a fit before this one
        self._found = [m for found in models for m in found], shape
        self._choose_and_fit(base)
        n_iter = [[model.n_iter_ for model in found] for found in models]
        self.n_iter_ = np.array(n_iter, dtype=np.int32).reshape(shape)

    def _choose_and_fit(self, base: Problem) -> None:
        # Of equal scores the first wins, C by C as in scikit-learn.
        shape = len(self.Cs_), len(self.l1_ratios_)
        flat = np.swapaxes(self.scores_, 1, 2).reshape(len(self.scores_), -1)
        C, ratio = (a.ravel() for a in np.meshgrid(self.Cs_, self.l1_ratios_, indexing="ij"))
        if self.refit:
            at = choose(flat, 1.0 / C, ratio, self.selection_rule)
            self.C_, self.l1_ratio_ = float(C[at]), float(ratio[at])
            problem = base.with_penalty(*self._strengths(base.total_weight))
            self._unpack(self._solve(problem), problem)
            return
        if self.selection_rule == "best":
            chosen = np.array([choose(row[None], 1.0 / C, ratio, "best") for row in flat])
        else:
            chosen = np.full(len(flat), choose(flat, 1.0 / C, ratio, self.selection_rule))
        self.C_, self.l1_ratio_ = float(C[chosen].mean()), float(ratio[chosen].mean())
        i, j = np.unravel_index(chosen, shape)
        mean = self.coefs_paths_[np.arange(len(chosen)), j, i].mean(axis=0)
        n_cols = base.rows.n_features
        self.coef_ = np.ascontiguousarray(mean[:, :n_cols])
        self.intercept_ = mean[:, n_cols] if self.fit_intercept else np.zeros(len(mean), mean.dtype)

    @cached_property
    def coefs_paths_(self) -> Any:
        """Made when it is asked for: it may be larger than all that the search takes."""
        if not hasattr(self, "_found"):
            raise AttributeError("coefs_paths_ is there after fit")
        models, shape = self._found
        if sp.issparse(models[0].coef_):
            if not self.refit:
                raise ValueError(
                    f"refit=False takes means of dense coefficients, of {self.n_features_in_:,} "
                    "columns here: use refit=True"
                )
            return None
        n_outputs, d = models[0].coef_.shape
        size, dtype = (len(models), n_outputs, d + self.fit_intercept), models[0].coef_.dtype
        out = np.empty(size, dtype=dtype)
        for own, model in zip(out, models, strict=True):
            own[:, :d] = model.coef_
            if self.fit_intercept:
                own[:, d] = model.intercept_
        del self._found
        return out.reshape(*shape, *size[1:])

    def score(  # type: ignore[override]  # no fit with an offset, no score with one
        self, X: Any, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None, **params: Any
    ) -> float:
        """The score of the model by `scoring`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows to score.
        y : array-like of shape (n_samples,)
            Their labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        **params : dict
            What metadata routing hands to the scorer.

        Returns
        -------
        score : float
            Higher is better.
        """
        _raise_for_params(params, self, "score")
        if sample_weight is not None:
            params["sample_weight"] = sample_weight
        if _routing_enabled():
            params = process_routing(self, "score", **params).scorer.score
        return float(self._get_scorer()(self, X, y, **params))

    def _get_scorer(self) -> Any:
        return get_scorer("accuracy" if self.scoring is None else self.scoring)
