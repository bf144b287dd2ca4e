"""Working sets on a sample of the rows, for a start of the right support and nearly its values.

Problem   min_w F(w) of eq. (1) with an l1 part and separate outputs, many sparse rows
Step      w <- the minimiser, to about the error of the sample, over every stride-th row
Cost      1 / stride of what these rounds take on all rows
Source    sample average approximation as the first stage of a fit: Bottou, Curtis, Nocedal, SIAM
          Review 2018, section 5; the engine keeps the point only if F is lower there
"""

from __future__ import annotations

import numpy as np

from fastsum.certificate import Certificate, Certifier
from fastsum.problem import Problem
from fastsum.solvers.phases._phase import FloatArray, Phase, Weights
from fastsum.solvers.phases.working_set import WorkingSet

LEAST_ROWS, SHARE = 1 << 15, 1 / 16  # of the sample
LEAST_STRIDE = 4  # below this it costs as much as it saves
ACCURACY = 2e-3  # of the null model's gap
ROUNDS = 8
ROWS_OF_COEFFICIENT = 50  # fewer, and the sample is fitted better than the data


class RowSample(Phase):
    """One fit of the sample; a start other than 0 is left as it is."""

    name = "row sample"
    remembers = ()

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether working sets do and there are rows enough."""
        rows = problem.rows
        large = rows.sparse and _stride(problem) >= LEAST_STRIDE
        return large and WorkingSet.serves(problem)

    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """The point that working sets reach on the sample."""
        problem, stride = self.problem, _stride(self.problem)
        y, s = problem.y[::stride], problem.sample_weight
        s = None if s is None else np.ascontiguousarray(s[::stride])
        used = y if s is None else y[s > 0]
        if W[:-1].any() or not len(used) or (used == used[0]).all():
            return W.copy(), 1
        sample = problem.on_rows(problem.rows.every(stride), slice(None, None, stride), s)
        certifier = Certifier(sample, self.n_threads)
        phase = WorkingSet(sample, certifier, self.n_threads)
        there, wanted, passes = W.copy(), ACCURACY * certifier.null.gap, 0
        there[-1] = certifier.null.intercept
        reached = certifier.null
        for _ in range(ROUNDS):
            if (reached.gap <= wanted).all():
                break
            moved, cost = phase.improve(there, reached, wanted, budget)
            passes += cost
            if np.count_nonzero(moved[:-1]) * ROWS_OF_COEFFICIENT > len(y) * problem.K:
                break
            there, reached = moved, certifier(moved)
            there[-1] = reached.intercept
        return there, max(1, passes // stride)


def _stride(problem: Problem) -> int:
    n = problem.rows.n_rows
    return max(1, int(n / max(LEAST_ROWS, SHARE * n)))
