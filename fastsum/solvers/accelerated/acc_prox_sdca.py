"""Accelerated prox-SDCA (Shalev-Shwartz, Zhang, ICML 2014 and Math. Programming 2016).

The steps are those of SDCA, src_cpp/solvers/sdca.hpp.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsum.solvers._method import State, Weights
from fastsum.solvers._proximal_point import FloatArray
from fastsum.solvers.dual.sdca import Sdca


class AccProxSdca(Sdca):
    """SDCA on subproblems whose centre runs ahead of the weights.

    Problem: the dual of (1).  Step: eq. (50), (51) with kappa = max_i L_i / n - l2, a pass for
    each centre; then y = x + beta (x - x_old), eq. (52).  Rate: linear,
    O(n + sqrt(n max_i L_i / l2)) steps for a digit; where the rows are easy, max_i L_i <= n l2, it
    is SDCA.  Memory: that of SDCA and one more (d + 1, K) vector.

    Without an l2 part (l1 alone, alpha = 0) kappa = max_i L_i / n and beta is that of Nesterov's
    sequence, O(1 / t^2), begun again where the step turns against the momentum (O'Donoghue, Candes
    2015).
    """

    name = "acc-prox-sdca"

    def _kappa(self, even: float) -> FloatArray:
        return np.maximum(even - self.problem.l2, 0.0)

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """No momentum."""
        state = super().start(W, rng)
        return {**state, "previous": W.copy(), "momentum": np.ones(self.problem.columns.n_problems)}

    def relocate(
        self,
        state: State,
        derivatives: npt.NDArray[np.float64],
        gradient: npt.NDArray[np.float64],
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """As SDCA, without momentum."""
        super().relocate(state, derivatives, gradient, columns)
        state["previous"][:, columns] = state["center"][:, columns]
        state["momentum"][columns.reshape(-1, self.problem.columns.n_outputs)[:, 0]] = 1.0

    def _recenter(self, state: State) -> None:
        """The centre y = x + beta (x - x_old), eq. (52)."""
        x, old, C = state["weights"], state["previous"], self.problem.columns.n_outputs
        change = x - old
        l2 = self.problem.penalty.l2
        root = np.sqrt(0.5 * l2 / (0.5 * l2 + self.kappa[::C]))
        # Nesterov's sequence where l2 = 0
        against = ((state["center"] - x) * change).sum(axis=0).reshape(-1, C).sum(axis=1) > 0
        t = np.where(against, 1.0, state["momentum"])
        following = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * t**2))
        state["momentum"] = np.where(l2 > 0, 1.0, following)
        beta = np.where(l2 > 0, (1.0 - root) / (1.0 + root), (t - 1.0) / following)
        state["previous"] = x.copy()
        center = x + np.repeat(beta, C) * change
        self._move_center(state, center.astype(x.dtype))
