from benchmark_utils.base import LinearSolver
from scipy.sparse import issparse


class Solver(LinearSolver):
    """skglm; an untimed fit compiles its loops, those of late iterations too."""

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
        self.run(1e-6)

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
