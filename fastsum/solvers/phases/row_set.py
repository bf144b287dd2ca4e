"""Working sets of rows of coefficients, for a penalty of rows (group="rows").

Problem   min_w F(w) of eq. (1) with l1 sum_j ||w_j||_2, w_j in the C coupled outputs, eq. (77)
Set       the rows that are not 0 and the worst of those with ||v_j|| > l1, at most as many again
Step      min over w_S of the model with the curvature c_i I in the place of l''(z_i),
          c_i = max_k sum_l |l''_kl| (Gershgorin), centred where the intercept is free, by block
          descent on its Gram matrix (src_cpp/row_descent.hpp), eq. (79); then t = 1, 1/2, ... along
          the margins. Exact for the squared loss; for others a local majoriser, whose steps are
          accelerated, with fresh starts where they do not descend
Cost      a pass for the gradient, n p^2 for a Gram matrix of p rows
Source    Qin, Scheinberg, Goldfarb, Mathematical Programming Computation 2013; majorisers: Hunter,
          Lange, American Statistician 2004; sets of violators: Massias, Gramfort, Salmon, ICML 2018
"""

from __future__ import annotations

import numpy as np

from fastsum._core import _working_set
from fastsum.certificate import Certificate, Certifier
from fastsum.penalties import row_norms
from fastsum.problem import Problem
from fastsum.solvers._full_pass import FullPass
from fastsum.solvers.phases._phase import FloatArray, Phase, Weights
from fastsum.solvers.phases._submatrix import Ids, Submatrix

LEAST, GROWTH = 32, 1.0  # rows that may join a set: at least, and in units of those in use
MOST_STEPS, HALVINGS = 100, 8
PART, ROUGHER, SLOW = 1e-5, 0.01, 0.3  # of the gap wanted: what another step must gain
ROUNDING = 2.0**-49  # of the objective
SWEEPS, EXACT = 1000, 0.1  # EXACT: of what a step must gain, for another sweep


class RowSet(Phase):
    """Steps on one working set a call."""

    name = "row set"

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int):
        super().__init__(problem, certifier, n_threads)
        self._start()

    def _start(self) -> None:
        self._full = FullPass(self.problem, self.n_threads)
        self._part, self._gap = PART, np.inf

    def use(self, problem: Problem) -> None:
        """Goes on with the same data under another penalty."""
        super().use(problem)
        self._start()

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether the penalty is one of rows, and the loss smooth."""
        return problem.penalty.rows and problem.columns.n_problems == 1 and problem.loss.smooth

    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """The minimiser on the set, nearly."""
        out, ids, gap = W.copy(), self._chosen(W), float(certificate.gap[0])
        if not len(ids):
            return out, 1
        # a gap of scaled dual points falls with the root of what is left to gain: what too rough a
        # minimiser shows by a gap that stays
        self._part *= ROUGHER if gap > SLOW * self._gap else 1.0
        self._gap = gap
        out[ids], out[-1] = self._minimise(W, ids, self._part * float(target[0]))
        return out, 1

    def _chosen(self, W: Weights) -> Ids:
        """The rows of the set, ascending."""
        used = W[:-1].any(axis=1)
        norms = row_norms(self.certifier.gradient, self.problem.K)[:, 0]
        bad = np.flatnonzero(~used & (norms > self.problem.penalty.l1[0]))
        most = max(LEAST, int(GROWTH * np.count_nonzero(used)))
        if len(bad) > most:
            bad = bad[np.argpartition(-norms[bad], most)[:most]]
        return np.union1d(np.flatnonzero(used), bad)

    def _minimise(self, W: Weights, ids: Ids, goal: float) -> tuple[FloatArray, FloatArray]:
        """Coefficients (p, C) and intercepts (C,) after steps that promise more than goal each."""
        full, curved = self._full, not self.problem.loss.piecewise_quadratic
        A, x = Submatrix(self.problem.rows, ids, self.n_threads), W[ids].astype(np.float64)
        b = W[-1].astype(np.float64)
        z = self.certifier.margins - b  # those of w alone
        loss, u, b = full.best_losses(z, b)
        value, t, model = float(loss[0]) + self._size(x), 1.0, self._model(A, z, b)
        y, z_y = x, z  # where the step begins: ahead of x where steps are of a majoriser
        for _ in range(MOST_STEPS):
            step = self._step(model, y, self._slopes(A, u), goal)
            weight = model.diagonal() + self.problem.penalty.l2[0]
            if 0.5 * float(weight @ (step**2).sum(axis=1)) <= goal:
                break
            slope, length = self._margins(A, step), 1.0
            for _ in range(1 if t > 1 else HALVINGS):
                loss, u_new, b_new = full.best_losses(z_y + length * slope, b)
                gain = value - float(loss[0]) - self._size(y + length * step)
                descends = gain >= -ROUNDING * abs(value)  # near the end values tell no more
                if descends:
                    break
                length *= 0.5
            if descends:
                moved, z_moved = y + length * step, z_y + length * slope
                following = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * t * t)) if curved else 1.0
                beta = (t - 1.0) / following
                y, z_y = moved + beta * (moved - x), z_moved + beta * (z_moved - z)
                x, z, u, b, value, t = moved, z_moved, u_new, b_new, value - gain, following
            elif t == 1.0:
                break
            else:  # from x again, without momentum
                y, z_y, t = x, z, 1.0
            if not descends or curved:
                _, u, b = full.best_losses(z_y, b)
            if curved:
                model = self._model(A, z_y, b)
        return x, full.best_losses(z, b)[2]

    def _step(self, model: FloatArray, y: FloatArray, q: FloatArray, goal: float) -> FloatArray:
        """From y to the minimiser of the model whose slopes there are q, (p, C)."""
        x, work, penalty = y.copy(), np.empty(y.shape[1]), self.problem.penalty
        l1, l2 = penalty.l1[0], penalty.l2[0]
        q = q.copy()
        _working_set.row_descent(model, x, q, l1, l2, EXACT * goal, SWEEPS, work)
        return x - y

    def _model(self, A: Submatrix, z: FloatArray, b: FloatArray) -> FloatArray:
        """The Gram matrix (p, p) of the set under the weights c_i, centred."""
        h = self._full.curvature(z, b)[:, 0]
        c, p = np.abs(h).sum(axis=2).max(axis=1), A.rows.n_cols
        s, S = self.problem.sample_weight, self.problem.total_weight
        c = np.minimum(c, self.problem.loss.curvature * (1.0 if s is None else s) / S)
        c = np.maximum(c, 1e-12 / S)
        H = np.empty((p, p))
        mean = A.transposed(c) / c.sum() if self.problem.fit_intercept else None
        A.gram(c, H, 0, mean)
        return H

    def _slopes(self, A: Submatrix, u: FloatArray) -> FloatArray:
        """(1/S) A' (s u), (p, C)."""
        s = self.problem.sample_weight
        r = u if s is None else u * s[:, None]
        return A.rows.transposed(r, self.n_threads) / self.problem.total_weight

    def _margins(self, A: Submatrix, x: FloatArray) -> FloatArray:
        """A x, (n, C)."""
        W = np.vstack([x, np.zeros_like(x[:1])])
        return A.rows.margins(W, self.n_threads, np.empty((A.rows.n_rows, x.shape[1])))

    def _size(self, x: FloatArray) -> float:
        """The penalty of the rows x (p, C)."""
        norms, penalty = row_norms(x, x.shape[1]), self.problem.penalty
        return float(penalty.l1[0] * norms.sum() + 0.5 * penalty.l2[0] * (norms**2).sum())
