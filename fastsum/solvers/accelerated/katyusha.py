"""Katyusha (Allen-Zhu, JMLR 18, 2018). The steps are in src_cpp/solvers/katyusha.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem
from fastsum.solvers._method import State, Weights
from fastsum.solvers.accelerated._lags import FloatArray, Lags
from fastsum.solvers.variance_reduced.svrg import Svrg

LARGEST = 1e300
# Without an l2 part tau_1 stops to shrink after so many epochs, or after this share of all epochs.
LEAST_STAGES, SHARE_OF_STAGES = 16.0, 0.25
EPOCH_PASSES = 2  # of steps between snapshots
POINTS = 5
Z, Y, SUM, SNAPSHOT, GRADIENT = range(POINTS)  # in state["points"], as the kernel has them


class Katyusha(Svrg):
    """Katyusha with a prox, just-in-time updates on sparse rows and optional importance sampling.

    Problem: (1).  Steps: Algorithm 1 with Option II, eq. (40), epochs of m = 2 n steps, tau_1 and
    alpha by eq. (41), the next snapshot the average (42); one row and, with the snapshot's
    derivatives stored, one dot product a step, on sparse rows O(non-zeros) by eq. (43).  Rate:
    n + sqrt(n kappa) sample gradients a factor, kappa = L / l2.  Memory: six (d + 1, K) arrays and
    n K scalars (none where they do not fit, for a second dot product a step).

    Without an l2 part: Algorithm 2 (Katyusha-ns), tau_1 = 2 / (s + 4) in epoch s, gap O(1 / s^2),
    begun anew where the snapshots move uphill (O'Donoghue, Candes, Foundations of Computational
    Mathematics 15, 2015), which turns it linear where the objective grows quadratically.  s stays
    below a quarter of all epochs, or 16: a tau_1 that is small for the curvature makes waves which
    the noise hides from that test, and a quarter of s keeps the order of the gap.  A free
    intercept has no part of the strong convexity that Algorithm 1 asks for: its steps are taken
    with l2 all the same and rest on the curvature of the loss in it.
    """

    name = "katyusha"
    serves_rows, threaded, own_weights = True, False, False
    cycle = 1 + EPOCH_PASSES
    vectors = ("points", "snapshot_weights")
    parameters = ("tau1", "tau2", "z_step", "decay")
    sequences = ("lags",)
    ns_step = 1 / 3  # alpha tau_1 L where there is no l2 part

    def __init__(self, problem: Problem, **options: Any):
        super().__init__(problem, **options)
        self.mu_64 = self.mu.astype(np.float64)
        self.convex = self.mu_64 <= 0  # columns without strong convexity
        self.n_inner = EPOCH_PASSES * self.sampler.n_active  # m
        self._of: FloatArray | None = None
        self._smoothness = 1 / (3 * self.gamma)

    def slow_down(self, factor: float) -> None:
        """A larger smoothness constant, and no runs of neighbouring rows."""
        super().slow_down(factor)
        self._smoothness, self._of = 1 / (3 * self.gamma * factor), None

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """All points at W; the first pass takes a snapshot."""
        state = {**super().start(W, rng), "snapshot_weights": W.copy()}
        sparse = self.problem.rows.sparse
        shape = (len(W), POINTS, W.shape[1]) if sparse else (POINTS, *W.shape)
        state.update(points=np.zeros(shape, W.dtype), first=W.copy())
        state.update(time=0, stage=np.zeros(self.problem.K), epochs=0)
        if sparse:
            state["visits"] = np.zeros(len(W) - 1, dtype=np.int64)
        for point in (Z, Y):
            self._point(state, point)[...] = W
        return state

    def advance(self, state: State, n_passes: int) -> None:
        """n_passes passes of the cycle: one snapshot, the rest steps."""
        for _ in range(n_passes):
            if state["position"] == 0:
                self._begin(state)
            else:
                self._couple(state["stage"])
                self.sweep(state, 1)
                last = state["position"] == self.cycle - 1
                state["weights"][...] = self._average(state) if last else self._point(state, Y)
            state["position"] = (state["position"] + 1) % self.cycle

    def relocate(
        self,
        state: State,
        derivatives: npt.NDArray[np.float64],
        gradient: npt.NDArray[np.float64],
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """All points at the new one, a snapshot there, as if the epoch had begun there."""
        super().relocate(state, derivatives, gradient, columns)
        W = state["weights"][:, columns]
        state["first"][:, columns] = state["snapshot_weights"][:, columns] = W
        for point in (Z, Y, SNAPSHOT):
            self._point(state, point)[:, columns] = W
        self._point(state, GRADIENT)[:, columns] = state["full_gradient"][:, columns]
        state["stage"][columns] = 0.0
        self._couple(state["stage"])
        self._point(state, SUM)[:, columns] = W * self._total(state["time"])[columns]

    def _begin(self, state: State) -> None:
        """An epoch: w~ <- the weights; columns that moved uphill begin anew."""
        moved = state["weights"].astype(np.float64) - state["snapshot_weights"]
        state["snapshot_weights"][...] = state["weights"]
        self._snapshot(state)
        if self.convex.any() and state["time"]:
            uphill = self.convex & self._uphill(state, moved)
            state["epochs"] += 1
            most = max(LEAST_STAGES, SHARE_OF_STAGES * state["epochs"])
            state["stage"] = np.where(uphill, 0.0, np.minimum(state["stage"] + 1.0, most))
            for point in (Z, Y):
                self._point(state, point)[:, uphill] = state["weights"][:, uphill]
        state["first"][...] = self._point(state, Y)
        self._point(state, SUM)[...] = 0.0
        self._point(state, SNAPSHOT)[...] = state["snapshot_weights"]
        self._point(state, GRADIENT)[...] = state["full_gradient"]
        state["time"] = 0
        if "visits" in state:
            state["visits"][...] = 0

    def _point(self, state: State, which: int) -> Weights:
        """A view of z, y, the sum, the snapshot or its gradient, (d + 1, K)."""
        points: Weights = state["points"]
        return points[:, which] if self.problem.rows.sparse else points[which]

    def _uphill(self, state: State, moved: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether the way to the snapshot ended against its proximal gradient step, (K,)."""
        W, g = state["weights"].astype(np.float64), state["full_gradient"].astype(np.float64)
        tau = 1 / self._smoothness
        mapped = (W[:-1] - self.problem.shrink(W[:-1] - tau * g[:-1], tau)) / tau
        product = (moved[:-1] * mapped).sum(axis=0) + moved[-1] * g[-1]
        columns = self.problem.columns
        each = product.reshape(columns.n_problems, columns.n_outputs).sum(axis=1)
        return np.repeat(each > 0, columns.n_outputs)

    def _couple(self, stage: FloatArray) -> None:
        """tau_1, tau_2, alpha and what follows from them, in epoch `stage` (K,): eq. (41)."""
        if self._of is not None and np.array_equal(self._of, stage):
            return
        L, mu = self._smoothness, self.mu_64
        strong = np.minimum(np.sqrt(self.n_inner * mu / (3 * L)), 0.5)
        self.tau1 = np.where(self.convex, 2 / (stage + 4), strong)
        self.tau2 = self._share_of_snapshot()
        self.z_step = np.where(self.convex, self.ns_step, 1 / 3) / (self.tau1 * L)
        rate = np.minimum(self.z_step * mu, LARGEST)
        self.decay = 1 / (1 + rate)
        if self._of is None:  # rate is 0 where the stage matters
            self._lags = Lags(rate, self.n_inner if self.problem.rows.sparse else 0)
        self.lags = self._lags.table(1 - self.tau1 - self.tau2)
        self._of = stage.copy()

    def _share_of_snapshot(self) -> FloatArray:
        """tau_2."""
        return np.full(self.problem.K, 0.5)

    def _total(self, n_steps: int) -> FloatArray:
        """Sum of r^i over i < n_steps, (K,)."""
        rate = np.log(self.decay)
        part = 1 - self.decay
        out: FloatArray = n_steps + 0 * part
        np.divide(-np.expm1(n_steps * rate), part, out=out, where=part > 0)
        return out

    def _average(self, state: State) -> Weights:
        """The average of the y of an epoch with weights r^-k, from that of the z: eq. (42)."""
        rho, r, m = 1 - self.tau1 - self.tau2, self.decay, self.n_inner
        total = self._total(m)
        points = (self._point(state, which) for which in (SUM, SNAPSHOT, Y))
        first, z, snapshot, last = (p.astype(np.float64) for p in (state["first"], *points))
        average = self.tau1 * z / total + self.tau2 * snapshot
        average += rho / r * (r**m * first - last) / total
        result: Weights = (average / (1 - rho / r)).astype(self.problem.dtype)
        return result
