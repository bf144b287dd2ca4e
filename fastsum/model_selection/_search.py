"""Grid search that solves the candidates of all folds together.

Relies on what `BaseSearchCV.fit` of scikit-learn 1.6 to 1.9 does privately: `evaluate_candidates`,
which it hands to `_run_search`, calls its local variable ``parallel`` with one task
``delayed(_fit_and_score)(clone, X, y, train=..., test=..., parameters=..., ...)`` a candidate and
fold. Here that variable is an object that fits first, and scores by scikit-learn's `_score`.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable
from functools import partial
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils._param_validation import Interval
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.parallel import delayed
from sklearn.utils.validation import _check_method_params, _num_samples

from fastsum.linear_model._many import can_share, fit_together
from fastsum.model_selection._scoring import score_fold

Task = tuple[Any, tuple[Any, ...], dict[str, Any]]  # function, positional and named arguments
PER_ROW = {"sample_weight", "offset"}  # what fits that are made together take


class FastGridSearchCV(GridSearchCV):
    """`sklearn.model_selection.GridSearchCV` with the fits of a grid made together.

    The same parameters, attributes and results. Candidates that differ in ``alpha``, ``C``,
    ``l1_ratio`` or ``class_weight`` are solved together over all folds, for an estimator of this
    library or a Pipeline that ends with one: then per fold, and its transformers are fitted once a
    fold and setting of their own parameters. All else is fitted one by one as scikit-learn does:
    other estimators, and folds that lack a class. The fit times of `cv_results_` are the shared
    time in equal parts.

    Parameters
    ----------
    estimator : estimator
        Any estimator; those of this library and pipelines that end with one gain.
    param_grid : dict or list of dict
        Lists of values by the name of the parameter.
    scoring : str, callable, list, tuple or dict, default=None
        Metrics; None is the estimator's `score`.
    n_jobs : int, default=None
        Jobs of fits that are made one by one, of transformers and of scores, and threads of a
        shared fit if `n_jobs` of the estimator is None.
    refit : bool, str or callable, default=True
        Whether, by which metric or by which rule (`one_standard_error`) the best candidate is
        chosen and fitted on all data.
    cv : int, splitter or iterable, default=None
        The folds; None is 5.
    verbose : int, default=0
        1 and more show the fits.
    pre_dispatch : int or str, default="2*n_jobs"
        Tasks given to the jobs at a time.
    error_score : "raise" or float, default=np.nan
        Score of a candidate that cannot be fitted.
    return_train_score : bool, default=False
        Whether to score the training rows as well.
    memory_budget : float, default=None
        Bytes that fits made together may take; it bounds how many are made at a time, and
        `verbose=1` shows what they take. None is a quarter of the machine's memory. Fits that are
        made one by one do not heed it.

    Attributes
    ----------
    cv_results_ : dict of ndarrays
        Parameters, scores, ranks and times of the candidates.
    best_estimator_ : estimator
        Fitted on all data, if `refit`.
    best_score_ : float
        Mean score of the best candidate.
    best_params_ : dict
        Its parameters.
    best_index_ : int
        Its position in `cv_results_`.
    scorer_ : callable or dict
        The metrics used.
    n_splits_ : int
        Number of folds.
    refit_time_ : float
        Seconds of the last fit.
    multimetric_ : bool
        Whether there are several metrics.
    classes_ : ndarray of shape (n_classes,)
        Of the best estimator.
    n_features_in_ : int
        Of the best estimator.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Of the best estimator.

    See Also
    --------
    one_standard_error : A rule for `refit`.

    Notes
    -----
    Settings of the estimator mean what they mean in scikit-learn's search, where each fit is that
    of a clone: `warm_start` carries nothing from one fit to another, and an integer `random_state`
    is the seed of all. Shared fits end by the same rule as separate ones, each certified within
    `tol`, so scores agree to the accuracy that `tol` asks for. Not shared, because they change how
    one problem is solved, are fits with `step_size`, `sampling` or ``max_iter=0``.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from fastsum import LogisticRegression
    >>> from fastsum.model_selection import FastGridSearchCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    >>> grid = {"logisticregression__C": [0.001, 0.01, 0.1, 1.0, 10.0, 100.0]}
    >>> search = FastGridSearchCV(pipeline, grid, scoring="neg_log_loss").fit(X, y)
    >>> search.best_params_, round(float(search.best_score_), 2)
    ({'logisticregression__C': 1.0}, -0.08)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **GridSearchCV._parameter_constraints,
        "memory_budget": [Interval(Real, 0, None, closed="neither"), None],
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        error_score: Any = np.nan,
        return_train_score: bool = False,
        memory_budget: float | None = None,
    ):
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.memory_budget = memory_budget

    def _run_search(
        self, evaluate_candidates: Callable[..., Any], *, callback_ctx: Any = None
    ) -> None:
        variables = evaluate_candidates.__code__.co_freevars
        if "parallel" in variables:  # else fits are made one by one
            cell = (evaluate_candidates.__closure__ or ())[variables.index("parallel")]
            cell.cell_contents = _Together(cell.cell_contents, self)
        context = {} if callback_ctx is None else {"callback_ctx": callback_ctx}
        super()._run_search(evaluate_candidates, **context)


