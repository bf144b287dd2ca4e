"""Newton steps with a stored Hessian: for tall dense rows, on a device.

Problem   eq. (1), smooth loss, separate outputs; d <= MOST_COLUMNS
Step      w + t delta, w + delta the minimiser of the quadratic model at w with its penalty: by a
          Cholesky factor of H + l2 I where the penalty is smooth, else by coordinate descent on H
          (`_quadratic.py`), the intercept taken out by its Schur complement
Model     H = (1/S) A' diag(c) A for A = [X, 1], c = (1 - theta) s l'' + theta s L; theta is 0, but
          1 after a step of which no part made F smaller, when the model is above F for sure, and
          falls with every gain
Cost      one product A' D A, of n (d + 1)^2 / 2 multiply-adds, a step
Rate      quadratic near the optimum; t = 1 unless the objective rose, else the best of
          1/2, 1/4, ... by the margins along delta
Source    Lee, Sun, Saunders, SIAM J. Optim. 2014 (proximal Newton)
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from fastsum.certificate import Certificate, Certifier
from fastsum.passes import DevicePasses
from fastsum.problem import Problem
from fastsum.solvers.phases._phase import FloatArray, Phase, Weights
from fastsum.solvers.phases._quadratic import minimise_on_gram
from fastsum.solvers.phases.growing_samples import GrowingSamples

MOST_COLUMNS = 8192
PART = 0.1  # of the gap wanted: how well the model is minimised
HALVINGS = 20
CALMER = 0.25  # theta after a gain
TINY = 1e-300


class StoredNewton(Phase):
    """One proximal Newton step a call."""

    name = "stored newton"
    remembers = ("_theta", "_failed", "_shortened", "_start", "_delta")

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int):
        super().__init__(problem, certifier, n_threads)
        B = problem.columns.n_problems
        self._theta, self._failed, self._shortened = np.zeros(B), False, False
        self._start: FloatArray = np.empty(0)
        self._delta: FloatArray = np.empty(0)
        self._bound: FloatArray | None = None  # (1/S) A' diag(s) A

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether the Hessians are small enough to hold, and the loss has curvature."""
        wide = problem.rows.n_cols > MOST_COLUMNS
        separate = problem.columns.n_outputs == 1 and not problem.penalty.rows
        return problem.on_device and separate and not (wide or problem.loss.kinked)

    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """The minimiser of the model; after a failure the best part of the step."""
        if self._failed:
            self._failed, self._shortened = False, True
            return self._along(self._best_length()), 1
        c = self.certifier.weighted_curvature()
        self._start, self._shortened = W.astype(np.float64), False
        self._delta = np.zeros_like(self._start)
        for b in range(self.problem.K):
            H = self.problem.device_rows.gram(c, b)
            if self._theta[b] > 0:
                L = self.problem.loss.curvature
                H = (1.0 - self._theta[b]) * H + self._theta[b] * L * self._bounding()
            self._delta[:, b] = self._step(H, b, float(target[b]))
        self._theta *= CALMER
        self._theta[self._theta < 1e-3] = 0.0
        return self._along(np.ones(self.problem.K)), 1

    def failed(self, worse: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> None:
        """The step was too long, or no part of it gains: then the model is the one above F."""
        self._delta[:, ~worse] = 0.0
        if self._shortened and np.isfinite(self.problem.loss.curvature):
            self._theta[worse] = 1.0
        self._failed = not self._shortened and bool(self._delta.any())

    def _bounding(self) -> FloatArray:
        """(1/S) A' diag(s) A, made once."""
        if self._bound is None:
            passes = self.certifier.passes
            assert isinstance(passes, DevicePasses)
            self._bound = (
                self.problem.device_rows.gram(passes.weights(), 0) / self.problem.total_weight
            )
        return self._bound

    def _step(self, H: FloatArray, b: int, target: float) -> FloatArray:
        """delta (d + 1,) of problem b."""
        problem, d = self.problem, len(H) - 1
        w = self._start[:-1, b]
        q = self.certifier.gradient[:, b].copy()  # the slope in an exact intercept is 0
        mean = H[:d, d] / max(float(H[d, d]), TINY) if problem.fit_intercept else np.zeros(d)
        # in place: the Hessian in w at the best intercept
        G = H[:d, :d] - np.outer(mean, H[:d, d])
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
        value, best = certifier.last_value.copy(), np.zeros(self.problem.K)
        length = 1.0
        for _ in range(HALVINGS):
            length *= 0.5
            F = certifier.value_along(slope, length, self._start + length * self._delta)
            better = F < value
            value, best = np.where(better, F, value), np.where(better, length, best)
            if ((best > 0) & ~better).all():
                break
        return best


class StoredSamples(GrowingSamples):
    """Such steps on growing samples of the rows first, where these are many."""

    kind = StoredNewton

    @classmethod
    def serves(cls, problem: Problem) -> bool:
        """Whether the rows are many for the unknowns and one Newton step is not enough."""
        curved = problem.loss.name != "squared"
        return curved and StoredNewton.serves(problem) and cls._fits(problem)


def _solve(G: FloatArray, g: FloatArray) -> FloatArray:
    """G^{-1} g of a positive semidefinite G; the shortest solution if it is singular."""
    _, solution, info = scipy.linalg.lapack.dposv(G, g)
    if info == 0:
        return np.asarray(solution)
    shortest: FloatArray = scipy.linalg.lstsq(G, g, check_finite=False)[0]
    return shortest
