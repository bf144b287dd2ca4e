"""Minimisers of a quadratic with an elastic net penalty on a working set.

    min over x    g' (x - x0) + (x - x0)' H (x - x0) / 2 + sum_j [l1 |x_j| + l2 / 2 x_j^2]

by coordinate descent (Friedman, Hastie, Tibshirani, J. Stat. Softw. 2010). Where H is stored its
slow directions are left to exact solves on the active coordinates with their signs fixed, cut at
the best point where one of them changes sign (Lee, Battle, Raina, Ng, NIPS 2006).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fastsum._core import _working_set

FloatArray = npt.NDArray[np.float64]
ROUNDS = 200  # of sweeps and one exact solve
SWEEPS = 20
PATIENCE = 30  # rounds that have not halved the gap
RIDGE = 1e-13  # of the mean diagonal: keeps a semidefinite H solvable


def minimise_on_gram(
    H: FloatArray,
    q: FloatArray,
    x: FloatArray,
    l1: float,
    l2: float,
    size: float,
    target: float,
) -> float:
    """Moves x (p,), with the gradient q at it, until the gap is at most target; the gap reached.

    `size` is the mean square of the residuals behind the quadratic at x.
    """
    p = len(x)
    diagonal = H.diagonal().copy()
    descent = _working_set.Descent(l1, l2, diagonal, x, q, size, np.empty(p, dtype=np.int32))
    gap, best, stalled = np.inf, np.inf, 0
    for _ in range(ROUNDS):
        gap, _ = descent.on_gram(H, target, 0.0, SWEEPS)
        stalled = 0 if gap < 0.5 * best else stalled + 1
        best = min(best, gap)
        if gap <= target or stalled > PATIENCE:
            break
        moved = _exact_step(H, q, x, l1, l2)
        if moved is not None:
            active, step = moved
            change = step @ H[active]
            descent.size += float(step @ (2.0 * q[active] + change[active]))
            q += change
    return gap


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


def _exact_step(
    H: FloatArray, q: FloatArray, x: FloatArray, l1: float, l2: float
) -> tuple[npt.NDArray[np.int64], FloatArray] | None:
    """Moves the active coordinates of x to their minimiser or as far as it pays; what moved."""
    active = np.flatnonzero(x)
    if not active.size:
        return None
    Haa = H[np.ix_(active, active)]
    start = x[active]
    slope = q[active] + l2 * start + l1 * np.sign(start)
    ridged = Haa.copy()
    ridged[np.diag_indices(len(active))] += l2 + RIDGE * max(np.trace(Haa) / len(active), 1e-300)
    _, step, info = scipy.linalg.lapack.dposv(ridged, -slope, overwrite_a=True)
    if info != 0 or not np.isfinite(step).all():
        return None
    crossing = start * (start + step) <= 0
    if crossing.any():
        end = _best_crossing(Haa, q[active], start, step, crossing, l1, l2)
    else:
        end = start + step
    x[active] = end
    return active, end - start


def _best_crossing(
    Haa: FloatArray,
    q: FloatArray,
    start: FloatArray,
    step: FloatArray,
    crossing: npt.NDArray[np.bool_],
    l1: float,
    l2: float,
) -> FloatArray:
    """The best of start + step and the points on the way where a coordinate becomes 0."""
    lengths = np.append(np.minimum(-start[crossing] / step[crossing], 1.0), 1.0)
    points = start + lengths[:, None] * step
    quadratic = step @ (Haa @ step) + l2 * (step @ step)
    linear = q @ step + l2 * (start @ step)
    values = lengths * linear + 0.5 * lengths**2 * quadratic + l1 * np.abs(points).sum(axis=1)
    best = int(np.argmin(values))
    projected = np.where(crossing, 0.0, start + step)  # drops all of them at once
    move = projected - start
    value = move @ (q + l2 * start + 0.5 * (Haa @ move + l2 * move)) + l1 * np.abs(projected).sum()
    if value < values[best]:
        return projected
    point = points[best].copy()
    if best < len(lengths) - 1:
        point[np.flatnonzero(crossing)[best]] = 0.0
    elif crossing.any() and values[best] > l1 * np.abs(start).sum():
        return start
    return point