class _Together:
    """Takes the tasks of a search and gives them fitted estimators before they are run."""

    def __init__(self, parallel: Any, search: FastGridSearchCV):
        self.parallel, self.search = parallel, search

    def __call__(self, tasks: Iterable[Task]) -> list[dict[str, Any]]:
        tasks = list(tasks)
        start = time.perf_counter()
        fitted = self._fitted(tasks)
        seconds = time.perf_counter() - start
        out = self._scored(tasks, fitted)
        for i in fitted:
            out[i]["fit_time"] += seconds / len(fitted)
        return out

    def _scored(self, tasks: list[Task], fitted: dict[int, Any]) -> list[dict[str, Any]]:
        """What the tasks return, those of a fold with fitted estimators at once."""
        callbacks = getattr(self.search, "_skl_callbacks", None)
        if self.search.verbose > 1 or callbacks:  # of each fit
            for i, estimator in fitted.items():
                function, (_, X, y), settings = tasks[i]
                tasks[i] = function, (_Fitted(estimator), X, y), settings
            return list(self.parallel(tasks))
        folds: dict[Any, list[int]] = {}
        for i in range(len(tasks)):  # a task that needs its own fit is alone
            key: tuple[Any, ...] = (i,)
            if i in fitted:
                key = "fold", id(tasks[i][2]["test"]), *map(id, _transformers(fitted[i]))
            folds.setdefault(key, []).append(i)
        jobs = []
        for members in folds.values():
            job = tasks[members[0]]
            if members[0] in fitted:
                _, (_, X, y), settings = job
                job = delayed(score_fold)([fitted[i] for i in members], X, y, settings)
            jobs.append(job)
        out: dict[int, dict[str, Any]] = {}
        for members, result in zip(folds.values(), self.parallel(jobs), strict=True):
            results = result if members[0] in fitted else [result]
            out.update(zip(members, results, strict=True))
        return [out[i] for i in range(len(tasks))]

    def _fitted(self, tasks: list[Task]) -> dict[int, Any]:
        """Fitted estimators by the position of their task; the other tasks need their own fit."""
        batches: dict[Any, list[int]] = {}
        estimators = {}
        for i, (_, (estimator, *_), settings) in enumerate(tasks):
            # parameters are cloned: they may be estimators, steps of a pipeline
            try:
                estimator.set_params(**clone(settings["parameters"], safe=False))
            except (ValueError, TypeError):
                continue  # the task's own fit raises it again
            if can_share(_last_step(estimator)) and not get_tags(estimator).input_tags.pairwise:
                estimators[i] = estimator
                batches.setdefault(_batch_key(estimator, settings), []).append(i)
        shared = [members for members in batches.values() if len(members) > 1]
        jobs = []
        for members in shared:
            _, (_, X, y), settings = tasks[members[0]]
            trains = [tasks[i][2]["train"] for i in members]
            data = [estimators[i] for i in members], trains, X, y, settings["fit_params"]
            jobs.append(data)
        search, budget = self.search, self.search.memory_budget
        shown = int(search.verbose > 0)
        if len(jobs) <= 1:  # its threads are the jobs of the search
            how = {"n_jobs": search.n_jobs, "verbose": shown, "memory_budget": budget}
            results = [_fit_batch(*job, how) for job in jobs]
        else:
            if budget is not None:
                budget /= min(len(jobs), effective_n_jobs(search.n_jobs))
            how = {"n_jobs": None, "verbose": shown, "memory_budget": budget}
            results = self.parallel(delayed(_fit_batch)(*job, how) for job in jobs)
        return {
            i: estimator
            for members, result in zip(shared, results, strict=True)
            for i, estimator in zip(members, result, strict=True)
            if estimator is not None
        }


