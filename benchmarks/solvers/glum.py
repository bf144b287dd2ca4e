from benchmark_utils.base import LinearSolver

WIDE = 5000  # its Hessian is d x d


class Solver(LinearSolver):
    """glum: iteratively reweighted least squares (coordinate descent with l1), and L-BFGS."""

    name = "glum"
    module = "glum"
    parameters = {"solver": ["irls", "lbfgs"]}  # noqa: RUF012
    requirements = ("pip::glum",)

    def unsupported(self, X, loss, l1_ratio, **_):
        if loss == "multinomial":
            return "glum has no softmax"
        if self.solver == "irls" and X.shape[1] > WIDE:
            return f"glum's irls makes a {X.shape[1]} x {X.shape[1]} Hessian"
        if self.solver == "lbfgs" and l1_ratio:
            return "lbfgs is for l2"
        return None

    def compile(self, **_):
        import glum  # noqa: F401 (a second of imports)

    def set_objective(self, **problem):
        super().set_objective(**problem)
        self.target = self.y if self.loss == "squared" else (self.y > 0).astype(self.X.dtype)

    def run(self, tol):
        import glum

        solver = self.solver
        if solver == "irls":
            solver = "irls-cd" if self.l1_ratio else "irls-ls"
        model = glum.GeneralizedLinearRegressor(
            family="normal" if self.loss == "squared" else "binomial",
            alpha=self.alpha,
            l1_ratio=self.l1_ratio,
            fit_intercept=self.fit_intercept,
            solver=solver,
            gradient_tol=min(tol, 1.0),
            max_iter=10_000,
        )
        self.keep(model.fit(self.X, self.target))
