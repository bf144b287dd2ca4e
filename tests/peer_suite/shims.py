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
    """

    active: bool = False
    solver: str = "auto"
    tol: float | str = "same"
    max_iter: int = 0


RUN = Run()


@contextmanager
def running(**settings: Any):
    before = dict(vars(RUN))
    vars(RUN).update(settings, active=True)
    try:
        yield
    finally:
        vars(RUN).update(before)


def skip_if_multi_class(params: dict[str, Any]) -> None:
    if "multi_class" in params:
        pytest.skip("uses multi_class of scikit-learn before 1.8, no parameter of ours")


class Peer:
    """Mixed into our estimators: translate, fit, give the parameters back as they were asked."""

    upstream: type

    def __new__(cls, *args: Any, **params: Any):
        if "multi_class" in params and not RUN.active:
            return cls.upstream(*args, **params)
        skip_if_multi_class(params)
        if params.get("solver") in REFERENCES:
            return cls.upstream(*args, **params)
        return super().__new__(cls)

    def set_params(self, **params: Any):
        skip_if_multi_class(params)
        return super().set_params(**params)

    def fit(self, X: Any, y: Any, sample_weight: Any = None, check_input: bool = True):
        asked = self.get_params(deep=False)
        self.set_params(**self.translated(asked))
        try:
            super().fit(X, y, sample_weight=sample_weight)
        finally:
            self.set_params(**asked)
        if ALIASES.get(asked["solver"]) == self.solver_:
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


class LogisticRegressionCV(sklearn.linear_model.LogisticRegressionCV):
    """scikit-learn's own, the other side of a comparison; newton-cholesky where we are named."""

    def fit(self, X, y, sample_weight=None, **params):
        solver = self.solver
        if solver in ALIASES:
            self.solver = "newton-cholesky"
        try:
            return super().fit(X, y, sample_weight=sample_weight, **params)
        finally:
            self.solver = solver


OURS = {c.__name__: c for c in (LogisticRegression, Ridge, Lasso, ElasticNet)}
SUBSTITUTES = {**OURS, "LogisticRegressionCV": LogisticRegressionCV}
