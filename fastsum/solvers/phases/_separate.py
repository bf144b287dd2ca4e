"""One of several problems with one output each: its loss at margins that only a phase knows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsum._core import _kernels
from fastsum.problem import Problem

FloatArray = npt.NDArray[np.float64]


class SeparateLoss:
    """The mean loss of problem b as a function of its margins (n,).

    Attributes
    ----------
    u : (n,) array
        l'(z_i) at the margins of the last `value`.
    slope : float
        The derivative in a free intercept there, 0 if it is not free.
    """

    def __init__(self, problem: Problem, b: int, n_threads: int):
        loss = problem.loss
        self._task = _kernels.Task(
            loss.core_id,
            loss.core_param,
            1,
            1,
            "shared",
            problem.labels_of(b),
            problem.sample_weight,
            problem.offset_of(b),
        )
        self._n_threads, self._free = n_threads, problem.fit_intercept
        self._total, self._most = problem.total_weight, loss.curvature
        self.u, self.slope = np.empty(problem.rows.n_rows), 0.0
        self._zero, self._work = np.zeros(1), np.empty(3 * n_threads)

    def value(self, z: FloatArray) -> float:
        """The mean loss at margins z."""
        sums, u = np.zeros((self._n_threads, 3)), self.u[:, None]
        _kernels.loss_terms(self._task, z, self._zero, u, False, sums, self._work, self._n_threads)
        value, slope, _ = sums.sum(axis=0).tolist()
        self.slope = slope / self._total if self._free else 0.0
        return float(value / self._total)

    def curvature(self, z: FloatArray, radius: float) -> FloatArray:
        """l''(z_i) at the margins of the last `value`, (n,).

        Raised where the row would want to move further than the radius, see `_curvature.py`.
        """
        h = np.empty(len(z))
        _kernels.loss_curvature(self._task, z, self._zero, h, self._work, self._n_threads)
        least = np.abs(self.u)
        least /= radius
        np.minimum(least, self._most, out=least)
        return np.maximum(h, least, out=h)
