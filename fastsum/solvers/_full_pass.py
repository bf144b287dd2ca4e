"""One pass each way over the data: margins, losses and derivatives, the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum._core import _kernels
from fastsum.problem import Problem

FloatArray = npt.NDArray[np.float64]


def losses(problem: Problem, z: FloatArray, u: FloatArray, n_threads: int) -> FloatArray:
    """(1/S) sum_i s_i l_i(z_i), (B,); u (n, K) <- l'(z) for margins z (n, K), may be z itself."""
    columns, K = problem.columns, problem.K
    B, C = columns.n_problems, columns.n_outputs
    sums, work = np.zeros((n_threads, B + K * (1 + C))), np.empty(n_threads * (2 * K + C**2))
    _kernels.loss_terms(problem.task, z, np.zeros(K), u, False, sums, work, n_threads)
    values: FloatArray = sums.sum(axis=0)[:B] / problem.total_weight
    return values


def margins(problem: Problem, W: npt.NDArray[Any], n_threads: int) -> FloatArray:
    """X w + b for weights W (d + 1, K), (n, K)."""
    return problem.rows.margins(W, n_threads, np.empty((problem.rows.n_rows, problem.K)))


def gradient(problem: Problem, u: FloatArray, n_threads: int) -> FloatArray:
    """(1/S) sum_i s_i u_i (x_i, 1), (d + 1, K); the last row is 0 without an intercept."""
    s, S = problem.sample_weight, problem.total_weight
    r = u if s is None else u * s[:, None]
    last = r.sum(axis=0) if problem.fit_intercept else np.zeros(problem.K)
    return np.vstack([problem.rows.transposed(r, n_threads), last]) / S
