"""Losses with kinks by smooth ones: fits of the smoothed loss, less and less smoothed.

Problem   max_u D(u), the dual of eq. (1), for a loss with kinks under a penalty
Step      u+ = argmax_u D(u) - gamma / (2 S) sum_i s_i (u_i - u_i^k)^2, a proximal point: the dual
          of (1) with a smooth loss, which `auto` minimises nearly, from the last point; the
          derivatives there are u+. gamma falls while the gap does not
Dual      u+: what smoothing costs is gone where u+ = u^k
Rate      linear in these steps, and faster for smaller gamma; of some Newton steps each
Source    Rockafellar, SIAM J. Control and Optimization 1976 (the method of multipliers); Newton
          steps inside: Li, Sun, Toh, SIAM J. Optim. 2018
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastsum.certificate import Certificate, Certifier
from fastsum.problem import Problem
from fastsum.solvers.phases._phase import FloatArray, Phase, Weights
from fastsum.solvers.phases._round import Engine, make_round

FIRST, LEAST = 1.0, 1e-4  # gamma
SLOW, SHRINK = 0.2, 0.2  # of the gap before: more, and gamma shrinks
PART, ROUGH = 0.3, 0.1  # accuracy of a smoothed fit: of the gap wanted; of the last gap
IDLE = 8  # rounds without a gain

MakeEngine = Callable[[Problem, Certifier], Engine]


class Smoothing(Phase):
    """The smoothed fit of one gamma a call."""

    name = "smoothing"
    remembers = ("_gamma", "_failed", "_gap", "_u", "_W")

    def __init__(
        self, problem: Problem, certifier: Certifier, n_threads: int, make_engine: MakeEngine
    ):
        super().__init__(problem, certifier, n_threads)
        self._make_engine = make_engine
        self._start()

    def _start(self) -> None:
        self._gamma, self._failed = 0.0, False
        self._gap: FloatArray = np.empty(0)
        self._u: FloatArray = np.empty(0)
        self._W: Weights = np.empty(0)

    def use(self, problem: Problem) -> None:
        """Goes on from the point under the new penalty."""
        super().use(problem)
        self._start()

    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """Rounds on the smoothed problem until its gap is small beside the last one."""
        first, gap = self._gamma == 0.0, certificate.gap
        if first:
            self._gamma, self._W = FIRST, W
            self._u = np.zeros_like(self.certifier.derivatives)
        elif self._failed:
            self._gamma /= SHRINK
        elif (gap > np.maximum(SLOW * self._gap, target)).any():
            self._gamma = max(LEAST, SHRINK * self._gamma)
        self._gap = gap
        goal = np.maximum(PART * target, ROUGH * np.minimum(gap, self._gamma))
        problem = self.problem.smoothed(self._gamma, self._u)
        inner = Certifier(problem, self.n_threads)
        engine = self._make_engine(problem, inner)
        if not first:
            engine.use(problem)
        at, here = self._W.copy(), inner(self._W)
        passes, idle = 0, 0
        # one round at least: beside a small gamma u+ needs more than the gap tells
        while passes == 0 or ((here.gap > goal).any() and passes < budget and idle < IDLE):
            last = here.gap
            _, at, here, cost = make_round(engine, inner, at, here, goal, budget - passes)
            passes += cost
            idle = 0 if (here.gap < 0.9 * last).any() else idle + 1
        self._failed = bool((here.gap > goal).any())
        if not self._failed:
            self._W, self._u = at, inner.derivatives
        return at.copy(), max(1, passes)

    def dual(self) -> tuple[FloatArray, FloatArray] | None:
        """That of the smoothed problem."""
        return self._u, np.zeros_like(self._gap)
