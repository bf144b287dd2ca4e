import numpy as np
from benchmark_utils.base import LinearSolver
from scipy.sparse import csr_matrix

# variant: (-s, l1_ratio)
TYPES = {"primal": (0, 0.0), "dual": (7, 0.0), "l1": (6, 1.0)}


class Solver(LinearSolver):
    """liblinear's own package; its rows are converted before the clock starts."""

    name = "liblinear"
    module = "liblinear"
    parameters = {"solver": list(TYPES)}  # noqa: RUF012
    requirements = ("pip::liblinear-official",)

    def unsupported(self, loss, l1_ratio, fit_intercept, **_):
        if loss != "logistic":
            return "logistic only here"
        if l1_ratio != TYPES[self.solver][1]:
            return "another penalty"
        return "liblinear penalises the intercept: another problem" if fit_intercept else None

    def set_objective(self, **problem):
        from liblinear.liblinearutil import problem as Rows

        super().set_objective(**problem)
        self.rows = Rows(self.y, csr_matrix(self.X, dtype=np.float64), bias=-1)

    def run(self, tol):
        from liblinear.liblinearutil import parameter, train

        C = 1.0 / (self.alpha * self.n)
        settings = f"-s {TYPES[self.solver][0]} -c {C!r} -e {min(tol, 1.0)!r} -q"
        model = train(self.rows, parameter(settings))
        w = np.ctypeslib.as_array(model.w, shape=(model.nr_feature,)) * model.get_labels()[0]
        self.coef, self.intercept = np.zeros(self.X.shape[1]), 0.0
        self.coef[: len(w)] = w
