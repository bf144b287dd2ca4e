"""Dual coordinate ascent (SDCA), for problems whose rows are easy beside the penalty.

Problem   the dual of eq. (1): one smooth uncoupled problem, l2 penalty, sparse rows
Step      the best u_i of one row with all others held, eq. (20); w follows, which is
          -(1 / (S l2)) sum_i s_i u_i x_i (src_cpp/solvers/dual_epoch.hpp)
Rate      1 - 1 / (n + kappa) a step, kappa = L max_i ||x_i||^2 / l2: a few epochs where kappa <= n
Intercept a proximal point: (rho / 2) (b - b_0)^2 is added, so small that b is all but free, and
          b_0 moves to the best intercept at every certificate
Source    Shalev-Shwartz, Zhang, JMLR 2013; Rockafellar, SIAM J. Control and Optimization 1976
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastsum._core import _phases
from fastsum.certificate import Certificate, Certifier
from fastsum.problem import Problem
from fastsum.sampling import Sampler, rng_from_state, rng_state
from fastsum.solvers.phases._phase import FloatArray, Phase, Weights
from fastsum.solvers.phases.epochs import blocks_for_steps

# Mean kappa / n up to which dual epochs come first: at 0.25 they take 0.6 of the time of Newton
# steps (text), at 0.4 0.6 (ipinyou), at 0.97 1.1 (criteo), at 2.5 1.4 (sector).
EASY = 0.5
LEAST = 1 << 17  # stored values; fits of fewer are over before epochs are ahead of Newton steps
FREE = 4.0  # times mean ||x_i||^2 l2^-1 is 1 / rho
SLOW = 0.5  # of the gap of the epoch before: what an epoch must leave less of for another
CLOSER = 0.1  # of the gap aimed at: the next aim, where what epochs estimate was too low


class DualEpochs(Phase):
    """Epochs of dual ascent from the null model until the gap is there, or they are slow.

    Attributes
    ----------
    slow : bool
        Whether the last epoch gained too little for another.
    """

    name = "dual epochs"
    remembers = ("_u", "_weights", "_moved", "_aim", "slow")

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int, seed: int = 0):
        super().__init__(problem, certifier, n_threads)
        self._rng = np.random.Generator(np.random.PCG64(seed))
        rows, s = problem.rows, problem.sample_weight
        self._blocks, self._dtype = blocks_for_steps(problem)
        norms = rows.squared_norms(n_threads)
        self._sampler = Sampler(rows, s, np.ones(rows.n_rows), "blocks")
        S, l2 = problem.total_weight, float(problem.l2[0])
        self._per_l2 = 1.0 / (S * l2)
        self._per_rho = FREE * float(norms.mean()) * self._per_l2 if problem.fit_intercept else 0.0
        self._q = norms * self._per_l2 + self._per_rho
        if s is not None:
            self._q *= s
        self._u = np.zeros(rows.n_rows)
        self._weights = np.zeros(rows.n_cols + 1, dtype=self._dtype)
        self._moved = 0.0  # b - b_0
        self._aim = 1.0
        self.slow = False

    @staticmethod
    def pays(problem: Problem, n_threads: int) -> bool:
        """Whether dual epochs reach most tolerances before Newton steps would."""
        rows = problem.rows
        smooth = problem.K == 1 and not problem.l1.any() and bool((problem.l2 > 0).all())
        smooth &= problem.penalty.own is None
        if not (smooth and rows.storage in ("ones", "csr") and rows.nnz >= LEAST):
            return False
        L = problem.loss.curvature * float(rows.squared_norms(n_threads).mean())
        return L <= EASY * rows.n_rows * float(problem.l2[0])

    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """Epochs until about the target is reached; goes on from its own u, whatever W is."""
        start = certificate.intercept[0] + self._moved
        self._weights[-1], epochs, gap, self.slow = start, 0, np.inf, False
        while epochs < budget and not self.slow:
            last, gap = gap, self._epoch()
            epochs += 1
            self.slow = gap > SLOW * last
            # each row was seen in the middle of the epoch: half of one has come since
            rate = min(1.0, gap / last) if np.isfinite(last) else 1.0
            if gap * rate**0.5 <= self._aim * target[0]:
                break
        self._aim *= CLOSER
        self._moved += float(self._weights[-1]) - start
        return self._weights[:, None].astype(self.problem.dtype), epochs

    def memory(self) -> dict[str, Any]:
        """With the state of the order of rows."""
        return {**(super().memory() or {}), "rng": rng_state(self._rng)}

    def recall(self, memory: dict[str, Any]) -> None:
        """Takes over what `memory` told."""
        super().recall(memory)
        self._rng = rng_from_state(memory["rng"])

    def dual(self) -> tuple[FloatArray, FloatArray] | None:
        """u itself, whose gradient is -l2 w but for rounding."""
        return self._u[:, None], np.zeros(1)

    def _epoch(self) -> float:
        """One epoch; about the duality gap while it was made."""
        gap = 0.0
        for number, order in self._sampler.draw(self._rng, 1):
            part = self._blocks[number]
            gap += _phases.dual_epoch(
                part.block,
                part.task,
                order,
                self._q[part.rows],
                self._per_l2,
                self._per_rho,
                self._u[part.rows],
                self._weights,
            )
        return gap / self.problem.total_weight
