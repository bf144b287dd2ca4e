"""SGD with a stochastic Armijo line search (Vaswani et al., NeurIPS 2019).

The steps are in src_cpp/solvers/sgd.hpp.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastsum.problem import Problem
from fastsum.solvers._full_pass import FullPass
from fastsum.solvers._method import State, Weights
from fastsum.solvers.stochastic.sgd import Averaged

LONGEST = 30.0  # gamma of eq. (15): the longest step tried, 10 / max_i q_i L_i


class SgdLinesearch(Averaged):
    """Stochastic gradient steps whose length a line search on the row's loss finds.

    Problem: (1).  Step: eq. (59) with the Armijo rule, whose tries cost one number each, for along
    a step the margin is linear; each begins with the last length (option 0 of the paper: lengths
    that grow again go with the row, and lead elsewhere than to the minimum).  Rate: linear where
    one w fits all rows (interpolation).  Where none does the lengths shrink by
    n F(null) / sum_t eta_t ||grad_t||^2, a pass at a time, which is about 1 / t then and bounded
    in the first case (the rule of AdaSLS, Jiang and Stich, NeurIPS 2023, has the root of it).
    Memory: four (d + 1, K) vectors.

    The result is the mean of the iterates of the last half or more.
    """

    name = "sgd-linesearch"
    takes_step = False
    parameters = ("decay", "power", "steps_before", "batch", "inertia", "factor")
    per_row = ("norms",)

    def __init__(self, problem: Problem, **settings: Any):
        super().__init__(problem, **settings)
        K = problem.K
        self.decay = self.power = self.batch = self.inertia = np.zeros(K)
        self._work = np.empty(11 * K)
        self.norms = problem.rows.squared_norms(self.n_threads)
        full = FullPass(problem, self.n_threads)
        zeros = np.zeros((problem.rows.n_rows, K))
        null, _, _ = full.best_losses(zeros, np.zeros(K))
        self._null = full.spread(np.maximum(null, np.finfo(float).tiny))

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """The longest step, nothing gathered."""
        state, K = super().start(W, rng), self.problem.K
        lengths = LONGEST * self.step.astype(np.float64)
        return {**state, "lengths": lengths, "gathered": np.zeros(K), "factor": np.ones(K)}

    def _make_pass(self, state: State) -> None:
        K, n = self.problem.K, self.sampler.n_active
        state["factor"] = 1.0 / np.maximum(1.0, state["gathered"] / (n * self._null))
        self._work[8 * K : 9 * K] = state["lengths"]
        self._work[9 * K : 10 * K] = 0.0
        self.sweep(state, 1)
        state["lengths"] = self._work[8 * K : 9 * K].copy()
        state["gathered"] = state["gathered"] + self._work[9 * K : 10 * K]
