"""What methods share whose every pass is one gradient of all rows.

The intercept is the best one for w at every point, eq. (7): what is minimised is min over b of
F(w, b), which is as convex in w and as smooth as F, and its gradient is that of F at the best b.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fastsum.passes import RowArray
from fastsum.problem import Problem
from fastsum.sampling import rng_state
from fastsum.solvers._full_pass import FullPass
from fastsum.solvers._method import SMALLEST, Method, State, Weights

ROUNDING = 1e-12  # of a mean of squares that cancel


class FullGradientMethod(Method):
    """Methods of full gradients: state["unseen"] asks for the first one, a pass of its own.

    Attributes
    ----------
    full : FullPass
    top : float
        L_loss mean ||x_i - mean||^2, which no curvature at the best intercept exceeds; without one
        L_loss mean ||x_i||^2.
    """

    draws_rows: ClassVar[bool] = False

    def __init__(self, problem: Problem, *, sampling: str, step_size: float | None, n_threads: int):
        self.problem, self.step_size = problem, step_size
        self.full = FullPass(problem, n_threads)
        size = self.full.passes.mean_square()
        if problem.fit_intercept:
            size = max(size - float((self.full.passes.mean() ** 2).sum()), ROUNDING * size)
        top = problem.loss.curvature * size
        self.top = top if top > SMALLEST else 1.0

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """Nothing is known of W yet."""
        return {"weights": W, "unseen": 1, "rng": rng_state(rng)}

    def relocate(
        self,
        state: State,
        derivatives: npt.NDArray[np.float64],
        gradient: npt.NDArray[np.float64],
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """Starts anew from the new point."""
        state["unseen"] = 1

    def look(self, W: Weights, z: RowArray) -> RowArray:
        """Sets the best intercept of W, whose margins without one are z; derivatives there."""
        _, u, b = self.full.best_losses(z, W[-1].astype(np.float64))
        W[-1] = b
        return u
