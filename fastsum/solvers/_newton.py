"""A Newton step, for small problems whose fit has become long.

Without an l1 part S holds all coefficients, with coupled outputs those that are not 0; else the
step is that of `_working_set.py`. With A = [X_S, 1] and the curvatures h_i of the loss it solves

    [(1/S) A' diag(s h) A + l2 I] delta = -(gradient + l2 w + l1 sign(w))_S

and a coefficient that would change sign becomes 0. The driver makes one when it costs no more than
the passes since the last certificate, and takes it only if its certificate is better.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fastsum.certificate import Certifier
from fastsum.problem import Problem
from fastsum.solvers._working_set import LET_IN, feature_sign, working_set

FloatArray = npt.NDArray[np.float64]
# Flops of BLAS and LAPACK are this many times cheaper than those of a per-sample step.
BLAS_GAIN = 4.0
MOST_UNKNOWNS = 1000
TRIAL_PASSES = 2.5  # the certificates of its trials; nothing where a pass takes microseconds
SMALL = 1 << 16  # values
MOST_VALUES = 1 << 23  # of the dense A: 64 MB


def cost(problem: Problem, W: npt.NDArray[Any]) -> float:
    """Cost of one step for all problems in passes over the data; inf if it is too large."""
    rows, C = problem.rows, problem.columns.n_outputs
    penalty = problem.penalty
    if problem.loss.kinked or penalty.own is not None or penalty.rows:
        return np.inf
    total = 0.0
    for columns in _blocks(problem):
        p = float(len(_support(problem, W, columns, None)) + 1) * C
        if p > MOST_UNKNOWNS or rows.n_rows * max(p, problem.K * C) > MOST_VALUES * C:
            return np.inf
        on_growing_sets = C == 1 and problem.l1[columns.start] > 0
        solves = min(rows.n_rows, p) ** 4 / (12 * LET_IN) if on_growing_sets else p**3
        total += rows.n_rows * p * p + solves
    trials = TRIAL_PASSES if rows.nnz * problem.K > SMALL else 0.0
    return trials + total / BLAS_GAIN / (4.0 * rows.nnz * problem.K + 1.0)


def direction(problem: Problem, W: npt.NDArray[Any], certifier: Certifier) -> FloatArray:
    """delta (d + 1, K) at W, the last point certified."""
    delta = np.zeros(W.shape)
    h = certifier.curvature()
    if problem.sample_weight is not None:
        s = problem.sample_weight
        h *= s[:, None, None, None] if s.ndim == 1 else s[:, :, None, None]
    h /= problem.total_weight
    for b, columns in enumerate(_blocks(problem)):
        support = _support(problem, W, columns, certifier.gradient)
        A = problem.rows.columns(support)
        if problem.fit_intercept:
            A = np.hstack([A, np.ones((len(A), 1))])
        w = W[support, columns].astype(np.float64)
        gradient = certifier.gradient[support, columns]
        if problem.penalty.l1[b] > 0 and w.shape[1] == 1:
            delta[:-1, columns] = -W[:-1, columns]  # what is outside the working set becomes 0
            step = _model_step(problem, w[:, 0], A, h[:, b, 0, 0], gradient[:, 0], b)
        else:
            step = _step(problem, w, A, h[:, b], gradient, b)
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


def _support(
    problem: Problem, W: npt.NDArray[Any], columns: slice, gradient: FloatArray | None
) -> npt.NDArray[np.int64]:
    """Coefficients that move; without a gradient any set of the size that they will have."""
    w = W[:-1, columns]
    if problem.l1[columns.start] == 0:
        return np.arange(len(w))
    if w.shape[1] > 1:
        return np.flatnonzero((w != 0).any(axis=1))
    slope = np.zeros(len(w)) if gradient is None else gradient[:, columns.start]
    return working_set(w[:, 0], slope)


def _model_step(
    problem: Problem,
    w: FloatArray,
    A: FloatArray,
    h: FloatArray,
    gradient: FloatArray,
    b: int,
) -> FloatArray:
    """delta (q, 1) to the minimiser of the quadratic model with its l1 part, on a working set."""
    p, q = len(w), A.shape[1]
    H = A.T @ (A * h[:, None])
    start, c = np.zeros(q), np.zeros(q)  # the last, if any, is the intercept's change
    start[:p], c[:p] = w, gradient
    c -= H @ start
    H[np.arange(p), np.arange(p)] += problem.penalty.l2[b]
    l1 = np.zeros(q)
    l1[:p] = problem.penalty.l1[b]
    sparse = np.count_nonzero(w) <= len(A)  # else the active H is singular: begin at 0
    if not (np.isfinite(H).all() and np.isfinite(c).all()):
        return np.zeros((q, 1))  # no direction: the point stays
    x, _ = feature_sign(H, c, l1, start if sparse else np.zeros(q))
    return (x - start)[:, None]


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
    if not g.size or not (np.isfinite(H).all() and np.isfinite(g).all()):
        return np.zeros_like(g)  # no direction: the point stays
    # LAPACK's own Cholesky solve: scipy.linalg.solve costs ten times a small system
    _, solution, info = scipy.linalg.lapack.dposv(H, g)
    if info == 0:
        return np.asarray(solution)
    shortest: FloatArray = scipy.linalg.lstsq(H, g, check_finite=False)[0]
    return shortest
