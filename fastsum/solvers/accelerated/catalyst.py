"""Catalyst (Lin, Mairal, Harchaoui, NIPS 2015; JMLR 18, 2018) around MISO, SAGA or SVRG."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem
from fastsum.solvers._method import State, Weights
from fastsum.solvers._proximal_point import rounds_of_subproblem
from fastsum.solvers.accelerated._smoothed import FloatArray, Smoothed

GOLDEN = (5**0.5 - 1) / 2  # alpha_0 without strong convexity


class Catalyst(Smoothed):
    """An accelerated proximal point method whose subproblems another method solves.

    Problem: (1).  Step: eq. (49): `inner` goes on for a few passes on F + kappa / 2 ||w - y||^2,
    see `_smoothed.py`, then y moves ahead.  A budget of passes ends a subproblem (criterion C3
    of the JMLR paper), in place of an accuracy that would have to be measured.  Rate:
    n + sqrt(n kappa), times a logarithm, sample gradients a factor.  Cost and memory: the inner
    method's and three (d + 1, K) arrays.

    Without an l2 part mu = 0 in these formulas, and the momentum ends where it points against the
    gradient kappa (y - w) of the smoothed objective (O'Donoghue, Candes, 2015).  A subproblem gets
    `budget` rounds (cycles) of the inner method, and as many again for each factor of 300 of
    kappa / mu, the logarithm of the rate.
    """

    name = "catalyst"

    def __init__(self, problem: Problem, **options: Any):
        super().__init__(problem, **options)
        total = self._mu + self.kappa
        self._q = np.divide(self._mu, total, out=np.ones_like(total), where=total > 0)
        self._first = np.where(self._mu > 0, np.sqrt(self._q), GOLDEN)
        rounds = self.budget * rounds_of_subproblem(self.kappa, self._mu)
        self.cycle = rounds * self.inner.cycle  # type: ignore[misc]

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """At rest."""
        return {**super().start(W, rng), "last": W.copy(), "momentum": self._first.copy()}

    def advance(self, state: State, n_passes: int) -> None:
        """n_passes passes of the inner method; the centre moves after each `cycle`."""
        self._bind(state)
        for _ in range(n_passes):
            self.method.advance(state, 1)
            state["outer"] = (state["outer"] + 1) % self.cycle
            if state["outer"] == 0:
                self._extrapolate(state)

    def relocate(
        self,
        state: State,
        derivatives: FloatArray,
        gradient: FloatArray,
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """The centre at the new point, without momentum."""
        state["last"][:, columns] = state["weights"][:, columns]
        state["momentum"][columns] = self._first[columns]
        super().relocate(state, derivatives, gradient, columns)

    def _extrapolate(self, state: State) -> None:
        """alpha_k, beta_k and the next centre, eq. (49)."""
        W, last, a = state["weights"], state["last"], state["momentum"]
        q, square = self._q, a**2
        ahead = 0.5 * ((q - square) + np.sqrt((q - square) ** 2 + 4 * square))
        beta = a * (1 - a) / (square + ahead)
        # begun anew where the way goes against the gradient of the smoothed objective
        step = W[:-1].astype(np.float64) - last[:-1]
        product = (self.kappa * (state["anchor"][:-1] - W[:-1]) * step).sum(axis=0)
        C = self.problem.columns.n_outputs
        uphill = np.repeat(product.reshape(-1, C).sum(axis=1) > 0, C) & (self._mu <= 0)
        state["momentum"] = np.where(uphill, self._first, ahead)
        centre = W + np.where(uphill, 0.0, beta) * (W - last)
        state["last"][...] = W
        self._move(state, centre.astype(W.dtype), np.ones(len(a), dtype=bool))
