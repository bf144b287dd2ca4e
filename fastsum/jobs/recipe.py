"""What is fitted: the settings of a fit, the problem they state and the model it ends with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.certificate import Certifier
from fastsum.losses import LOSSES, get_loss
from fastsum.problem import Problem
from fastsum.wide import as_rows_of

from .fitted_model import FittedModel


@dataclass(frozen=True)
class Recipe:
    """What to minimise, and how far.

    Parameters
    ----------
    loss : str, default="logistic"
        Loss of one row, docs/maths.md eq. (3).
    loss_param : float, default=None
        The parameter of a loss that has one.
    alpha : float, default=None
        Strength of the penalty; None is 1 / n_samples.
    l1_ratio : float, default=0.0
        Share of the l1 norm in it, in [0, 1].
    fit_intercept : bool, default=True
        Whether to fit an unpenalised intercept.
    tol : float, default=1e-4
        Share of what there is to gain that the certified gap may be.
    max_iter : int, default=1000
        Most passes over the data.
    max_time : float, default=None
        Most seconds.
    solver : str, default="auto"
        Any name of `fastsum.minimize`.
    n_jobs : int, default=-1
        Threads; -1 takes all CPUs.
    seed : int, default=0
        Of the order of the rows.
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
class Task:
    """A recipe on data.

    Attributes
    ----------
    recipe : Recipe
    problem : Problem
    classes : ndarray or None
        The labels in sorted order; None for regression.
    null : float
        Objective of the null model: no coefficients, the best intercept.
    """

    recipe: Recipe
    problem: Problem
    classes: npt.NDArray[Any] | None
    null: float

    def model_of(self, result: Any) -> FittedModel:
        """The model that a result is, with what the fit reported in its header."""
        coef, intercept = as_rows_of(result.coef), np.atleast_1d(result.intercept)
        if self.classes is not None and coef.shape[0] == len(self.classes) == 2:
            # two softmax outputs decide by their difference, as in the estimators
            coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
        return FittedModel(
            coef=coef,
            intercept=intercept.astype(coef.dtype),
            classes=self.classes,
            loss=self.recipe.loss,
            header=self._header(result),
        )

    def relative_gap(self, result: Any) -> float:
        """The gap in the measure of tol: over F(null) minus the lower bound."""
        gap = float(result.dual_gap)
        if not math.isfinite(gap):
            return math.inf
        scale = self.null - (float(result.objective) - gap)
        return gap / scale if scale > 0 else (0.0 if gap == 0 else math.inf)

    def _header(self, result: Any) -> dict[str, Any]:
        """What the model file says of the fit."""
        recipe = self.recipe
        return {
            "alpha": float(self.problem.penalty.alpha[0]),
            "l1_ratio": recipe.l1_ratio,
            "loss_param": get_loss(recipe.loss, recipe.loss_param).param,
            "fit_intercept": recipe.fit_intercept,
            "n_samples": self.problem.rows.n_rows,
            "tol": recipe.tol,
            "solver": str(result.solver),
            "seed": recipe.seed,
            "status": getattr(result.status, "value", str(result.status)),
            "objective": float(result.objective),
            "dual_gap": float(result.dual_gap),
            "n_iter": int(result.n_iter),
        }


def task_of(X: Any, y: npt.NDArray[Any], recipe: Recipe) -> Task:
    """A recipe on samples X (n, d) and labels y (n,) as they stand in a file.

    Raises
    ------
    ValueError
        If the labels do not fit the loss, or the engine refuses the data.
    """
    classes, targets = encode_targets(y, recipe.loss)
    problem = Problem(
        X,
        targets,
        loss=recipe.loss,
        loss_param=recipe.loss_param,
        alpha=1.0 / X.shape[0] if recipe.alpha is None else recipe.alpha,
        l1_ratio=recipe.l1_ratio,
        fit_intercept=recipe.fit_intercept,
    )
    return Task(recipe, problem, classes, null_objective(targets, recipe))


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
    problem = Problem(
        np.zeros((len(targets), 1)),
        targets,
        loss=recipe.loss,
        loss_param=recipe.loss_param,
        fit_intercept=recipe.fit_intercept,
    )
    return float(Certifier(problem, 1).null.objective[0])
