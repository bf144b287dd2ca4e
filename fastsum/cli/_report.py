"""Scores of a model on labelled data, and the tables that show them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

from fastsum.losses import LOSSES

if TYPE_CHECKING:
    from fastsum.jobs import FittedModel

    from ._training import Training

Scores = dict[str, float | None]


def evaluate(model: FittedModel, X: Any, y: npt.NDArray[Any]) -> Scores:
    """Score a model on labelled data.

    Parameters
    ----------
    model : FittedModel
        The model.
    X : {ndarray, csr_matrix} of shape (n_samples, n_features)
        Samples.
    y : ndarray of shape (n_samples,)
        True labels or targets.

    Returns
    -------
    scores : dict
        ``log loss``, ``AUC`` and ``accuracy`` for classes (AUC is the mean over classes
        against the rest if there are more than two; no log loss for the squared hinge),
        ``MSE`` and ``R2`` for regression. None where a score is not defined, such as AUC on
        one class.
    """
    z = model.decision_function(X)
    if model.classes is None:
        residual = y - LOSSES[model.loss].response(z)
        mse = float(np.mean(residual**2))
        variance = float(np.var(y))
        return {"MSE": mse, "R2": 1.0 - mse / variance if variance > 0 else None}
    codes = _codes(model.classes, y)
    guess = (z > 0).astype(np.intp) if z.ndim == 1 else np.argmax(z, axis=1)
    scores: Scores = {}
    if model.loss in ("logistic", "multinomial"):
        scores["log loss"] = _log_loss(model, z, codes)
    scores["AUC"] = _auc(z, codes)
    scores["accuracy"] = float(np.mean(guess == codes))
    return scores


def _codes(classes: npt.NDArray[Any], y: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Return the position of each label in `classes`, -1 for labels not in it."""
    if (classes.dtype.kind in "OU") != (y.dtype.kind in "OU"):
        raise ValueError(
            f"the labels of the data ({y.dtype}) cannot be compared with the model's classes "
            f"({classes[0]!r}, ...): code both in the same way."
        )
    position = np.clip(np.searchsorted(classes, y), 0, len(classes) - 1)
    return np.where(classes[position] == y, position, -1)


def _log_loss(model: FittedModel, z: npt.NDArray[Any], codes: npt.NDArray[np.intp]) -> float | None:
    """Return the mean negative log-probability, from the scores so that nothing is clipped."""
    if (codes < 0).any():
        return None
    z = z.astype(np.float64)
    if z.ndim == 1:
        return float(np.mean(np.logaddexp(0.0, np.where(codes == 1, -z, z))))
    if model.loss == "logistic":
        z = -np.logaddexp(0.0, -z)  # log-probabilities, up to the row sum
    own = np.take_along_axis(z, codes[:, np.newaxis], axis=1)[:, 0]
    return float(np.mean(logsumexp(z, axis=1) - own))


def _auc(z: npt.NDArray[Any], codes: npt.NDArray[np.intp]) -> float | None:
    """Return the area under the ROC curve, averaged over one class against the rest."""
    if z.ndim == 1:
        columns = [(codes == 1, z)]
    else:
        columns = [(codes == k, z[:, k]) for k in range(z.shape[1])]
    areas = [roc_auc_score(own, score) for own, score in columns if 0 < own.sum() < own.size]
    return float(np.mean(areas)) if areas else None


# -------------------------------------------------------------------------------------- tables


def print_training(
    training: Training, scores: Mapping[str, Scores], sizes: Mapping[str, int]
) -> None:
    """Print how the fit ended and how good the model is on each data set."""
    console = Console()
    result, model = training.result, training.model
    rows = [
        ("objective", f"{float(result.objective):.10g}"),
        ("certified gap", gap_text(float(result.dual_gap))),
        ("relative gap", gap_text(training.relative_gap)),
        ("status", str(model.header["status"])),
        ("passes", str(model.header["n_iter"])),
        ("seconds", f"{training.seconds:.2f}"),
        ("solver", str(model.header["solver"])),
        ("non-zero coefficients", model.size),
    ]
    console.print(key_value_table("Fit", rows))
    console.print(_score_table(scores, sizes))
    for note in training.notes:
        Console(stderr=True, soft_wrap=True).print(f"Note: {note}", markup=False, highlight=False)


def gap_text(gap: float) -> str:
    """Return a gap as it is shown; without a penalty there is none."""
    return f"{gap:.2e}" if math.isfinite(gap) else "none (alpha = 0)"


def key_value_table(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    """Return a table of names and values."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def _score_table(scores: Mapping[str, Scores], sizes: Mapping[str, int]) -> Table:
    """Return a table with one column per data set and one row per score."""
    table = Table(title="Scores", title_justify="left")
    table.add_column("")
    for name in scores:
        table.add_column(name, justify="right")
    table.add_row("samples", *(f"{sizes[name]:,}" for name in scores))
    for score in next(iter(scores.values())):
        table.add_row(score, *(_text(scores[name][score]) for name in scores))
    return table


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.5f}"
