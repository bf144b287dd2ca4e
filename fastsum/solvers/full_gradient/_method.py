"""What methods share whose every pass is one gradient of all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem
from fastsum.sampling import rng_state
from fastsum.solvers import _full_pass
from fastsum.solvers._method import INTERCEPT_SHARE, Method, State, Weights

FloatArray = npt.NDArray[np.float64]


class FullGradientMethod(Method):
    """Methods of full gradients: state["unseen"] asks for the first one, a pass of its own.

    Attributes
    ----------
    unit2 : float
        c^2 of eq. (15): b counts as the coefficient of a constant column c; 0 without one.
    top : float
        L_loss (mean ||x_i||^2 + c^2), which no curvature of the loss exceeds.
    """

    def __init__(self, problem: Problem, *, sampling: str, step_size: float | None, n_threads: int):
        self.problem, self.n_threads, self.step_size = problem, n_threads, step_size
        norms = problem.rows.squared_norms(n_threads)
        mean = float(np.average(norms, weights=problem.sample_weight))
        self.unit2 = 0.0
        if problem.fit_intercept:
            self.unit2 = INTERCEPT_SHARE * mean if mean > 0 else 1.0
        self.top = problem.loss.curvature * (mean + self.unit2)
        if self.top <= 0:
            self.top = 1.0

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

    def margins(self, W: npt.NDArray[Any]) -> FloatArray:
        """X w + b, (n, K)."""
        return _full_pass.margins(self.problem, W, self.n_threads)

    def losses(self, z: FloatArray, u: FloatArray) -> FloatArray:
        """Mean loss at margins z, (B,); u <- l'(z)."""
        return _full_pass.losses(self.problem, z, u, self.n_threads)

    def gradient(self, z: FloatArray) -> FloatArray:
        """Of the mean loss at margins z, (d + 1, K)."""
        u = np.empty_like(z)
        self.losses(z, u)
        return _full_pass.gradient(self.problem, u, self.n_threads)

    def each(self, values: FloatArray) -> FloatArray:
        """Sums of (..., K) values over the outputs of each problem, (..., B)."""
        B = self.problem.columns.n_problems
        out: FloatArray = values.reshape(*values.shape[:-1], B, -1).sum(axis=-1)
        return out

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A value a problem (B,) as one a column (K,)."""
        return np.repeat(values, self.problem.columns.n_outputs)

    def row_mean(self, values: FloatArray) -> FloatArray:
        """(1/S) sum_i s_i values_i, (K,)."""
        s, S = self.problem.sample_weight, self.problem.total_weight
        mean: FloatArray = (values.sum(axis=0) if s is None else s @ values) / S
        return mean
