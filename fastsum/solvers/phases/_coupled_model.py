"""The quadratic model of a softmax problem on a working set of coefficients, and its minimiser.

    min over x    q' (x - x0) + (x - x0)' H (x - x0) / 2 + sum_j [l1 |x_j| + l2 / 2 x_j^2],
    H = A' D A,  D_i = diag(c_i) - c_i c_i' / sum(c_i),

where x_j is the coefficient of one column in one output, and intercepts, if free, take their best
values for each x. Sweeps of coordinate descent, between two of which the intercepts move, find the
signs; conjugate gradients end on their face (`_face.py`), preconditioned by the Hessian of a sample
of the rows where that costs no more than it saves.

A common change of all outputs of a column leaves H x as it is: what the penalty wants of it is set
in closed form after each sweep (`common_part`), which sweeps alone reach in steps of l1 / H_jj.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fastsum._core import _kernels, _working_set
from fastsum.data import Rows
from fastsum.solvers.phases._face import ROUNDS, SETTLED, SWEEPS, ImplicitQuadratic
from fastsum.solvers.phases._quadratic import Strengths, minimise_on_gram, quadratic_gap

FloatArray = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
# Stored values of sparse columns, once for each output that uses them, or twice what they hold.
SPREAD_VALUES = 1 << 23
SINGULAR = 1e-10  # softmax: a common shift of all intercepts changes nothing
# The sample behind the preconditioner: rows, at least and for each coefficient; products that it
# may cost, what a value of the margins costs beside a multiplication, flops always spent.
LEAST_ROWS, ROWS_OF_COEFFICIENT, WORTH, SOFTMAX, ALWAYS = 1000, 3, 50, 5, 5e7
# Flops of a stored Hessian that is always made; else its coefficients at most, and what sweeps
# leave of a gap where they have stalled.
STORED, MOST_STORED, STALLED = 5e7, 2048, 0.5
SHARE_OF_DIAGONAL = 0.01  # of H, added to that of the sample


class Coefficients:
    """A: margins (C, n) of coefficients x (p,), ordered by output, and the products back.

    Parameters
    ----------
    block : Block
        A' as rows, of each column once.
    column, output : (p,) arrays
        Where each coefficient is: row of the block, output.
    n_outputs : int
        C.
    """

    def __init__(self, block: _kernels.Block, column: Ids, output: Ids, n_outputs: int):
        self.column, self.output = column.astype(np.int32), output.astype(np.int32)
        self.block, self.C, self.n, self.n_ids = block, n_outputs, block.n_cols, block.n_rows
        self.columns: Any = Rows.part(block, 0, block.n_rows)
        self.spread = False  # or of each coefficient, as a row of C n values
        if self.block.storage != "dense":
            size = int(np.diff(self.columns.indptr)[column].sum())
            self.spread = size <= max(SPREAD_VALUES, 2 * block.nnz)
        if self.spread:
            A = self.columns[column]
            indices = A.indices + np.repeat(output * self.n, np.diff(A.indptr))
            shape = (len(column), n_outputs * self.n)
            self.columns = type(A)((A.data, indices, A.indptr), shape=shape)
        self.stored = self.columns.size * (1 if self.spread else n_outputs)

    def margins(self, x: FloatArray) -> FloatArray:
        """A x, (C, n)."""
        dtype = self.columns.dtype
        if self.spread:
            z = self.columns.T @ x.astype(dtype, copy=False)
            return z.reshape(self.C, self.n).astype(np.float64, copy=False)
        V = np.zeros((self.C, self.n_ids), dtype=dtype)
        V[self.output, self.column] = x
        return np.ascontiguousarray(V @ self.columns, dtype=np.float64)

    def transposed(self, r: FloatArray) -> FloatArray:
        """A' r for r (C, n), (p,)."""
        return self._transposed(self.columns, r)

    def squares(self, weight: FloatArray) -> FloatArray:
        """sum_i weight_ki x_ij^2 for weight (C, n), (p,)."""
        A = self.columns
        return self._transposed(A**2 if isinstance(A, np.ndarray) else A.multiply(A), weight)

    def _transposed(self, columns: Any, r: FloatArray) -> FloatArray:
        r = r.astype(columns.dtype, copy=False)
        out = columns @ r.ravel() if self.spread else (r @ columns.T)[self.output, self.column]
        return np.asarray(out, dtype=np.float64)

    def sample(self, ids: Ids, step: int) -> FloatArray:
        """Every step-th row of the columns of the coefficients `ids`, transposed."""
        part = Rows.part(self.block, 0, self.n_ids)[self.column[ids]][:, ::step]
        dense = part if isinstance(part, np.ndarray) else part.toarray()
        return np.asarray(dense, dtype=np.float64)


