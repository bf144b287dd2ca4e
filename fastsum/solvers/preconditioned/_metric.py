"""Sketched Hessians P = H_S + rho I, maths.md eq. (36), and their inverses.

H_S = A' A is the Hessian of the loss on few rows S, A its weighted rows (m, D).
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import scipy.linalg

FloatArray = npt.NDArray[np.float64]


class Metric(Protocol):
    """P: its product with a vector (D,), and that of its inverse."""

    def times(self, v: FloatArray) -> FloatArray:
        """P v."""

    def solve(self, g: FloatArray) -> FloatArray:
        """P^-1 g."""


class Subsampled:
    """P = A' A + rho I (SSN: Roosta-Khorasani, Mahoney 2019), by Woodbury where m < D.

    A product with P^-1 costs 4 m rows, or D^2 once D <= m.
    """

    def __init__(self, A: Any, rho: float):
        self.A, self._At, self.rho = A, A.T, rho
        m, D = A.shape
        self._tall = m >= D
        G = A.T @ A if self._tall else A @ A.T
        G = np.array(G.toarray() if hasattr(G, "toarray") else G)
        G[np.diag_indices(min(m, D))] += rho
        self._factor = scipy.linalg.cho_factor(G, overwrite_a=True, check_finite=False)

    def times(self, v: FloatArray) -> FloatArray:
        """P v."""
        return np.asarray(self._At @ (self.A @ v)) + self.rho * v

    def solve(self, g: FloatArray) -> FloatArray:
        """P^-1 g."""
        if self._tall:
            return np.asarray(scipy.linalg.cho_solve(self._factor, g, check_finite=False))
        inner = scipy.linalg.cho_solve(self._factor, self.A @ g, check_finite=False)
        out = self._At @ inner
        np.subtract(g, out, out=out)
        out /= self.rho
        return np.asarray(out)

    @staticmethod
    def cost(m: int, rank: int) -> int:
        """Gradients as much work as making it: m^2 / 2 products of rows."""
        return m * (m + 1) // 4


class Nystrom:
    """P = V diag(s) V' + rho I, the Nystrom approximation of A' A of a rank r.

    H O (O' H O)^+ O' H for a Gaussian O (D, r) is B' B with B = Q' A, Q the range of A O. A product
    with P^-1 costs 2 r vectors of D.
    """

    def __init__(self, A: Any, rho: float, test: FloatArray):
        Q = np.linalg.qr(A @ test)[0]
        B = np.ascontiguousarray((A.T @ Q).T)
        _, s, self._V = np.linalg.svd(B, full_matrices=False)
        self._s, self.rho = s**2, rho
        self._change = 1.0 / (self._s + rho) - 1.0 / rho

    def times(self, v: FloatArray) -> FloatArray:
        """P v."""
        return np.asarray(self._V.T @ (self._s * (self._V @ v)) + self.rho * v)

    def solve(self, g: FloatArray) -> FloatArray:
        """P^-1 g."""
        return np.asarray(self._V.T @ (self._change * (self._V @ g)) + g / self.rho)

    @staticmethod
    def cost(m: int, rank: int) -> int:
        """Gradients as much work as making it: two products of A with r vectors."""
        return m * rank


def largest_eigenvalue(
    metric: Metric, A: Any, ridge: FloatArray, start: FloatArray, n_steps: int
) -> float:
    """The largest v' (A' A + diag(ridge)) v / v' P v, by powers of P^-1 H from `start`."""
    v, found = start, 0.0
    for _ in range(n_steps):
        Hv = np.asarray(A.T @ (A @ v)) + ridge * v
        found = max(found, float(v @ Hv) / float(v @ metric.times(v)))
        v = metric.solve(Hv)
        size = float(np.abs(v).max())
        if not size > 0:
            break
        v = v / size
    return found
