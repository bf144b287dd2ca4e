from benchmark_utils.base import LinearSolver, penalty_name


class Solver(LinearSolver):
    name = "snapml"
    module = "snapml"
    parameters = {"solver": ["dual", "primal"]}  # noqa: RUF012
    requirements = ("pip::snapml",)

    def unsupported(self, loss, l1_ratio, fit_intercept, **_):
        if loss == "multinomial":
            return "snapml has no softmax"
        if fit_intercept:
            return "snapml penalises the intercept: another problem"
        if penalty_name(l1_ratio) == "elasticnet":
            return "snapml has no elastic net"
        if l1_ratio == 1.0 and self.solver == "dual":
            return "l1 is for the primal"
        return None

    def run(self, tol):
        import snapml

        kind = snapml.LinearRegression if self.loss == "squared" else snapml.LogisticRegression
        model = kind(
            regularizer=self.alpha * self.n,
            penalty=penalty_name(self.l1_ratio),
            dual=self.solver == "dual",
            tol=min(tol, 1.0),
            max_iter=10_000,
            n_jobs=self.n_threads,
            fit_intercept=False,
        )
        self.keep(model.fit(self.X, self.y))
