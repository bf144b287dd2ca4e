"""Fit a model with a progress bar: what ``fit`` and ``demo`` share."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from fastsum.jobs import FittedModel, Recipe, task_of


@dataclass(frozen=True)
class Training:
    """A fitted model with what the fit reported.

    Attributes
    ----------
    model : FittedModel
        The model, its header filled in.
    result : fastsum.Result
        The engine's account of the fit.
    relative_gap : float
        Gap over the null model's distance to the best lower bound, the measure of ``tol``.
    seconds : float
        Time of the fit.
    notes : list of str
        Warnings of the fit.
    """

    model: FittedModel
    result: Any
    relative_gap: float
    seconds: float
    notes: list[str]


def train(X: Any, y: npt.NDArray[Any], recipe: Recipe, title: str) -> Training:
    """Fit `recipe` to the samples, showing progress on stderr.

    Parameters
    ----------
    X : {ndarray, csr_matrix} of shape (n_samples, n_features)
        Samples.
    y : ndarray of shape (n_samples,)
        Labels or targets as they stand in the file.
    recipe : Recipe
        What to fit.
    title : str
        What to call the fit beside the progress bar.

    Returns
    -------
    training : Training
        The model and the account of the fit.

    Raises
    ------
    ValueError
        If the labels do not fit the loss, or the engine refuses the data.
    """
    from time import perf_counter

    from fastsum import minimize

    from ._progress import FitProgress

    task = task_of(X, y, recipe)
    start = perf_counter()
    with (
        warnings.catch_warnings(record=True) as caught,
        FitProgress(title, task.null, recipe) as bar,
    ):
        warnings.simplefilter("always")
        result = minimize(
            task.problem,
            recipe.solver,
            tol=recipe.tol,
            max_iter=recipe.max_iter,
            max_time=recipe.max_time,
            n_jobs=recipe.n_jobs,
            random_state=recipe.seed,
            callback=bar.update,
            refine=True,  # as the estimators
        )
        bar.finish(result)
    seconds = perf_counter() - start
    notes = [str(w.message) for w in caught]
    return Training(task.model_of(result), result, task.relative_gap(result), seconds, notes)
