"""Proximal gradient descent, and what Nesterov's acceleration of it shares.

Problem   eq. (1)
Step      w+ = prox_{h / L}(y - grad f(y) / L), eq. (55), y = w here; a step whose curvature
          d' (grad f(w+) - grad f(y)) / ||d||^2, d = w+ - y, is above L is made again with a larger
          one. That curvature needs the margins of w+ only, so each try is one pass
Rate      1 - mu / L a step; O(1 / t) where F is not strongly convex (l1 alone, alpha = 0)
Cost      one gradient of all rows
Memory    2 n K margins, 3 (d + 1) K
Source    Beck, Teboulle, SIAM J. Imaging Sciences 2(1), 2009, (1.4), backtracking in section 3;
          the curvature as in Becker, Candes, Grant, Math. Programming Computation 2011, (5.14)
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fastsum.penalties import shrink
from fastsum.problem import Problem
from fastsum.solvers._method import State, Weights
from fastsum.solvers.full_gradient._method import FloatArray, FullGradientMethod

# L at first, in units of its largest value; after a try in vain, in units of the last L, or of the
# curvature that was seen.
FIRST, GROWTH, ABOVE = 0.01, 2.0, 1.05
TINY = 1e-300


class GradientDescent(FullGradientMethod):
    """Proximal gradient steps; the file's head says how.

    step_size is 1 / L without tries. The intercept is the coefficient of a constant column, eq.
    (15).
    """

    name: ClassVar[str] = "gd"

    def __init__(self, problem: Problem, *, sampling: str, step_size: float | None, n_threads: int):
        super().__init__(problem, sampling=sampling, step_size=step_size, n_threads=n_threads)
        self._least = FIRST * self.top if step_size is None else 1.0 / step_size

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """At rest."""
        shape = (self.problem.rows.n_rows, self.problem.K)
        B = self.problem.columns.n_problems
        return {
            **super().start(W, rng),
            "ahead": W.copy(),
            "gradient": np.zeros(W.shape),
            "margins": np.zeros(shape),
            "margins_ahead": np.zeros(shape),
            "lipschitz": np.full(B, self._least),
            "momentum": np.ones(B),
        }

    def slow_down(self, factor: float) -> None:
        """Steps of a part of 1 / top, without tries."""
        self._least = self.top / factor
        self.step_size = factor / self.top

    def relocate(
        self,
        state: State,
        derivatives: npt.NDArray[np.float64],
        gradient: npt.NDArray[np.float64],
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """Starts anew from the new point, at rest."""
        super().relocate(state, derivatives, gradient, columns)
        state["ahead"][:, columns] = state["weights"][:, columns]
        state["momentum"][columns[:: self.problem.columns.n_outputs]] = 1.0

    def advance(self, state: State, n_passes: int) -> None:
        """A gradient, or a try of a step, a pass."""
        for _ in range(n_passes):
            if state["unseen"]:
                state["margins"][...] = self.margins(state["weights"])
                state["margins_ahead"][...] = self.margins(state["ahead"])
                state["gradient"][...] = self.gradient(state["margins_ahead"])
                state["unseen"] = 0
            else:
                self._try_step(state)

    def _try_step(self, state: State) -> None:
        """w+ of eq. (55); taken where its curvature is at most L."""
        problem, y, L = self.problem, state["ahead"], state["lipschitz"]
        per_L = 1.0 / self.spread(L)
        W = np.empty_like(state["weights"])
        step = y - per_L * state["gradient"]
        W[:-1] = shrink(step[:-1], per_L, problem.l1, problem.l2)
        W[-1] = y[-1] - self.unit2 * per_L * state["gradient"][-1]
        z = self.margins(W)
        if self.step_size is None:
            taken, curvature = self._judge(state, W, z)
            state["lipschitz"] = np.where(
                taken, L, np.minimum(np.maximum(GROWTH * L, ABOVE * curvature), self.top)
            )
            columns = self.spread(taken)
        else:
            columns = np.ones(problem.K, dtype=bool)
        if columns.any():
            self._take(state, W, z, columns)

    def _judge(
        self, state: State, W: Weights, z: FloatArray
    ) -> tuple[npt.NDArray[np.bool_], FloatArray]:
        """Whether W with margins z is a good step, and its curvature, (B,)."""
        L, d = state["lipschitz"], W.astype(np.float64) - state["ahead"]
        size = (d[:-1] ** 2).sum(axis=0)
        if self.unit2 > 0:
            size += d[-1] ** 2 / self.unit2
        there, here = np.empty_like(z), np.empty_like(z)
        self.losses(z, there)
        self.losses(state["margins_ahead"], here)
        bend = self.each(self.row_mean((z - state["margins_ahead"]) * (there - here)))
        curvature = bend / np.maximum(self.each(size), TINY)
        return ~(curvature > L) | (L >= self.top), curvature

    def _take(
        self, state: State, W: Weights, z: FloatArray, columns: npt.NDArray[np.bool_]
    ) -> None:
        """w <- w+, y and the gradient there."""
        beta = self._momentum(state, W)
        y = W + beta * (W - state["weights"])
        z_y = z + beta * (z - state["margins"])
        new = {"ahead": y, "margins_ahead": z_y, "weights": W, "margins": z}
        for name, values in new.items():
            state[name][:, columns] = values[:, columns]
        state["gradient"][...] = self.gradient(state["margins_ahead"])

    def _momentum(self, state: State, W: Weights) -> FloatArray:
        """beta (K,) of y = w+ + beta (w+ - w)."""
        return np.zeros(self.problem.K)
