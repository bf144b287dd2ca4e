import numpy as np
from benchmark_utils.base import LinearSolver
from scipy.sparse import csc_matrix, issparse


class Solver(LinearSolver):
    """adelie's elastic net at one strength."""

    name = "adelie"
    module = "adelie"
    parameters = {"solver": ["grpnet"]}  # noqa: RUF012
    requirements = ("pip::adelie",)

    def unsupported(self, X, l1_ratio, loss, **_):
        if X.dtype != "float64":
            return "adelie in float64 here"
        return None if l1_ratio else "adelie is for l1 and the elastic net"

    def set_objective(self, **problem):
        import adelie

        super().set_objective(**problem)
        if issparse(self.X):
            matrix = csc_matrix(self.X)
            matrix.indices = matrix.indices.astype(np.int32)
            matrix.indptr = matrix.indptr.astype(np.int32)
            self.rows = adelie.matrix.sparse(matrix, method="naive", n_threads=self.n_threads)
        else:
            self.rows = adelie.matrix.dense(
                np.asfortranarray(self.X), method="naive", n_threads=self.n_threads
            )
        if self.loss == "squared":
            self.glm = adelie.glm.gaussian(self.y)
        elif self.loss == "logistic":
            self.glm = adelie.glm.binomial((self.y > 0).astype(np.float64))
        else:
            classes = np.arange(int(self.y.max()) + 1)
            self.glm = adelie.glm.multinomial((self.y[:, None] == classes).astype(np.float64))

    def run(self, tol):
        import adelie

        options = {"tol": 1e-2 * tol, "irls_tol": 1e-2 * tol}
        if self.loss == "multinomial":
            options["groups"] = "ungrouped"
        state = adelie.grpnet(
            X=self.rows,
            glm=self.glm,
            alpha=self.l1_ratio,
            lmda_path=np.array([self.alpha]),
            intercept=self.fit_intercept,
            n_threads=self.n_threads,
            early_exit=False,
            progress_bar=False,
            **options,
        )
        coef = np.asarray(state.betas[-1].todense()).ravel()
        b = np.ravel(state.intercepts[-1])
        if self.loss == "multinomial":
            coef = coef.reshape(self.X.shape[1], -1)
        self.coef, self.intercept = coef, float(b[0]) if b.size == 1 else b
