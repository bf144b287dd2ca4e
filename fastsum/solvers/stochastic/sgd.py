"""SGD: Robbins-Monro steps with averages, mini-batches and momentum.

The steps are in src_cpp/solvers/sgd.hpp.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem
from fastsum.sampling import rng_state
from fastsum.solvers._method import PerSampleMethod, State, Weights

FloatArray = npt.NDArray[np.float64]
POWERS = {"constant": 0.0, "sqrt": 0.5, "inverse": 1.0, "auto": 0.75}
# Of "auto": a n without l2; a / (gamma l2) with it, less than 1 because nothing pulls at b.
FASTER, SLOWER = 10.0, 0.25


class Averaged(PerSampleMethod):
    """Methods of noisy iterates that return their mean over the last half or more.

    Stretches end after 1, 2, 4, ... passes; the mean is over this stretch and the last one
    (Rakhlin, Shamir, Sridharan, ICML 2012: the mean of all would keep the start).
    """

    reaches: ClassVar[float] = 1e-3
    vectors: ClassVar[tuple[str, ...]] = ("point", "mean", "velocity")
    tables: ClassVar[tuple[str, ...]] = ()

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """The first stretch."""
        state = {
            "weights": W,
            "point": W.copy(),
            "mean": W.copy(),
            "before": W.copy(),
            "made": 0,
            "stretch": 0,
            "time": 0,
            "rng": rng_state(rng),
        }
        if self.problem.rows.sparse:
            state["visits"] = np.zeros(self.problem.rows.n_cols, dtype=np.int64)
        return state

    def advance(self, state: State, n_passes: int) -> None:
        """n_passes passes of steps, each with the mean after it."""
        for _ in range(n_passes):
            passes = state["made"]
            if passes & (passes - 1) == 0 and passes > 0:  # 1, 2, 4, ...
                state["before"][...], state["stretch"] = state["mean"], passes - passes // 2
                state["time"] = 0
                if "visits" in state:
                    state["visits"][...] = 0
            stretch_began = state["made"] - state["time"] // self.sampler.n_active
            self.steps_before = np.full(self.problem.K, 1.0 * stretch_began * self.sampler.n_active)
            self._make_pass(state)
            if "visits" in state:
                self.finish(state)
            state["made"] += 1
            self._mean(state)

    def finish(self, state: State) -> None:
        """The means of columns that no row has touched since."""
        self._steps(state, 0, np.empty(0, dtype=np.int64))

    def _make_pass(self, state: State) -> None:
        self.sweep(state, 1)

    def _mean(self, state: State) -> None:
        """The mean over this stretch and the last."""
        here = state["time"] / self.sampler.n_active
        share = here / (here + state["stretch"])
        state["weights"][...] = state["before"] + share * (state["mean"] - state["before"])

    def relocate(
        self,
        state: State,
        derivatives: npt.NDArray[np.float64],
        gradient: npt.NDArray[np.float64],
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """Goes on from the new point; the mean of the stretch stays as it is but for it."""
        for name in ("point", "mean", "before"):
            state[name][:, columns] = state["weights"][:, columns]


class Sgd(Averaged):
    """Stochastic gradient steps with a prox.

    Problem: (1).  Step: eq. (59), cost one row.  Rate: O(1 / t) with an l2 part, O(1 / sqrt t)
    without; certified like all others, to some digits.  Memory: four (d + 1, K) vectors.

    `step_size` is gamma, 1 / (3 max_i q_i L_i) by default.

    Options
    -------
    schedule : {"auto", "inverse", "sqrt", "constant"}, default="auto"
        eta_t = gamma / (1 + gamma l2 t), gamma (1 + t / n)^-1/2 or gamma, t counting steps. "auto"
        is gamma / (1 + gamma l2 t / 4) where l2 > 0, else gamma (1 + 10 t / n)^-3/4.
    batch : int, default=1
        Rows of a step.
    momentum : float in [0, 1), default=0.0
        beta of the heavy ball; on sparse rows that of a column counts the visits of that column.
    average : bool, default=True
        Whether the result is the mean of the iterates of the last half or more, or the last one.
    """

    name: ClassVar[str] = "sgd"
    parameters = ("decay", "power", "steps_before", "batch", "inertia", "factor")
    options: ClassVar[Mapping[str, object]] = {
        "schedule": "auto",
        "batch": 1,
        "momentum": 0.0,
        "average": True,
    }

    def __init__(
        self,
        problem: Problem,
        *,
        schedule: str = "auto",
        batch: int = 1,
        momentum: float = 0.0,
        average: bool = True,
        **settings: Any,
    ):
        if schedule not in POWERS:
            raise ValueError(f"schedule={schedule!r} is unknown; choose one of {list(POWERS)}")
        if not isinstance(batch, Integral) or isinstance(batch, bool) or batch < 1:
            raise ValueError(f"batch must be an integer >= 1, got {batch!r}")
        if not isinstance(momentum, Real) or not 0 <= momentum < 1:
            raise ValueError(f"momentum must be a number in [0, 1), got {momentum!r}")
        super().__init__(problem, **settings)
        K, n = problem.K, self.sampler.n_active
        size = min(int(batch), n)
        self.averaging: bool = bool(average)
        self.power: FloatArray = np.full(K, POWERS[schedule])
        self.inertia: FloatArray = np.full(K, momentum)
        self.batch, self.factor = np.full(K, float(size)), np.ones(K)
        self._auto: bool = schedule == "auto"
        self._inverse: npt.NDArray[np.bool_] = np.full(K, schedule == "inverse")
        if self._auto:
            self._inverse = problem.mu > 0
        self.power[self._inverse] = 1.0
        self.decay: FloatArray = np.empty(K)
        self._decay(1.0)
        self._work = np.empty((10 + size) * K)

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """At rest."""
        state = super().start(W, rng)
        return {**state, "velocity": self.new_vector()} if self.inertia.any() else state

    def slow_down(self, factor: float) -> None:
        """Shorter steps."""
        super().slow_down(factor)
        self._decay(factor)

    def _decay(self, factor: float) -> None:
        """a of each column for steps of `factor` times gamma."""
        share, rate = (SLOWER, FASTER) if self._auto else (1.0, 1.0)
        strong = share * factor * self.gamma * self.problem.mu
        self.decay[...] = np.where(self._inverse, strong, rate / self.sampler.n_active)

    def _mean(self, state: State) -> None:
        if self.averaging:
            super()._mean(state)
        else:
            state["weights"][...] = state["point"]