class CoupledQuadratic(ImplicitQuadratic):
    """See the module.

    Parameters
    ----------
    A : Coefficients
    c : (C, n) array
        Weighted curvature.
    free : bool
        Whether there are intercepts.
    l1, l2 : float
    flat : bool
        Whether sweeps are not worth a try; true after `minimise` when they were not.
    """

    def __init__(
        self, A: Coefficients, c: FloatArray, free: bool, l1: float, l2: float, flat: bool
    ):
        self.coefficients, self.c, self.free, self.l1, self.l2 = A, c, free, l1, l2
        self.own, self.h = None, Strengths(l1, l2, None)
        self.flat = flat
        total = c.sum(axis=0)
        self.share = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
        self.diagonal = np.maximum(A.squares(c * (1.0 - c * self.share)), 0.0)
        self.products = 0
        # coordinates of the columns that are in the set with all outputs, (columns, C)
        order = np.lexsort((A.output, A.column))
        counts = np.unique(A.column[order], return_counts=True)[1]
        self._whole = order[np.repeat(counts == len(c), counts)].reshape(-1, len(c))
        self._sampled: tuple[Ids, FloatArray] | None = None
        H = np.diag(c.sum(axis=1)) - (c * self.share) @ c.T
        self._solved = np.linalg.pinv(H, hermitian=True, rcond=SINGULAR)

    def move(self, v: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Margins z (C, n) of v with the best change of the intercepts, D z, that change (C,)."""
        self.products += 1
        z, b = self.coefficients.margins(v), np.zeros(len(self.c))
        r = self._curved(z)
        if self.free:
            b = -self._solved @ r.sum(axis=1)
            z += b[:, None]
            r = self._curved(z)
        return z, r, b

    def product(self, v: FloatArray) -> FloatArray:
        """H v."""
        return self.coefficients.transposed(self.move(v)[1])

    def _curved(self, z: FloatArray) -> FloatArray:
        """D z."""
        r = z - self._mean(z)
        r *= self.c
        return r

    def _mean(self, z: FloatArray) -> FloatArray:
        """Of the outputs of each row, (n,)."""
        mean: FloatArray = np.einsum("ki,ki->i", self.c, z)
        mean *= self.share
        return mean

    def _sweep(self, descent: _working_set.Descent, q: FloatArray, target: float) -> float:
        A, z = self.coefficients, np.zeros_like(self.c)
        parts = 2 if self.free else 1
        for part in range(parts):
            if part:
                z -= (self._solved @ self._curved(z).sum(axis=1))[:, None]
            descent.on_outputs(
                A.block,
                A.column,
                A.output,
                q,
                self.c,
                self.share,
                z,
                self._mean(z),
                target,
                SETTLED,
                SWEEPS // parts,
            )
        self.products += SWEEPS
        return np.inf  # its gap does not see the last move of the intercepts

    def _recentre(self, x: FloatArray) -> None:
        """Columns in the set with all outputs, without what is common to these."""
        whole = self._whole
        if len(whole):
            x[whole] -= common_part(x[whole], self.l1, self.l2)

    def minimise(
        self, q: FloatArray, x: FloatArray, size: float, target: float, rounds: int = ROUNDS
    ) -> float:
        """On the stored H if that is small, or if many directions have no curvature.

        There only the penalty tells the best point; exact pivots find it, sweeps hardly move.
        """
        p, n = len(x), self.coefficients.n
        stored = p * p * (n + p) <= STORED or (self.flat and p <= MOST_STORED)
        if not stored:
            start, before = x.copy(), quadratic_gap(x, q, self.l1, self.l2, size)
            gap = super().minimise(q, x, size, target, rounds)
            self.flat = rounds == ROUNDS and gap > max(target, STALLED * before)
            if not self.flat or p > MOST_STORED:
                return gap
            x[...] = start
        self.products += 1
        H, rank = self._hessian(np.arange(p), 1), n * (len(self.c) - 1)
        return minimise_on_gram(H, q.copy(), x, self.l1, self.l2, size, target, rank)

    def _inverse(self, active: npt.NDArray[np.bool_]) -> Callable[[FloatArray], FloatArray]:
        by_diagonal = super()._inverse(active)
        if self._sampled is None:
            ids = np.flatnonzero(active)
            self._sampled = ids, self._sample(ids)
        ids, H = self._sampled
        kept = np.flatnonzero(active[ids]) if len(H) else np.empty(0, np.intp)
        factor, info = scipy.linalg.lapack.dpotrf(H[np.ix_(kept, kept)], lower=1)
        if not len(kept) or info:
            return by_diagonal
        at = ids[kept]

        def inverse(r: FloatArray) -> FloatArray:
            z = by_diagonal(r)
            z[at], _ = scipy.linalg.lapack.dpotrs(factor, r[at], lower=1)
            return z

        return inverse

    def _sample(self, ids: Ids) -> FloatArray:
        """H + l2 of the coefficients `ids` on a sample of the rows; empty if it costs too much."""
        A, p = self.coefficients, len(ids)
        size = min(A.n, max(LEAST_ROWS, ROWS_OF_COEFFICIENT * p))
        product = A.stored + SOFTMAX * A.C * A.n
        if p * p * (size + p / 3) > WORTH * product + ALWAYS:
            return np.empty((0, 0))
        step = A.n // size
        H = self._hessian(ids, step)
        more = SHARE_OF_DIAGONAL if step > 1 else SINGULAR
        H[np.diag_indices(p)] += self.l2 + more * self.diagonal[ids] + 1e-300
        return H

    def _hessian(self, ids: Ids, step: int) -> FloatArray:
        """H of the coefficients `ids` on every step-th row."""
        A, output = self.coefficients, self.coefficients.output[ids]
        X, c = A.sample(ids, step), step * self.c[:, ::step]
        root = c * np.sqrt(self.share[::step] / step)
        M = X * root[output]
        H: FloatArray = -(M @ M.T)
        T: FloatArray = -(M @ root.T)  # A' D 1, of the intercepts
        bounds = np.searchsorted(output, np.arange(A.C + 1))
        for k, (first, last) in enumerate(pairwise(bounds)):
            own = slice(first, last)
            H[own, own] += (X[own] * c[k]) @ X[own].T
            T[own, k] += X[own] @ c[k]
        if self.free:
            H -= T @ self._solved @ T.T
        return H


def common_part(w: FloatArray, l1: float, l2: float) -> FloatArray:
    """The t (d, 1) of least sum_k l1 |w_jk - t_j| + l2 / 2 (w_jk - t_j)^2 of each row of w (d, C).

    The median of the w_jk and of the C + 1 zeros of the slopes that the sum has between two of
    them (Li, Osher, Communications Math. Sci. 2009); for l2 = 0 that nearest to 0.
    """
    C = w.shape[1]
    slopes = l1 * (C - 2.0 * np.arange(C + 1)) / C
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = slopes / l2
    if l2 > 0:
        t = w.mean(axis=1, keepdims=True) + ends
    else:
        t = np.broadcast_to(np.where(slopes == 0, 0.0, ends), (len(w), C + 1))
    middle: FloatArray = np.median(np.hstack([w, t]), axis=1, keepdims=True)
    return middle
