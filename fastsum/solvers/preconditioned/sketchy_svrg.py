"""SketchySVRG (Frangella, Rathore, Zhao, Udell, JMLR 25, 2024, Algorithm 3)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsum.data import Rows
from fastsum.solvers._method import State
from fastsum.solvers.preconditioned._sketchy import Sketchy


class SketchySvrg(Sketchy):
    """SVRG on mini-batches in the metric of a sketched Hessian; both refreshed once a pass.

    Problem, metric, step size and cost: `_sketchy`.  Step: eq. (37) with the snapshot's
    derivatives.  Rate: linear in snapshots for l2 > 0, with the condition number in the metric,
    (1 + rho / l2) at most where the sketch is good, in place of kappa.  Memory: n K scalars, and
    the metric (10 d, or sqrt(n) rows and n / 2).
    """

    name = "sketchy-svrg"
    cycle = 2

    def _begin_pass(self, state: State) -> None:
        super()._begin_pass(state)
        self._snapshot(state, state["weights"])

    def _step(self, state: State, ids: npt.NDArray[np.int64], batch: Rows) -> None:
        W = state["weights"]
        change = self._slopes(ids, batch, W) - state["derivatives"][ids]
        g = self._sum(batch, self._correction[ids, None] * change / len(ids), state["gradient"])
        eta = self._step_sizes(state)
        W -= (eta * self._direction(state, W, g)).astype(W.dtype, copy=False)
