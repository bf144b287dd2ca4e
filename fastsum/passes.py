"""Passes over a problem where its rows lie: on the host, or on a device.

Weights (d + 1, K) and sums over the rows are numpy arrays; arrays of a value a row and column of
the weights, (n, K), belong to where the rows are: made by `array`, filled by passes, added and
scaled, but never looked into.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum._core import _kernels
from fastsum.backend import cuda
from fastsum.device import DeviceArray
from fastsum.problem import Problem

FloatArray = npt.NDArray[np.float64]
RowArray = Any  # (n, K) float64: a numpy array, or a DeviceArray


class HostPasses:
    """Passes of the CPU kernels, or of BLAS.

    Parameters
    ----------
    problem : Problem
    n_threads : int
    """

    def __init__(self, problem: Problem, n_threads: int):
        self.problem, self.n_threads = problem, n_threads
        columns = problem.columns
        self._B, self._C, self._K = columns.n_problems, columns.n_outputs, columns.width
        self._width = self._B + self._K * (1 + self._C)
        self._work = np.empty(n_threads * (2 * self._K + self._C**2))

    def array(self) -> RowArray:
        """A new (n, K) array of zeros."""
        return np.zeros((self.problem.rows.n_rows, self._K))

    def margins(self, W: npt.NDArray[Any], out: RowArray) -> None:
        """out <- X W + b for weights W (d + 1, K)."""
        self.problem.rows.margins(W, self.n_threads, out)

    def loss_terms(
        self, z: RowArray, shift: FloatArray, u: RowArray | None, curved: bool
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Sums of s_i times loss (B,), its gradient (B, C) and curvature (B, C, C) in the shift.

        At the margins z + shift; u <- the derivatives there. Without `curved` the last is 0.
        """
        B, K, C = self._B, self._K, self._C
        sums, task = np.zeros((self.n_threads, self._width)), self.problem.task
        _kernels.loss_terms(task, z, shift, u, curved, sums, self._work, self.n_threads)
        total = sums[0] if self.n_threads == 1 else sums.sum(axis=0)
        return total[:B], total[B : B + K].reshape(B, C), total[B + K :].reshape(B, C, C)

    def loss_gap(
        self, z: RowArray, shift: FloatArray, u: RowArray, scale: FloatArray
    ) -> FloatArray:
        """Sums of the Fenchel-Young terms of the loss at the dual point scale * u, (B,)."""
        out, task = np.zeros((self.n_threads, self._B)), self.problem.task
        _kernels.loss_gap(task, z, shift, u, scale, out, self._work, self.n_threads)
        total: FloatArray = out.sum(axis=0)
        return total

    def curvature(self, z: RowArray, shift: FloatArray) -> FloatArray:
        """l''(z_i + shift), (n, B, C, C)."""
        h = np.empty((self.problem.rows.n_rows, self._B, self._C, self._C))
        task = self.problem.task
        _kernels.loss_curvature(task, z, shift, h, self._work, self.n_threads)
        return h

    def weighted_curvature(self, z: RowArray, shift: FloatArray, u: RowArray) -> RowArray:
        """(s_i / S) l''(z_i + shift) as `hessian_product` takes it, (n, K); u = l' there.

        l'' for separate outputs; the probabilities p for coupled ones, diag(p) - p p'.
        """
        problem = self.problem
        if problem.loss.coupled:
            c = u.copy()
            c[np.arange(len(c)), problem.y.astype(np.intp)] += 1.0
        else:
            c = self.curvature(z, shift).reshape(problem.rows.n_rows, self._K)
        s = problem.weight_columns
        c *= 1.0 / problem.total_weight if s is None else s / problem.total_weight
        return c

    def gradient(self, u: RowArray) -> FloatArray:
        """(1/S) sum_i s_i u_i x_i of derivatives u (n, K), (d, K)."""
        s = self.problem.weight_columns
        r = u if s is None else u * s
        gradient = self.problem.rows.transposed(r, self.n_threads)
        gradient /= self.problem.total_weight
        return gradient

    def inner(self, x: RowArray, y: RowArray) -> FloatArray:
        """(1/S) sum_i s_i x_ik y_ik, (K,)."""
        return self.problem.weighted_sum(x * y) / self.problem.total_weight

    def put(self, out: RowArray, values: RowArray, columns: npt.NDArray[np.bool_]) -> None:
        """Columns (K,) of out <- those of values."""
        out[:, columns] = values[:, columns]

    def mean_square(self) -> float:
        """(1/S) sum_i s_i ||x_i||^2."""
        norms = self.problem.rows.squared_norms(self.n_threads)
        return float(np.average(norms, weights=self.problem.sample_weight))

    def mean(self) -> FloatArray:
        """(1/S) sum_i s_i x_i, (d, 1)."""
        return self.gradient(np.ones((self.problem.rows.n_rows, 1)))


