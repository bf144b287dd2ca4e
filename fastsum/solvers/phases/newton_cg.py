"""Truncated Newton: conjugate gradients on the Newton system, with products in place of a Hessian.

Problem   min_w F(w) of eq. (1), smooth loss; with an l1 part on the face of the signs of w, where F
          is smooth: coefficients that are 0 stay, one that would change sign becomes 0
Step      w + t delta,  (H + l2 I) delta = -(grad F), H = A' D A for A = [X, 1]; solved by conjugate
          gradients, preconditioned by `BlockPreconditioner`, until the gap that the residual
          leaves, ||r||^2 / (2 l2), is a part of the one wanted (eq. 17, 18), or, in a step that
          cannot be the last, until less is left to gain than the model has wrong
Cost      one product A' D A v a conjugate gradient step: one pass over the data
Least     without a penalty and with many minimisers there is no preconditioner: the one of
          least norm is found
Rate      quadratic near the optimum; t = 1 unless the objective rose, else the best
          of 1/2, 1/4, ... by the margins along delta
Source    Dembo, Eisenstat, Steihaug, SIAM Journal on Numerical Analysis 1982; stopping by the
          decrease of the model: Nash, Sofer, Operations Research Letters 1990; for this loss Lin,
          Weng, Keerthi, JMLR 2008
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.certificate import Certificate, Certifier
from fastsum.problem import Problem
from fastsum.solvers.phases._newton_step import NewtonStep
from fastsum.solvers.phases._phase import FloatArray, Weights
from fastsum.solvers.phases._preconditioner import SMALLEST, BlockPreconditioner
from fastsum.solvers.phases._split import SplitRows

# Of the gap wanted, what the residual may leave; and where the gap wanted is small beside all there
# is to gain: who asks for a tol of FINE looks at digits of coefficients, which are a root of it.
PART, FINE_PART, FINE = 0.8, 0.01, 1e-8
CURVED = 4.0  # times (decrease of the model)^2 / F(null): what a Newton step leaves to gain
TAIL = 3.0  # times the last decrease: what conjugate gradients have left to gain
MOST_TAIL, FAR_TAIL = 0.1, 0.5  # of the decrease that may be left; the second for shortened steps
ENTER, STAY = 0.5, 0.95  # of the squared residual wanted: what cold columns may hold
LEAST_ETA = 1e-4  # of the gradient, what may always be left
CHANGED = 0.3  # of the curvature: the preconditioner is made anew
# Passes that the first preconditioner may cost, and each later one for a product of the longest
# solve with the one before: where products are many a better preconditioner pays.
FIRST, GENEROUS = 6.0, 1.5
MOST_PRODUCTS = 250
FREE = 1e8  # scale of an intercept whose size does not count


class NewtonCG(NewtonStep):
    """One truncated Newton step a call."""

    name = "newton-cg"
    remembers = ("_passes", "_products", "_made_at", "_delta", "_failed", "_shortened", "_far")

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int):
        super().__init__(problem, certifier, n_threads)
        self._preconditioner: BlockPreconditioner | None = None
        self.spare: BlockPreconditioner | None = None  # of a problem near to this one
        self._passes, self._products = FIRST, 0
        self._made_at: FloatArray = np.empty(0)  # the curvature it is of
        self._plain: FloatArray | None = None
        self._split: SplitRows | None = None

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
        return self._full(w, delta, c), products

    def memory(self) -> dict[str, Any]:
        """With the growth of the curvature; a preconditioner is made again from its curvature."""
        curvature, made = self._curvature.memory(), self._preconditioner is not None
        return {**(super().memory() or {}), **curvature, "preconditioned": made}

    def recall(self, memory: dict[str, Any]) -> None:
        """Takes over what `memory` told."""
        super().recall(memory)
        self._curvature.recall(memory)
        if memory["preconditioned"]:
            self._preconditioner = BlockPreconditioner(
                self.problem, self._made_at, self.n_threads, self._passes
            )

    def use(self, problem: Problem) -> None:
        """A preconditioner that is exact on all columns is lost, another follows the penalty."""
        super().use(problem)
        if self._preconditioner is not None:
            if self._preconditioner.whole:
                self._preconditioner, self._passes = None, FIRST
            else:
                self._preconditioner.use(problem)

    def lend(self) -> BlockPreconditioner | None:
        """The last preconditioner, unless it is exact for this problem alone."""
        M = self._preconditioner
        return None if M is None or M.whole else M

    def _gradient(self, w: FloatArray) -> FloatArray:
        """The gradient of F on the face of the signs of w, (d + 1, K); exact b has slope 0."""
        problem, g = self.problem, np.zeros(w.shape)
        g[:-1] = self.certifier.gradient + problem.l2_each * w[:-1]
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
            spare, self.spare = self.spare, None
            if spare is not None and (not weak or spare.passes > self._passes):
                M = copy(spare)  # the block alone is shared
                M.use(self.problem)
                self._passes = max(self._passes, M.passes)
            else:
                self._passes = max(self._passes, GENEROUS * self._products)
                M = self._preconditioner = None  # not two of them in memory
                M = BlockPreconditioner(self.problem, c, self.n_threads, self._passes)
            self._preconditioner, self._made_at, self._products = M, c, 0
        return M

    def _scales_without_preconditioner(
        self, c: FloatArray, M: BlockPreconditioner
    ) -> FloatArray | None:
        """What takes the place of M, (d + 1, K), where minimisers may be many; else None.

        From zero, plain conjugate gradients find the unpenalised minimiser whose w has the least
        norm, and no preconditioned ones do. The scale of the intercept says that its size is free.
        """
        penalty = self.problem.penalty
        held = penalty.own is None or penalty.own.factor.all()
        if M.definite or (held and (penalty.alpha > 0).all()):
            return None
        scale = np.ones((self.problem.rows.n_cols + 1, self.problem.K))
        scale[-1] = FREE * M.size / max(float(c.sum(axis=0).mean()), SMALLEST)
        return scale

    def _solve(
        self, g: FloatArray, c: FloatArray, M: BlockPreconditioner, target: FloatArray, budget: int
    ) -> tuple[FloatArray, int]:
        """delta with (H + l2) delta ~ -g, problem by problem, and the products it took."""
        norm = self._dots(g, g)
        self._residual = np.zeros_like(norm)
        if M.exact and self._plain is None and self._frozen is None and self._made_at is c:
            return self._masked(M(-g)), 1
        enough = 2.0 * self.problem.penalty.mu * self._part(target) * target
        wanted = np.maximum(LEAST_ETA**2 * norm, enough)
        work = np.empty(self.n_threads * (len(g) + 1) * g.shape[1])
        x, r, scaled = np.zeros_like(g), -g, np.empty_like(g)
        z = self._masked(M(r) if self._plain is None else self._plain * r)
        p, rz = z.copy(), self._dots(r, z)
        products, most, polish = 0, min(budget, MOST_PRODUCTS), False
        decrease, last = np.zeros_like(rz), np.full_like(rz, np.inf)
        live = norm > wanted
        while live.any() and products < most:
            Hp = self._product(p, c, work)
            Hp[:-1] += np.multiply(self.problem.l2_each, p[:-1], out=scaled[:-1])
            products += 1
            curved = self._dots(p, Hp)
            live &= (curved > 0) & (rz > 0)
            step = np.divide(rz, curved, out=np.zeros_like(rz), where=live)
            x += np.multiply(step[self._group], p, out=scaled)
            r -= np.multiply(step[self._group], Hp, out=scaled)
            self._residual = self._dots(r, r)
            gained = 0.5 * step * rz
            decrease += gained
            live &= (self._residual > wanted) & ~self._futile(decrease, gained, last, target)
            last = gained
            z = self._masked(M(r) if self._plain is None else self._plain * r)
            before, polish = polish, self._polishes(polish, M, r, wanted, live)
            if polish:
                inside = z[M.block]
                z[...] = 0.0
                z[M.block] = inside
            new = self._dots(r, z)
            if polish is before:
                p *= np.divide(new, rz, out=np.zeros_like(rz), where=live & (rz > 0))[self._group]
                p += z
            else:
                p = z.copy()
            rz = new
        self._far = False
        self._curvature.predicted = decrease
        return x, max(1, products)

    def _polishes(
        self,
        polish: bool,
        M: BlockPreconditioner,
        r: FloatArray,
        wanted: FloatArray,
        live: npt.NDArray[np.bool_],
    ) -> bool:
        """Whether steps go on in the block of M alone, where M is nearly the inverse.

        Hot columns hold most of a residual, and it turns up and down with every step that the
        others take; once what the others hold is small a step or two in the block end the solve.
        """
        if self._plain is not None or M.whole or not live.any():
            return False
        hot = r[M.block]
        cold = self._residual - self._dots(hot, hot)
        return bool((cold <= (STAY if polish else ENTER) * wanted)[live].all())

    def error(self, decrease: FloatArray) -> FloatArray:
        """About what a Newton step that lowers its model by `decrease` leaves to gain, (B,)."""
        if self.problem.loss.name == "squared":
            return np.zeros_like(decrease)
        scale: FloatArray = CURVED / np.maximum(self.certifier.null.objective, SMALLEST)
        return scale * decrease**2

    def last_step(self, decrease: FloatArray, target: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether a Newton step that lowers its model by `decrease` reaches the target, (B,)."""
        return self.error(decrease) <= self._part(target) * target

    def _part(self, target: FloatArray) -> FloatArray:
        """What a step may leave of the target, (B,)."""
        fine = target <= 1.01 * FINE * self.certifier.tolerance_scale()
        return np.where(fine, FINE_PART, PART)

    def _futile(
        self, decrease: FloatArray, gained: FloatArray, last: FloatArray, target: FloatArray
    ) -> npt.NDArray[np.bool_]:
        """Where the step cannot be the last and the model is worse than its solution, (B,)."""
        tail = np.minimum(self.error(decrease), (FAR_TAIL if self._far else MOST_TAIL) * decrease)
        futile: npt.NDArray[np.bool_] = TAIL * np.maximum(gained, last) <= tail
        return futile & ~self.last_step(decrease, target)

    def _product(self, p: FloatArray, c: FloatArray, work: FloatArray) -> FloatArray:
        """H p on the free coordinates."""
        B = self.problem.columns.n_problems
        rows = self.problem.rows
        if self._split is None and SplitRows.serves(rows, self.problem.K):
            self._split = SplitRows(rows, self.n_threads)
        if self._split is not None and self._split.pays:
            return self._masked(self._split.product(p, c))
        return self._masked(rows.hessian_product(p, c, B, self.n_threads, work))

    def _masked(self, v: FloatArray) -> FloatArray:
        """v with 0 where w may not move."""
        if self._frozen is not None:
            v[self._frozen] = 0.0
        if not self.problem.fit_intercept:
            v[-1] = 0.0
        return v

    def _dots(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """a'b of each problem, (B,)."""
        if self.problem.columns.n_problems == 1:
            return np.array([np.vdot(a, b)])
        columns = np.einsum("jk,jk->k", a, b)
        sums: FloatArray = np.zeros(self.problem.columns.n_problems)
        np.add.at(sums, self._group, columns)
        return sums
