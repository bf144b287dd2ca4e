"""Newton on growing samples of the rows: a start within the statistical error of all of them.

Problem   min_w F_m(w), F of eq. (1) on m of the n rows, m = m_0, 5 m_0, 25 m_0, ... < n
Step      truncated Newton on each sample from the minimiser of the one before
Cost      a few Newton steps on each sample, about as much as three on all rows
Rate      the minimiser of F_m is within O(d / m) of that of F: each sample needs one or two steps
Source    Mokhtari, Daneshmand, Lucchi, Hofmann, Ribeiro, NIPS 2016 (Ada Newton)
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fastsum.certificate import Certificate, Certifier
from fastsum.problem import Problem
from fastsum.solvers.phases._phase import FloatArray, Phase, Weights
from fastsum.solvers.phases.coupled_set import CoupledSet
from fastsum.solvers.phases.newton_cg import NewtonCG

GROWTH = 5
LEAST_ROWS, ROWS_PER_UNKNOWN = 2000, 20  # of the first sample
MOST_SHARE = 0.3  # of the rows in the last
STEPS = 10


class GrowingSamples(Phase):
    """All samples in one call; made once, at the start of a fit."""

    name = "row samples"
    kind: ClassVar[type[Phase]] = NewtonCG
    rows_per_unknown, share = ROWS_PER_UNKNOWN, 1.0  # of the statistical error: least gain

    @classmethod
    def serves(cls, problem: Problem) -> bool:
        """Whether the rows are many for the unknowns and one Newton step is not enough."""
        curved = problem.loss.name != "squared"
        smooth = not (problem.l1.any() or problem.penalty.bounded)
        return curved and smooth and cls._fits(problem)

    @classmethod
    def _fits(cls, problem: Problem) -> bool:
        return cls._first(problem)[0] <= MOST_SHARE * problem.rows.n_rows

    @classmethod
    def _first(cls, problem: Problem) -> tuple[int, int]:
        """Rows of the first sample, and the unknowns."""
        unknowns = (problem.rows.n_cols + 1) * problem.columns.n_outputs
        return max(LEAST_ROWS, cls.rows_per_unknown * unknowns), unknowns

    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """The minimiser on the last sample, nearly."""
        n = self.problem.rows.n_rows
        (m, unknowns), passes = self._first(self.problem), 0.0
        while m <= MOST_SHARE * n and passes < budget:
            step = -(-n // m)
            W, steps = self._minimise(step, W, self.share * unknowns / m)
            passes += steps / step
            m *= GROWTH
        return W, int(np.clip(np.ceil(passes), 1, budget))

    def _minimise(self, step: int, W: Weights, error: float) -> tuple[Weights, int]:
        """Newton steps on every `step`-th row while they gain more than its statistical error.

        The second value is the passes over these rows.
        """
        problem = self.problem.every_row(step)
        if problem is None:
            return W, 0
        certifier = Certifier(problem, self.n_threads)
        newton = self.kind(problem, certifier, self.n_threads)
        here, passes = certifier(W), 1
        for _ in range(STEPS):
            if not np.isfinite(here.objective).all():
                break
            V, products = newton.improve(W, here, error * here.objective, 100)
            there = certifier(V)
            passes += products + 1
            if (there.objective <= here.objective).all():
                gain = here.objective - there.objective
                V[-1], W, here = there.intercept, V, there
                if (gain <= error * np.abs(here.objective)).all():
                    break
            else:
                newton.failed(np.ones(len(here.objective), dtype=bool))
                here = certifier(W)
        return W, passes


class CoupledSamples(GrowingSamples):
    """The same for softmax under l1, where few unknowns are in use."""

    kind = CoupledSet
    rows_per_unknown, share = 4, 0.1

    @classmethod
    def serves(cls, problem: Problem) -> bool:
        """Whether `CoupledSet` does and the rows are many."""
        return CoupledSet.serves(problem) and cls._fits(problem)
