"""The quadratic model of a softmax problem on a working set of coefficients, and its minimiser.

    min over x    q' (x - x0) + (x - x0)' H (x - x0) / 2 + sum_j [l1 |x_j| + l2 / 2 x_j^2],
    H = A' D A,  D_i = diag(c_i) - c_i c_i' / sum(c_i),

where each x_j is the coefficient of one column in one output, and the intercepts take their best
values for each x. Coordinate descent sweeps through the outputs with the intercepts fixed; the rest
is as in `_face.py`.
"""

from __future__ import annotations

import os
import numpy as np
import numpy.typing as npt
import scipy.linalg

from fastsum._core import _working_set
from fastsum.data import Rows
from fastsum.solvers.phases._face import SETTLED, SWEEPS, ImplicitQuadratic
from fastsum.solvers.phases._submatrix import Submatrix

FloatArray = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]


class Coefficients:
    """A: margins (C, n) of coefficients x (p,), ordered by output, and the products back."""

    def __init__(self, rows: Rows, column: Ids, output: Ids, C: int, n_threads: int):
        self.output, self.C, self.n_threads = output.astype(np.int32), C, n_threads
        ids, place = np.unique(column, return_inverse=True)
        self.column = place.astype(np.int32)
        self.n, self.n_ids = rows.n_rows, len(ids)
        self.block = Submatrix(rows, ids, n_threads).by_columns
        self.dense = self.block.storage == "dense"
        transposed = Rows.part(self.block, 0, self.n_ids)
        if not self.dense:
            transposed = transposed[place]
            transposed.indices = transposed.indices + np.repeat(output * self.n, np.diff(transposed.indptr))
            transposed = type(transposed)((transposed.data, transposed.indices, transposed.indptr), shape=(len(place), C * self.n))
        self.transposed_ = transposed

    def margins(self, x: FloatArray) -> FloatArray:
        """A x, (C, n)."""
        if not self.dense:
            return (self.transposed_.T @ x).reshape(self.C, self.n)
        V = np.zeros((self.C, self.n_ids))
        V[self.output, self.column] = x
        return V @ self.transposed_

    def transposed(self, r: FloatArray) -> FloatArray:
        """A' r for r (C, n), (p,)."""
        if not self.dense:
            return self.transposed_ @ r.ravel()
        return (r @ self.transposed_.T)[self.output, self.column]

    def squares(self, own: FloatArray) -> FloatArray:
        """sum_i own_ki x_ij^2, (p,)."""
        if not self.dense:
            T = self.transposed_
            return T.multiply(T) @ own.ravel()
        return (own @ (self.transposed_**2).T)[self.output, self.column]


class CoupledQuadratic(ImplicitQuadratic):
    """See the module; curvature c (C, n)."""

    def __init__(self, A: Coefficients, c: FloatArray, free: bool, l1: float, l2: float):
        self.coefficients, self.c, self.free, self.l1, self.l2 = A, c, free, l1, l2
        total = c.sum(axis=0)
        self.inverse = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
        self.diagonal = np.maximum(A.squares(c * (1.0 - c * self.inverse)), 0.0)
        self.products = 0
        if free:
            H = np.diag(c.sum(axis=1)) - (c * self.inverse) @ c.T
            self.solved = np.linalg.pinv(H, hermitian=True, rcond=1e-10)

    def curved(self, z: FloatArray) -> FloatArray:
        """D z, (C, n)."""
        mean = np.einsum("ki,ki->i", self.c, z)
        mean *= self.inverse
        r = z - mean
        r *= self.c
        return r

    def move(self, v: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Margins z (C, n) of v with the best change of the intercepts, D z, that change (C,)."""
        z, b = self.coefficients.margins(v), np.zeros(len(self.c))
        r = self.curved(z)
        if self.free:
            b = -self.solved @ r.sum(axis=1)
            z += b[:, None]
            r = self.curved(z)
        return z, r, b

    def product(self, v: FloatArray) -> FloatArray:
        """H v."""
        self.products += 1
        return self.coefficients.transposed(self.move(v)[1])

    def _sweep(self, descent: _working_set.Descent, q: FloatArray, target: float) -> float:
        A, z = self.coefficients, np.zeros_like(self.c)
        m, gap, most = np.zeros(A.n), np.inf, SWEEPS // 2 if self.free else SWEEPS
        for made in range(SWEEPS // most):
            if made:
                z -= (self.solved @ self.curved(z).sum(axis=1))[:, None]
                m = np.einsum("ki,ki->i", self.c, z) * self.inverse
            gap, _ = descent.on_outputs(
                A.block, A.column, A.output, q, self.c, self.inverse, z, m, target, SETTLED, most
            )
        return gap
