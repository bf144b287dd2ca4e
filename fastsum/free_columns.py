"""Dual points for features that nothing penalises: orthogonal to their columns, maths.md eq. (69).

h_j* of a feature with penalty_factor 0 and no bound is finite at v_j = 0 only, as it is for the
intercept, which is the feature of a column of ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem

FloatArray = npt.NDArray[np.float64]
EPS = float(np.finfo(np.float64).eps)
ROUNDS = 5
ROUNDING = 64.0  # eps of the sum of the terms' sizes: what may be left of a sum that is 0


class FreeColumns:
    """The columns of a problem that no penalty and no bound holds on both sides.

    Attributes
    ----------
    ids : (p,) array
    """

    def __init__(self, problem: Problem):
        own, rows = problem.penalty.own, problem.rows
        assert own is not None
        self.ids = np.flatnonzero(own.loose)
        self._ends = own.lower[self.ids], own.upper[self.ids]
        s = problem.sample_weight
        self._weight = np.ones(rows.n_rows) if s is None else s
        self._A = rows.columns(self.ids)
        if problem.fit_intercept:
            self._A = np.hstack([self._A, np.ones((rows.n_rows, 1))])
        B = problem.columns.n_problems
        self._loss, self._y = problem.loss, [problem.labels_of(b) for b in range(B)]

    def orthogonal(
        self, u: FloatArray, h: FloatArray, W: npt.NDArray[Any], v: FloatArray
    ) -> tuple[FloatArray, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Dual points near the derivatives u (n, B) with sum_i s_i u_i x_ij = 0.

        h (n, B) is the curvature at the point W, v (d, B) = -(1/S) X' (s u). The second value says
        where the sums are 0 but for rounding, (B,), the third for which of the columns they were
        made so, (p, B): not where v_j presses the coefficient to its one bound.
        """
        out, exact = u.copy(), np.zeros(u.shape[1], dtype=bool)
        w, v = W[self.ids].astype(np.float64), v[self.ids]
        lower, upper = (end[:, None] for end in self._ends)
        pressed = ((w <= lower) & (v < 0)) | ((w >= upper) & (v > 0))
        for b in range(u.shape[1]):
            held = np.append(~pressed[:, b], np.ones(self._A.shape[1] - len(self.ids), dtype=bool))
            out[:, b], exact[b] = self._one(self._A[:, held], out[:, b], h[:, b], b)
        return out, exact, ~pressed

    def _one(self, A: FloatArray, u: FloatArray, h: FloatArray, b: int) -> tuple[FloatArray, bool]:
        """u less h_i times the step that makes the slopes of a Newton model 0, in the domain."""
        s, y = self._weight, self._y[b][:, None]
        bent = h
        for _ in range(ROUNDS):
            r, weight = A.T @ (s * u), s * bent
            root = np.sqrt(weight)[:, None] * A
            step = np.linalg.lstsq(root.T @ root, r, rcond=None)[0]
            moved = u - bent * (A @ step)
            u = self._loss.dual_feasible(moved[:, None], y)[:, 0]
            bent = np.where(u == moved, bent, 0.0)  # what has met the end of the domain stays
            left, size = np.abs(A.T @ (s * u)), np.abs(A).T @ (s * np.abs(u))
            if (left <= 4.0 * EPS * size).all():
                break
        return u, bool((left <= ROUNDING * EPS * size).all())
