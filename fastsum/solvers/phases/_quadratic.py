"""Minimisers of a quadratic with an elastic net penalty on a working set.

    min over x    g' (x - x0) + (x - x0)' H (x - x0) / 2 + sum_j [l1 |x_j| + l2 / 2 x_j^2]

by coordinate descent (Friedman, Hastie, Tibshirani, J. Stat. Softw. 2010). Where H is stored and
descent is slow, by exact pivots on the active coordinates (src_cpp/pivots.hpp). `own` (p, 3) has
factor, lower and upper of each coordinate, eq. (65); then steps to the minimiser on a face are what
the pivots are without (two-phase methods for bounds: More, Toraldo, SIAM J. Optim. 1991).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fastsum._core import _working_set

FloatArray = npt.NDArray[np.float64]
ROUNDS = 400
SWEEPS = 10  # a round
FIRST, SLOW = 0.1, 0.5  # of the active coordinates: sweeps before pivots, and without them
PATIENCE = 30  # rounds that have not halved the gap
MOST_ACTIVE = 2048  # coordinates of an exact solve
MOST_PIVOTS = 100_000
HALVINGS = 4  # of a step to the minimiser on a face


def minimise_on_gram(
    H: FloatArray,
    q: FloatArray,
    x: FloatArray,
    l1: float,
    l2: float,
    size: float,
    target: float,
    rank: int,
    own: FloatArray | None = None,
) -> float:
    """Moves x (p,), with the gradient q at it, until the gap is at most target; the gap reached.

    `size` is the mean square of the residuals behind the quadratic at x, `rank` at least that of H.
    """
    p, start, gradient = len(x), x.copy(), q.copy()
    descent = _working_set.Descent(
        l1, l2, H.diagonal().copy(), x, q, size, np.empty(p, dtype=np.int32), own
    )
    if own is not None:
        return _minimise_on_faces(descent, H, q, x, Strengths(l1, l2, own), target)
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


class Strengths:
    """l1 and l2 of each coordinate, and its bounds.

    Parameters
    ----------
    l1, l2 : float
    own : (p, 3) array or None
        Factor, lower and upper of each coordinate.
    """

    def __init__(self, l1: float, l2: float, own: FloatArray | None):
        factor, self.lower, self.upper = (1.0, -np.inf, np.inf) if own is None else own.T
        self.l1, self.l2 = l1 * factor, l2 * factor

    def value(self, x: FloatArray) -> float:
        """The penalty of x."""
        return float(np.sum(self.l1 * np.abs(x)) + 0.5 * np.sum(self.l2 * x * x))

    def free(self, x: FloatArray) -> npt.NDArray[np.bool_]:
        """Coordinates that may move both ways without a kink or a bound on the spot."""
        free: npt.NDArray[np.bool_] = (x != 0) | (self.l1 == 0)
        return free & (x > self.lower) & (x < self.upper)

    def slope(self, q: FloatArray, x: FloatArray) -> FloatArray:
        """The gradient on the face of x for the gradient q of the quadratic."""
        slope: FloatArray = q + self.l2 * x + self.l1 * np.sign(x)
        return slope

    def on_face(self, x: FloatArray, end: FloatArray) -> FloatArray:
        """End with coordinates that changed sign at 0, where l1 has a kink, within the bounds."""
        out: FloatArray = np.clip(end, self.lower, self.upper)
        out[(self.l1 > 0) & (out * x < 0)] = 0.0
        return out


def _minimise_on_faces(
    descent: _working_set.Descent,
    H: FloatArray,
    q: FloatArray,
    x: FloatArray,
    h: Strengths,
    target: float,
) -> float:
    """Sweeps, and between them a step to the minimiser on the face that they have found."""
    best, stalled = np.inf, 0
    for made in range(ROUNDS):
        gap, _ = descent.on_gram(H, target, 0.0, SWEEPS)
        stalled = 0 if gap < 0.5 * best else stalled + 1
        best = min(best, gap)
        if gap <= target or stalled > PATIENCE:
            break
        a = np.flatnonzero(h.free(x))
        if made == 0 or not 0 < len(a) <= MOST_ACTIVE:
            continue
        A = H[np.ix_(a, a)]
        A[np.diag_indices(len(a))] += np.broadcast_to(h.l2, x.shape)[a] + 1e-14 * H.diagonal().max()
        try:
            delta = scipy.linalg.solve(A, -h.slope(q, x)[a], assume_a="pos", check_finite=False)
        except scipy.linalg.LinAlgError:
            continue
        for halving in range(HALVINGS):
            end = x.copy()
            end[a] += 0.5**halving * delta
            end = h.on_face(x, end)
            move = end - x
            change = H[:, a] @ move[a]
            smooth = float(move @ (q + 0.5 * change))
            if smooth + h.value(end) < h.value(x):
                descent.size += float(move @ (2.0 * q + change))
                x[...] = end
                q += change
                break
    return gap


def _sweeps_left(gap: float, before: float, target: float) -> float:
    """Sweeps to the target at the rate of the last ones."""
    if not 0 < gap < before:
        return np.inf
    return float(SWEEPS * np.log(gap / max(target, 1e-300)) / np.log(before / gap))


def quadratic_gap(
    x: FloatArray,
    q: FloatArray,
    l1: float,
    l2: float,
    size: float,
    own: FloatArray | None = None,
    diagonal: FloatArray | None = None,
) -> float:
    """Duality gap of the quadratic at x with the gradient q, as in src_cpp/descent.hpp.

    The diagonal of the Hessian is for coordinates that nothing penalises.
    """
    if own is not None:
        assert diagonal is not None
        return _working_set.quadratic_gap(x, q, l1, l2, size, diagonal, own)
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
