"""Newton in the space of the rows, for few rows of many columns and an l2 penalty.

Problem   min_w F(w) of eq. (1), smooth separate outputs, l2 > 0; n small beside d
Step      delta = -(l2 I + X' P X)^{-1} g by Woodbury's identity, with K = X X' made once:
          delta = -(g - X' R' (l2 I + R K R')^{-1} R X g) / l2,  P = R' R;
          P = D = diag(s l'' / S); a free intercept is eliminated: P = D - D 1 1' D / (1' D 1), so
          R = (I - q q') D^{1/2} with q = D^{1/2} 1 / |D^{1/2} 1|
Cost      n^2 d once; n^3 / 3 and two passes a step
Rate      quadratic near the optimum; exact in one step for the squared loss
Source    the dual of ridge regression: Saunders, Gammerman, Vovk, ICML 1998; Newton in it:
          Chapelle, Neural Computation 2007, section 3
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from fastsum.certificate import Certificate, Certifier
from fastsum.problem import Problem
from fastsum.solvers.phases._newton_step import NewtonStep
from fastsum.solvers.phases._phase import FloatArray, Weights
from fastsum.threads import blas_threads

# Steps of this method against conjugate gradients, in passes; a flop of BLAS in stored values.
NEWTON_STEPS, PASSES, FLOP = 6, 60.0, 0.05


class RowSpaceNewton(NewtonStep):
    """One Newton step a call."""

    name = "row newton"

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int):
        super().__init__(problem, certifier, n_threads)
        with blas_threads(n_threads, problem.rows.nnz):
            X = problem.rows.matrix()
            K = X @ X.T
        self._K: FloatArray = K.toarray() if sp.issparse(K) else K

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether this is cheaper than conjugate gradients for the problem."""
        rows, n = problem.rows, problem.rows.n_rows
        if problem.columns.n_outputs > 1 or problem.l1.any() or not (problem.l2 > 0).all():
            return False
        steps = 1 if problem.loss.name == "squared" else NEWTON_STEPS
        solves = steps * problem.columns.n_problems * n**3 / 3.0
        return n < rows.n_cols and FLOP * (float(n) * rows.nnz + solves) <= PASSES * rows.nnz

    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """W + delta; after a failure W + t delta for the best t."""
        if self._failed:
            return self._shorter(W), 1
        problem, w = self.problem, W.astype(np.float64)
        g = self.certifier.gradient + problem.l2 * w[:-1]
        c = self._curvature(certificate)
        delta = np.zeros(w.shape)
        Xg = np.empty((problem.rows.n_rows, problem.K))
        problem.rows.margins(np.vstack([g, np.zeros((1, problem.K))]), self.n_threads, Xg)
        inner, shift = np.empty_like(Xg), np.zeros(problem.K)
        with blas_threads(self.n_threads, len(c) ** 2):
            for k in range(problem.K):
                inner[:, k] = self._solve(c[:, k], float(problem.l2[k]), Xg[:, k])
        delta[:-1] = (problem.rows.transposed(inner, self.n_threads) - g) / problem.l2
        if problem.fit_intercept:
            # X delta from K, and the intercept that goes with it
            Xdelta = (self._K @ inner - Xg) / problem.l2
            total = np.maximum(c.sum(axis=0), 1e-300)
            shift = -(c * Xdelta).sum(axis=0) / total
        delta[-1] = shift
        return self._full(w, delta, c), min(2, budget)

    def _solve(self, c: FloatArray, l2: float, Xg: FloatArray) -> FloatArray:
        """R' (l2 I + R K R')^{-1} R X g."""
        root = np.sqrt(c)
        M = root[:, None] * self._K * root
        r = root * Xg
        q = root / max(float(np.linalg.norm(root)), 1e-300)
        if self.problem.fit_intercept:
            Mq = M @ q
            M -= np.outer(Mq, q)
            M -= np.outer(q, Mq - q * float(q @ Mq))
            r = r - q * float(q @ r)
        M[np.diag_indices(len(M))] += l2
        _, x, info = scipy.linalg.lapack.dposv(M, r, lower=1, overwrite_a=True)
        if info != 0:  # rounding of a large K beside a tiny l2
            x = scipy.linalg.lstsq(M, r, check_finite=False)[0]
        if self.problem.fit_intercept:
            x = x - q * float(q @ x)
        out: FloatArray = root * x
        return out
