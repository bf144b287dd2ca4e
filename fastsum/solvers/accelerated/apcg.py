"""APCG, accelerated randomised proximal coordinate gradient (Lin, Lu, Xiao, SIAM J. Optim. 2015).

The steps are in src_cpp/solvers/apcg.hpp.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem
from fastsum.solvers._method import State, Weights
from fastsum.solvers._proximal_point import AcceleratedCenters, FloatArray
from fastsum.solvers._tables import new_table

MOST_ALPHA = 0.9  # of 1: data of one row
# Of max_i L_i / n is kappa; a subproblem takes sqrt(1 / LESS) passes.
LESS, INNER_PASSES = 0.1, 3


class Apcg(AcceleratedCenters):
    """Accelerated coordinate gradient on the dual, in the variables that no step writes in full.

    Problem: the dual of (1).  Step: eq. (53), O(non-zeros of the row).  Rate: linear, a factor
    1 - min_i p_i / sqrt(1 + L q_i) a step.  Memory: two tables of n K scalars and four (d + 1, K)
    vectors.

    Without an l2 part (l1 alone, alpha = 0) and for the intercept it solves subproblems of a
    proximal point method, see `_proximal_point.py`, with kappa = max_i L_i / (10 n) and a centre
    that runs ahead, eq. (52). The dual point certifies.
    """

    name = "apcg"
    vectors = ("fast_weights", "slow_weights")
    tables = ("fast_table", "slow_table")
    parameters = ("per_sigma", "per_rho", "tau", "momentum_rate")

    def __init__(self, problem: Problem, *, sampling: str, step_size: float | None, n_threads: int):
        super().__init__(problem, sampling=sampling, step_size=step_size, n_threads=n_threads)
        S, sampler = problem.total_weight, self.sampler
        self.tau = 1.0 / self.sigma
        self.per_sigma = self.tau / S
        self.per_rho = 1.0 / (S * self.rho) if problem.fit_intercept else np.zeros(problem.K)
        # alpha = min_i p_i / sqrt(1 + L q_i), q_i = s_i (||x_i||^2 / (S sigma) + 1 / (S rho))
        norms, s = problem.rows.squared_norms(n_threads), problem.sample_weight
        q = norms[:, None] * self.per_sigma + self.per_rho
        if s is not None:
            q *= s[:, None]
        root = np.sqrt(1.0 + problem.loss.curvature * q)
        slowest = [sampler.inverse_probability(column).max() for column in root.T]
        self.momentum_rate = np.minimum(1.0 / np.array(slowest), MOST_ALPHA)
        self.decay = ((1.0 - self.momentum_rate) / (1.0 + self.momentum_rate)) ** sampler.n_active
        self.take_out_mu()  # it is in sigma

    def _kappa(self, even: float) -> FloatArray:
        return super()._kappa(LESS * even)

    def _inner(self) -> int:
        return INNER_PASSES

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """The dual point 0, which all losses have in their domain, at rest."""
        state = super().start(W, rng)
        state |= {name: self.new_vector() for name in self.vectors}
        return state | {name: new_table(self.problem) for name in self.tables} | {"time": 0}

    def dual(self, state: State) -> npt.NDArray[np.float64] | None:
        """x; with coupled outputs and an intercept it does not sum to 0."""
        if self.problem.loss.coupled and self.problem.fit_intercept:
            return None
        x: FloatArray = state["fast_table"].astype(np.float64) + state["slow_table"]
        return x

    def relocate(
        self,
        state: State,
        derivatives: npt.NDArray[np.float64],
        gradient: npt.NDArray[np.float64],
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """The new point is the centre, its derivatives the dual point, at rest; as SDCA."""
        super().relocate(state, derivatives, gradient, columns)
        state["stale"] = 1
        taken = columns & ((self.kappa > 0) | bool(state["fresh"]))
        state["slow_table"][:, taken] = derivatives[:, taken]
        state["fast_table"][:, taken] = 0.0
        state["center"][:, taken] = state["weights"][:, taken]

    def _make_pass(self, state: State) -> None:
        """A pass from rho_0 = 1; then U and P take in what rho_n has become."""
        state["time"] = 0
        self.sweep(state, 1)
        for name in ("fast_weights", "fast_table"):
            state[name] *= self.decay.astype(state[name].dtype)
        self._shrink(state)

    def _rebuild(self, state: State) -> None:
        """P and Q of the tables and the centre."""
        for vector, table in zip(self.vectors, self.tables, strict=True):
            v, V = -self.average(state[table]), state[vector]
            V[:-1] = v[:-1] / self.sigma
            V[-1] = v[-1] / self.rho if self.problem.fit_intercept else 0.0
        state["slow_weights"][:-1] += (self.kappa / self.sigma) * state["center"][:-1]
        state["slow_weights"][-1] += state["center"][-1]
        self._shrink(state)

    def _move_center(self, state: State, center: Weights) -> None:
        change = center - state["center"]
        state["center"][...] = center
        state["slow_weights"][:-1] += (self.kappa / self.sigma) * change[:-1]
        state["slow_weights"][-1] += change[-1]

    def _shrink(self, state: State) -> None:
        """The weights of x."""
        V, dtype = state["fast_weights"] + state["slow_weights"], self.problem.dtype
        state["weights"][:-1] = self.shrink(V[:-1], self.tau.astype(dtype))
        state["weights"][-1] = V[-1]
