import numpy as np
from benchmark_utils.base import LinearSolver, penalty_name
from scipy.sparse import issparse


class Solver(LinearSolver):
    """cyanure: its own choice of solver, by iterations or its gap; l1 with an active set."""

    name = "cyanure"
    module = "cyanure"
    parameters = {"solver": ["auto", "auto-tol", "active-set"]}  # noqa: RUF012
    requirements = ("pip::cyanure",)

    @property
    def sampling_strategy(self):
        return "iteration" if self.solver == "auto" else "tolerance"

    def unsupported(self, X, loss, l1_ratio, **_):
        if self.solver == "active-set" and (l1_ratio != 1.0 or X.shape[1] <= 1000):
            return "cyanure has an active set for l1 beyond 1000 features"
        if self.solver == "active-set" and loss == "multinomial":
            return "cyanure's active set is for one output"
        return None

    def set_objective(self, **problem):
        super().set_objective(**problem)
        if not issparse(self.X):
            self.X = np.asfortranarray(self.X)  # what it would convert to in every fit
        self.labels = self.y.astype(self.X.dtype)

    def run(self, knob):
        from cyanure import estimators

        penalty = penalty_name(self.l1_ratio)
        l1, l2 = self.alpha * self.l1_ratio, self.alpha * (1 - self.l1_ratio)
        options = {
            "lambda_1": l2 if penalty == "l2" else l1,
            "solver": "auto",
            "fit_intercept": self.fit_intercept,
            "n_threads": self.n_threads,
            "verbose": False,
        }
        if self.solver == "active-set":
            options |= {"tol": min(knob, 1.0), "max_iter": 20_000}
            kind = estimators.Lasso if self.loss == "squared" else estimators.L1Logistic
        else:
            if self.solver == "auto":  # the iterations decide: a check of the gap costs time
                options |= {"tol": 1e-12, "max_iter": int(knob), "duality_gap_interval": 10**6}
            else:
                options |= {"tol": min(knob, 1.0), "max_iter": 20_000}
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
