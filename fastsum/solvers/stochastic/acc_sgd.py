"""Accelerated SGD under interpolation (Vaswani, Bach, Schmidt, AISTATS 2019).

The steps are in src_cpp/solvers/acc_sgd.hpp.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem
from fastsum.sampling import rng_state
from fastsum.solvers._full_pass import FullPass
from fastsum.solvers._method import SMALLEST, PerSampleMethod, State, Weights

FloatArray = npt.NDArray[np.float64]
SHORT = 256  # stretches that are tabulated one by one; longer ones by multiples of it
POWERS = 5  # products of the power method for L
SHARE_OF_REST = 0.1  # of max_i L_i / n: mu without an l2 part
PATIENCE = 10.0  # squared steps, in units of what fitting all rows takes, that tell of noise


class AccSgd(PerSampleMethod):
    """Nesterov's acceleration of single stochastic gradients.

    Problem: (1) with a smooth penalty.  Step: eq. (63), cost one row, on sparse rows its non-zeros.
    Rate: with strong growth, mean_i ||grad l_i||^2 <= rho ||grad F||^2, which says that one w fits
    all rows (interpolation), linear, a factor 1 - sqrt(mu / L) / rho a step.  Memory: two
    (d + 1, K) vectors.

    rho is max_i q_i L_i / L by default, the constant of rows that all pull along the direction
    of largest curvature, L by five products of the power method (a pass each); mu is l2, or
    max_i q_i L_i / (10 n) without an l2 part.  A rho that is too small makes the objective rise:
    the fit then goes back with twice of it.  Where no w fits all rows there is no rho; then it
    grows with the sum of the squared steps, about as t, and the method ends at some digits.  A free
    intercept has no part of mu, and the same steps.

    `step_size` is eta = 1 / (rho L), 1 / max_i q_i L_i by default.

    Options
    -------
    rho : float >= 1, default=None
        The constant of strong growth; None takes the smallest one, see above.
    """

    name = "acc-sgd"
    reaches: ClassVar[float] = 1e-2
    vectors = ("weights", "lookahead")
    tables = ()
    parameters = ("share", "beta", "eta", "long_step")
    sequences = ("powers",)
    per_row = ("norms",)
    step_share: ClassVar[float] = 1.0
    options: ClassVar[Mapping[str, object]] = {"rho": None}

    @staticmethod
    def missing(problem: Problem) -> str:
        """A finite curvature and a smooth penalty, the same for all features."""
        if problem.l1.any():
            return "its l1 penalty is not smooth"
        if problem.penalty.own is not None:
            return "its features have factors or bounds, and its steps are tabulated once for all"
        return PerSampleMethod.missing(problem)

    def __init__(self, problem: Problem, *, rho: float | None = None, **settings: Any):
        if rho is not None and (not isinstance(rho, Real) or not 1 <= rho < np.inf):
            raise ValueError(f"rho must be a number >= 1 or None, got {rho!r}")
        super().__init__(problem, **settings)
        self._rho, self._factor, K = rho, 1.0, problem.K
        self.norms = problem.rows.squared_norms(self.n_threads)
        hardest = 1.0 / self.gamma
        rest = SHARE_OF_REST * hardest / self.sampler.n_active
        self._mu = np.where(problem.l2 > 0, problem.l2, rest)
        self._hardest = hardest + problem.l2  # rho L
        full = FullPass(problem, self.n_threads)
        null, _, _ = full.best_losses(np.zeros((problem.rows.n_rows, K)), np.zeros(K))
        self._null = full.spread(np.maximum(null, np.finfo(float).tiny))
        self._of: FloatArray | None = None
        self.powers: FloatArray | None = None

    def slow_down(self, factor: float) -> None:
        """A larger rho."""
        super().slow_down(factor)
        self._factor, self._of = factor, None

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """At rest; the first passes look for L."""
        state = {
            "weights": W,
            "lookahead": W.copy(),
            "gathered": np.zeros(self.problem.K),
            "direction": np.cos(np.arange(1.0, len(W) + 1.0))[:, None],
            "largest": 0.0,
            "looks": POWERS if self._rho is None else 0,
            "time": 0,
            "rng": rng_state(rng),
        }
        if self.problem.rows.sparse:
            state["visits"] = np.zeros(len(W) - 1, dtype=np.int64)
        return state

    def advance(self, state: State, n_passes: int) -> None:
        """n_passes passes, of the power method at first."""
        for _ in range(n_passes):
            if state["looks"] > 0:
                self._look(state)
                state["looks"] -= 1
            else:
                self._make_pass(state)

    def relocate(
        self,
        state: State,
        derivatives: FloatArray,
        gradient: FloatArray,
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """At rest at the new point."""
        state["lookahead"][:, columns] = state["weights"][:, columns]

    def _look(self, state: State) -> None:
        """L of the rows (x_i, c) by one more product with their second moments."""
        c, v = self.intercept_curvature**0.5, state["direction"]
        v = v / max(float(np.linalg.norm(v)), SMALLEST)
        problem, dtype = self.problem, self.problem.dtype
        z = np.empty((problem.rows.n_rows, 1))
        z = problem.rows.margins(np.vstack([v[:-1], c * v[-1:]]).astype(dtype), self.n_threads, z)
        r = z if problem.sample_weight is None else z * problem.sample_weight[:, None]
        product = problem.rows.transposed(r, self.n_threads)
        state["direction"] = np.vstack([product, c * r.sum(axis=0)]) / problem.total_weight
        state["largest"] = float(np.linalg.norm(state["direction"]))

    def _make_pass(self, state: State) -> None:
        noise = state["gathered"] / (self.sampler.n_active * self._null * PATIENCE)
        self._couple(state["largest"], np.maximum(1.0, noise))
        K = self.problem.K
        self._work[9 * K :] = 0.0
        state["time"] = 0
        if "visits" in state:
            state["visits"][...] = 0
        self.sweep(state, 1)
        state["gathered"] = state["gathered"] + self._work[9 * K : 10 * K] / self._hardest

    def _couple(self, largest: float, growth: FloatArray) -> None:
        """The numbers of eq. (64) and the powers of M, for rho times `growth` (K,)."""
        if self._of is not None and np.array_equal(self._of, growth):
            return
        if self._rho is None:
            L = self.problem.loss.curvature * largest + self.problem.l2
            rho = np.maximum(1.0, self._hardest / np.maximum(L, SMALLEST))
        else:
            rho = np.full(self.problem.K, float(self._rho))
        L = self._hardest / rho
        rho = rho * growth / self._factor
        rate = np.minimum(np.sqrt(self._mu / L) / rho, 0.5)
        self.eta, self.long_step = 1.0 / (rho * L), 1.0 / (rho * np.sqrt(self._mu * L))
        self.share, self.beta = rate / (1.0 + rate), 1.0 - rate
        self._of = growth.copy()
        if self.problem.rows.sparse:
            self._tabulate()

    def _tabulate(self) -> None:
        """M^m, (256 + n / 256 + 2, K, 2, 2)."""
        l2, a = self.problem.l2, self.share
        w, v = 1.0 - self.eta * l2, 1.0 - self.beta - self.long_step * l2
        M = np.array([[(1 - a) * w, a * w], [(1 - a) * v, self.beta + a * v]]).transpose(2, 0, 1)
        short = [np.broadcast_to(np.eye(2), M.shape)]
        for _ in range(SHORT):
            short.append(short[-1] @ M)
        long, step = [short[0]], short.pop()
        for _ in range(self.sampler.n_active // SHORT + 1):
            long.append(long[-1] @ step)
        self.powers = np.ascontiguousarray(np.stack([*short, *long]))
