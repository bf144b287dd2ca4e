"""L-Katyusha (Kovalev, Horvath, Richtarik, ALT 2020). Its steps are Katyusha's."""

from __future__ import annotations

import numpy as np

from fastsum.sampling import rng_from_state, rng_state
from fastsum.solvers._method import State, Weights
from fastsum.solvers.accelerated.katyusha import Katyusha, Y


class LKatyusha(Katyusha):
    """Loopless Katyusha: after each step a coin of probability 1 / n makes y the snapshot.

    Problem: (1).  Steps: Algorithm 2 with p = 1 / n, theta_1 = tau_1, theta_2 = 1/2 and eta / L =
    alpha of eq. (41), the l2 part in the prox (its proof with a prox: Qian, Qu, Richtarik, JMLR 22,
    2021), just in time on sparse rows by eq. (43); one row and, on average, one more gradient for
    the snapshots.  Rate: n + sqrt(n kappa) sample gradients a factor.  Memory: Katyusha's.

    Without an l2 part the theta_1 of Katyusha-ns, with the number of snapshots for its epochs, and
    its fresh starts; a free intercept as there.  The credit of gradients is L-SVRG's.
    """

    name = "l-katyusha"
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
                state["weights"][...] = state["first"]
                self._begin(state)
                state["credit"] -= n
                coins = rng_from_state(state["coins"])
                state["until"] = int(coins.geometric(1 / n))
                state["coins"] = rng_state(coins)
            if state["until"] == 1:  # w of step k + 1 is the y of step k
                state["first"][...] = self._point(state, Y)
            n_steps = min(max(1, state["until"] - 1), state["credit"])
            if n_steps > 0:
                self._couple(state["stage"])
                self.stretch(state, n_steps)
                state["until"] -= n_steps
                state["credit"] -= n_steps
        state["weights"][...] = self._point(state, Y)
