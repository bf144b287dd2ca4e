"""SDCA with a prox (Shalev-Shwartz, Zhang, JMLR 2013 and Math. Programming 2016).

The steps are in src_cpp/solvers/sdca.hpp.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem
from fastsum.solvers._method import State, Weights
from fastsum.solvers._proximal_point import ProximalPointMethod
from fastsum.solvers._tables import new_table


class Sdca(ProximalPointMethod):
    """Dual coordinate ascent, with a prox for the l1 part.

    Problem: the dual of (1).  Step: eq. (50), (51); the best dual value of one row for a quadratic
    bound, by a root of one number (coupled outputs: of C numbers).  Rate: linear, a factor
    1 - 1 / (n + max_i L_i / l2) a step; no step size.  Memory: a table of n K scalars and three
    (d + 1, K) vectors.

    Without an l2 part (l1 alone, alpha = 0) and for the intercept it solves subproblems of a
    proximal point method, a pass each, see `_proximal_point.py`. The table is a dual
    point and certifies.
    """

    name: ClassVar[str] = "sdca"
    kernel = "sdca"
    vectors = ("weights", "unshrunk")
    tables = ("table",)
    parameters = ("per_sigma", "per_rho", "tau")
    per_row = ("norms",)

    def __init__(self, problem: Problem, *, sampling: str, step_size: float | None, n_threads: int):
        super().__init__(problem, sampling=sampling, step_size=step_size, n_threads=n_threads)
        S = problem.total_weight
        self.norms = problem.rows.squared_norms(n_threads)
        self.tau = 1.0 / self.sigma
        self.per_sigma = self.tau / S
        self.per_rho = 1.0 / (S * self.rho) if problem.fit_intercept else np.zeros(problem.K)
        self.take_out_mu()  # it is in sigma

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """The table at 0, which all losses have in their domain."""
        state = super().start(W, rng)
        problem = self.problem
        state["table"] = new_table(problem)
        if problem.l1.any() or problem.penalty.own is not None:
            state["unshrunk"] = self.new_vector()
        return state

    def dual(self, state: State) -> npt.NDArray[np.float64] | None:
        """The table; with coupled outputs and an intercept it does not sum to 0."""
        if self.problem.loss.coupled and self.problem.fit_intercept:
            return None
        return state["table"].astype(np.float64)

    def relocate(
        self,
        state: State,
        derivatives: npt.NDArray[np.float64],
        gradient: npt.NDArray[np.float64],
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """The new point is the centre, its derivatives the table.

        Without a proximal term the weights are those of the table and of nothing else: a table in
        use is kept, for that of a better point may make worse weights.
        """
        state["stale"] = 1
        taken = columns & ((self.kappa > 0) | bool(state["fresh"]))
        state["table"][:, taken] = derivatives[:, taken]
        state["center"][:, taken] = state["weights"][:, taken]

    def _unshrunk(self, state: State) -> Weights:
        V: Weights = state["unshrunk" if "unshrunk" in state else "weights"]
        return V

    def _rebuild(self, state: State) -> None:
        """v of the table and the weights that it makes, eq. (50)."""
        v, center, V = -self.average(state["table"]), state["center"], self._unshrunk(state)
        V[:-1] = (v[:-1] + self.kappa * center[:-1]) / self.sigma
        V[-1] = center[-1]
        if self.problem.fit_intercept:
            V[-1] += v[-1] / self.rho
        self._shrink(state)

    def _move_center(self, state: State, center: Weights) -> None:
        V, change = self._unshrunk(state), center - state["center"]
        state["center"][...] = center
        V[:-1] += (self.kappa / self.sigma) * change[:-1]
        V[-1] += change[-1]
        self._shrink(state)

    def _shrink(self, state: State) -> None:
        if "unshrunk" in state:
            V, dtype = state["unshrunk"], self.problem.dtype
            state["weights"][:-1] = self.shrink(V[:-1], self.tau.astype(dtype))
            state["weights"][-1] = V[-1]
