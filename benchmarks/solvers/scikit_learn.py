from benchmark_utils.base import LinearSolver, penalty_name
from scipy.sparse import issparse

# What LogisticRegression's solvers minimise without penalising the intercept.
PENALTIES = {
    "saga": {"l1", "l2", "elasticnet"},
    "sag": {"l2"},
    "lbfgs": {"l2"},
    "newton-cg": {"l2"},
    "newton-cholesky": {"l2"},
    "liblinear": {"l1", "l2"},
}
ITERATES = ("saga", "sag", "lbfgs", "newton-cg", "newton-cholesky")
RIDGES = ("ridge", "ridge-lsqr", "ridge-sparse_cg")  # the first chooses itself
WIDE = 5000  # newton-cholesky's Hessian is d x d


class Solver(LinearSolver):
    """scikit-learn: LogisticRegression, Ridge (its own solver choice) and coordinate descent."""

    name = "scikit-learn"
    module = "sklearn"
    parameters = {"solver": [*ITERATES, "liblinear", "cd", *RIDGES]}  # noqa: RUF012
    requirements = ("pip::scikit-learn",)

    @property
    def sampling_strategy(self):
        return "iteration" if self.solver in ITERATES else "tolerance"

    def unsupported(self, X, loss, l1_ratio, fit_intercept, **_):
        squared = loss == "squared"
        if self.solver == "cd":
            return None if squared and l1_ratio else "coordinate descent is for lasso, elastic net"
        if self.solver in RIDGES:
            return None if squared and not l1_ratio else "Ridge is for the squared loss with l2"
        if squared:
            return f"{self.solver} is a classifier's solver here"
        if penalty_name(l1_ratio) not in PENALTIES[self.solver]:
            return f"{self.solver} does not have the penalty {penalty_name(l1_ratio)}"
        if self.solver == "liblinear" and fit_intercept:
            return "liblinear penalises the intercept: another problem"
        if self.solver == "liblinear" and loss == "multinomial":
            return "liblinear has no softmax"
        if self.solver == "newton-cholesky" and X.shape[1] > WIDE:
            return f"newton-cholesky makes a {X.shape[1]} x {X.shape[1]} Hessian"
        return None

    def set_objective(self, **problem):
        super().set_objective(**problem)
        self.labels = self.y if self.loss == "squared" else self.y.astype(int)
        if self.solver == "cd" and issparse(self.X):
            self.X = self.X.tocsc()  # what it would convert to in every fit

    def run(self, knob):
        from sklearn import linear_model

        shared = {"fit_intercept": self.fit_intercept}
        if self.solver == "cd":
            shared |= {"l1_ratio": self.l1_ratio, "max_iter": 10**6}
            model = linear_model.ElasticNet(alpha=self.alpha, tol=min(knob, 1.0), **shared)
        elif self.solver in RIDGES:
            shared |= {"solver": self.solver.removeprefix("ridge").strip("-") or "auto"}
            model = linear_model.Ridge(alpha=self.alpha * self.n, tol=min(knob, 1.0), **shared)
        else:
            model = self._logistic(knob, shared)
        self.keep(model.fit(self.X, self.labels))

    def _logistic(self, knob, shared):
        from sklearn.linear_model import LogisticRegression

        iterates = self.solver in ITERATES
        options = {
            "C": 1.0 / (self.alpha * self.n),
            "solver": self.solver,
            "tol": 1e-14 if iterates else min(knob, 1.0),
            "max_iter": max(int(knob), 1) if iterates else 100_000,
            "random_state": 0,
            **shared,
            **penalty_options(self.l1_ratio),
        }
        return LogisticRegression(**options)


def penalty_options(l1_ratio):
    """l1_ratio, with the name of the penalty where scikit-learn is older than 1.8."""
    import sklearn

    if tuple(int(part) for part in sklearn.__version__.split(".")[:2]) >= (1, 8):
        return {"l1_ratio": l1_ratio}
    name = penalty_name(l1_ratio)
    return {"penalty": name} | ({"l1_ratio": l1_ratio} if name == "elasticnet" else {})
