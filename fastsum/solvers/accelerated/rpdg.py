"""RPDG, the randomised primal-dual gradient method (Lan, Zhou, Math. Programming 171, 2018).

The steps are in src_cpp/solvers/rpdg.hpp.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem
from fastsum.solvers._full_pass import FullPass
from fastsum.solvers._method import State, Weights
from fastsum.solvers._proximal_point import AcceleratedCenters, FloatArray
from fastsum.solvers._tables import new_table
from fastsum.solvers.variance_reduced._lazy import SHORT

# Of max_i L_i / n is kappa; a subproblem takes sqrt(1 / LESS) passes.
LESS, INNER_PASSES = 0.1, 3


class Rpdg(AcceleratedCenters):
    """Extrapolated weights, a gradient prox of one dual variable, a prox step of the weights.

    Problem: the saddle point of (1).  Step: eq. (54), O(non-zeros of the row): columns that a row
    does not hold are brought up to date when one does.  Rate: linear, a factor
    1 - 2 / (m + 1 + sqrt((m - 1)^2 + 4 m C)) a step, C = 4 max_i q_i L_i / l2, m = max_i 1 / p_i (C
    of the paper is for its own p_i and at most that).  Memory: two tables of n K scalars, five
    (d + 1, K) vectors and K numbers for each step of a pass.

    The first pass takes the derivatives at the start. Without an l2 part (l1 alone, alpha = 0) and
    for the intercept it solves subproblems of a proximal point method, see `_proximal_point.py`,
    with kappa = max_i L_i / (10 n) and a centre that runs ahead, eq. (52). The dual variables
    certify.
    """

    name = "rpdg"
    vectors = ("weights", "last_weights", "average_gradient")
    tables = ("margins", "table")
    parameters = ("keep", "pull", "rate", "intercept_center")
    sequences = ("sums",)

    def __init__(self, problem: Problem, *, sampling: str, step_size: float | None, n_threads: int):
        super().__init__(problem, sampling=sampling, step_size=step_size, n_threads=n_threads)
        m = float(self.sampler.inverse_probability(np.ones(problem.rows.n_rows)).max())
        C = 4.0 * self.hardest / self.sigma
        root = np.sqrt((m - 1) ** 2 + 4 * m * C)
        eta = 0.5 * self.sigma * (root + m - 1)
        self.keep = eta / (eta + self.sigma)  # alpha
        self.pull = 2 * C / (root + m - 1)  # tau = (root - (m - 1)) / (2 m)
        self.rate = 1.0 / (eta + self.sigma)
        long = np.arange(0, self.sampler.n_active + SHORT, SHORT)
        k = np.concatenate([np.arange(SHORT), long])[:, None]
        log = np.log1p(-self.sigma * self.rate)
        self.sums = -np.expm1(k * log) / (self.sigma * self.rate)
        self.take_out_mu()  # it is in sigma

    def _kappa(self, even: float) -> FloatArray:
        return super()._kappa(LESS * even)

    def _inner(self) -> int:
        return INNER_PASSES

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """At rest; the tables are filled by the first pass."""
        state = super().start(W, rng)
        state |= {name: new_table(self.problem) for name in self.tables}
        state |= {"last_weights": W.copy(), "average_gradient": self.new_vector()}
        state |= {"intercept_center": W[-1].astype(np.float64), "unseen": 1, "time": 0}
        if self.problem.rows.sparse:
            state["visits"] = np.zeros(self.problem.rows.n_cols, dtype=np.int64)
        return state

    def dual(self, state: State) -> npt.NDArray[np.float64] | None:
        """u; with coupled outputs and an intercept it does not sum to 0."""
        if state["unseen"] or (self.problem.loss.coupled and self.problem.fit_intercept):
            return None
        u: FloatArray = state["table"].astype(np.float64)
        return u

    def relocate(
        self,
        state: State,
        derivatives: npt.NDArray[np.float64],
        gradient: npt.NDArray[np.float64],
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """Starts anew from the new point."""
        super().relocate(state, derivatives, gradient, columns)
        for name in ("last_weights", "center"):
            state[name][:, columns] = state["weights"][:, columns]
        state["intercept_center"] = state["center"][-1].astype(np.float64)
        state["unseen"] = 1

    def _make_pass(self, state: State) -> None:
        """The derivatives at the weights, once; else steps, and all columns up to date."""
        if state["unseen"]:
            full, W = FullPass(self.problem, self.n_threads), state["weights"]
            z = full.margins(W)
            state["margins"][...] = z + W[-1]
            _, state["table"][...] = full.losses(z, W[-1].astype(np.float64))
            state["unseen"], state["stale"], state["position"] = 0, 1, 0
            return
        state["time"] = 0
        self.sweep(state, 1)
        if "visits" in state:
            self._steps(state, 0, np.empty(0, dtype=np.int64))
            state["visits"][...] = 0

    def _rebuild(self, state: State) -> None:
        """g of the table and the centre."""
        state["average_gradient"][...] = self.average(state["table"])
        state["average_gradient"][:-1] -= self.kappa * state["center"][:-1]

    def _move_center(self, state: State, center: Weights) -> None:
        state["average_gradient"][:-1] -= self.kappa * (center - state["center"])[:-1]
        state["center"][...] = center
        state["intercept_center"] = center[-1].astype(np.float64)
