"""SARAH (Nguyen, Liu, Scheinberg, Takac, ICML 2017; prox: Pham et al., JMLR 2020).

The inner steps are in src_cpp/solvers/sarah.hpp.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fastsum.sampling import rng_state
from fastsum.solvers._method import State, Weights
from fastsum.solvers.variance_reduced._lazy import LazySteps

# Passes of a round: its full gradient, and n steps of two gradients each.
ROUND = 3


class Sarah(LazySteps):
    """SARAH with a prox and just-in-time updates on sparse rows.

    Problem: (1).  Step: eq. (33): a gradient that follows the point by differences of one row's
    gradients, two gradients a step; a round is a full gradient and m = n steps, and the next one
    starts where it ends.  Rate: a factor 1 / (mu gamma (m + 1)) + gamma L / (2 - gamma L) of the
    squared gradient a round; n + kappa gradients for each factor with m of the order of kappa.
    Without strong convexity (l1 alone, a free intercept) the same rounds: n + L / eps gradients for
    a point in the course of a round drawn at random, of which the last one is taken here.
    Memory: one (d + 1, K) gradient, and no table.

    Given the past, v_t is off the gradient by as much as v_{t-1} was: it is unbiased over a round
    only, and the error ends with the round.  Only the differences meet the row, so a re-weighted
    step on its columns, eq. (11), would be unbiased as well, but with a variance that the
    recursion does not reduce; just-in-time updates are the paper's own steps.  ProxSARAH
    averages each step with the point before, for losses that are not convex; here its gamma_t is 1.
    """

    name = "sarah"
    cycle = ROUND
    vectors = ("weights", "gradient")
    tables = ()
    step_share: ClassVar[float] = 1 / 2

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """The first pass takes the full gradient."""
        counters = {"position": 0, "ahead": 0, "rng": rng_state(rng)}
        return {"weights": W, "gradient": self.new_vector(), **counters, **self.clock()}

    def advance(self, state: State, n_passes: int) -> None:
        """n_passes passes of the round: the full gradient, then n steps in two halves."""
        n = self.sampler.n_active
        for _ in range(n_passes):
            if state["position"] == 0:
                state["gradient"][...] = self.average(self.derivatives(state["weights"]))
            else:
                self.stretch(state, n // 2 if state["position"] == 1 else n - n // 2)
            state["position"] = (state["position"] + 1) % ROUND

    def relocate(
        self,
        state: State,
        derivatives: npt.NDArray[np.float64],
        gradient: npt.NDArray[np.float64],
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """The full gradient of the new point, from which the round goes on."""
        full = self.gradient_rows(derivatives, gradient)
        state["gradient"][:, columns] = full[:, columns]
