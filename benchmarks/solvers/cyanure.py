import numpy as np
from benchmark_utils.base import LinearSolver, penalty_name
from scipy.sparse import issparse


class Solver(LinearSolver):
    name = "cyanure"
    module = "cyanure"
    parameters = {"solver": ["auto"]}  # noqa: RUF012
    requirements = ("pip::cyanure",)

    def set_objective(self, **problem):
        super().set_objective(**problem)
        if not issparse(self.X):
            self.X = np.asfortranarray(self.X)  # what it would convert to in every fit
        self.labels = self.y.astype(self.X.dtype)

    def run(self, tol):
        from cyanure import estimators

        penalty = penalty_name(self.l1_ratio)
        l1, l2 = self.alpha * self.l1_ratio, self.alpha * (1 - self.l1_ratio)
        options = {
            "lambda_1": l2 if penalty == "l2" else l1,
            "solver": self.solver,
            "tol": min(tol, 1.0),
            "max_iter": 20_000,
            "fit_intercept": self.fit_intercept,
            "n_threads": self.n_threads,
            "verbose": False,
        }
        if penalty == "l1":  # these two have an active set
            kind = estimators.Lasso if self.loss == "squared" else estimators.L1Logistic
        else:
            options |= {"penalty": penalty, "lambda_2": l2}
            kind = estimators.Regression
            if self.loss != "squared":
                kind = estimators.Classifier
                options["loss"] = {"multinomial": "multiclass-logistic"}.get(self.loss, self.loss)
        model = kind(**options)
        model.fit(self.X, self.labels)
        coef = np.asarray(model.coef_)
        self.coef = coef if self.loss == "multinomial" else coef.ravel()
        b = np.ravel(model.intercept_) if self.fit_intercept else np.zeros(1)
        self.intercept = b if b.size > 1 else float(b[0])
