"""A worker's own problem, corrected by the gradient of all rows: the local half of a DANE step.

Problem   min_w  (1/S_k) sum_{i in k} s_i l_i(z_i) + (g - g_k(w0))' w + h(w), g the gradient of the
          losses of all workers at w0, g_k that of this one
Method    epochs of preconditioned SVRG; the snapshot of the first is w0, whose gradient is g
Source    Shamir, Srebro, Zhang, ICML 2014 (DANE); Konecny, McMahan, Ramage, Richtarik 2016 (SVRG
          steps on the workers, scaled by how often each column occurs)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsum._core import _kernels
from fastsum.intercept import best_shift_of_each
from fastsum.problem import Problem
from fastsum.solvers.phases.epochs import SHIFT, Epochs

FloatArray = npt.NDArray[np.float64]
ENOUGH = 1e-10  # of the loss: what an intercept may leave to gain


class LocalSolver:
    """Approximate minimiser of the corrected problem of one worker.

    Holds what `Epochs` reads of a certifier: derivatives, gradient, curvature.

    Parameters
    ----------
    problem : Problem
        On the own rows, with their own weight S_k.
    n_threads : int
    seed : int
    """

    def __init__(self, problem: Problem, n_threads: int, seed: int):
        self.problem, self._threads, self._seed = problem, n_threads, seed
        self._epochs: Epochs | None = None
        self.derivatives: FloatArray = np.empty(0)
        self.gradient: FloatArray = np.empty(0)

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether there are steps for the problem."""
        return Epochs.serves(problem)

    def solve(
        self, W: FloatArray, margins: FloatArray, u: FloatArray, gradient: FloatArray, epochs: int
    ) -> tuple[FloatArray, FloatArray]:
        """The point after some epochs from W (d + 1, 1), and H_jj + l2 of each column (d + 1,).

        margins (n, 1) of W without its intercept, derivatives u (n, 1) there, gradient (d, 1) of
        all rows, whose slope in b is 0.
        """
        problem = self.problem
        if self._epochs is None:
            self._epochs = Epochs(problem, self, self._threads, self._seed)  # type: ignore[arg-type]
        own, slope = self._own(u)
        self._z, self._b = margins, W[-1].copy()
        self.derivatives, self.gradient = u, gradient
        for epoch in range(epochs):
            if epoch:
                W[-1] = 0.0
                problem.rows.margins(W, self._threads, self._z)
                W[-1] = self._b = self._best_intercept(slope)
                self.gradient = self._own(self.derivatives)[0] - own + gradient
            W = self._epochs.epoch(W)[:, None]
            self._b = W[-1].copy()
        l2 = float(problem.l2[0])
        H = np.append(1.0 / self._epochs._metric - SHIFT * l2, self._curvature_b)
        return W, H

    def weighted_curvature(self) -> FloatArray:
        """s_i l'' / S_k at the snapshot, (n, 1)."""
        problem, n = self.problem, len(self._z)
        h = np.empty((n, 1, 1, 1))
        work = np.empty(3 * self._threads)
        _kernels.loss_curvature(problem.task, self._z, self._b, h, work, self._threads)
        s = problem.sample_weight
        c: FloatArray = h.reshape(n, 1)
        c *= 1.0 / problem.total_weight if s is None else (s / problem.total_weight)[:, None]
        self._curvature_b = float(c.sum())
        return c

    def _own(self, u: FloatArray) -> tuple[FloatArray, float]:
        """The gradient of the own rows (d, 1), and their slope in b."""
        s, S = self.problem.sample_weight, self.problem.total_weight
        r = u if s is None else u * s[:, None]
        return self.problem.rows.transposed(r, self._threads) / S, float(r.sum())

    def _best_intercept(self, slope: float) -> FloatArray:
        """b where the slope of the own losses is `slope`; fills the derivatives there."""
        problem, u = self.problem, np.empty_like(self._z)
        if not problem.fit_intercept:
            slope = 0.0
        b, work = self._b, np.empty(3 * self._threads)

        def terms(shift: FloatArray, final: bool) -> tuple[FloatArray, FloatArray, FloatArray]:
            sums, at = np.zeros((self._threads, 3)), b + shift
            task = problem.task
            _kernels.loss_terms(task, self._z, at, u, not final, sums, work, self._threads)
            value, g, h = sums.sum(axis=0)
            return (
                np.array([value - slope * float(shift[0])]),
                np.array([[g - slope]]),
                np.array([[[h]]]),
            )

        if problem.fit_intercept:
            L = problem.loss.curvature * problem.total_weight
            _, shift, _ = best_shift_of_each(terms, 1, 1, L, ENOUGH)
            b = b + shift
        else:
            terms(np.zeros(1), True)
        self.derivatives = u
        return b
