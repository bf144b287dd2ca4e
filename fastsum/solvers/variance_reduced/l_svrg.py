"""L-SVRG (Hofmann et al., NIPS 2015; Kovalev, Horvath, Richtarik, ALT 2020).

The steps are those of src_cpp/solvers/svrg.hpp.
"""

from __future__ import annotations

import numpy as np

from fastsum.sampling import rng_from_state, rng_state
from fastsum.solvers._method import State, Weights
from fastsum.solvers.variance_reduced.svrg import Svrg


class LSvrg(Svrg):
    """Loopless SVRG with a prox: after each step a coin of probability 1 / n makes a snapshot.

    Problem: (1).  Step: (11), (12), (14), Algorithm 1 of Kovalev et al. with p = 1 / n; one row,
    and, on average, one more gradient for the snapshots.  Rate: linear, a factor
    1 - min(mu gamma, p / 2) a step for gamma <= 1 / (6 L), without an inner length that depends on
    mu; O(1 / k) without strong convexity (l1 alone, a free intercept): the same steps.  gamma is
    that of (15).  Memory: as SVRG.

    A snapshot does not move the point: one that takes up the rest of a pass and a part of the next
    is counted in both, by state["credit"], the gradients left to spend (below 0: owed).
    """

    name = "l-svrg"
    own_weights = False
    cycle = 2

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """The first pass takes a snapshot; the coins have a generator of their own."""
        coins = np.random.Generator(np.random.PCG64(int(rng.integers(1 << 63))))
        state = super().start(W, rng)
        del state["position"]
        return {**state, "ahead": 0, "credit": 0, "until": 0, "coins": rng_state(coins)}

    def advance(self, state: State, n_passes: int) -> None:
        """n_passes times n gradients, of steps and snapshots."""
        n = self.sampler.n_active
        state["credit"] += n_passes * n
        while state["credit"] > 0:
            if state["until"] == 0:
                self._snapshot(state)
                state["credit"] -= n
                coins = rng_from_state(state["coins"])
                state["until"] = int(coins.geometric(1 / n))
                state["coins"] = rng_state(coins)
            n_steps = min(state["until"], state["credit"])
            if n_steps > 0:
                self.stretch(state, n_steps)
                state["until"] -= n_steps
                state["credit"] -= n_steps
