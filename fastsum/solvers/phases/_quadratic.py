"""Minimisers of a quadratic with an elastic net penalty on a working set.

    min over x    g' (x - x0) + (x - x0)' H (x - x0) / 2 + sum_j [l1 |x_j| + l2 / 2 x_j^2]

by coordinate descent (Friedman, Hastie, Tibshirani, J. Stat. Softw. 2010). Where H is stored and
descent is slow, by exact pivots on the active coordinates (src_cpp/pivots.hpp).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsum._core import _working_set

FloatArray = npt.NDArray[np.float64]
ROUNDS = 400
SWEEPS = 10  # a round
FIRST, SLOW = 0.1, 0.5  # of the active coordinates: sweeps before pivots, and without them
PATIENCE = 30  # rounds that have not halved the gap
MOST_ACTIVE = 2048  # coordinates of an exact solve
MOST_PIVOTS = 100_000


def minimise_on_gram(
    H: FloatArray,
    q: FloatArray,
    x: FloatArray,
    l1: float,
    l2: float,
    size: float,
    target: float,
    rank: int,
) -> float:
    """Moves x (p,), with the gradient q at it, until the gap is at most target; the gap reached.

    `size` is the mean square of the residuals behind the quadratic at x, `rank` at least that of H.
    """
    p, start, gradient = len(x), x.copy(), q.copy()
    descent = _working_set.Descent(
        l1, l2, H.diagonal().copy(), x, q, size, np.empty(p, dtype=np.int32)
    )
    cap = min(p, MOST_ACTIVE if l2 > 0 else min(rank, MOST_ACTIVE)) + 1
    before, best, stalled, exact = np.inf, np.inf, 0, False
    for made in range(ROUNDS):
        gap, _ = descent.on_gram(H, target, 0.0, SWEEPS)
        stalled = 0 if gap < 0.5 * best else stalled + 1
        if gap <= target or (exact and stalled > PATIENCE):
            break
        k = int(np.count_nonzero(x))
        pays = made * SWEEPS >= FIRST * min(k, rank) and made > 0
        pays = pays and _sweeps_left(gap, before, target) > SLOW * min(k, rank)
        pays = pays or stalled > PATIENCE
        before, best = gap, min(best, gap)
        if not pays or exact:
            continue
        if k >= min(rank, cap):  # from there it is farther than from the start
            if l2 > 0 and np.count_nonzero(start) >= cap:
                continue
            x[...], q[...], descent.size = start, gradient, size
        work, exact = np.empty(cap * cap + 5 * cap + 2 * p), True
        gap, _ = descent.pivots(H, target, MOST_PIVOTS, work, cap)
        if gap <= target:
            break
    return gap


def _sweeps_left(gap: float, before: float, target: float) -> float:
    """Sweeps to the target at the rate of the last ones."""
    if not 0 < gap < before:
        return np.inf
    return float(SWEEPS * np.log(gap / max(target, 1e-300)) / np.log(before / gap))


def quadratic_gap(x: FloatArray, q: FloatArray, l1: float, l2: float, size: float) -> float:
    """Duality gap of the quadratic at x with the gradient q, as in src_cpp/descent.hpp."""
    top = float(np.abs(q).max(initial=0.0))
    best = np.inf
    for c in (1.0, l1 / top) if top > l1 else (1.0,):
        v = -c * q
        r = np.clip(v, -l1, l1)
        t = v - r if l2 > 0 else 0.0
        if l2 == 0 and c == 1.0 and top > l1:
            continue
        terms = l1 * np.abs(x) - x * r + (0.5 * (t - l2 * x) ** 2 / l2 if l2 > 0 else 0.0)
        best = min(best, 0.5 * (1 - c) ** 2 * size + float(terms.sum()))
    return best
