"""SVRG-BB (Tan, Ma, Dai, Qian, NIPS 2016). The steps are those of src_cpp/solvers/svrg.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem
from fastsum.solvers._method import State, Weights
from fastsum.solvers.variance_reduced.svrg import INNER_PASSES, Svrg


class SvrgBB(Svrg):
    """SVRG with Barzilai-Borwein steps, from the last two snapshots and their gradients.

    Problem: (1).  Step: (11), (12), (14) with the gamma of eq. (32), Algorithm 1 of the paper, m =
    2 n.  Rate: linear for m large enough beside kappa^2; without strong convexity (l1 alone, a free
    intercept) nothing is proved, and the same steps are made.  Cost and memory: as SVRG, and the
    last snapshot with its gradient, 2 (d + 1) K.

    The curvature that gamma measures is that along the way gone, of the loss and the l2 penalty; an
    l1 penalty, which the paper leaves out, stays in the prox.  It can be far below that of a
    single row: gamma is at most 1 / max_i q_i L_i.  step_size is the paper's eta_0.
    """

    name = "svrg-bb"
    own_weights = False

    def __init__(self, problem: Problem, **options: Any):
        super().__init__(problem, **options)
        self._factor = 1.0

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """The first round makes steps of eta_0."""
        return {
            **super().start(W, rng),
            "rounds": 0,
            "barzilai_borwein": np.full(self.problem.K, self.gamma),
            "last_weights": W.copy(),
            "last_gradient": self.new_vector(),
        }

    def slow_down(self, factor: float) -> None:
        """Shorter steps than the formula says."""
        super().slow_down(factor)
        self._factor = factor

    def sweep(self, state: State, n_passes: int) -> None:
        """Steps of the present length."""
        most = float(np.finfo(self.step.dtype).max)
        self.step[...] = np.minimum(self._factor * state["barzilai_borwein"], most)
        super().sweep(state, n_passes)

    def _snapshot(self, state: State) -> None:
        """A snapshot, and gamma from it and the last one."""
        super()._snapshot(state)
        W, G = state["weights"], state["full_gradient"]
        if state["rounds"] > 0:
            state["barzilai_borwein"][...] = self._measured(
                W - state["last_weights"], G - state["last_gradient"], state["barzilai_borwein"]
            )
        state["rounds"] += 1
        state["last_weights"][...], state["last_gradient"][...] = W, G

    def _measured(
        self, moved: Weights, turned: Weights, before: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Gamma of eq. (32), (K,); `before` where the points or gradients are the same."""
        columns, c2 = self.problem.columns, self.intercept_curvature
        moved, turned = moved.astype(np.float64), turned.astype(np.float64)
        along = (moved * turned).sum(axis=0) + (self.problem.l2_each * moved[:-1] ** 2).sum(axis=0)
        moved[-1] /= np.sqrt(c2) if c2 > 0 else 1.0
        way = (moved**2).sum(axis=0)
        shape = (columns.n_problems, columns.n_outputs)
        way, along = (x.reshape(shape).sum(axis=1).repeat(shape[1]) for x in (way, along))
        gamma = np.divide(way, along, out=np.full_like(way, np.inf), where=along > 0)
        gamma /= INNER_PASSES * self.sampler.n_active
        longest = self.theory / self.step_share
        return np.where((way > 0) & np.isfinite(way + along), np.minimum(gamma, longest), before)
