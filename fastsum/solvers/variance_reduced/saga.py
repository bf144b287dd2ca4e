"""SAGA (Defazio, Bach, Lacoste-Julien, NIPS 2014). The steps are in src_cpp/solvers/saga.hpp."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem
from fastsum.sampling import rng_state
from fastsum.solvers._method import PerSampleMethod, State, Weights
from fastsum.solvers._tables import available_memory, fits, is_mapped, new_table, table_bytes

# float32 averages of more rows drift by more than a tol of 1e-3 on a click log asks for.
DRIFTING_ROWS = 1 << 17


class Saga(PerSampleMethod):
    """SAGA with a prox, sparse re-weighted steps and optional importance sampling.

    Problem: (1).  Step: eq. (11)-(13), cost one row.  Rate: linear, a factor
    1 - min(1 / (4 n), mu / (3 L)) a step for uniform sampling and gamma of eq. (15).  Memory: a
    table of n K scalars and one (d + 1, K) average.

    Without strong convexity (l1 alone, a free intercept) the same steps: O(1 / k), and linear once
    the support is found and the loss is curved on it.

    The table starts at 0, as if every row had been visited where its loss is flat: no pass is
    spent on it, and the first pass makes plain stochastic gradient steps.
    """

    name = "saga"
    serves_rows = True
    vectors = ("weights", "average_gradient")
    threaded, own_weights = True, True
    gradient = ("average_gradient", 1.0)
    tables = ("table",)

    def __init__(self, problem: Problem, **options: object):
        needed = table_bytes(problem)
        if not (is_mapped(problem) or fits(needed, 0.8)):
            free = available_memory()
            raise MemoryError(
                f"{self.name}'s gradient table needs {needed / 1e9:.1f} GB (n x K = "
                f"{problem.rows.n_rows:,} x {problem.K} scalars), but {free / 1e9:.1f} GB are "
                "free: use solver='svrg', which can do without a table, or float32 data"
            )
        super().__init__(problem, **options)  # type: ignore[arg-type]
        self._drifts = problem.dtype == np.float32 and problem.rows.n_rows > DRIFTING_ROWS

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """Table and average at 0."""
        return {
            "weights": W,
            "average_gradient": self.new_vector(),
            "table": new_table(self.problem),
            "rng": rng_state(rng),
        }

    def advance(self, state: State, n_passes: int) -> None:
        """n_passes passes of steps."""
        self.sweep(state, n_passes)
        if self._drifts:  # n additions a pass in float32: rebuild it every other pass
            state["swept"] = (state.get("swept", 0) + n_passes) % 2
            if state["swept"] == 0:
                self.refresh(state)

    def relocate(
        self,
        state: State,
        derivatives: npt.NDArray[np.float64],
        gradient: npt.NDArray[np.float64],
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """The table as if every row had been visited at the new point."""
        average = self.gradient_rows(derivatives, gradient)
        state["table"][:, columns] = derivatives[:, columns]
        state["average_gradient"][:, columns] = average[:, columns]

    def refresh(self, state: State) -> None:
        """Rebuilds the average from the table, eq. (13), free of accumulated rounding."""
        state["average_gradient"][...] = self.average(state["table"])
