"""What becomes of a Newton step that was too long, and what a full one proves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsum.certificate import Certifier
from fastsum.problem import Problem
from fastsum.solvers.phases._curvature import RaisedCurvature
from fastsum.solvers.phases._phase import FloatArray, Phase, Weights

HALVINGS = 20


class NewtonStep(Phase):
    """A Newton direction, taken in full; after a failure the best length along it."""

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int):
        super().__init__(problem, certifier, n_threads)
        C = problem.columns.n_outputs
        self._group = np.repeat(np.arange(problem.columns.n_problems), C)
        self._curvature = RaisedCurvature(problem, certifier)
        self._start: FloatArray = np.empty(0)
        self._delta: FloatArray = np.empty(0)
        self._failed, self._shortened, self._far = False, False, False
        self._residual: FloatArray = np.zeros(problem.columns.n_problems)  # squared norms, (B,)
        self._model: tuple[FloatArray, FloatArray, FloatArray] | None = None  # u, l'', z

    def use(self, problem: Problem) -> None:
        """Nothing of the last step holds any more."""
        super().use(problem)
        self._curvature = RaisedCurvature(problem, self.certifier)
        self._failed, self._shortened, self._far, self._model = False, False, False, None

    def _full(self, start: FloatArray, delta: FloatArray, c: FloatArray) -> Weights:
        """start + delta, kept for a shorter step; c (n, K) is the curvature of the model."""
        self._start, self._delta, self._shortened = start, delta, False
        problem, certifier, self._model = self.problem, self.certifier, None
        if problem.columns.n_outputs == 1 and (problem.penalty.mu > 0).all():
            curvature, s = problem.total_weight * c, problem.weight_columns
            if s is not None:
                np.divide(curvature, s, out=curvature, where=s > 0)
            self._model = certifier.derivatives.copy(), curvature, certifier.margins
        return self._along(np.ones(delta.shape[1]))

    def dual(self) -> tuple[FloatArray, FloatArray] | None:
        """The slopes u + l''(z) X delta of the model at the new point.

        Their gradient is the residual of the Newton system: what the model has wrong is not
        divided by l2, and the gap is 10^2 to 10^4 times smaller than from the slopes there.
        """
        if self._shortened or self._model is None:
            return None
        u, curvature, z = self._model
        u = u + curvature * (self.certifier.margins - z)
        return u, self._residual / (2.0 * self.problem.penalty.mu)

    def _shorter(self, W: Weights) -> Weights:
        """The best shorter step after a failure, for the problems that failed."""
        self._start = W.astype(np.float64)
        self._failed, self._shortened = False, True
        return self._along(self._best_length())

    def failed(self, worse: npt.NDArray[np.bool_]) -> None:
        """The step was too long."""
        self._delta[:, ~worse[self._group]] = 0.0
        self._curvature.shorten(worse)
        # a shorter step that fails as well is rounding: a new direction is next
        self._failed = self._far = not self._shortened and bool(self._delta.any())

    def _along(self, length: FloatArray) -> Weights:
        """The point at the lengths (K,); under an l1 part coefficients that change sign are 0."""
        moved = self._start + length * self._delta
        crossed = (self.problem.l1 > 0) & (moved[:-1] * self._start[:-1] < 0)
        moved[:-1][crossed] = 0.0
        return np.ascontiguousarray(moved, dtype=self.problem.dtype)

    def _best_length(self) -> FloatArray:
        """The best of 1/2, 1/4, ... for each problem, by the margins along delta, (K,)."""
        problem, certifier = self.problem, self.certifier
        slope = np.empty((problem.rows.n_rows, problem.K))
        problem.rows.margins(self._delta, self.n_threads, slope)
        value = np.full(problem.columns.n_problems, np.inf)
        best, open_ = np.ones_like(value), np.ones(len(value), dtype=bool)
        length = 1.0
        for _ in range(HALVINGS):
            length *= 0.5
            point = self._start + length * self._delta
            F = certifier.value_along(slope, length, point)
            better = open_ & (F < value)
            value, best = np.where(better, F, value), np.where(better, length, best)
            # past the minimum a fall of F turns to a rise
            open_ &= better | ~np.isfinite(value) | (F >= certifier.last_value)
            if not open_.any():
                break
        return best[self._group]
