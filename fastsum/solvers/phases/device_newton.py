"""Newton steps for rows on a device: by a stored Hessian, or by products with it.

Problem   eq. (1), smooth loss. `StoredNewton`: separate outputs and d <= MOST_COLUMNS;
          `ProductNewton`: any width and coupled outputs, smooth penalty
Step      w + t delta, w + delta the minimiser of the quadratic model at w with its penalty. Stored:
          by a Cholesky factor of H + l2 I where the penalty is smooth, else by coordinate descent
          on H (`_quadratic.py`), the intercept taken out by its Schur complement. Products:
          conjugate gradients, preconditioned by the diagonal, until the gap that the residual
          leaves, ||r||^2 / (2 l2), is a part of the one wanted, or r is a part of the gradient
Model     H = (1/S) A' diag(c) A for A = [X, 1], c = (1 - theta) s l'' + theta s L; theta is 0, but
          1 after a step of which no part made F smaller, when the model is above F for sure, and
          falls with every gain. Products: theta = 0
Cost      one product A' D A of n (d + 1)^2 / 2 multiply-adds a step; one read of X a product
Rate      quadratic near the optimum; t = 1 unless the objective rose, else the best of
          1/2, 1/4, ... by the margins along delta
Source    Lee, Sun, Saunders, SIAM J. Optim. 2014 (proximal); Dembo, Eisenstat, Steihaug, SIAM
          Journal on Numerical Analysis 1982 (truncated)
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fastsum.certificate import Certificate, Certifier
from fastsum.passes import DevicePasses
from fastsum.problem import Problem
from fastsum.solvers.phases._phase import FloatArray, Phase, Weights
from fastsum.solvers.phases._quadratic import minimise_on_gram
from fastsum.solvers.phases.growing_samples import GrowingSamples

MOST_COLUMNS = 8192
PART = 0.1  # of the gap wanted: how well the model is minimised
ETA = 0.1  # of the gradient, what products may leave far from the optimum
LEAST_ETA = 1e-4
MOST_PRODUCTS = 200  # of a step
HALVINGS = 20
CALMER = 0.25  # theta after a gain
TINY = 1e-300


class DeviceNewton(Phase):
    """One Newton step a call; after one that was too long, the best part of it."""

    remembers = ()  # no job runs on a device

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int):
        super().__init__(problem, certifier, n_threads)
        self._group = np.repeat(np.arange(problem.columns.n_problems), problem.columns.n_outputs)
        self._failed, self._shortened = False, False
        self._start: FloatArray = np.empty(0)
        self._delta: FloatArray = np.empty(0)

    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """The minimiser of the model; after a failure the best part of the step."""
        if self._failed:
            self._failed, self._shortened = False, True
            return self._along(self._best_length()), 1
        self._start, self._shortened = W.astype(np.float64), False
        self._delta, passes = self._direction(target, budget)
        return self._along(np.ones(self.problem.K)), passes

    def failed(self, worse: npt.NDArray[np.bool_]) -> None:
        """The step was too long."""
        self._delta[:, ~worse[self._group]] = 0.0
        self._failed = not self._shortened and bool(self._delta.any())

    @abstractmethod
    def _direction(self, target: FloatArray, budget: int) -> tuple[FloatArray, int]:
        """delta (d + 1, K) from the point last certified, and the passes it cost."""

    def _along(self, length: FloatArray) -> Weights:
        """The point at the lengths (K,)."""
        moved = self._start + length * self._delta
        moved[:-1] = self.problem.within(moved[:-1])
        return np.ascontiguousarray(moved, dtype=self.problem.dtype)

    def _best_length(self) -> FloatArray:
        """The best of 1/2, 1/4, ... for each problem, by the margins along delta, (K,)."""
        certifier = self.certifier
        slope = certifier.passes.array()
        certifier.passes.margins(self._delta, slope)
        value, best = certifier.last_value.copy(), np.zeros(self.problem.columns.n_problems)
        length = 1.0
        for _ in range(HALVINGS):
            length *= 0.5
            F = certifier.value_along(slope, length, self._start + length * self._delta)
            better = F < value
            value, best = np.where(better, F, value), np.where(better, length, best)
            if ((best > 0) & ~better).all():
                break
        lengths: FloatArray = best[self._group]
        return lengths


class StoredNewton(DeviceNewton):
    """Steps by the Hessian of each problem."""

    name = "stored newton"

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int):
        super().__init__(problem, certifier, n_threads)
        self._theta = np.zeros(problem.columns.n_problems)
        self._bound: FloatArray | None = None  # (1/S) A' diag(s) A

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether the Hessians are small enough to hold."""
        wide = problem.rows.n_cols > MOST_COLUMNS
        separate = problem.columns.n_outputs == 1 and not problem.penalty.rows
        return separate and not (wide or problem.loss.kinked)

    def failed(self, worse: npt.NDArray[np.bool_]) -> None:
        """Too long; or no part of it gains: then the model is the one above F."""
        if self._shortened and np.isfinite(self.problem.loss.curvature):
            self._theta[worse] = 1.0
        super().failed(worse)

    def _direction(self, target: FloatArray, budget: int) -> tuple[FloatArray, int]:
        c, delta = self.certifier.weighted_curvature(), np.zeros_like(self._start)
        for b in range(self.problem.K):
            H = self.problem.device_rows.gram(c, b)
            if self._theta[b] > 0:
                L = self.problem.loss.curvature
                H = (1.0 - self._theta[b]) * H + self._theta[b] * L * self._bounding()
            delta[:, b] = self._step(H, b, float(target[b]))
        self._theta *= CALMER
        self._theta[self._theta < 1e-3] = 0.0
        return delta, 1

    def _bounding(self) -> FloatArray:
        """(1/S) A' diag(s) A, made once."""
        if self._bound is None:
            passes = self.certifier.passes
            assert isinstance(passes, DevicePasses)
            sums = self.problem.device_rows.gram(passes.weights(), 0)
            self._bound = sums / self.problem.total_weight
        return self._bound

    def _step(self, H: FloatArray, b: int, target: float) -> FloatArray:
        """delta (d + 1,) of problem b."""
        problem, d = self.problem, len(H) - 1
        w = self._start[:-1, b]
        q = self.certifier.gradient[:, b].copy()  # the slope in an exact intercept is 0
        mean = H[:d, d] / max(float(H[d, d]), TINY) if problem.fit_intercept else np.zeros(d)
        G = H[:d, :d] - np.outer(mean, H[:d, d])  # in w at the best intercept
        delta = np.zeros(d + 1)
        if not np.isfinite(G).all():
            return delta
        if problem.l1[b] > 0 or problem.penalty.bounded:
            own = problem.penalty.own
            packed = None if own is None else own.packed
            x = w.copy()
            size = 2.0 * float(self.certifier.last_value[b])
            strengths = float(problem.l1[b]), float(problem.l2[b])
            minimise_on_gram(G, q, x, *strengths, size, PART * target, problem.rows.n_rows, packed)
            delta[:d] = x - w
        else:
            l2 = problem.l2_each[:, b] if problem.l2_each.ndim == 2 else problem.l2_each[b]
            G[np.diag_indices(d)] += l2
            delta[:d] = -_solve(G, q + l2 * w)
        delta[d] = -float(mean @ delta[:d])
        return delta


