"""Take a model out of a fitted estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils.validation import check_is_fitted

from fastsum.losses import get_loss
from fastsum.wide import is_wide

from .fitted_model import FittedModel


def model_from_estimator(estimator: Any) -> FittedModel:
    """Return the model that a fitted estimator of fastsum holds.

    Parameters
    ----------
    estimator : estimator
        Fitted, with `coef_`, `intercept_` and, for a classifier, `classes_`.

    Returns
    -------
    model : FittedModel
        With copies of the coefficients; the header says what the fit reported.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    TypeError
        If it is not a linear estimator of fastsum.
    """
    ours = type(estimator).__module__.partition(".")[0] == "fastsum"
    if not (ours and isinstance(estimator, BaseEstimator)):
        raise TypeError(
            "model must be a FittedModel or a fitted estimator of fastsum, "
            f"got {type(estimator).__name__}; for another linear model build "
            "FittedModel(coef, intercept, classes, loss)."
        )
    check_is_fitted(estimator, "coef_")
    stored = estimator.coef_
    if sp.issparse(stored) and not is_wide(stored.shape[1], stored.nnz // stored.shape[0]):
        stored = stored.toarray()
    classes = np.array(estimator.classes_) if is_classifier(estimator) else None
    if sp.issparse(stored):
        coef_rows, one = sp.csr_array(stored, copy=True), stored.shape[0] == 1
    else:
        coef_rows, one = np.array(np.atleast_2d(stored)), np.ndim(stored) == 1
    intercept = np.zeros(coef_rows.shape[0], dtype=coef_rows.dtype)
    intercept[:] = estimator.intercept_
    names = getattr(estimator, "feature_names_in_", None)
    header = _header(estimator)
    if classes is None:
        header["target_ndim"] = 1 if one else 2
    return FittedModel(coef_rows, intercept, classes, estimator._loss_name(), header, names)


def _header(estimator: Any) -> dict[str, Any]:
    """Return what is known of the fit, in plain values."""
    found = {
        "estimator": type(estimator).__name__,
        "fit_intercept": bool(getattr(estimator, "fit_intercept", True)),
        "solver": getattr(estimator, "solver_", None),
        "status": getattr(estimator, "status_", None),
        "objective": getattr(estimator, "objective_", None),
        "dual_gap": getattr(estimator, "dual_gap_", None),
        "loss_param": get_loss(
            estimator._loss_name(), getattr(estimator, "loss_param", None)
        ).param,
        "scale": getattr(estimator, "scale_", None),
    }
    n_iter = getattr(estimator, "n_iter_", None)
    if n_iter is not None:
        found["n_iter"] = int(np.max(n_iter))
    header = {key: _plain(value) for key, value in found.items() if value is not None}
    return {**header, **_penalty(estimator)}


def _penalty(estimator: Any) -> dict[str, Any]:
    """Return l1_ratio and alpha, or alpha times the weight of all samples if that is stated.

    The drop-ins with C, and Ridge, state their penalty for the sum of the losses; the number of
    samples that would turn it into alpha is not kept by a fit.
    """
    alpha, l1_ratio = estimator._strengths(1.0)
    if np.ndim(alpha) > 0:  # one strength a target
        return {"l1_ratio": float(l1_ratio)}
    for_the_mean = estimator._strengths(2.0)[0] == alpha
    name = "alpha" if for_the_mean else "total_penalty"
    return {name: float(alpha), "l1_ratio": float(l1_ratio)}


def _plain(value: Any) -> Any:
    """Return `value` as JSON has it."""
    if isinstance(value, str):
        return str(value)
    return np.asarray(value).tolist()
