"""When the null model, all coefficients 0, is the minimiser."""

from __future__ import annotations

import numpy as np

from fastsum.certificate import Certifier, FloatArray
from fastsum.problem import Problem


def alpha_max(problem: Problem, n_threads: int = 1) -> FloatArray:
    """The smallest alpha at which w = 0 minimises eq. (1), at the problem's l1_ratio.

    max_jk |(1/S) sum_i s_i l'(b_null)_ik x_ij| / l1_ratio, with the best intercept of the null
    model: by eq. (5) its dual point is then optimal.

    Parameters
    ----------
    problem : Problem
        Its alpha has no influence.
    n_threads : int, default=1

    Returns
    -------
    alpha : (B,) array
        inf where l1_ratio is 0 and the slope is not: an l2 penalty shrinks, but never to 0.
    """
    slope = np.abs(Certifier(problem, n_threads).gradient).max(axis=0)
    slope = slope.reshape(problem.columns.n_problems, -1).max(axis=1)
    ratio = problem.penalty.l1_ratio
    top: FloatArray = np.where(slope > 0, np.inf, 0.0)
    return np.divide(slope, ratio, out=top, where=ratio > 0)
