"""Proximal points around dual methods, which need a strongly convex penalty.

Problem   F(w, b) + (kappa / 2) ||w - c||^2 + (rho / 2) (b - b_0)^2, whose centre moves, eq. (50)
Choice    kappa = 0 where l2 > 0, else max_i L_i / n, so that a pass of a dual method takes a part
          of the error away; rho = min((l2 + kappa) / c_x^2, L / n) with c_x^2 of eq. (15), as if
          the intercept were the coefficient of that constant column: b is free in the end
Rate      of the centres: 1 / (1 + mu / kappa) where F grows by mu / 2 ||w - w*||^2, else O(1 / t)
Source    Rockafellar, SIAM J. Control and Optimization 14(5), 1976
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem
from fastsum.sampling import rng_state
from fastsum.solvers._method import SMALLEST, PerSampleMethod, State, Weights

FloatArray = npt.NDArray[np.float64]
ONE_MORE = 300.0  # factor of kappa / l2 that asks for one more round on each subproblem


def rounds_of_subproblem(kappa: FloatArray, l2: FloatArray) -> int:
    """Rounds of an inner method between two centres that run ahead by eq. (52) or (49).

    What a round leaves of the error is carried on by a momentum that forgets in (kappa / l2)^(1/2)
    centres, so it has to be the smaller: the rounds that the theorems ask for grow with
    log(kappa / l2). With one of them throughout, the centres diverge from kappa = 1000 l2 on.
    """
    strong = (l2 > 0) & (kappa > 0)
    logs = np.log(kappa[strong]) - np.log(l2[strong])
    return max(1, int(np.ceil(logs.max(initial=0.0) / np.log(ONE_MORE))))


class ProximalPointMethod(PerSampleMethod):
    """Per-sample methods on subproblems with a centre, state["center"] (d + 1, K).

    Attributes
    ----------
    kappa, sigma, rho : (K,) arrays
        Strength of the proximal term, l2 + kappa, and that of the intercept's.
    inner : int
        Passes between two centres.
    """

    takes_step: ClassVar[bool] = False

    def __init__(self, problem: Problem, *, sampling: str, step_size: float | None, n_threads: int):
        super().__init__(problem, sampling=sampling, step_size=step_size, n_threads=n_threads)
        n = self.sampler.n_active
        self.hardest = self.step_share / self.theory  # max_i q_i L_i, eq. (15)
        self.kappa = self._kappa(self.hardest / n)
        self.sigma = problem.mu + self.kappa
        L = max(problem.loss.curvature, SMALLEST)
        c2 = self.intercept_curvature if problem.fit_intercept else 1.0
        self.rho = np.minimum(self.sigma / c2, L / n)
        self.inner = self._inner()

    def _kappa(self, even: float) -> FloatArray:
        """kappa (K,); with `even` a subproblem without l2 has L / kappa = n."""
        return np.where(self.problem.mu > 0, 0.0, even)

    def _inner(self) -> int:
        """Passes between two centres: fewer are faster than more, in every experiment."""
        return 1

    @abstractmethod
    def _rebuild(self, state: State) -> None:
        """Makes the state anew from the centre and what is stored of the rows."""

    @abstractmethod
    def _move_center(self, state: State, center: Weights) -> None:
        """Moves the centre and what depends on it."""

    def _next_center(self, state: State) -> Weights:
        """The weights."""
        W: Weights = state["weights"]
        return W

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """A state of the centre W and the counters."""
        counters = {"position": 0, "fresh": 1, "stale": 1}
        return {
            "weights": W,
            "center": W.copy(),
            "sigma": self.sigma,
            "rng": rng_state(rng),
            **counters,
        }

    def advance(self, state: State, n_passes: int) -> None:
        """n_passes passes; the centre moves before a pass, once `inner` have been made."""
        for _ in range(n_passes):
            if state["stale"] or not np.array_equal(state["sigma"], self.sigma):
                self._rebuild(state)
                state["stale"], state["sigma"] = 0, self.sigma
            if state["position"] >= self.inner:
                self._move_center(state, self._next_center(state))
                state["position"] = 0
            state["position"] += 1
            state["fresh"] = 0
            self._make_pass(state)

    def _make_pass(self, state: State) -> None:
        self.sweep(state, 1)

    def slow_down(self, factor: float) -> None:
        """Longer subproblems: centres that move too soon are what can go wrong."""
        super().slow_down(factor)
        self.inner = int(self._inner() / factor)

    def refresh(self, state: State) -> None:
        """What is accumulated is rebuilt before the next pass."""
        state["stale"] = 1


class AcceleratedCenters(ProximalPointMethod):
    """Proximal points whose centre runs ahead of the weights, eq. (52).

    Where l2 > 0 by `_momentum`; else by Nesterov's sequence, begun again where the step turns
    against it (O'Donoghue, Candes, Found. Comput. Math. 2015).
    """

    def _momentum(self) -> FloatArray:
        """beta (B,) where l2 > 0."""
        return np.zeros(self.problem.columns.n_problems)

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """No momentum."""
        state = super().start(W, rng)
        return {**state, "previous": W.copy(), "momentum": np.ones(self.problem.columns.n_problems)}

    def relocate(
        self,
        state: State,
        derivatives: FloatArray,
        gradient: FloatArray,
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """No momentum."""
        state["previous"][:, columns] = state["weights"][:, columns]
        state["momentum"][columns[:: self.problem.columns.n_outputs]] = 1.0

    def _next_center(self, state: State) -> Weights:
        """y = x + beta (x - x_old), eq. (52)."""
        x, C = state["weights"], self.problem.columns.n_outputs
        change = x - state["previous"]
        against = ((state["center"] - x) * change).sum(axis=0).reshape(-1, C).sum(axis=1) > 0
        t = np.where(against, 1.0, state["momentum"])
        state["momentum"] = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * t**2))
        state["previous"] = x.copy()
        beta = np.where(
            self.problem.penalty.mu > 0, self._momentum(), (t - 1.0) / state["momentum"]
        )
        y: Weights = (x + np.repeat(beta, C) * change).astype(x.dtype)
        return y