class DevicePasses:
    """The same on a CUDA device, with labels, weights and offsets copied there once."""

    def __init__(self, problem: Problem, n_threads: int):
        self.problem, self.n_threads, self._module = problem, n_threads, cuda()
        self.rows = problem.device_rows
        columns, n = problem.columns, problem.rows.n_rows
        self._B, self._C, self._K = columns.n_problems, columns.n_outputs, columns.width
        y = np.asarray(problem.y)
        self._y = DeviceArray((n, y.size // n)).fill(y)
        s, o = problem.sample_weight, problem.offset
        self._weights = None if s is None else DeviceArray((n, 1)).fill(s)
        self._offset = None if o is None else DeviceArray((n, self._K)).fill(o)
        loss, kinds = problem.loss, ("shared", "one_vs_rest", "multi")
        self.task = self._module.Task(
            loss.core_id,
            loss.core_param,
            self._B,
            self._C,
            kinds.index(columns.targets),
            self._y.address,
            self._address(self._weights),
            self._address(self._offset),
            n,
        )

    @staticmethod
    def _address(array: DeviceArray | None) -> int:
        return 0 if array is None else array.address

    def array(self) -> RowArray:
        """A new (n, K) array of zeros."""
        return DeviceArray((self.problem.rows.n_rows, self._K))

    def margins(self, W: npt.NDArray[Any], out: RowArray) -> None:
        """out <- X W + b for weights W (d + 1, K)."""
        self.rows.margins(W, self.n_threads, out)

    def loss_terms(
        self, z: RowArray, shift: FloatArray, u: RowArray | None, curved: bool
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """As of the host."""
        B, K, C = self._B, self._K, self._C
        sums = np.empty(B + K * (1 + C))
        into = self._address(u)
        self._module.loss_terms(self.task, z.address, _vector(shift), into, curved, sums)
        return sums[:B], sums[B : B + K].reshape(B, C), sums[B + K :].reshape(B, C, C)

    def loss_gap(
        self, z: RowArray, shift: FloatArray, u: RowArray, scale: FloatArray
    ) -> FloatArray:
        """As of the host."""
        sums, c = np.empty(self._B), _vector(scale)
        self._module.loss_gap(self.task, z.address, _vector(shift), u.address, c, sums)
        return sums

    def weighted_curvature(self, z: RowArray, shift: FloatArray, u: RowArray) -> RowArray:
        """As of the host."""
        out, factor = self.array(), 1.0 / self.problem.total_weight
        self._module.curvature(self.task, z.address, _vector(shift), factor, out.address)
        return out

    def gradient(self, u: RowArray) -> FloatArray:
        """As of the host."""
        gradient: FloatArray = self.rows.transposed(u, self._weights)
        return gradient / self.problem.total_weight

    def inner(self, x: RowArray, y: RowArray) -> FloatArray:
        """As of the host."""
        sums, (n, K) = np.empty(x.shape[1]), x.shape
        self._module.inner(n, K, x.address, y.address, self._address(self._weights), sums)
        return sums / self.problem.total_weight

    def put(self, out: RowArray, values: RowArray, columns: npt.NDArray[np.bool_]) -> None:
        """As of the host."""
        out.put(values, columns)

    def mean_square(self) -> float:
        """As of the host."""
        weights = self.weights()
        return float(self.rows.weighted_squares(weights).sum() / self.problem.total_weight)

    def mean(self) -> FloatArray:
        """As of the host."""
        sums: FloatArray = self.rows.transposed(self.weights())
        return sums / self.problem.total_weight

    def weights(self) -> DeviceArray:
        """s_i, (n, 1)."""
        n = self.problem.rows.n_rows
        return DeviceArray((n, 1)).fill(np.ones(n)) if self._weights is None else self._weights

    def loss_and_gradient(self, W: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray]:
        """Mean loss (B,) and its gradient (d + 1, K) at W, in one read of X."""
        value, gradient = self.rows.loss_gradient(self.task, W, self._B)
        return value / self.problem.total_weight, gradient / self.problem.total_weight


def _vector(values: npt.ArrayLike) -> FloatArray:
    return np.ascontiguousarray(values, dtype=np.float64)


Passes = HostPasses | DevicePasses


def passes_of(problem: Problem, n_threads: int) -> Passes:
    """The passes of where the problem's rows lie."""
    return (DevicePasses if problem.on_device else HostPasses)(problem, n_threads)
