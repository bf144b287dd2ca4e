"""Truncated Newton: conjugate gradients on the Newton system, with products in place of a Hessian.

Problem   min_w F(w) of eq. (1), smooth loss; with an l1 part on the face of the signs of w, where F
          is smooth: coefficients that are 0 stay, one that would change sign becomes 0
Step      w + t delta,  (H + l2 I) delta = -(grad F), H = A' D A for A = [X, 1]; solved by conjugate
          gradients, preconditioned by `BlockPreconditioner`, until the residual is eta times the
          gradient or the gap it would leave, ||r||^2 / (2 l2), is a part of the one wanted
Cost      one product A' D A v a conjugate gradient step: one pass over the data
Least     without a penalty and with many minimisers there is no preconditioner: the one of
          least norm is found
Rate      superlinear with eta -> 0 near the optimum; t = 1 unless the objective rose, else the best
          of 1/2, 1/4, ... by the margins along delta
Source    Dembo, Eisenstat, Steihaug, SIAM Journal on Numerical Analysis 1982; eta:
          Eisenstat, Walker, SIAM J. Sci. Comput. 1996, choice 2; for this loss Lin,
          Weng, Keerthi, JMLR 2008
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsum.certificate import Certificate, Certifier
from fastsum.problem import Problem
from fastsum.solvers.phases._newton_step import NewtonStep
from fastsum.solvers.phases._phase import FloatArray, Weights
from fastsum.solvers.phases._preconditioner import SMALLEST, BlockPreconditioner

LEAST_ETA, MOST_ETA = 1e-4, 0.1
FAR_ETA = 0.5  # while full steps are too long
PART = 0.25  # of the gap wanted that the residual may leave
CHANGED = 0.3  # of the curvature: the preconditioner is made anew
# Passes that the first preconditioner may cost, and each later one for a product of the longest
# solve with the one before: where products are many a better preconditioner pays.
FIRST, GENEROUS = 10.0, 1.5
MOST_PRODUCTS = 250
FREE = 1e8  # scale of an intercept whose size does not count


class NewtonCG(NewtonStep):
    """One truncated Newton step a call."""

    name = "newton-cg"

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int):
        super().__init__(problem, certifier, n_threads)
        self._preconditioner: BlockPreconditioner | None = None
        self._passes, self._products = FIRST, 0
        self._made_at: FloatArray = np.empty(0)  # the curvature it is of
        self._last_norm: FloatArray | None = None
        self._plain: FloatArray | None = None

    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """W + delta; after a failure W + t delta for the best t."""
        if self._failed:
            return self._shorter(W), 1
        w = W.astype(np.float64)
        g = self._gradient(w)
        c = self._curvature(certificate)
        M = self._preconditioned_by(c)
        self._plain = self._scales_without_preconditioner(c, M)
        delta, products = self._solve(g, c, M, target, budget)
        self._products = max(self._products, products)
        return self._full(w, delta), products

    def _gradient(self, w: FloatArray) -> FloatArray:
        """The gradient of F on the face of the signs of w, (d + 1, K); exact b has slope 0."""
        problem, g = self.problem, np.zeros(w.shape)
        g[:-1] = self.certifier.gradient + problem.l2 * w[:-1]
        self._frozen: npt.NDArray[np.bool_] | None = None
        if problem.l1.any():
            g[:-1] += problem.l1 * np.sign(w[:-1])
            self._frozen = np.zeros(w.shape, dtype=bool)
            self._frozen[:-1] = (problem.l1 > 0) & (w[:-1] == 0)
            g[self._frozen] = 0.0
        return g

    def _preconditioned_by(self, c: FloatArray) -> BlockPreconditioner:
        """The preconditioner at curvature c; the last one if that is still near and good."""
        M = self._preconditioner
        weak = M is not None and not M.complete and self._products > self._passes
        if M is None or weak or np.abs(c - self._made_at).sum() > CHANGED * self._made_at.sum():
            self._passes = max(self._passes, GENEROUS * self._products)
            self._made_at, self._products = c, 0
            M = BlockPreconditioner(self.problem, c, self.n_threads, self._passes)
            self._preconditioner = M
        return M

    def _scales_without_preconditioner(
        self, c: FloatArray, M: BlockPreconditioner
    ) -> FloatArray | None:
        """What takes the place of M, (d + 1, K), where minimisers may be many; else None.

        From zero, plain conjugate gradients find the unpenalised minimiser whose w has the least
        norm, and no preconditioned ones do. The scale of the intercept says that its size is free.
        """
        if M.definite or (self.problem.penalty.alpha > 0).all():
            return None
        scale = np.ones((self.problem.rows.n_cols + 1, self.problem.K))
        scale[-1] = FREE * M.size / max(float(c.sum(axis=0).mean()), SMALLEST)
        return scale

    def _solve(
        self, g: FloatArray, c: FloatArray, M: BlockPreconditioner, target: FloatArray, budget: int
    ) -> tuple[FloatArray, int]:
        """delta with (H + l2) delta ~ -g, problem by problem, and the products it took."""
        norm = np.sqrt(self._dots(g, g))
        if M.exact and self._plain is None and self._frozen is None and self._made_at is c:
            return self._masked(M(-g)), 1
        wanted = self._wanted(norm, target)
        work = np.empty(self.n_threads * (len(g) + 1) * g.shape[1])
        l2 = np.append(np.ones(len(g) - 1), 0.0)[:, None] * self.problem.l2
        x, r = np.zeros_like(g), -g
        z = self._masked(M(r) if self._plain is None else self._plain * r)
        p, rz = z.copy(), self._dots(r, z)
        products, most = 0, min(budget, MOST_PRODUCTS)
        live = norm > wanted
        while live.any() and products < most:
            Hp = self._product(p, c, work)
            Hp += l2 * p
            products += 1
            curved = self._dots(p, Hp)
            live &= (curved > 0) & (rz > 0)
            step = np.divide(rz, curved, out=np.zeros_like(rz), where=live)[self._group]
            x += step * p
            r -= step * Hp
            live &= np.sqrt(self._dots(r, r)) > wanted
            z = self._masked(M(r) if self._plain is None else self._plain * r)
            new = self._dots(r, z)
            p *= np.divide(new, rz, out=np.zeros_like(rz), where=live & (rz > 0))[self._group]
            p += z
            rz = new
        return x, max(1, products)

    def _wanted(self, norm: FloatArray, target: FloatArray) -> FloatArray:
        """Residual norms at which to stop, (B,)."""
        eta = np.full(len(norm), FAR_ETA if self._far else MOST_ETA)
        if self._last_norm is not None:
            ratio = norm / np.maximum(self._last_norm, 1e-300)
            eta = np.clip(0.9 * ratio**2, LEAST_ETA, eta)
        self._last_norm, self._far = norm, False
        enough = np.sqrt(2.0 * self.problem.penalty.l2 * PART * target)
        return np.maximum(eta * norm, enough)

    def _product(self, p: FloatArray, c: FloatArray, work: FloatArray) -> FloatArray:
        """H p on the free coordinates."""
        B = self.problem.columns.n_problems
        out = self.problem.rows.hessian_product(p, c, B, self.n_threads, work)
        return self._masked(out)

    def _masked(self, v: FloatArray) -> FloatArray:
        """v with 0 where w may not move."""
        if self._frozen is not None:
            v[self._frozen] = 0.0
        if not self.problem.fit_intercept:
            v[-1] = 0.0
        return v

    def _dots(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """a'b of each problem, (B,)."""
        if a.shape[1] == 1:
            return np.array([np.vdot(a, b)])
        columns = np.einsum("jk,jk->k", a, b)
        sums: FloatArray = np.zeros(self.problem.columns.n_problems)
        np.add.at(sums, self._group, columns)
        return sums
