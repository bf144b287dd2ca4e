"""A prox-Newton step on a working set, for l1 problems whose fit is long.

The working set S holds the coefficients that are not 0 and the columns of the largest gradients.
With A = [X_S, 1] and the curvatures h_i of the loss at w, the step solves the quadratic model

    min_x  (g - H w)' x + x' (H + l2 I) x / 2 + l1 ||x||_1,    H = (1/S) A' diag(s h) A,

exactly, by the feature-sign search (Lee, Battle, Raina, Ng, NIPS 2006, Algorithm 1): solve on the
active coefficients with their signs fixed, stop at the best point where one changes sign, then let
in those that violate optimality the most. All coefficients outside S become 0. The driver takes the
point only if its certificate is better.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

FloatArray = npt.NDArray[np.float64]
LEAST, MOST = 100, 900  # columns of a working set
LET_IN = 10  # violators that become active together
STEPS = 2000  # solves of one search


def working_set(w: npt.NDArray[Any], gradient: FloatArray) -> npt.NDArray[np.int64]:
    """Columns of one problem's working set, sorted; w and gradient (d,)."""
    support = np.flatnonzero(w)
    if len(support) > 0.75 * MOST:  # the method's iterate is not sparse yet: the gradient decides
        support = support[:0]
    size = min(len(w), max(LEAST, min(MOST, 2 * len(support))))
    score = np.abs(gradient)
    score[support] = np.inf
    top = np.argpartition(-score, size - 1)[:size] if size < len(w) else np.arange(len(w))
    return np.sort(top)


def feature_sign(
    H: FloatArray, c: FloatArray, l1: FloatArray, x: FloatArray
) -> tuple[FloatArray, bool]:
    """argmin_x c' x + x' H x / 2 + sum_j l1_j |x_j| from a start x; whether it was reached.

    Coefficients with l1_j = 0 (the intercept) are always active.
    """
    x = x.copy()
    free = l1 == 0
    signs = np.where(free, 0.0, np.sign(x))
    active = free | (x != 0)
    scale = 1e-12 * max(float(l1.max()), float(np.abs(c).max()))
    for _ in range(STEPS):
        a = np.flatnonzero(active)
        if a.size:
            goal = _solve(H[np.ix_(a, a)], -(c[a] + l1[a] * signs[a]))
            if goal is None:
                return x, False
            x[a] = _best_crossing(H[np.ix_(a, a)], c[a], l1[a], x[a], goal)
            active &= free | (x != 0)
            signs = np.where(free, 0.0, np.sign(x))
            if not np.array_equal(x[a], goal):
                continue  # a coefficient has left: solve again without it
        slope = c + H @ x
        violation = np.where(active, 0.0, np.abs(slope) - l1)
        worst = np.argsort(-violation)[:LET_IN]
        worst = worst[violation[worst] > scale]
        if not worst.size:
            return x, True
        active[worst] = True
        signs[worst] = -np.sign(slope[worst])
    return x, False


def _solve(H: FloatArray, r: FloatArray) -> FloatArray | None:
    """H^{-1} r, or None if H is not safely positive definite."""
    ridge = 1e-13 * np.trace(H) / len(H)
    try:
        factor = scipy.linalg.cho_factor(H + ridge * np.eye(len(H)), check_finite=False)
    except scipy.linalg.LinAlgError:
        return None
    solution: FloatArray = scipy.linalg.cho_solve(factor, r, check_finite=False)
    return solution


def _best_crossing(
    H: FloatArray, c: FloatArray, l1: FloatArray, x: FloatArray, goal: FloatArray
) -> FloatArray:
    """The best of goal and the points between x and goal where a coefficient becomes 0.

    A coefficient just let in starts at 0 and belongs to its sign; if goal has the other it stays.
    """
    step = goal - x
    crossing = (l1 > 0) & (x != 0) & (goal * x <= 0)
    lengths = np.unique(np.concatenate([-x[crossing] / step[crossing], [1.0]]))
    linear, Hs, Hx = c @ step, H @ step, H @ x
    quadratic, slope = step @ Hs, linear + step @ Hx
    points = x + lengths[:, None] * step
    values = lengths * slope + 0.5 * lengths**2 * quadratic + np.abs(points) @ l1
    best = int(np.argmin(values))
    point = goal.copy() if lengths[best] == 1.0 and not crossing.any() else points[best].copy()
    at_zero = crossing & (np.abs(-x / np.where(step != 0, step, 1.0) - lengths[best]) == 0)
    point[at_zero] = 0.0
    return point
