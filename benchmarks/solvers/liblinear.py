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

    def ladder(self):
        """Its dual tolerance is on a sum over all rows: 1 is accurate on many of them."""
        return [1e3, 1e2, 10.0, *super().ladder()] if self.solver == "dual" else super().ladder()

    def set_objective(self, **problem):
        from liblinear.liblinearutil import problem as Rows

        super().set_objective(**problem)
        self.rows = Rows(self.y, csr_matrix(self.X, dtype=np.float64), bias=-1)

    def run(self, tol):
        from liblinear.liblinearutil import parameter, train

        C = 1.0 / (self.alpha * self.n)
        settings = f"-s {TYPES[self.solver][0]} -c {C!r} -e {tol!r} -q"
        model = train(self.rows, parameter(settings))
        w = np.ctypeslib.as_array(model.w, shape=(model.nr_feature,)) * model.get_labels()[0]
        self.coef, self.intercept = np.zeros(self.X.shape[1]), 0.0
        self.coef[: len(w)] = w