class _Fitted:
    """Stands in a task for an estimator that must not be fitted again, nor get new steps."""

    def __init__(self, estimator: Any):
        self.estimator = estimator

    def set_params(self, **params: Any) -> Any:
        self.estimator.fit = partial(_end_fit, self.estimator)
        return self.estimator


def _end_fit(estimator: Any, *args: Any, **kwargs: Any) -> Any:
    """The `fit` of one call: the class's own comes back."""
    del estimator.fit
    return estimator


def _last_step(estimator: Any) -> Any:
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def _transformers(estimator: Any) -> list[Any]:
    return [step for _, step in estimator.steps[:-1]] if isinstance(estimator, Pipeline) else []


def _batch_key(estimator: Any, settings: dict[str, Any]) -> Any:
    """Equal for tasks with the same rows and, in a pipeline, transformers."""
    if not isinstance(estimator, Pipeline):
        return None
    last = estimator.steps[-1][0]
    parameters = settings["parameters"].items()
    # the values are those of the grid, which lives through the search
    others = (
        (name, value if isinstance(value, str | float | int) else id(value), type(value))
        for name, value in parameters
        if name != last and not name.startswith(f"{last}__")
    )
    return id(settings["train"]), tuple(sorted(others, key=lambda other: other[0]))


def _fit_batch(
    estimators: list[Any],
    trains: list[Any],
    X: Any,
    y: Any,
    params: dict[str, Any] | None,
    how: dict[str, Any],
) -> list[Any]:
    """The estimators, fitted; None for those that need a fit of their own."""
    params = params or {}
    if isinstance(estimators[0], Pipeline):
        done = _fit_pipelines(estimators, trains[0], X, y, params, how)
    elif params.keys() <= PER_ROW:
        done = _fit_rows(estimators, trains, X, y, params, how)
    else:
        done = [False] * len(estimators)
    return [e if good else None for e, good in zip(estimators, done, strict=True)]


def _fit_rows(
    estimators: list[Any],
    trains: list[Any],
    X: Any,
    y: Any,
    params: dict[str, Any],
    how: dict[str, Any],
) -> list[bool]:
    """Fits estimators on their folds, over the rows that some fold trains on."""
    n_rows = _num_samples(X)
    ids = {id(train): np.arange(n_rows)[train] for train in trains}  # of masks as well
    used = np.unique(np.concatenate(list(ids.values())))
    params = _check_method_params(X, params=params)
    if len(used) < n_rows:
        params = _check_method_params(X, params=params, indices=used)
        X, y = _safe_split(estimators[0], X, y, used)
        ids = {key: np.searchsorted(used, train) for key, train in ids.items()}
    return fit_together(estimators, [ids[id(t)] for t in trains], X, y, **params, **how)


def _fit_pipelines(
    pipelines: list[Any], train: Any, X: Any, y: Any, params: dict[str, Any], how: dict[str, Any]
) -> list[bool]:
    """Fits the transformers of the first pipeline, and the last steps of all on their output."""
    params = _check_method_params(X, params=params, indices=train)
    X, y = _safe_split(pipelines[0], X, y, train)
    try:
        transformers, (X, y, params) = _transformed(pipelines[0], X, y, params)
    except Exception:  # each fit shall fail by itself
        return [False] * len(pipelines)
    if not params.keys() <= PER_ROW:
        return [False] * len(pipelines)
    rows = np.arange(_num_samples(X))
    last_steps = [pipeline.steps[-1][1] for pipeline in pipelines]
    done = fit_together(last_steps, [rows] * len(pipelines), X, y, **params, **how)
    for pipeline, fitted in zip(pipelines, done, strict=True):
        if fitted:
            pipeline.steps = [*transformers, pipeline.steps[-1]]
    return done


def _transformed(pipeline: Any, X: Any, y: Any, params: dict[str, Any]) -> tuple[Any, Any]:
    """The fitted transformers, and what the last step is given to fit."""
    name, last = pipeline.steps[-1]
    seen: list[tuple[Any, Any, dict[str, Any]]] = []
    recorder = clone(last)
    recorder.fit = lambda X, y=None, **params: seen.append((X, y, params))
    trial = copy.copy(pipeline)
    trial.steps = [*clone(pipeline).steps[:-1], (name, recorder)]
    trial.fit(X, y, **params)
    return trial.steps[:-1], seen[0]