class ProductNewton(DeviceNewton):
    """Steps by conjugate gradients, all problems in step."""

    name = "newton-cg"

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether the penalty is smooth."""
        kinks = problem.l1.any() or problem.penalty.bounded or problem.loss.kinked
        return not (kinks or problem.penalty.rows)

    def _direction(self, target: FloatArray, budget: int) -> tuple[FloatArray, int]:
        problem, rows, B = self.problem, self.problem.device_rows, len(target)
        c = self.certifier.weighted_curvature()
        g, ridge, diagonal = (np.zeros_like(self._start) for _ in range(3))
        ridge[:-1] = problem.l2_each
        g[:-1] = self.certifier.gradient + problem.l2_each * self._start[:-1]
        diagonal[:-1] = rows.weighted_squares(c)
        # a pass over the column of ones of [X, 1], as a product with the intercepts alone
        ones = np.zeros_like(self._start)
        ones[-1] = 1.0
        diagonal[-1] = rows.hessian_product(ones, c, problem.K)[-1]
        diagonal = np.maximum(diagonal + ridge, TINY)
        norm = self._dots(g, g)
        wanted = np.maximum(2.0 * problem.penalty.mu * PART * target, LEAST_ETA**2 * norm)
        wanted = np.minimum(wanted, ETA**2 * norm)
        x, r = np.zeros_like(g), -g
        z = self._free(r / diagonal)
        p, rz = z.copy(), self._dots(r, z)
        products = 2
        for _ in range(min(MOST_PRODUCTS, max(1, budget - products))):
            live = (self._dots(r, r) > wanted) & (rz > TINY)
            if not live.any():
                break
            Hp = self._free(rows.hessian_product(p, c, B) + ridge * p)
            products += 1
            curved = self._dots(p, Hp)
            live &= curved > 0
            a = np.divide(rz, curved, out=np.zeros_like(rz), where=live)[self._group]
            x, r = x + a * p, r - a * Hp
            z = self._free(r / diagonal)
            new = self._dots(r, z)
            beta = np.divide(new, rz, out=np.zeros_like(rz), where=live)[self._group]
            p, rz = z + beta * p, np.where(live, new, 0.0)
        return x, min(products, max(1, budget))

    def _free(self, v: FloatArray) -> FloatArray:
        """v without the intercepts where these are held at 0."""
        if not self.problem.fit_intercept:
            v[-1] = 0.0
        return v

    def _dots(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Inner products of each problem, (B,)."""
        sums: FloatArray = (x * y).sum(axis=0).reshape(self.problem.columns.n_problems, -1).sum(1)
        return sums


class StoredSamples(GrowingSamples):
    """`StoredNewton` on growing samples of the rows first, where these are many."""

    kind: ClassVar[type[Phase]] = StoredNewton

    @classmethod
    def serves(cls, problem: Problem) -> bool:
        """Whether the rows are many for the unknowns and one step is not enough."""
        return problem.loss.name != "squared" and cls._fits(problem)


class ProductSamples(StoredSamples):
    """The same of `ProductNewton`."""

    kind = ProductNewton


def _solve(G: FloatArray, g: FloatArray) -> FloatArray:
    """G^{-1} g of a positive semidefinite G; the shortest solution if it is singular."""
    _, solution, info = scipy.linalg.lapack.dposv(G, g)
    if info == 0:
        return np.asarray(solution)
    shortest: FloatArray = scipy.linalg.lstsq(G, g, check_finite=False)[0]
    return shortest
