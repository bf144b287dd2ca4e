"""A Newton step on the support, for small problems whose fit has become long.

With S the coefficients that are not 0 (all of them without an l1 part), A = [X_S, 1] and the
curvatures h_i of the loss, one step solves

    [(1/S) A' diag(s h) A + l2 I] delta = -(gradient + l2 w + l1 sign(w))_S

and a coefficient that would change sign becomes 0. The driver makes one when it costs no more than
the passes since the last certificate, and takes it only if its certificate is better.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fastsum.certificate import Certifier
from fastsum.problem import Problem

FloatArray = npt.NDArray[np.float64]
# Flops of BLAS and LAPACK are this many times cheaper than those of a per-sample step.
BLAS_GAIN = 4.0
MOST_UNKNOWNS = 1000
MOST_VALUES = 1 << 23  # of the dense A: 64 MB


def cost(problem: Problem, W: npt.NDArray[Any]) -> float:
    """Cost of one step for all problems in passes over the data; inf if it is too large."""
    rows, C = problem.rows, problem.columns.n_outputs
    total = 0.0
    for columns in _blocks(problem):
        p = float(np.count_nonzero(_support(problem, W, columns)) + 1) * C
        if p > MOST_UNKNOWNS or rows.n_rows * p > MOST_VALUES * C:
            return np.inf
        total += rows.n_rows * p * p + p**3
    return total / BLAS_GAIN / (4.0 * rows.nnz * problem.K + 1.0)


def direction(problem: Problem, W: npt.NDArray[Any], certifier: Certifier) -> FloatArray:
    """delta (d + 1, K) at W, the last point certified."""
    delta = np.zeros(W.shape)
    h = certifier.curvature()
    if problem.sample_weight is not None:
        h *= problem.sample_weight[:, None, None, None]
    h /= problem.total_weight
    for b, columns in enumerate(_blocks(problem)):
        support = np.flatnonzero(_support(problem, W, columns))
        A = problem.rows.columns(support)
        if problem.fit_intercept:
            A = np.hstack([A, np.ones((len(A), 1))])
        w = W[support, columns].astype(np.float64)
        step = _step(problem, w, A, h[:, b], certifier.gradient[support, columns], b)
        delta[support, columns] = step[: len(support)]
        delta[-1, columns] = step[len(support) :].sum(axis=0)  # no row without an intercept
    return delta


def along(
    problem: Problem, W: npt.NDArray[Any], delta: FloatArray, length: float
) -> npt.NDArray[Any]:
    """W + length delta; coefficients under an l1 penalty that change sign are 0."""
    moved = W + length * delta
    moved[:-1][(problem.l1 > 0) & (moved[:-1] * W[:-1] < 0)] = 0.0
    return np.ascontiguousarray(moved, dtype=W.dtype)


def _blocks(problem: Problem) -> list[slice]:
    C = problem.columns.n_outputs
    return [slice(b * C, (b + 1) * C) for b in range(problem.columns.n_problems)]


def _support(problem: Problem, W: npt.NDArray[Any], columns: slice) -> npt.NDArray[np.bool_]:
    """Coefficients that move, (d,)."""
    if problem.l1[columns.start] > 0:
        moving: npt.NDArray[np.bool_] = (W[:-1, columns] != 0).any(axis=1)
        return moving
    return np.ones(len(W) - 1, dtype=bool)


def _step(
    problem: Problem,
    w: FloatArray,
    A: FloatArray,
    h: FloatArray,
    gradient: FloatArray,
    b: int,
) -> FloatArray:
    """delta (q, C) of problem b for w and gradient (p, C), A (n, q), weighted h (n, C, C)."""
    l1, l2 = problem.penalty.l1[b], problem.penalty.l2[b]
    (p, C), q = w.shape, A.shape[1]
    H = np.empty((q, C, q, C))
    for a in range(C):
        for c in range(a + 1):
            H[:, a, :, c] = A.T @ (A * h[:, a, c, None])
            H[:, c, :, a] = H[:, a, :, c]
    diagonal = np.arange(p)[:, None], np.arange(C), np.arange(p)[:, None], np.arange(C)
    H[diagonal] += l2
    g = np.zeros((q, C))  # the intercept's gradient is 0: it is exact at a certified point
    g[:p] = gradient + l2 * w + l1 * np.sign(w)
    frozen = (l1 > 0) & (w == 0)  # a coupled output may be 0 where the others are not
    keep = np.flatnonzero(np.concatenate([~frozen.ravel(), np.ones((q - p) * C, dtype=bool)]))
    delta = np.zeros(q * C)
    delta[keep] = -_solve(H.reshape(q * C, q * C)[np.ix_(keep, keep)], g.ravel()[keep])
    return delta.reshape(q, C)


def _solve(H: FloatArray, g: FloatArray) -> FloatArray:
    """H^{-1} g for a positive semidefinite H; the shortest solution if it is singular."""
    if not g.size:
        return g
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", scipy.linalg.LinAlgWarning)
            solution: FloatArray = scipy.linalg.solve(H, g, assume_a="pos", check_finite=False)
            return solution
    except (scipy.linalg.LinAlgError, scipy.linalg.LinAlgWarning):
        shortest: FloatArray = scipy.linalg.lstsq(H, g, check_finite=False)[0]
        return shortest
