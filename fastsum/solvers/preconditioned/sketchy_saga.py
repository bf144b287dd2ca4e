"""SketchySAGA (Frangella, Rathore, Zhao, Udell, JMLR 25, 2024, Algorithm 4)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsum.data import Rows
from fastsum.solvers._method import State
from fastsum.solvers.preconditioned._sketchy import Sketchy


class SketchySaga(Sketchy):
    """SAGA on mini-batches in the metric of a sketched Hessian, refreshed once a pass.

    Problem, metric, step size and cost: `_sketchy`.  Step: eq. (37) with the table's derivatives,
    which those of the batch replace.  Rate: linear for l2 > 0, with the condition number in the
    metric, (1 + rho / l2) at most where the sketch is good, in place of kappa.  Memory: a table of
    n K scalars, and the metric (10 d, or sqrt(n) rows and n / 2).
    """

    name = "sketchy-saga"

    def _step(self, state: State, ids: npt.NDArray[np.int64], batch: Rows) -> None:
        W, table = state["weights"], state["derivatives"]
        u = self._slopes(ids, batch, W)
        change = u - table[ids]
        average = state["gradient"]
        # g = (1/b) sum_i q_i (u_i - a_i) x_i + the average
        g = self._sum(batch, self._correction[ids, None] * change / len(ids), average)
        # a_i <- u_i, once where a row was drawn twice
        if self.sampler.kind == "blocks":  # no row is, and all q_i are the same
            moved = g - average
            moved *= len(ids) / self.sampler.q_uniform
            average += moved
        else:
            change[1:][ids[1:] == ids[:-1]] = 0.0
            state["gradient"] = self._sum(batch, self._share[ids, None] * change, average)
        table[ids] = u
        eta = self._step_sizes(state)
        W -= (eta * self._direction(state, W, g)).astype(W.dtype, copy=False)

    def refresh(self, state: State) -> None:
        """Rebuilds the average from the table, free of accumulated rounding."""
        state["gradient"][...] = self._full_gradient(state["derivatives"])
