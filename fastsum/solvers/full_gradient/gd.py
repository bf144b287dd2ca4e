"""Proximal gradient descent, and what Nesterov's acceleration of it shares.

Problem   eq. (1) with the best intercept for each w
Step      w+ = prox_{h / L}(y - grad f(y) / L), eq. (55), y = w here; a step whose curvature
          d' (grad f(w+) - grad f(y)) / ||d||^2, d = w+ - y, is above L is made again with a larger
          one. That curvature needs the margins of w+ only, so each try is one pass
Rate      1 - mu / L a step; O(1 / t) where F is not strongly convex (l1 alone, alpha = 0)
Cost      one gradient of all rows
Memory    4 n K margins and derivatives, 3 (d + 1) K
Source    Beck, Teboulle, SIAM J. Imaging Sciences 2(1), 2009, (1.4), backtracking in section 3;
          the curvature as in Becker, Candes, Grant, Math. Programming Computation 2011, (5.14)
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fastsum.passes import RowArray
from fastsum.problem import Problem
from fastsum.solvers._full_pass import FloatArray
from fastsum.solvers._method import State, Weights
from fastsum.solvers.full_gradient._method import FullGradientMethod

# L at first, in units of its largest value; after a try in vain, in units of the last L, or of the
# curvature that was seen.
FIRST, GROWTH, ABOVE = 0.01, 2.0, 1.05
TINY = 1e-300


class GradientDescent(FullGradientMethod):
    """Proximal gradient steps; the file's head says how. step_size is 1 / L without tries."""

    name: ClassVar[str] = "gd"
    serves_rows = True
    serves_device = True

    def __init__(self, problem: Problem, *, sampling: str, step_size: float | None, n_threads: int):
        super().__init__(problem, sampling=sampling, step_size=step_size, n_threads=n_threads)
        self._least = FIRST * self.top if step_size is None else 1.0 / step_size

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """At rest."""
        K, B, array = W.shape[1], self.problem.columns.n_problems, self.full.passes.array
        return {
            **super().start(W, rng),
            "leading": W.copy(),
            "gradient": np.zeros((len(W) - 1, K)),
            **{name: array() for name in ("margins", "margins_leading", "slopes_leading")},
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
        state["leading"][:, columns] = state["weights"][:, columns]
        state["momentum"][columns[:: self.problem.columns.n_outputs]] = 1.0

    def advance(self, state: State, n_passes: int) -> None:
        """A gradient, or a try of a step, a pass."""
        for _ in range(n_passes):
            if state["unseen"]:
                state["margins"][...] = self.full.margins(state["weights"])
                state["margins_leading"][...] = self.full.margins(state["leading"])
                self.look(state["weights"], state["margins"])
                self._look_ahead(state)
                state["unseen"] = 0
            else:
                self._try_step(state)

    def _look_ahead(self, state: State) -> None:
        """Intercept, derivatives and gradient at y."""
        state["slopes_leading"][...] = self.look(state["leading"], state["margins_leading"])
        state["gradient"][...] = self.full.gradient(state["slopes_leading"])

    def _try_step(self, state: State) -> None:
        """w+ of eq. (55); taken where its curvature is at most L."""
        problem, y, L, full = self.problem, state["leading"], state["lipschitz"], self.full
        per_L = 1.0 / full.spread(L)
        W = y.copy()
        W[:-1] = problem.shrink(y[:-1] - per_L * state["gradient"], per_L)
        z = full.margins(W)
        there = self.look(W, z)
        taken = np.ones(len(L), dtype=bool)
        if self.step_size is None:
            d = W[:-1].astype(np.float64) - y[:-1]
            bend = full.mean(z - state["margins_leading"], there - state["slopes_leading"])
            curvature = bend / np.maximum(full.each((d**2).sum(axis=0)), TINY)
            taken = ~(curvature > L) | (L >= self.top)
            more = np.minimum(np.maximum(GROWTH * L, ABOVE * curvature), self.top)
            state["lipschitz"] = np.where(taken, L, more)
        if taken.any():
            self._take(state, W, z, full.spread(taken))

    def _take(self, state: State, W: Weights, z: RowArray, columns: npt.NDArray[np.bool_]) -> None:
        """w <- w+, y and the gradient there."""
        beta = self._momentum(state, W)
        y = W + beta * (W - state["weights"])
        z_y = z + beta * (z - state["margins"])
        for name, values in {"leading": y, "weights": W}.items():
            state[name][:, columns] = values[:, columns]
        for name, rows in {"margins_leading": z_y, "margins": z}.items():
            self.full.passes.put(state[name], rows, columns)
        self._look_ahead(state)

    def _momentum(self, state: State, W: Weights) -> FloatArray:
        """beta (K,) of y = w+ + beta (w+ - w)."""
        return np.zeros(self.problem.K)
