"""``--alpha auto``: the strength that does best on rows that are held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console

from fastsum.jobs import FittedModel, Recipe
from fastsum.wide import as_rows_of

from ._report import evaluate

# Strengths tried: of l2, times 1 / n; of l1, from the least that leaves no coefficients downwards.
L2_GRID = np.logspace(3, -1, 9)
L1_STEPS, L1_LEAST = 12, 1e-3
ROUGH = 1e-3  # tol of the path: what is left does not show in a score


def choose_alpha(parts: Mapping[str, Any], recipe: Recipe) -> float:
    """The alpha of a path on the part "train" with the best score on the part "test".

    Parameters
    ----------
    parts : mapping of str to (X, y)
        The data.
    recipe : Recipe
        What is fitted; its alpha is not looked at.

    Returns
    -------
    alpha : float
        That of the least log loss or squared error, else of the greatest AUC.

    Raises
    ------
    ValueError
        If no rows are held out, or the loss has more than two classes.
    """
    from fastsum import path

    if "test" not in parts:
        raise ValueError(
            "--alpha auto chooses by rows that are held out: give --test, or make the store with "
            "--test-fraction or --test."
        )
    (X, y), (X_test, y_test) = parts["train"], parts["test"]
    found = path(
        X,
        y,
        loss=recipe.loss,
        loss_param=recipe.loss_param,
        alphas=L2_GRID / len(y) if recipe.l1_ratio == 0 else L1_STEPS,
        eps=L1_LEAST,
        l1_ratio=recipe.l1_ratio,
        fit_intercept=recipe.fit_intercept,
        tol=max(recipe.tol, ROUGH),
        n_jobs=recipe.n_jobs,
        random_state=recipe.seed,
    )
    if isinstance(found.coefs, list):
        raise ValueError("--alpha auto is for two classes or one target: give a number.")
    losses = []
    for k in range(len(found.alphas)):
        coef = as_rows_of(found.coefs[:, [k]])
        intercept = np.atleast_1d(found.intercepts[k]).astype(coef.dtype)
        model = FittedModel(coef, intercept, found.classes, recipe.loss)
        losses.append(_held_out(evaluate(model, X_test, y_test)))
    best = float(found.alphas[int(np.argmin(losses))])
    Console(stderr=True).print(
        f"alpha {best:.3g}: the best of {len(losses)} on {len(y_test):,} held-out rows"
    )
    return best


def _held_out(scores: Mapping[str, float | None]) -> float:
    """What is to be small."""
    for name, sign in (("log loss", 1.0), ("MSE", 1.0), ("AUC", -1.0), ("accuracy", -1.0)):
        value = scores.get(name)
        if value is not None:
            return sign * value
    return 0.0
