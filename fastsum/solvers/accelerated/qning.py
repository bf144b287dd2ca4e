"""QNing (Lin, Mairal, Harchaoui, SIAM J. Optim. 29(2), 2019) around MISO, SAGA or SVRG."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem
from fastsum.solvers._full_pass import FullPass
from fastsum.solvers._method import SMALLEST, State, Weights
from fastsum.solvers._pairs import times_inverse_hessian
from fastsum.solvers.accelerated._smoothed import FloatArray, Smoothed

MEMORY = 20  # pairs
ROUNDING = 1e-15  # of an objective: a smaller rise is none


class QNing(Smoothed):
    """L-BFGS on the Moreau envelope of F, whose gradients another method finds.

    Problem: (1).  Step: Algorithm 1 of the paper: `inner` makes a few passes on
    F + kappa / 2 ||z - x||^2, see `_smoothed.py`, whose solution z tells the envelope's value and
    gradient at the trial x, eq. (60) (Algorithm 2, with a budget of passes in the place of its
    accuracy); where the value has not fallen enough for (61) the trial is given up for the proximal
    point z_k, eta = 0, and that is worked on until it has.  A pair joins the H of eq. (57) if it
    obeys (62), as the pairs of exact gradients do.  Rate: linear with an l2 part, no worse than
    the proximal point method's, O(1 / t) without; the same steps in both cases (l1 alone too), and
    a free intercept is minimised out.  Cost: the inner method's, and a pass for the value of each
    trial.  Memory: the inner method's, three (d + 1, K) arrays and 2 x 20 dK for the pairs.
    """

    name = "qning"
    budget = 2

    def __init__(self, problem: Problem, **options: Any):
        super().__init__(problem, **options)
        self.full = FullPass(problem, self.method.n_threads)
        self.cycle += 1  # type: ignore[misc]
        kappa = self.kappa[:: problem.columns.n_outputs]
        mu = problem.penalty.mu
        self._per_kappa = np.divide(1.0, kappa, out=np.zeros_like(kappa), where=kappa > 0)
        self._least = kappa * mu / np.maximum(kappa + mu, SMALLEST)
        self._strengths = np.array([problem.l1, problem.l2])

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """No pairs, and nothing known of the envelope at W."""
        B, (size, K) = self.problem.columns.n_problems, W.shape
        return {
            **super().start(W, rng),
            "pairs": np.zeros((2, MEMORY, size - 1, K)),
            "held": 0,
            "point": W.copy(),
            "gradient": np.zeros((size - 1, K)),
            "value": np.full(B, np.inf),
            "eta": np.ones(B),
            "strengths": self._strengths,
        }

    def advance(self, state: State, n_passes: int) -> None:
        """n_passes passes: of the inner method, and one in each `cycle` for the trial's value."""
        self._bind(state)
        if not np.array_equal(state["strengths"], self._strengths):  # another envelope
            self._forget(state, np.ones(self.problem.K, dtype=bool))
            state["strengths"] = self._strengths
        for _ in range(n_passes):
            state["outer"] = (state["outer"] + 1) % self.cycle
            if state["outer"] == 0:
                self._judge(state)
                self._try(state)
            else:
                self.method.advance(state, 1)

    def relocate(
        self,
        state: State,
        derivatives: FloatArray,
        gradient: FloatArray,
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """Begins anew at the new point."""
        self._forget(state, columns)
        super().relocate(state, derivatives, gradient, columns)

    def _forget(self, state: State, columns: npt.NDArray[np.bool_]) -> None:
        """No pairs, and nothing known of the envelope at the point."""
        state["pairs"][..., columns] = 0.0
        state["point"][:, columns] = state["weights"][:, columns]
        problems = columns[:: self.problem.columns.n_outputs]
        state["value"][problems], state["eta"][problems] = np.inf, 1.0

    def _judge(self, state: State) -> None:
        """x_k+1 = x where the envelope has fallen enough, and the pair of that step."""
        each, spread = self.full.each, self.full.spread
        W, x, known = state["weights"], state["anchor"], np.isfinite(state["value"])
        away = x[:-1].astype(np.float64) - W[:-1]
        g, value = self.kappa * away, self._value(W, away)
        # F_test <= F_k - ||g_k||^2 / (4 kappa), eq. (61)
        fall = 0.25 * self._per_kappa * each((state["gradient"] ** 2).sum(axis=0))
        enough = np.where(known, (1 + ROUNDING) * state["value"] - fall, np.inf)
        taken = value <= enough
        # s and y, eq. (62)
        s, y = x[:-1].astype(np.float64) - state["point"][:-1], g - state["gradient"]
        curved, most = each((s * y).sum(axis=0)), self._per_kappa * each((y**2).sum(axis=0))
        least = self._least * each((s**2).sum(axis=0))
        pair = spread(taken & known & (curved >= np.maximum(least, most)))
        state["pairs"][:, state["held"] % MEMORY] = np.where(pair, [s, y], 0.0)
        state["held"] += 1
        columns = spread(taken)
        state["point"][:, columns] = x[:, columns]
        state["gradient"][:, columns] = g[:, columns]
        state["value"] = np.where(taken, value, state["value"])
        state["eta"] = np.where(taken, 1.0, 0.0)

    def _value(self, W: Weights, away: FloatArray) -> FloatArray:
        """The envelope, eq. (60), at w + away, of which w is the proximal point; (B,)."""
        full, problem, w = self.full, self.problem, W[:-1].astype(np.float64)
        loss, _, _ = full.best_losses(full.margins(W), W[-1].astype(np.float64))
        terms = problem.l1_each * np.abs(w)
        terms = terms + 0.5 * (problem.l2_each * w**2 + self.kappa * away**2)
        value: FloatArray = loss + full.each(terms.sum(axis=0))
        return value

    def _try(self, state: State) -> None:
        """x = x_k - (eta H_k + (1 - eta) / kappa) g_k, eq. (61)."""
        g, full, first = state["gradient"], self.full, self._per_kappa
        eta = full.spread(state["eta"])
        pairs, held = state["pairs"], state["held"]
        H_g = times_inverse_hessian(g, pairs, held, full, first, rescale=False)
        x = state["point"].copy()
        x[:-1] = x[:-1] - (eta * H_g + (1.0 - eta) * full.spread(first) * g)
        self._move(state, x, np.ones(x.shape[1], dtype=bool))
