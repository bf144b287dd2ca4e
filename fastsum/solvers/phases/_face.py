"""Minimisers of a quadratic with an elastic net penalty whose Hessian is too large to store.

    min over x    g' (x - x0) + (x - x0)' H (x - x0) / 2 + sum_j [l1 |x_j| + l2 / 2 x_j^2]

A few sweeps of coordinate descent find the signs, conjugate gradients on the face of these signs
its slow directions; coordinates that would change sign become 0 (two-phase methods for bound
constraints: More, Toraldo, SIAM J. Optim. 1991; for l1 Byrd, Chin, Nocedal, Oztoprak 2016). `own`
(p, 3) has factor, lower and upper of each coordinate, eq. (65).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fastsum._core import _working_set
from fastsum.solvers.phases._quadratic import Strengths, quadratic_gap
from fastsum.solvers.phases._submatrix import Submatrix

FloatArray = npt.NDArray[np.float64]
ROUNDS = 6  # of sweeps and one face
SWEEPS, SETTLED = 4, 0.02  # sweeps; of all gained, for one more full sweep
PRODUCTS = 8  # of a face
RESIDUAL = 0.1  # of the first, in the norm of the preconditioner
ENOUGH = 0.05  # of all gained: a round of less is the last
HALVINGS = 4


class ImplicitQuadratic:
    """H = A' diag(weight) A, centred by `mean` (p,) unless that is None, and the penalty."""

    def __init__(
        self,
        A: Submatrix,
        weight: FloatArray,
        mean: FloatArray | None,
        l1: float,
        l2: float,
        own: FloatArray | None = None,
    ):
        self.A, self.weight, self.mean, self.l1, self.l2 = A, weight, mean, l1, l2
        self.own, self.h = own, Strengths(l1, l2, own)
        self.diagonal = A.squares(weight)
        if mean is not None:
            self.diagonal -= float(weight.sum()) * mean**2
        self.work = np.empty(A.n_threads * (len(self.diagonal) + 2))

    def product(self, v: FloatArray) -> FloatArray:
        """H v."""
        shift = 0.0 if self.mean is None else -float(self.mean @ v)
        V, c, T = np.append(v, shift)[:, None], self.weight[:, None], self.A.n_threads
        return np.ascontiguousarray(self.A.rows.hessian_product(V, c, 1, T, self.work)[:-1, 0])

    def minimise(
        self, q: FloatArray, x: FloatArray, size: float, target: float, rounds: int = ROUNDS
    ) -> float:
        """Moves x, with the gradient q of the quadratic at it, until little is gained; the gap."""
        total = 0.0
        for _ in range(rounds):
            start = x.copy()
            descent = _working_set.Descent(
                self.l1,
                self.l2,
                self.diagonal,
                x,
                q.copy(),
                size,
                np.empty(len(x), np.int32),
                self.own,
            )
            gap = self._sweep(descent, q, target)
            self._recentre(x)
            change = self.product(x - start)
            gain = -self._change(q, start, x, change)
            size += float((x - start) @ (2.0 * q + change))
            q = q + change
            gap = min(gap, self._gap(x, q, size))
            if gap <= target:
                return gap
            step = self._face(q, x)
            if step is not None:
                end, change = step
                gain -= self._change(q, x, end, change)
                size += float((end - x) @ (2.0 * q + change))
                q = q + change
                x[...] = end
                self._recentre(x)
            total += gain
            if gain <= ENOUGH * total:
                break
        return self._gap(x, q, size)

    def _gap(self, x: FloatArray, q: FloatArray, size: float) -> float:
        return quadratic_gap(x, q, self.l1, self.l2, size, self.own, self.diagonal)

    def _sweep(self, descent: _working_set.Descent, q: FloatArray, target: float) -> float:
        """Some sweeps of coordinate descent; the gap after the last."""
        r, columns = np.zeros(self.A.rows.n_rows), self.A.by_columns
        return descent.on_columns(columns, q, self.weight, self.mean, r, target, SETTLED, SWEEPS)[0]

    def _recentre(self, x: FloatArray) -> None:
        """Moves x, at no change of H x, to where the penalty is least."""

    def _inverse(self, active: npt.NDArray[np.bool_]) -> Callable[[FloatArray], FloatArray]:
        """What preconditions H + l2 on the active coordinates."""
        inverse = 1.0 / np.maximum(self.diagonal + self.h.l2, 1e-300)
        return lambda r: inverse * r

    def _change(self, q: FloatArray, x: FloatArray, end: FloatArray, H_move: FloatArray) -> float:
        """Of the quadratic and the penalty from x to end."""
        move = end - x
        return float(move @ (q + 0.5 * H_move)) + self.h.value(end) - self.h.value(x)

    def _face(self, q: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray] | None:
        """A better point with the signs of x or zeros, and H times the way there."""
        delta = self._direction(q, x)
        for halvings in range(HALVINGS):
            end = self.h.on_face(x, x + 0.5**halvings * delta)
            change = self.product(end - x)
            if self._change(q, x, end, change) < 0:
                return end, change
        return None

    def _direction(self, q: FloatArray, x: FloatArray) -> FloatArray:
        """(H + l2)^-1 times minus the gradient on the face, by conjugate gradients."""
        active = self.h.free(x)
        r = np.where(active, -self.h.slope(q, x), 0.0)
        inverse = self._inverse(active)
        delta, z = np.zeros_like(x), inverse(r)
        p, rz = z.copy(), float(r @ z)
        wanted = RESIDUAL**2 * rz
        for _ in range(PRODUCTS):
            Hp = np.where(active, self.product(p) + self.h.l2 * p, 0.0)
            curved = float(p @ Hp)
            if not curved > 0:
                break
            delta += (rz / curved) * p
            r -= (rz / curved) * Hp
            z = inverse(r)
            last, rz = rz, float(r @ z)
            if rz <= wanted:
                break
            p = z + (rz / last) * p
        return delta
