from benchmark_utils.base import LinearSolver


class Solver(LinearSolver):
    """Our estimators with their defaults, as a user calls them: validation is in their time."""

    name = "fastsum estimators"
    module = "fastsum"
    parameters = {"solver": [""]}  # noqa: RUF012
    requirements = ("pip::fastsum",)

    def run(self, tol):
        import fastsum

        shared = {
            "tol": min(tol, 1.0),
            "max_iter": 100_000,
            "fit_intercept": self.fit_intercept,
            "n_jobs": self.n_threads,
            "random_state": 0,
        }
        if self.loss != "squared":
            C = 1.0 / (self.alpha * self.n)
            model = fastsum.LogisticRegression(C=C, l1_ratio=self.l1_ratio, **shared)
        elif not self.l1_ratio:
            model = fastsum.Ridge(alpha=self.alpha * self.n, **shared)
        elif self.l1_ratio == 1.0:
            model = fastsum.Lasso(alpha=self.alpha, **shared)
        else:
            model = fastsum.ElasticNet(alpha=self.alpha, l1_ratio=self.l1_ratio, **shared)
        self.keep(model.fit(self.X, self.y))
