"""L-BFGS, scipy's, for coupled problems far from their optimum.

Softmax on nearly separable classes has a curvature that changes along every Newton step: the steps
are cut short and the products that made them are lost. A few dozen iterations of L-BFGS, one pass
each way over the data, come through that region; Newton ends the fit.

Source    Liu, Nocedal, Math. Programming 1989
"""

from __future__ import annotations

import numpy as np
import scipy.optimize

from fastsum._core import _kernels
from fastsum.certificate import Certificate
from fastsum.solvers.phases._phase import FloatArray, Phase, Weights
from fastsum.threads import blas_threads

ITERATIONS, MEMORY = 40, 10


class LBFGS(Phase):
    """Some iterations a call."""

    name = "l-bfgs"

    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """W after ITERATIONS iterations or the budget."""
        self._calls = 0
        options = {
            "maxiter": min(ITERATIONS, budget),
            "maxfun": budget,
            "maxcor": MEMORY,
            "ftol": 0.0,
            "gtol": 0.0,
        }
        with blas_threads(self.n_threads, W.size):
            result = scipy.optimize.minimize(
                self._value_and_gradient,
                W.astype(np.float64).ravel(),
                jac=True,
                method="L-BFGS-B",
                options=options,
            )
        moved = np.ascontiguousarray(result.x.reshape(W.shape), dtype=W.dtype)
        return moved, int(np.clip(self._calls, 1, budget))

    def _value_and_gradient(self, x: FloatArray) -> tuple[float, FloatArray]:
        """F and its gradient; one pass each way."""
        self._calls += 1
        problem, K = self.problem, self.problem.K
        W = x.reshape(-1, K)
        u = np.empty((problem.rows.n_rows, K))
        problem.rows.margins(W, self.n_threads, u)
        columns = problem.columns
        B, C = columns.n_problems, columns.n_outputs
        sums = np.zeros((self.n_threads, B + K * (1 + C)))
        work = np.empty(self.n_threads * (2 * K + C**2))
        _kernels.loss_terms(problem.task, u, np.zeros(K), u, False, sums, work, self.n_threads)
        s, S = problem.sample_weight, problem.total_weight
        r = u if s is None else u * s[:, None]
        g = np.empty_like(W)
        g[:-1] = problem.rows.transposed(r, self.n_threads) / S + problem.l2_each * W[:-1]
        g[-1] = r.sum(axis=0) / S if problem.fit_intercept else 0.0
        value = sums.sum(axis=0)[:B].sum() / S + 0.5 * float((problem.l2_each * W[:-1] ** 2).sum())
        return value, g.ravel()
