"""FISTA: accelerated proximal gradient steps, with restarts or for strongly convex problems.

Problem   eq. (1)
Step      eq. (55) at y = w + beta (w - w_old), eq. (56): beta = (1 - sqrt q) / (1 + sqrt q),
          q = l2 / (L + l2), where l2 > 0; else Nesterov's sequence, begun again where the step
          turns against the momentum
Rate      1 - sqrt(q) a step; O(1 / t^2) without an l2 part, and linear with restarts where F grows
          quadratically
Cost      one gradient of all rows; memory as `gd.py`
Source    Beck, Teboulle, SIAM J. Imaging Sciences 2(1), 2009, (4.1)-(4.3); strongly convex h:
          Chambolle, Pock, Acta Numerica 2016, Algorithm 5; restart: O'Donoghue, Candes, Found.
          Comput. Math. 2015, (13)
"""

from __future__ import annotations

import numpy as np

from fastsum.solvers._full_pass import FloatArray
from fastsum.solvers._method import State, Weights
from fastsum.solvers.full_gradient.gd import GradientDescent


class Fista(GradientDescent):
    """Accelerated proximal gradient steps; the file's head says how."""

    name = "fista"
    serves_rows = True
    serves_device = True

    def _momentum(self, state: State, W: Weights) -> FloatArray:
        mu, L, t = self.problem.penalty.mu, state["lipschitz"], state["momentum"]
        root = np.sqrt(mu / (L + mu))
        turn = (state["leading"][:-1] - W[:-1]) * (W[:-1] - state["weights"][:-1])
        t = np.where(self.full.each(turn.sum(axis=0)) > 0, 1.0, t)
        state["momentum"] = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * t**2))
        beta = np.where(mu > 0, (1.0 - root) / (1.0 + root), (t - 1.0) / state["momentum"])
        spread: FloatArray = self.full.spread(beta)
        return spread
