"""L-BFGS with its memory in the state.

Scipy's does not give its memory back, so that no fit could go on from where another ended.

Problem   eq. (1) with a smooth penalty (none, l2) and the best intercept for each w
Step      w <- w + a p, p = -H grad F with the H of the last MEMORY pairs (s, y) by two loops,
          eq. (57); a nearly the best length, which costs no pass: along p the margins are linear
Rate      linear, superlinear in practice
Cost      one gradient of all rows
Memory    2 n K margins and 2 MEMORY (d + 1) K
Source    Liu, Nocedal, Math. Programming 45, 1989, Algorithm 2.1; the loops are in ../_pairs.py
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fastsum.problem import Problem
from fastsum.solvers._full_pass import FloatArray
from fastsum.solvers._method import State, Weights
from fastsum.solvers._pairs import times_inverse_hessian
from fastsum.solvers.full_gradient._method import FullGradientMethod

MEMORY = 10
FALL, LOOKS, REACH = 0.1, 20, 10.0  # of the slope along p; most lengths tried; longest growth


class Lbfgs(FullGradientMethod):
    """Limited memory BFGS; the file's head says how."""

    name: ClassVar[str] = "lbfgs"
    takes_step = False
    serves_device = True

    @staticmethod
    def missing(problem: Problem) -> str:
        """A gradient."""
        if problem.penalty.bounded:
            return "its coefficients have bounds, across which no step may go"
        return "its l1 penalty is not smooth" if problem.l1.any() else ""

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """No pairs."""
        size, K = W.shape
        return {
            **super().start(W, rng),
            "margins": self.full.passes.array(),
            "gradient": np.zeros((size - 1, K)),
            "pairs": np.zeros((2, MEMORY, size - 1, K)),
            "held": 0,
        }

    def advance(self, state: State, n_passes: int) -> None:
        """A step a pass; the first one looks."""
        for _ in range(n_passes):
            if state["unseen"]:
                self.refresh(state)
                state["unseen"], state["held"] = 0, 0
            else:
                self._step(state)

    def refresh(self, state: State) -> None:
        """Margins and gradient of the weights, free of what sums of steps have lost."""
        state["margins"][...] = self.full.margins(state["weights"])
        state["gradient"][...] = self._gradient(state["weights"].copy(), state["margins"])

    def _gradient(self, W: Weights, z: FloatArray) -> FloatArray:
        """Of F at W, whose best intercept it sets, (d, K)."""
        return self.full.gradient(self.look(W, z)) + self.problem.l2_each * W[:-1]

    def _step(self, state: State) -> None:
        full, W = self.full, state["weights"]
        p = self._direction(state)
        slope = full.each((state["gradient"] * p).sum(axis=0))
        uphill = full.spread(slope >= 0)
        p[:, uphill] = -state["gradient"][:, uphill] / self.top
        z_p = full.margins(np.vstack([p, np.zeros_like(p[:1])]))
        length = full.spread(self._length(W, state["margins"], p, z_p))
        before, gradient = W[:-1].astype(np.float64), state["gradient"].copy()
        W[:-1] += length * p
        state["margins"] += length * z_p
        state["gradient"][...] = self._gradient(W, state["margins"])
        slot = state["held"] % MEMORY
        state["pairs"][0, slot] = W[:-1] - before
        state["pairs"][1, slot] = state["gradient"] - gradient
        state["held"] += 1

    def _direction(self, state: State) -> FloatArray:
        """-H grad F, eq. (57)."""
        first = np.full(self.problem.columns.n_problems, 1.0 / self.top)
        g, pairs, held = state["gradient"], state["pairs"], state["held"]
        return -times_inverse_hessian(g, pairs, held, self.full, first, rescale=True)

    def _length(self, W: Weights, z: FloatArray, p: FloatArray, z_p: FloatArray) -> FloatArray:
        """Steps a (B,) where the slope along p has fallen to FALL of what it was at 0."""
        full, b = self.full, W[-1].astype(np.float64)
        w_p = full.each((self.problem.l2_each * W[:-1] * p).sum(axis=0))
        p_p = full.each((self.problem.l2_each * p * p).sum(axis=0))

        def slope(a: FloatArray) -> FloatArray:
            _, u, _ = full.best_losses(z + full.spread(a) * z_p, b)
            return full.mean(u, z_p) + w_p + a * p_p

        low = np.zeros_like(w_p)
        at_low = first = slope(low)
        high, at_high, a = np.full_like(low, np.inf), np.full_like(low, np.inf), np.ones_like(low)
        a[first >= 0] = 0.0
        for _ in range(LOOKS):
            here = slope(a)
            done = (np.abs(here) <= FALL * np.abs(first)) | (a == 0)
            if done.all():
                break
            up = here > 0
            low, at_low = np.where(up, low, a), np.where(up, at_low, here)
            high, at_high = np.where(up, a, high), np.where(up, here, at_high)
            with np.errstate(all="ignore"):
                root = low - at_low * (high - low) / (at_high - at_low)
                inside = low + np.clip((root - low) / (high - low), 0.1, 0.9) * (high - low)
                grown = a * np.clip(first / (first - here), 2.0, REACH)
            a = np.where(done, a, np.where(np.isfinite(high), inside, grown))
        return a
