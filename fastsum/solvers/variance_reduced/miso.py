"""MISO (Mairal, SIAM J. Optim. 2015; prox: Lin, Mairal, Harchaoui, NIPS 2015).

The steps are in src_cpp/solvers/miso.hpp.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem
from fastsum.sampling import rng_state
from fastsum.solvers._method import PerSampleMethod, State, Weights
from fastsum.solvers._tables import new_table

# Share of its way that the centre of a proximal point goes to the newest point, once a pass.
CENTRE_SHARE = 0.5


class Miso(PerSampleMethod):
    """MISO for strongly convex terms, with a prox, and proximal points where they are not.

    Problem: (1).  Step: eq. (34), (35): the lower bound of one row's term, a parabola of curvature
    mu = l2 that touched it at an earlier point, moves a share delta to the newest one, and w is the
    minimiser of their average and the l1 penalty.  Each parabola is a scalar, w follows from their
    sum: cost one row, on sparse rows its non-zeros.  Rate: linear, a factor
    1 - min(mu / (4 L), 1 / (2 n)) a step for delta = min(1, mu n / (2 L)).  Memory: n K scalars and
    two (d + 1, K) vectors.

    Finito (Defazio, Caetano, Domke, ICML 2014) keeps the points and the gradients of the rows
    instead of the bounds, has steps 1 / (2 mu), the delta = 1 of MISO with the half of its step,
    and asks for n >= 2 L / mu; neither a prox nor sparse rows are in its paper.

    Without l2 (l1 alone, alpha = 0) the terms get rho / 2 ||w - w_c||^2 with rho = 2 L / n, for
    which delta is 1, and the intercept, which has none, mu / (2 c^2) (b - b_c)^2 always: a proximal
    point, whose centre goes half the way to the newest point once a pass.  A warm start enters by
    its derivatives and as that centre: w is always the one that the scalars make.
    """

    name = "miso"
    vectors = ("weights", "dual_sum", "centre")
    gradient = ("dual_sum", -1.0)
    tables = ("scalars",)
    parameters = ("theta", "rho", "total")
    step_share: ClassVar[float] = 1 / 2

    def __init__(self, problem: Problem, **options: Any):
        super().__init__(problem, **options)
        q = self.sampler.q_uniform if self.sampler.q is None else float(self.sampler.q.max())
        self._least_p = 1.0 / q
        mu = self.mu.astype(np.float64)
        self.rho = np.where(mu > 0, 0.0, self._least_p / self.theory)
        self.total = mu + self.rho
        self._share()

    def _share(self) -> None:
        """Theta = p_i delta_i, (K,): delta = 1 or, sooner, mu / (2 q_i L_i) for every row."""
        self.theta = np.minimum(self._least_p, self.total * self.step)

    def slow_down(self, factor: float) -> None:
        """Smaller shares."""
        super().slow_down(factor)
        self._share()

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """Scalars at 0, the centre at W."""
        return {
            "weights": W,
            "dual_sum": self.new_vector(),
            "centre": W.copy(),
            "scalars": new_table(self.problem),
            "rng": rng_state(rng),
        }

    def advance(self, state: State, n_passes: int) -> None:
        """n_passes passes of steps; the centre moves before each."""
        for _ in range(n_passes):
            centre = state["centre"]
            centre += (CENTRE_SHARE * (state["weights"] - centre)).astype(centre.dtype)
            self._minimise(state)
            self.sweep(state, 1)

    def relocate(
        self,
        state: State,
        derivatives: npt.NDArray[np.float64],
        gradient: npt.NDArray[np.float64],
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """The scalars of a given start; later points only move the centre.

        The w of their derivatives is off by kappa times what the points are.
        """
        if state.get("passes", 0) == 0:
            state["scalars"][:, columns] = derivatives[:, columns]
            average = self.gradient_rows(derivatives, gradient)
            state["dual_sum"][:, columns] = -average[:, columns]

    def refresh(self, state: State) -> None:
        """Rebuilds the sum from the scalars, free of accumulated rounding."""
        state["dual_sum"][...] = -self.average(state["scalars"])

    def _minimise(self, state: State) -> None:
        """The weights that the sum makes, eq. (35)."""
        V, centre = state["dual_sum"].astype(np.float64), state["centre"].astype(np.float64)
        state["weights"][:-1] = self.best(V[:-1] + self.rho * centre[:-1], self.rho)
        state["weights"][-1] = centre[-1] + self.intercept_curvature / self.total * V[-1]
