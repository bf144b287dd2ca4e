"""The scikit-learn estimators that predict what a fitted model predicts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from fastsum.losses import LOSSES

if TYPE_CHECKING:
    from .fitted_model import FittedModel


def sklearn_twin(model: FittedModel) -> Any:
    """Return a fitted scikit-learn estimator with the model's coefficients.

    Parameters
    ----------
    model : FittedModel
        The model.

    Returns
    -------
    estimator : scikit-learn estimator
        See `FittedModel.to_sklearn`.
    """
    if sp.issparse(model.coef):
        raise ValueError(
            f"scikit-learn's estimators hold dense coefficients, of {model.n_features:,} columns "
            "here: use the model's own predict, or "
            "dataclasses.replace(model, coef=model.coef.toarray()).to_sklearn()"
        )
    coef, intercept = model.coef.copy(), model.intercept.copy()
    if model.classes is None:
        return _regressor(model, coef, intercept)
    if model.loss in ("squared_hinge", "smoothed_hinge", "hinge"):
        return _fill(_linear_svc(model), model, coef, intercept)
    if len(model.classes) == 2 and len(coef) == 2:
        # Two softmax outputs: scikit-learn stores their difference.
        coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
    if model.loss == "logistic" and len(coef) > 1:
        return _one_vs_rest(model, coef, intercept)
    return _fill(_logistic(model), model, coef, intercept)


def _regressor(model: FittedModel, coef: npt.NDArray[Any], intercept: npt.NDArray[Any]) -> Any:
    """Return Ridge, Lasso or ElasticNet, whichever has the penalty; SGDRegressor for Huber."""
    from sklearn._loss import HalfPoissonLoss
    from sklearn.linear_model import ElasticNet, Lasso, PoissonRegressor, Ridge

    alpha, l1_ratio = model.header.get("alpha"), model.header.get("l1_ratio") or 0.0
    with_intercept = _has_intercept(model)
    single = len(coef) == 1 and model.header.get("target_ndim", 1) == 1
    if model.loss == "poisson":
        if not single:
            raise ValueError("scikit-learn's PoissonRegressor has one target")
        given = {} if alpha is None else {"alpha": alpha}
        twin = PoissonRegressor(fit_intercept=with_intercept, **given)
        twin = _fill(twin, model, coef[0], intercept[0])
        twin._base_loss = HalfPoissonLoss()  # what its predict asks for the link
        return twin
    if model.loss == "huber" and single:
        return _fill(_sgd(model), model, coef[0], intercept)
    if l1_ratio == 0.0:
        total = _total_penalty(model)
        twin = Ridge(alpha=1.0 if total is None else total, fit_intercept=with_intercept)
    elif l1_ratio == 1.0:
        twin = Lasso(alpha=1.0 if alpha is None else alpha, fit_intercept=with_intercept)
    else:
        twin = ElasticNet(
            alpha=1.0 if alpha is None else alpha,
            l1_ratio=l1_ratio,
            fit_intercept=with_intercept,
        )
    if single:
        return _fill(twin, model, coef[0], intercept[0])
    return _fill(twin, model, coef, intercept)


def _sgd(model: FittedModel) -> Any:
    """Return SGDRegressor, whose Huber loss is ours (HuberRegressor estimates a scale beside)."""
    from sklearn.linear_model import SGDRegressor

    known = {name: model.header.get(name) for name in ("alpha", "l1_ratio", "loss_param")}
    given = {name: value for name, value in known.items() if value is not None}
    return SGDRegressor(
        loss="huber",
        penalty="elasticnet",
        alpha=given.get("alpha", 1e-4),
        l1_ratio=given.get("l1_ratio", 0.0),
        epsilon=given.get("loss_param", LOSSES["huber"].default_param),
        fit_intercept=_has_intercept(model),
    )


def _linear_svc(model: FittedModel) -> Any:
    from sklearn.svm import LinearSVC

    if model.loss == "smoothed_hinge":  # not among scikit-learn's: it predicts, a refit differs
        return LinearSVC(loss="hinge", fit_intercept=_has_intercept(model))
    # a refit penalises the intercept
    return LinearSVC(
        loss=model.loss, C=_inverse_strength(model), fit_intercept=_has_intercept(model)
    )


def _logistic(model: FittedModel) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=_inverse_strength(model), fit_intercept=_has_intercept(model))


def _one_vs_rest(model: FittedModel, coef: npt.NDArray[Any], intercept: npt.NDArray[Any]) -> Any:
    """Return one binary logistic regression per class, as scikit-learn joins them."""
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.preprocessing import LabelBinarizer

    twin = OneVsRestClassifier(_logistic(model))
    twin.label_binarizer_ = LabelBinarizer(sparse_output=True).fit(model.classes)
    twin.classes_ = twin.label_binarizer_.classes_
    twin.n_features_in_ = model.n_features
    twin.estimators_ = []
    for row, shift in zip(coef, intercept, strict=True):
        part = _logistic(model)
        part.coef_, part.intercept_ = row[np.newaxis], np.array([shift])
        part.classes_, part.n_features_in_ = np.array([0, 1]), model.n_features
        part.n_iter_ = np.array([0])
        twin.estimators_.append(part)
    return twin


def _fill(twin: Any, model: FittedModel, coef: Any, intercept: Any) -> Any:
    """Give an unfitted scikit-learn estimator its fitted attributes."""
    twin.coef_, twin.intercept_ = coef, intercept
    twin.n_features_in_ = model.n_features
    if model.classes is not None:
        twin.classes_ = model.classes.copy()
    if model.feature_names is not None:
        twin.feature_names_in_ = model.feature_names.astype(object)
    n_iter = int(model.header.get("n_iter") or 0)
    twin.n_iter_ = np.array([n_iter], dtype=np.int32) if model.classes is not None else n_iter
    return twin


def _inverse_strength(model: FittedModel) -> float:
    """Return C of the same l2 penalty, or scikit-learn's default if that is not known."""
    total = _total_penalty(model)
    if total is None or model.header.get("l1_ratio"):
        return 1.0
    return 1.0 / total if total > 0 else math.inf


def _total_penalty(model: FittedModel) -> float | None:
    """Return alpha times the number of samples: the penalty beside the sum of the losses."""
    header = model.header
    if header.get("total_penalty") is not None:
        return float(header["total_penalty"])
    if header.get("alpha") is None or header.get("n_samples") is None:
        return None
    return float(header["alpha"] * header["n_samples"])


def _has_intercept(model: FittedModel) -> bool:
    return bool(model.header.get("fit_intercept", True))
