from typing import ClassVar

import numpy as np
from benchmark_utils.base import LinearSolver
from scipy.sparse import csr_matrix, issparse


class Solver(LinearSolver):
    """skglm; an untimed fit compiles its loops, those of late iterations too."""

    compiled: ClassVar[set] = set()

    name = "skglm"
    module = "skglm"
    parameters = {"solver": ["working-set"]}  # noqa: RUF012
    requirements = ("pip::skglm",)

    def unsupported(self, loss, l1_ratio, **_):
        if not l1_ratio:
            return "skglm's estimators are for l1 and the elastic net"
        return "skglm has no softmax" if loss == "multinomial" else None

    def set_objective(self, **problem):
        super().set_objective(**problem)
        if issparse(self.X):
            self.X = self.X.tocsc()  # what it would convert to in every fit

    def compile(self, X, y, loss, l1_ratio, **problem):
        kind = (issparse(X), str(X.dtype), loss, l1_ratio)
        if kind in self.compiled:
            return
        self.compiled.add(kind)
        rng = np.random.default_rng(0)
        few = rng.standard_normal((40, 60)).astype(X.dtype)
        labels = np.sign(few[:, 0] + rng.standard_normal(40))
        small = {**problem, "loss": loss, "l1_ratio": l1_ratio, "alpha": 0.01}
        self.set_objective(X=csr_matrix(few) if issparse(X) else few, y=labels, **small)
        self.run(1e-8)

    def run(self, tol):
        import skglm

        shared = {"alpha": self.alpha, "tol": min(tol, 1.0), "fit_intercept": self.fit_intercept}
        if self.loss == "logistic":
            model = skglm.SparseLogisticRegression(l1_ratio=self.l1_ratio, max_iter=1000, **shared)
        elif self.l1_ratio == 1.0:
            model = skglm.Lasso(max_iter=1000, **shared)
        else:
            model = skglm.ElasticNet(l1_ratio=self.l1_ratio, max_iter=1000, **shared)
        self.keep(model.fit(self.X, self.y))
