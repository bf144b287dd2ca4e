"""Fit a model with a progress bar: what ``fit`` and ``demo`` share."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.jobs import FittedModel
from fastsum.losses import LOSSES, get_loss


@dataclass(frozen=True)
class Recipe:
    """What to minimise, and how far.

    The fields are the options of ``fastsum fit``; `alpha` None stands for 1 / n_samples.
    """

    loss: str = "logistic"
    loss_param: float | None = None
    alpha: float | None = None
    l1_ratio: float = 0.0
    fit_intercept: bool = True
    tol: float = 1e-4
    max_iter: int = 1000
    max_time: float | None = None
    solver: str = "auto"
    n_jobs: int = -1
    seed: int = 0


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

    from fastsum import Problem, minimize

    from ._progress import FitProgress

    classes, targets = encode_targets(y, recipe.loss)
    alpha = 1.0 / X.shape[0] if recipe.alpha is None else recipe.alpha
    problem = Problem(
        X,
        targets,
        loss=recipe.loss,
        loss_param=recipe.loss_param,
        alpha=alpha,
        l1_ratio=recipe.l1_ratio,
        fit_intercept=recipe.fit_intercept,
    )
    null = null_objective(targets, recipe)
    start = perf_counter()
    with warnings.catch_warnings(record=True) as caught, FitProgress(title, null, recipe) as bar:
        warnings.simplefilter("always")
        result = minimize(
            problem,
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
    coef, intercept = np.atleast_2d(result.coef.T), np.atleast_1d(result.intercept)
    if classes is not None and len(coef) == len(classes) == 2:
        # two softmax outputs decide by their difference, as in the estimators
        coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
    model = FittedModel(
        coef=np.ascontiguousarray(coef),
        intercept=intercept.astype(coef.dtype),
        classes=classes,
        loss=recipe.loss,
        header=_header(result, recipe, alpha, X.shape[0]),
    )
    notes = [str(w.message) for w in caught]
    return Training(model, result, _relative(result, null), seconds, notes)


def encode_targets(
    y: npt.NDArray[Any], loss: str
) -> tuple[npt.NDArray[Any] | None, npt.NDArray[Any]]:
    """Return the classes (None for regression) and the targets in the engine's form."""
    if LOSSES[loss].domain == "real":
        if y.dtype.kind not in "biuf":
            raise ValueError(f"the {loss} loss needs numbers as targets, got dtype {y.dtype}.")
        return None, y.astype(np.float64)
    classes, codes = np.unique(y, return_inverse=True)
    if classes.dtype.kind == "f" and np.all(classes == np.rint(classes)):
        classes = classes.astype(np.int64)  # svmlight labels read as floats
    if len(classes) < 2:
        raise ValueError(f"all labels are {classes[0]}: a classifier needs at least two classes.")
    if len(classes) > 2 and loss != "multinomial":
        advice = "use --loss multinomial"
        if len(classes) > 20 and y.dtype.kind == "f":
            advice += ", or --loss squared if y is a quantity to predict"
        raise ValueError(f"--loss {loss} is for two classes, found {len(classes)}: {advice}.")
    return classes, codes


def null_objective(targets: npt.NDArray[Any], recipe: Recipe) -> float:
    """Return the objective of the null model: no coefficients, the best intercept."""
    from fastsum import Problem
    from fastsum.certificate import Certifier

    nothing = np.zeros((len(targets), 1))
    problem = Problem(
        nothing,
        targets,
        loss=recipe.loss,
        loss_param=recipe.loss_param,
        fit_intercept=recipe.fit_intercept,
    )
    return float(Certifier(problem, 1).null.objective[0])


def _relative(result: Any, null: float) -> float:
    """Return the gap in the measure of tol: over F(null) minus the lower bound."""
    gap = float(result.dual_gap)
    if not math.isfinite(gap):
        return math.inf
    scale = null - (float(result.objective) - gap)
    return gap / scale if scale > 0 else (0.0 if gap == 0 else math.inf)


def _header(result: Any, recipe: Recipe, alpha: float, n_samples: int) -> dict[str, Any]:
    """Return what the model file says of the fit."""
    return {
        "alpha": alpha,
        "l1_ratio": recipe.l1_ratio,
        "loss_param": get_loss(recipe.loss, recipe.loss_param).param,
        "fit_intercept": recipe.fit_intercept,
        "n_samples": n_samples,
        "tol": recipe.tol,
        "solver": str(result.solver),
        "seed": recipe.seed,
        "status": getattr(result.status, "value", str(result.status)),
        "objective": float(result.objective),
        "dual_gap": float(result.dual_gap),
        "n_iter": int(result.n_iter),
    }
