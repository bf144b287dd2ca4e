"""SAG (Schmidt, Le Roux, Bach, Mathematical Programming 162, 2017).

The steps are in src_cpp/solvers/sag.hpp.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fastsum.problem import Problem
from fastsum.solvers._method import State, Weights
from fastsum.solvers.variance_reduced._lazy import LazySteps
from fastsum.solvers.variance_reduced.saga import Saga


class Sag(LazySteps, Saga):
    """SAG with a prox and just-in-time updates on sparse rows.

    Problem: (1).  Step: eq. (30), the average of the stored gradients after the new one has taken
    its place, which has less variance than SAGA's direction and a bias; cost one row, on sparse
    rows its non-zeros by eq. (31).  Rate: linear, a factor 1 - min(mu / (16 L), 1 / (8 n)) a step
    for gamma = 1 / (16 L), uniform sampling and no prox; O(1 / k) without strong convexity (l1
    alone, a free intercept): the same steps.  Taken is gamma = 1 / L, which the paper recommends.
    With a prox: Driggs, Liang, Schoenlieb, JMLR 23, 2022.  Memory: a table of n K scalars and one
    (d + 1, K) average.

    Rows are drawn independently (sampling="auto" is "uniform" here): the other kinds spread the
    visits of a row evenly, the bias of the direction then does not average out, and these steps
    diverge.  Rows not yet visited count as gradients 0, not as rows left out of the average.
    """

    name = "sag"
    threaded = own_weights = False
    step_share: ClassVar[float] = 1.0

    def __init__(self, problem: Problem, *, sampling: str, **options: Any):
        drawn = "uniform" if sampling == "auto" else sampling
        super().__init__(problem, sampling=drawn, **options)

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """Table and average at 0."""
        return {**super().start(W, rng), **self.clock()}

    def advance(self, state: State, n_passes: int) -> None:
        """n_passes passes of steps."""
        for _ in range(n_passes):
            super().advance(state, 1)
