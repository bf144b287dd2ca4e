"""Accelerated prox-SDCA (Shalev-Shwartz, Zhang, ICML 2014 and Math. Programming 2016).

The steps are those of SDCA, src_cpp/solvers/sdca.hpp.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsum.solvers._method import State
from fastsum.solvers._proximal_point import (
    AcceleratedCenters,
    FloatArray,
    rounds_of_subproblem,
)
from fastsum.solvers.dual.sdca import Sdca


class AccProxSdca(AcceleratedCenters, Sdca):
    """SDCA on subproblems whose centre runs ahead of the weights.

    Problem: the dual of (1).  Step: eq. (50), (51) with kappa = max_i L_i / n - l2, a pass for
    each centre, and one more for each factor of 300 of kappa / l2; then y = x + beta (x - x_old),
    eq. (52).  Rate: linear, n + sqrt(n max_i L_i / l2) steps, times a logarithm of their quotient,
    for a digit; where the rows are easy, max_i L_i <= n l2, it is SDCA.  Memory: that of SDCA and
    one more (d + 1, K) vector.

    Without an l2 part (l1 alone, alpha = 0) kappa = max_i L_i / n and beta is that of Nesterov's
    sequence with restarts, O(1 / t^2).
    """

    name = "acc-prox-sdca"

    def _kappa(self, even: float) -> FloatArray:
        return np.maximum(even - self.problem.mu, 0.0)

    def _inner(self) -> int:
        return rounds_of_subproblem(self.kappa, self.problem.mu)

    def _momentum(self) -> FloatArray:
        half = 0.5 * self.problem.penalty.mu
        root = np.sqrt(half / (half + self.kappa[:: self.problem.columns.n_outputs]))
        beta: FloatArray = (1.0 - root) / (1.0 + root)
        return beta

    def relocate(
        self,
        state: State,
        derivatives: npt.NDArray[np.float64],
        gradient: npt.NDArray[np.float64],
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """As SDCA, without momentum."""
        Sdca.relocate(self, state, derivatives, gradient, columns)
        AcceleratedCenters.relocate(self, state, derivatives, gradient, columns)
