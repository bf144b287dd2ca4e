from benchmark_utils.base import LinearSolver
from scipy.sparse import issparse


class Solver(LinearSolver):
    name = "celer"
    module = "celer"
    parameters = {"solver": ["working-set"]}  # noqa: RUF012
    requirements = ("pip::celer",)

    def unsupported(self, X, loss, l1_ratio, fit_intercept, **_):
        if not l1_ratio or (loss == "logistic" and l1_ratio != 1.0):
            return "celer is for l1 (and the elastic net with the squared loss)"
        if loss == "multinomial":
            return "celer has no softmax"
        if loss == "logistic" and (fit_intercept or X.dtype != "float64"):
            return "celer's logistic regression has no intercept and is float64 only"
        return None

    def set_objective(self, **problem):
        super().set_objective(**problem)
        if issparse(self.X):
            self.X = self.X.tocsc()  # what it would convert to in every fit

    def run(self, tol):
        import celer

        shared = {"tol": min(tol, 1.0), "max_iter": 1000, "fit_intercept": self.fit_intercept}
        if self.loss == "logistic":
            model = celer.LogisticRegression(C=1.0 / (self.alpha * self.n), **shared)
        elif self.l1_ratio == 1.0:
            model = celer.Lasso(alpha=self.alpha, **shared)
        else:
            model = celer.ElasticNet(alpha=self.alpha, l1_ratio=self.l1_ratio, **shared)
        self.keep(model.fit(self.X, self.y))
