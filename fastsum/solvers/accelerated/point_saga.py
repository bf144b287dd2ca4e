"""Point-SAGA (Defazio, NIPS 2016). The steps are in src_cpp/solvers/point_saga.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastsum.problem import Problem
from fastsum.solvers._method import State, Weights
from fastsum.solvers.variance_reduced._lazy import LazySteps
from fastsum.solvers.variance_reduced.saga import Saga

# Without an l2 part gamma is that of a strong convexity of this share of L / n.
SHARE_OF_REST = 0.01


class PointSaga(LazySteps, Saga):
    """Point-SAGA: proximal steps on one row, with SAGA's table; no step needs a smooth loss.

    Problem: (1).  Step: eq. (44), the proximal step of a row's loss and of the penalty together,
    by eq. (45): one unknown an output, closed for the squared loss, Newton steps for others; cost
    one row and two dot products, just in time on sparse rows, and as much again for each Newton
    step that an l1 part takes (two or three).  Rate: a factor 1 / (1 + gamma mu) a step with the
    gamma of eq. (46): n + sqrt(n kappa) sample gradients a factor.  Memory: as SAGA.

    The paper has no penalty beside its terms.  Here mu = l2 is not shared out to them, which would
    make the table one of points.  Without an l2 part (l1 alone) a step of any gamma leads no
    further from a minimiser on average: gamma is that of mu = L / (100 n).  A free intercept has no
    part of the strong convexity, and the same steps.
    """

    name = "point-saga"
    threaded = own_weights = False
    takes_step = False

    def __init__(self, problem: Problem, **options: Any):
        super().__init__(problem, **options)
        self._work = np.empty(10 * problem.K + problem.rows.n_cols)  # the longest row
        self._lengthen(1.0)

    def slow_down(self, factor: float) -> None:
        """Shorter steps."""
        super().slow_down(factor)
        self._lengthen(factor)

    def _lengthen(self, factor: float) -> None:
        """Gamma of each column, eq. (46), times `factor`."""
        n, mu = self.sampler.n_active, self.mu.astype(np.float64)
        L = 1 / (3 * self.gamma)
        mu = np.where(mu > 0, mu, SHARE_OF_REST * L / n)
        # ((n - 1)^2 + 4 n L / mu)^(1/2) - (n - 1), over 2 L n, without the difference
        gamma = (2 / mu) / (np.sqrt((n - 1.0) ** 2 + 4 * n * L / mu) + (n - 1.0))
        self.step[...] = np.minimum(gamma * factor, float(np.finfo(self.step.dtype).max))
        self._tabulate()

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """Table and average at 0."""
        return {**super().start(W, rng), **self.clock()}

    def advance(self, state: State, n_passes: int) -> None:
        """n_passes passes of steps."""
        for _ in range(n_passes):
            super().advance(state, 1)
