"""SVRG (Johnson, Zhang, NIPS 2013; prox: Xiao, Zhang, SIAM J. Optim. 2014).

The inner steps are in src_cpp/solvers/svrg.hpp.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem
from fastsum.sampling import rng_state
from fastsum.solvers._method import PerSampleMethod, State, Weights
from fastsum.solvers._tables import fits, is_mapped, new_table, table_bytes

# Passes of inner steps between snapshots; a snapshot is a pass of its own.
INNER_PASSES = 2


class Svrg(PerSampleMethod):
    """SVRG with a prox, sparse re-weighted steps and optional importance sampling.

    Problem: (1).  Step: eq. (11), (12), (14); one row and, with the snapshot's derivatives stored,
    one dot product.  Rate: linear in snapshots.  Memory: n K scalars and one (d + 1, K) gradient;
    where the scalars do not fit (a quarter of the free memory; those of large stores are a memory
    map) the snapshot itself is kept instead and a step costs two dot products.  Without strong
    convexity (l1 alone, a free intercept) the same steps, for which nothing is proved.
    """

    name = "svrg"
    serves_rows = True
    cycle = 1 + INNER_PASSES
    vectors: ClassVar[tuple[str, ...]] = ("weights", "full_gradient", "snapshot_weights")
    threaded, own_weights = True, True
    gradient = ("full_gradient", 1.0)
    tables = ("snapshot_derivatives",)

    def __init__(self, problem: Problem, **options: object):
        self.store_derivatives = is_mapped(problem) or fits(table_bytes(problem), 0.25)
        super().__init__(problem, **options)  # type: ignore[arg-type]

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """The first pass takes a snapshot."""
        state = {
            "weights": W,
            "full_gradient": self.new_vector(),
            "position": 0,
            "rng": rng_state(rng),
        }
        if self.store_derivatives:
            state["snapshot_derivatives"] = new_table(self.problem)
        else:
            state["snapshot_weights"] = W.copy()
        return state

    def advance(self, state: State, n_passes: int) -> None:
        """n_passes passes of the cycle: one snapshot, INNER_PASSES of steps."""
        for _ in range(n_passes):
            if state["position"] == 0:
                self._snapshot(state)
            else:
                self.sweep(state, 1)
            state["position"] = (state["position"] + 1) % self.cycle

    def relocate(
        self,
        state: State,
        derivatives: npt.NDArray[np.float64],
        gradient: npt.NDArray[np.float64],
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """A snapshot of the new point."""
        average = self.gradient_rows(derivatives, gradient)
        state["full_gradient"][:, columns] = average[:, columns]
        if "snapshot_derivatives" in state:
            state["snapshot_derivatives"][:, columns] = derivatives[:, columns]
        else:
            state["snapshot_weights"][:, columns] = state["weights"][:, columns]

    def _snapshot(self, state: State) -> None:
        """w~ <- w: its derivatives and full gradient, eq. (14)."""
        u = self.derivatives(state["weights"])
        state["full_gradient"][...] = self.average(u)
        if "snapshot_derivatives" in state:
            state["snapshot_derivatives"][...] = u
        else:
            state["snapshot_weights"][...] = state["weights"]
