"""When the null model, all coefficients 0, is the minimiser."""

from __future__ import annotations

import numpy as np
import scipy.optimize
import scipy.sparse as sp

from fastsum.certificate import Certifier, FloatArray
from fastsum.penalties import row_norms
from fastsum.problem import Problem

BESIDE = 1e-6  # of a kink


def alpha_max(problem: Problem, n_threads: int = 1) -> FloatArray:
    """The smallest alpha at which w = 0 minimises eq. (1), at the problem's l1_ratio.

    max_jk |(1/S) sum_i s_i l'(b_null)_ik x_ij| / (f_j l1_ratio), with the best intercept of the
    null model: by eq. (5) its dual point is then optimal. What presses against a bound at 0 does
    not count; a penalty of rows has the norm over k.

    Parameters
    ----------
    problem : Problem
        Its alpha has no influence.
    n_threads : int, default=1

    Returns
    -------
    alpha : (B,) array
        inf where l1_ratio is 0 and the slope is not: an l2 penalty shrinks, but never to 0.

    Raises
    ------
    ValueError
        If a feature is unpenalised, whose coefficient no alpha makes 0, or has a penalty of its own
        beside a loss with kinks.
    """
    own = problem.penalty.own
    if own is not None and (problem.loss.kinked or own.loose.any()):
        raise ValueError(
            "alpha_max is not known where penalty_factor is 0 for a feature, nor for factors and "
            f"bounds beside loss={problem.loss.name!r} with its kinks: give the alphas"
            if problem.loss.kinked
            else "no alpha makes the coefficients of features with penalty_factor=0 zero: give the "
            "alphas"
        )
    certifier = Certifier(problem, n_threads)
    if own is not None:
        # what a bound at 0 does not hold, in units of its factor
        g = certifier.gradient
        moves = np.where(g < 0, own.upper[:, None] > 0, own.lower[:, None] < 0)
        moves &= own.factor[:, None] > 0
        slope = np.divide(np.abs(g), own.factor[:, None], out=np.zeros_like(g), where=moves)
        slope = slope.max(axis=0).reshape(problem.columns.n_problems, -1).max(axis=1)
    elif problem.loss.kinked:
        at_zero = zip(range(problem.K), certifier.null.intercept, strict=True)
        slope = np.array([_least_slope(problem, b, float(z)) for b, z in at_zero])
    else:
        slope = np.abs(certifier.gradient)
        if problem.penalty.rows:
            slope = row_norms(slope, problem.columns.n_outputs)
        slope = slope.max(axis=0)
        slope = slope.reshape(problem.columns.n_problems, -1).max(axis=1)
    ratio = problem.penalty.l1_ratio
    top: FloatArray = np.where(slope > 0, np.inf, 0.0)
    return np.divide(slope, ratio, out=top, where=ratio > 0)


def _least_slope(problem: Problem, b: int, z: float) -> float:
    """The least max_j |v_j| of the best dual points of problem b where all margins are z + o_i.

    Rows at their kink may have any slope between those beside it: a linear program in these.
    """
    labels, loss = problem.labels_of(b), problem.loss
    offset = problem.offset_of(b)
    margins = np.full(len(labels), z) if offset is None else z + offset[:, 0]
    ends = np.empty((2, len(labels)))
    kinds, kind = np.unique(np.stack([labels, margins]), axis=1, return_inverse=True)
    for k, (y, m) in enumerate(kinds.T.tolist()):
        ends[:, kind == k] = [loss.derivative(m + side, y) for side in (-BESIDE, BESIDE)]
    s = problem.sample_weight
    low, high = ends / problem.total_weight if s is None else ends * (s / problem.total_weight)
    X, free = problem.rows.matrix(), np.flatnonzero(low < high)
    g = np.asarray(X.T @ low)
    if not len(free):
        return float(np.abs(g).max(initial=0.0))
    # min t with -t <= g + A a <= t, 0 <= a <= 1, and a sum of all slopes of 0
    A = sp.csr_array(X[free].T).multiply((high - low)[free])
    t = np.ones((len(g), 1))
    found = scipy.optimize.linprog(
        np.append(np.zeros(len(free)), 1.0),
        A_ub=sp.block_array([[A, -t], [-A, -t]], format="csr"),
        b_ub=np.append(-g, g),
        A_eq=np.append((high - low)[free], 0.0)[None],
        b_eq=[-low.sum()],
        bounds=[(0.0, 1.0)] * len(free) + [(0.0, None)],
        method="highs-ipm",
    )
    return float(found.fun)
