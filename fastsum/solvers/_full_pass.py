"""A pass each way over the data: margins, the best intercept and the losses there, the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.intercept import best_shift_of_coupled, best_shift_of_each
from fastsum.passes import HostPasses, RowArray, passes_of
from fastsum.problem import Problem

FloatArray = npt.NDArray[np.float64]


class FullPass:
    """Full passes over one problem; margins are those of w alone, without the intercept.

    Parameters
    ----------
    problem : Problem
    n_threads : int
    """

    def __init__(self, problem: Problem, n_threads: int):
        self.problem, self.n_threads = problem, n_threads
        columns, n = problem.columns, problem.rows.n_rows
        self._B, self._C, self._K = columns.n_problems, columns.n_outputs, columns.width
        self.passes = passes_of(problem, n_threads)
        self._rounding = 16 * n * float(np.finfo(np.float64).eps) ** 2

    def margins(self, W: npt.NDArray[Any]) -> RowArray:
        """X w of weights W (d + 1, K), (n, K)."""
        W = np.vstack([W[:-1], np.zeros_like(W[-1:])])
        out = self.passes.array()
        self.passes.margins(W, out)
        return out

    def losses(self, z: RowArray, b: FloatArray) -> tuple[FloatArray, RowArray]:
        """(1/S) sum_i s_i l_i(z_i + b), (B,), and the derivatives there, (n, K)."""
        u = self.passes.array()
        value, _, _ = self._terms(z, b, u, final=True)
        return value / self.problem.total_weight, u

    def best_losses(self, z: RowArray, b: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The same with the best intercept, eq. (7), looked for from b; and that, (K,)."""
        if not self.problem.fit_intercept:
            return *self.losses(z, b), b
        u, S = self.passes.array(), self.problem.total_weight
        invariant = self.problem.loss.shift_invariant
        arguments = self._B, self._C, self.problem.loss.curvature * S, self._rounding

        def terms(shift: FloatArray, final: bool) -> tuple[FloatArray, FloatArray, FloatArray]:
            return self._terms(z, b + shift, u, final)

        if self._C == 1:
            value, shift, _ = best_shift_of_each(terms, *arguments)
        else:
            value, shift, _ = best_shift_of_coupled(terms, *arguments, invariant)
        b = b + shift
        if invariant:  # a common shift of the outputs changes nothing: sum to 0
            b = b - np.repeat(b.reshape(self._B, -1).mean(axis=1), self._C)
        return value / S, u, b

    def curvature(self, z: RowArray, b: FloatArray) -> FloatArray:
        """s_i l''(z_i + b) / S, (n, B, C, C)."""
        assert isinstance(self.passes, HostPasses)
        h, S = self.passes.curvature(z, b), self.problem.total_weight
        s = self.problem.sample_weight
        h *= 1.0 / S if s is None else (s / S)[:, None, None, None]
        return h

    def gradient(self, u: RowArray) -> FloatArray:
        """(1/S) sum_i s_i u_i x_i of derivatives u (n, K), (d, K)."""
        return self.passes.gradient(u)

    def mean(self, x: RowArray, y: RowArray) -> FloatArray:
        """(1/S) sum_i s_i x_i y_i of (n, K) arrays, over the outputs of each problem, (B,)."""
        return self.each(self.passes.inner(x, y))

    def each(self, values: FloatArray) -> FloatArray:
        """Sums of (..., K) values over the outputs of each problem, (..., B)."""
        out: FloatArray = values.reshape(*values.shape[:-1], self._B, -1).sum(axis=-1)
        return out

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A value a problem (..., B) as one a column (..., K)."""
        return np.repeat(values, self._C, axis=-1)

    def _terms(
        self, z: RowArray, b: FloatArray, u: RowArray, final: bool
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Loss sums (B,), gradient (B, C) and curvature (B, C, C) in b; fills u."""
        return self.passes.loss_terms(z, b, u, not final)
