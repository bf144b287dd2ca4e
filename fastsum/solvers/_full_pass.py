"""A pass each way over the data: margins, the best intercept and the losses there, the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum._core import _kernels
from fastsum.intercept import best_shift_of_coupled, best_shift_of_each
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
        self._width = self._B + self._K * (1 + self._C)
        self._work = np.empty(n_threads * (2 * self._K + self._C**2))
        self._rounding = 16 * n * float(np.finfo(np.float64).eps) ** 2

    def margins(self, W: npt.NDArray[Any]) -> FloatArray:
        """X w of weights W (d + 1, K), (n, K)."""
        W = np.vstack([W[:-1], np.zeros_like(W[-1:])])
        rows = self.problem.rows
        return rows.margins(W, self.n_threads, np.empty((rows.n_rows, self._K)))

    def losses(self, z: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(1/S) sum_i s_i l_i(z_i + b), (B,), and the derivatives there, (n, K)."""
        u = np.empty_like(z)
        value, _, _ = self._terms(z, b, u, final=True)
        return value / self.problem.total_weight, u

    def best_losses(
        self, z: FloatArray, b: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The same with the best intercept, eq. (7), looked for from b; and that, (K,)."""
        if not self.problem.fit_intercept:
            return *self.losses(z, b), b
        u, S = np.empty_like(z), self.problem.total_weight
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

    def curvature(self, z: FloatArray, b: FloatArray) -> FloatArray:
        """s_i l''(z_i + b) / S, (n, B, C, C)."""
        h = np.empty((len(z), self._B, self._C, self._C))
        task, S = self.problem.task, self.problem.total_weight
        _kernels.loss_curvature(task, z, b, h, self._work, self.n_threads)
        s = self.problem.sample_weight
        h *= 1.0 / S if s is None else (s / S)[:, None, None, None]
        return h

    def gradient(self, u: FloatArray) -> FloatArray:
        """(1/S) sum_i s_i u_i x_i of derivatives u (n, K), (d, K)."""
        s = self.problem.sample_weight
        r = u if s is None else u * s[:, None]
        return self.problem.rows.transposed(r, self.n_threads) / self.problem.total_weight

    def mean(self, values: FloatArray) -> FloatArray:
        """(1/S) sum_i s_i values_i of each problem, (B,)."""
        s, S = self.problem.sample_weight, self.problem.total_weight
        return self.each((values.sum(axis=0) if s is None else s @ values) / S)

    def each(self, values: FloatArray) -> FloatArray:
        """Sums of (..., K) values over the outputs of each problem, (..., B)."""
        out: FloatArray = values.reshape(*values.shape[:-1], self._B, -1).sum(axis=-1)
        return out

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A value a problem (..., B) as one a column (..., K)."""
        return np.repeat(values, self._C, axis=-1)

    def _terms(
        self, z: FloatArray, b: FloatArray, u: FloatArray, final: bool
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Loss sums (B,), gradient (B, C) and curvature (B, C, C) in b; fills u."""
        B, C, K = self._B, self._C, self._K
        sums, task = np.zeros((self.n_threads, self._width)), self.problem.task
        _kernels.loss_terms(task, z, b, u, not final, sums, self._work, self.n_threads)
        total = sums.sum(axis=0)
        gradient, curvature = total[B : B + K], total[B + K :]
        return total[:B], gradient.reshape(B, C), curvature.reshape(B, C, C)
