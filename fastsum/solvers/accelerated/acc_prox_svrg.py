"""Acc-Prox-SVRG (Nitanda, NIPS 2014). The steps are in src_cpp/solvers/acc_prox_svrg.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastsum.problem import Problem
from fastsum.solvers._method import State, Weights
from fastsum.solvers.variance_reduced.svrg import Svrg

SHARE_OF_REST = 0.1  # of L / n: the strong convexity by which columns without any are batched
STAGE = 2.0  # steps of a stage times (mu eta)^(1/2)


class AccProxSvrg(Svrg):
    """Nesterov's momentum on mini-batches whose gradients have lost most of their variance.

    Problem: (1).  Step: eq. (47), a batch of b rows; stages of m batches from a snapshot, at which
    the momentum begins anew.  eta = 1 / (2 L), beta and b by eq. (48), whose constant 8 sqrt(2) / p
    of the theorem is left out, m = 2 (mu eta)^(-1/2) in whole passes.  Rate:
    n + n kappa / (n + sqrt(kappa)) sample gradients a factor: as SVRG up to kappa = n^2, and as
    accelerated full gradients beyond.  Cost: one row a sample gradient, and d a batch, which on
    sparse rows is enlarged until it holds d non-zeros.  Memory: four (d + 1, K) arrays and n K
    scalars.

    Without an l2 part (l1 alone) beta = (k - 1) / (k + 2) in batch k of a stage, and stages as for
    mu = L / (10 n): a scheme of restarts at fixed times.  A free intercept has no part of mu.
    """

    name = "acc-prox-svrg"
    threaded = own_weights = False
    vectors = ("weights", "y", "batch_sum", "full_gradient", "snapshot_weights")
    parameters = ("batch_size", "beta")
    step_share = 1 / 2

    def __init__(self, problem: Problem, **options: Any):
        super().__init__(problem, **options)
        rows, n = problem.rows, self.sampler.n_active
        mu = np.where(self.mu > 0, self.mu, SHARE_OF_REST * self.step_share / (self.theory * n))
        kappa = float((self.step_share / (self.theory * mu.astype(np.float64))).max())
        batch = max(1.0, n * kappa**0.5 / (n + kappa**0.5))
        if rows.sparse:
            batch = max(batch, rows.n_rows * rows.n_cols / max(1, rows.nnz))
        self.batch = int(min(n, np.ceil(batch)))
        self.batch_size = np.full(problem.K, float(self.batch))
        n_batches = STAGE * (kappa / self.step_share) ** 0.5
        self.cycle = 1 + int(np.ceil(max(1.0, n_batches * self.batch / n)))  # type: ignore[misc]
        self._momentum()

    def slow_down(self, factor: float) -> None:
        """Shorter steps, and no runs of neighbouring rows."""
        super().slow_down(factor)
        self._momentum()

    def _momentum(self) -> None:
        """Beta of eq. (48), (K,)."""
        mu = self.mu.astype(np.float64)
        root = np.sqrt(np.minimum(mu * self.step, 1.0))
        self.beta = np.where(mu > 0, (1 - root) / (1 + root), -1.0)

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """The first pass takes a snapshot."""
        state = {**super().start(W, rng), "y": W.copy(), "batch_sum": self.new_vector()}
        return {**state, "time": 0}

    def relocate(self, state: State, *found: Any) -> None:
        """A snapshot of the new point, where the momentum ends."""
        super().relocate(state, *found)
        columns = found[-1]
        state["y"][:, columns] = state["weights"][:, columns]
        state["batch_sum"][:, columns] = 0.0

    def _snapshot(self, state: State) -> None:
        """A stage begins: y = w~."""
        super()._snapshot(state)
        state["y"][...] = state["weights"]
        state["batch_sum"][...] = 0.0
        state["time"] = 0
