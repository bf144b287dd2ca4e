"""Our estimators as scikit-learn's tests call them.

What differs is said here and nowhere else: names of solvers, hints on how to compute, and, where
`table.toml` asks for it, `tol` and `max_iter`. No answer is touched.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import sklearn.linear_model
import sklearn.svm
from sklearn.linear_model._base import LinearClassifierMixin

import fastsum

SOLVERS = ("auto", "saga", "svrg")
# Upstream tests that name the solver of a case see these: strings that no branch of theirs knows,
# so that none of the concessions they make to their own sag and saga is taken.
ALIASES = {f"fastsum-{name}": name for name in SOLVERS}
# Solvers of scikit-learn's that a test names to compare with: theirs is kept as the reference.
REFERENCES = {
    "liblinear", "lbfgs", "newton-cg", "newton-cholesky",
    "svd", "cholesky", "lsqr", "sparse_cg",
}  # fmt: skip


@dataclass
class Run:
    """What holds for all fits of the test that runs now.

    solver: for fits that name none of ours.  tol: a number, "same" or "square".
    max_iter: at least so many passes, unless the test asks for fewer than 10 on purpose.
    references: whether a solver of scikit-learn's that the test names stays scikit-learn's.
    """

    active: bool = False
    solver: str = "auto"
    tol: float | str = "same"
    max_iter: int = 0
    references: bool = True


RUN = Run()


@contextmanager
def running(**settings: Any):
    before = dict(vars(RUN))
    vars(RUN).update(settings, active=True)
    try:
        yield
    finally:
        vars(RUN).update(before)


def skip_if_multi_class(cls: type, params: dict[str, Any]) -> None:
    if "multi_class" in params and "multi_class" not in cls._get_param_names():
        pytest.skip("uses multi_class of scikit-learn before 1.8, no parameter of ours")


class Peer:
    """Mixed into our estimators: translate, fit, give the parameters back as they were asked."""

    upstream: type

    def __new__(cls, *args: Any, **params: Any):
        ours = cls._get_param_names()
        if "multi_class" in params and "multi_class" not in ours and not RUN.active:
            return cls.upstream(*args, **params)
        skip_if_multi_class(cls, params)
        if RUN.references and params.get("solver") in REFERENCES:
            return cls.upstream(*args, **params)
        return super().__new__(cls)

    def set_params(self, **params: Any):
        skip_if_multi_class(type(self), params)
        return super().set_params(**params)

    def fit(self, X: Any, y: Any, sample_weight: Any = None, check_input: bool = True, **params):
        asked = self.get_params(deep=False)
        self.set_params(**self.translated(asked))
        try:
            super().fit(X, y, sample_weight=sample_weight, **params)
        finally:
            self.set_params(**asked)
        if ALIASES.get(asked["solver"]) == getattr(self, "solver_", ""):
            self.solver_ = asked["solver"]
        return self

    def translated(self, asked: dict[str, Any]) -> dict[str, Any]:
        new = {"solver": ALIASES.get(asked["solver"], RUN.solver)}
        if RUN.tol == "square":
            new["tol"] = asked["tol"] ** 2
        elif RUN.tol != "same":
            new["tol"] = min(RUN.tol, asked["tol"])
        if asked["max_iter"] is None or asked["max_iter"] >= 10:
            new["max_iter"] = max(RUN.max_iter, asked["max_iter"] or 1000)
        if asked["random_state"] is None:  # most of theirs draw nothing and repeat themselves
            new["random_state"] = 0
        if "precompute" in asked:  # hints on how to compute, not on what
            new.update(precompute=False, selection="cyclic")
        return new


class LogisticRegression(Peer, fastsum.LogisticRegression):
    upstream = sklearn.linear_model.LogisticRegression
    _predict_proba_lr = LinearClassifierMixin._predict_proba_lr  # private; one test calls it

    def translated(self, asked):
        new = super().translated(asked)
        penalty = asked["penalty"]
        new["penalty"] = "deprecated"
        if penalty is None:
            new["C"] = np.inf
        elif penalty in ("l1", "l2"):
            new["l1_ratio"] = float(penalty == "l1")
        elif asked["l1_ratio"] is None:
            new["l1_ratio"] = 0.0
        return new


class Ridge(Peer, fastsum.Ridge):
    upstream = sklearn.linear_model.Ridge


class Lasso(Peer, fastsum.Lasso):
    upstream = sklearn.linear_model.Lasso


class ElasticNet(Peer, fastsum.ElasticNet):
    upstream = sklearn.linear_model.ElasticNet


class MultiTask(Peer):
    def translated(self, asked):
        return {**super().translated(asked), "selection": "cyclic"}


class MultiTaskLasso(MultiTask, fastsum.MultiTaskLasso):
    upstream = sklearn.linear_model.MultiTaskLasso


class MultiTaskElasticNet(MultiTask, fastsum.MultiTaskElasticNet):
    upstream = sklearn.linear_model.MultiTaskElasticNet


class LogisticRegressionCV(Peer, fastsum.LogisticRegressionCV):
    upstream = sklearn.linear_model.LogisticRegressionCV

    def __new__(cls, *args, **params):
        new = super().__new__(cls, *args, **params)
        new._asks_for_l1_ratios = params.get("l1_ratios") is not None
        return new

    def fit(self, X, y, sample_weight=None, **params):
        super().fit(X, y, sample_weight=sample_weight, **params)
        if self.use_legacy_attributes is True:
            self.in_legacy_shapes()
        return self

    def translated(self, asked):
        new = super().translated(asked)
        ratios = (0.0,) if asked["l1_ratios"] is None else asked["l1_ratios"]
        return {**new, "l1_ratios": ratios, "use_legacy_attributes": False}

    def in_legacy_shapes(self):
        """The attributes by class and with C before l1_ratio, as scikit-learn has them to 1.9."""
        keys = self.classes_[1:] if len(self.classes_) == 2 else self.classes_
        at = slice(None) if self._asks_for_l1_ratios else 0
        scores = np.swapaxes(self.scores_, 1, 2)[:, :, at]
        paths = np.moveaxis(self.coefs_paths_, (3, 0, 2, 1), (0, 1, 2, 3))[:, :, :, at]
        self.scores_ = dict.fromkeys(keys, scores)
        self.coefs_paths_ = dict(zip(keys, paths, strict=True))
        self.n_iter_ = np.swapaxes(self.n_iter_, 1, 2)[None, :, :, at]
        self.C_, self.l1_ratio_ = np.full(len(keys), self.C_), np.full(len(keys), self.l1_ratio_)


class RidgeCV(Peer, fastsum.RidgeCV):
    upstream = sklearn.linear_model.RidgeCV


class LassoCV(Peer, fastsum.LassoCV):
    upstream = sklearn.linear_model.LassoCV


class ElasticNetCV(Peer, fastsum.ElasticNetCV):
    upstream = sklearn.linear_model.ElasticNetCV


class LinearSVC(Peer, fastsum.LinearSVC):
    upstream = sklearn.svm.LinearSVC


class PoissonRegressor(Peer, fastsum.PoissonRegressor):
    upstream = sklearn.linear_model.PoissonRegressor
    _get_loss = upstream._get_loss  # private; the tests make their optima with it


class HuberRegressor(Peer, fastsum.HuberRegressor):
    upstream = sklearn.linear_model.HuberRegressor


REGRESSORS = (Ridge, Lasso, ElasticNet, MultiTaskLasso, MultiTaskElasticNet, PoissonRegressor)
PLAIN = (LogisticRegression, LinearSVC, HuberRegressor, *REGRESSORS)
WITH_CV = (LogisticRegressionCV, RidgeCV, LassoCV, ElasticNetCV)
OURS = {c.__name__: c for c in (*PLAIN, *WITH_CV)}
