from benchmark_utils.base import LinearSolver


class Solver(LinearSolver):
    """Our engine, `fastsum.minimize`; the Problem is made in the timed part, as by an estimator."""

    name = "fastsum"
    module = "fastsum"
    parameters = {"solver": ["auto", "saga", "svrg"]}  # noqa: RUF012
    requirements = ("pip::fastsum",)

    def run(self, tol):
        import fastsum

        problem = fastsum.Problem(
            self.X,
            self.y,
            loss=self.loss,
            alpha=self.alpha,
            l1_ratio=self.l1_ratio,
            fit_intercept=self.fit_intercept,
        )
        result = fastsum.minimize(
            problem,
            self.solver,
            tol=min(tol, 1.0),
            max_iter=100_000,
            n_jobs=self.n_threads,
            random_state=0,
        )
        self.coef, self.intercept, self.certified = result.coef, result.intercept, result.dual_gap
