"""SketchyKatyusha (Frangella, Rathore, Zhao, Udell, JMLR 25, 2024, Algorithm 5)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.data import Rows
from fastsum.problem import Problem
from fastsum.sampling import rng_from_state, rng_state
from fastsum.solvers._method import State, Weights
from fastsum.solvers.preconditioned._sketchy import Sketchy


class SketchyKatyusha(Sketchy):
    """Loopless Katyusha on mini-batches in the metric of a sketched Hessian.

    Problem, metric and cost: `_sketchy`.  Step: eq. (38), where a coin of probability b / n takes
    the snapshot y (Kovalev, Horvath, Richtarik, ALT 2020).  Rate: linear for l2 > 0, n / b +
    sqrt((n / b) kappa_P) steps a factor, with the condition number in the metric; without an l2
    penalty there is no form of it.  Memory: n K scalars, two points, and the metric (10 d, or
    sqrt(n) rows and n / 2).

    The strong convexity in the metric is taken to be that of a good sketch, l2 / rho.  step_size
    takes the place of 1 / L_P.
    """

    name = "sketchy-katyusha"
    cycle = 2

    @staticmethod
    def missing(problem: Problem) -> str:
        """As the others, and an l2 penalty."""
        if not (problem.mu > 0).all():
            return "it needs an l2 penalty, whose strong convexity sets its momentum"
        return Sketchy.missing(problem)

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """All three points at W; the coins have a generator of their own."""
        coins = np.random.Generator(np.random.PCG64(int(rng.integers(1 << 63))))
        points = {"y": W.astype(np.float64), "z": W.astype(np.float64)}
        return {**super().start(W, rng), **points, "until": 0, "coins": rng_state(coins)}

    def relocate(
        self,
        state: State,
        derivatives: npt.NDArray[np.float64],
        gradient: npt.NDArray[np.float64],
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """A snapshot of the new point, without momentum."""
        super().relocate(state, derivatives, gradient, columns)
        for point in ("y", "z"):
            state[point][:, columns] = state["weights"][:, columns]

    def _begin_pass(self, state: State) -> None:
        super()._begin_pass(state)
        if state["until"] == 0:
            self._toss(state)

    def _toss(self, state: State) -> None:
        """A snapshot at w, and the number of steps to the next one."""
        state["y"][...] = state["weights"]
        self._snapshot(state, state["weights"])
        coins = rng_from_state(state["coins"])
        state["until"] = int(coins.geometric(min(1.0, self._batch / self.sampler.n_active)))
        state["coins"] = rng_state(coins)

    def _step(self, state: State, ids: npt.NDArray[np.int64], batch: Rows) -> None:
        W, y, z = state["weights"], state["y"], state["z"]
        l2, n = self.problem.mu, self.sampler.n_active
        L = self._smoothness(state)
        sigma = l2 / self._rho / L
        theta1 = np.minimum(np.sqrt(2 / 3 * sigma * n / self._batch), 0.5)
        eta = 0.5 / (1.5 * theta1)
        # x <- theta1 z + y / 2 + (1/2 - theta1) w
        x = theta1 * z + 0.5 * y + (0.5 - theta1) * W
        change = self._slopes(ids, batch, x) - state["derivatives"][ids]
        g = self._sum(batch, self._correction[ids, None] * change / len(ids), state["gradient"])
        # z <- (eta sigma x + z - (eta / L) P^-1 g) / (1 + eta sigma); w <- x + theta1 (z - z_old)
        ahead = eta * sigma * x + z - eta / L * self._direction(state, x, g)
        ahead /= 1 + eta * sigma
        W[...] = x + theta1 * (ahead - z)
        z[...] = ahead
        state["until"] -= 1
        if state["until"] == 0:
            self._toss(state)

    def _smoothness(self, state: State) -> Any:
        """L_P of each column, longer where steps were to be shorter."""
        by_hand = self._by_hand
        return (1 / by_hand if by_hand else state["smoothness"] / self._factor) * np.ones(
            self.problem.K
        )
