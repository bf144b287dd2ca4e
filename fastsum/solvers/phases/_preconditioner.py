"""A cheap inverse of the Hessian: exact on the hottest columns, diagonal on the others.

The columns with the largest diagonal are strongly correlated with one another and carry the slow
directions of conjugate gradients; the block of their Hessian, from a sample of the rows, is
factorised. On a click log (1000 of 260,000 columns, a fifth of the rows) that takes the products
to a certified 1e-4 from 160 to 60.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import scipy.linalg

from fastsum.problem import Problem
from fastsum.solvers.phases._submatrix import Submatrix
from fastsum.threads import blas_threads

FloatArray = npt.NDArray[np.float64]
Factor = Callable[[FloatArray], FloatArray]  # solves with the block
MOST_COLUMNS = 3000  # of a block
MOST_EXACT = 1500  # unknowns of a block that holds all columns and couples their outputs
FACTOR_BYTES = 1 << 26  # or as much as X
LEAST_ROWS, SHARE_OF_ROWS = 4, 0.1  # of the sample: rows a column of the block, and of all rows
FEW_ROWS = 20_000  # of which twice the share is taken: a tenth of 4,143 says too little (farm_ads)
MOST_SAMPLED = 1 << 26  # stored values: the sample is a copy, and X may be larger than memory
# A flop of BLAS, one of a float32 factor, and what always may be spent, in stored values of a pass.
FLOP, SINGLE_FLOP, FREE = 0.05, 0.008, 1e5
# p^2 of a block beside the stored values: to apply it costs less than a third of a product.
APPLIED = 0.4
SINGLE_FROM, SINGLE_RIDGE = 512, 1e-6  # size of a block that is factorised in float32
SMALLEST = 1e-300
SINGULAR = 1e-10  # of a column left beside the others: none


class BlockPreconditioner:
    """M ~ H + l2 for H = A' D A, A = [X, 1], D from curvature (n, K), see `Certifier`.

    Parameters
    ----------
    problem : Problem
    curvature : (n, K) array
    n_threads : int
    passes : float
        What making it may cost, in passes over the data.

    Attributes
    ----------
    exact : bool
        Whether M is H + l2 itself.
    definite : bool
        Whether the block shows that H + l2 is not singular (but for what softmax leaves free).
    size : float
        The mean of the diagonal of the last block.
    block : array of int
        The columns of the block; d stands for a free intercept.
    whole : bool
        Whether these are all.
    complete : bool
        Whether a larger budget would not make it better.
    """

    def __init__(self, problem: Problem, curvature: FloatArray, n_threads: int, passes: float):
        self.problem, self.n_threads, self.passes = problem, n_threads, passes
        rows, C, K = problem.rows, problem.columns.n_outputs, problem.K
        d = rows.n_cols
        own = own_curvature(curvature, C)
        budget = passes * rows.nnz * K + FREE
        self.coupled = C > 1 and K == C and self._couples(float((d + 1) * C), budget)
        p, most, step = self._size(budget)
        self.hot, self.diagonal = np.arange(d), np.ones((d, K))
        if p < d:
            squares = rows.weighted_squares(own, n_threads)
            self.diagonal = np.maximum(squares + problem.l2_each, SMALLEST)
            self.hot = np.sort(np.argpartition(-self.diagonal.max(axis=1), p - 1)[:p])
        self.block = np.append(self.hot, d) if problem.fit_intercept else self.hot
        self.whole = p == d
        self.exact = step == 1 and p == d and (self.coupled or C == 1)
        self.definite = p == d and (self.coupled or C == 1)
        self.complete = p == most < d or (p == d and step == 1)
        A, sample = Submatrix(rows.every(step), self.hot, n_threads), rows.every_id(step)
        with blas_threads(n_threads, rows.nnz):
            if self.coupled:
                H = self._couple(A, curvature[sample] * step)
                self.factors = [self._factor(H)]
            else:
                own = np.asfortranarray(own[sample] * step)
                self.factors = [self._factor(self._block(A, own[:, k], k)) for k in range(K)]

    def use(self, problem: Problem) -> None:
        """Follows another penalty outside the block, whose curvature is large beside it."""
        more = problem.l2_each - self.problem.l2_each
        self.diagonal = np.maximum(self.diagonal + more, SMALLEST)
        self.problem = problem

    def _couples(self, unknowns: float, budget: float) -> bool:
        """Whether one block for all outputs is small, and cheap or needed."""
        cost = FLOP * unknowns**2 * (self.problem.rows.n_rows + unknowns / 3.0)
        needed = not (self.problem.mu > 0).all()
        return unknowns <= MOST_EXACT and (needed or cost <= budget)

    def _size(self, budget: float) -> tuple[int, int, int]:
        """Columns of the block, the most it may have, and the step between the rows it sees."""
        rows, K = self.problem.rows, self.problem.K
        n, d = rows.n_rows, rows.n_cols
        width = K if self.coupled else 1  # unknowns a column in one block

        def cost(p: int, m: float) -> float:
            unknowns = float(p * width)
            by_blas = self.coupled or not rows.sparse
            gram = FLOP * unknowns**2 if by_blas else 0.5 * (rows.nnz / n) ** 2
            flop = SINGLE_FLOP if SINGLE_FROM <= p < d else FLOP
            return (K / width) * (m * gram + flop * unknowns**3 / 3.0)

        def least(p: int) -> float:
            share = max(SHARE_OF_ROWS * n, min(2.0 * SHARE_OF_ROWS * n, FEW_ROWS))
            share = min(share, MOST_SAMPLED * n / max(1, rows.nnz))
            return float(min(n, max(LEAST_ROWS * p * width, share)))

        most = d if self.coupled else min(d, MOST_COLUMNS)
        if most < d and rows.sparse:
            most = min(most, max(SINGLE_FROM // 2, int((APPLIED * rows.nnz) ** 0.5)))
        room = max(FACTOR_BYTES, 8 * rows.nnz)  # of the factors of all outputs
        p = most
        while not self.coupled and p > 16 and (cost(p, least(p)) > budget or 8 * K * p**2 > room):
            p = 2 * p // 3
        if p == d and cost(p, n) <= budget:
            return p, most, 1  # exact
        return p, most, max(1, n // max(1, int(least(p))))

    def _block(self, A: Submatrix, weight: FloatArray, k: int) -> FloatArray:
        """The Hessian of output k on the hot columns and the intercept."""
        p = len(self.hot)
        H = np.empty((p, p))
        A.gram(weight, H, 0, None)
        H[np.diag_indices(p)] += self._ridge(k)
        if not self.problem.fit_intercept:
            return H
        bordered = np.empty((p + 1, p + 1))
        bordered[:p, :p] = H
        bordered[p, :p] = bordered[:p, p] = A.transposed(weight)
        bordered[p, p] = weight.sum()
        return bordered

    def _couple(self, A: Submatrix, c: FloatArray) -> FloatArray:
        """diag(c) - c c' / s of every row: all outputs of all columns in one block."""
        C, free = self.problem.K, self.problem.fit_intercept
        d = len(self.hot)
        q = d + free
        total = c.sum(axis=1, keepdims=True)
        root = np.divide(c, np.sqrt(total), out=np.zeros_like(c), where=total > 0)
        H = np.zeros((q, C, q, C))
        square = H.reshape(q * C, q * C)
        for start, X in A.dense_chunks(q * C):
            rows = slice(start, start + len(X))
            X = np.hstack([X, np.ones((len(X), int(free)))])
            M = (X[:, :, None] * root[rows, None, :]).reshape(len(X), q * C)
            square -= M.T @ M
            for k in range(C):
                H[:, k, :, k] += X.T @ (X * c[rows, k, None])
        index = np.arange(q)
        # softmax: a common change of all outputs changes nothing, and no gradient asks for it
        common = H[index, 0, index, 0] / C
        for k in range(C):
            H[index[:d], k, index[:d], k] += self._ridge(k)
            for other in range(C):
                H[index, k, index, other] += common
        return H.reshape(q * C, q * C)

    def _ridge(self, k: int) -> FloatArray:
        """l2 of output k on the hot columns."""
        strengths = np.broadcast_to(
            self.problem.l2_each, (self.problem.rows.n_cols, self.problem.K)
        )
        ridge: FloatArray = strengths[self.hot, k]
        return ridge

    def _factor(self, H: FloatArray) -> Factor:
        """Cholesky factor of a positive semidefinite H, with as much of a ridge as it needs."""
        self.size = size = max(float(np.trace(H)) / len(H), SMALLEST)
        if len(H) >= SINGLE_FROM and len(self.hot) < self.problem.rows.n_cols:
            single = self._single_factor(H, size)
            if single is not None:
                return single
        ridge, diagonal = 1e-14 * size, np.diag_indices(len(H))
        before = H[diagonal]
        while True:
            H[diagonal] += ridge
            factor, info = scipy.linalg.lapack.dpotrf(H, lower=1)
            if info == 0 or ridge > size:
                break
            ridge, self.exact = max(100.0 * ridge, 1e-12 * size), False
        # what is left of each column beside those before it
        left = factor[diagonal] ** 2
        self.definite &= bool(((left > SINGULAR * before) & (before > SMALLEST)).all())
        solve = scipy.linalg.blas.dtrsv  # two take half to a quarter of the time of dpotrs
        return lambda r: solve(factor, solve(factor, r, lower=1), lower=1, trans=1)

    @staticmethod
    def _single_factor(H: FloatArray, size: float) -> Factor | None:
        """The same in float32, which is enough for a preconditioner and three times as fast.

        None if H is too near to singular for that.
        """
        scaled = np.empty(H.shape, dtype=np.float32)
        np.multiply(H, 1.0 / size, out=scaled, casting="same_kind")
        scaled[np.diag_indices(len(H))] *= 1.0 + SINGLE_RIDGE
        # the upper triangle in Fortran's order: the lower one of H, without a copy
        with blas_threads(1, H.size):  # two save at most 30 ms, and cost 600 where cores are busy
            factor, info = scipy.linalg.lapack.spotrf(scaled.T, lower=0, overwrite_a=True)
        if info != 0:
            return None

        def solve(r: FloatArray) -> FloatArray:
            scale = float(np.abs(r).max()) or 1.0
            x = (r / scale).astype(np.float32)
            for trans in (1, 0):
                x = scipy.linalg.blas.strsv(factor, x, trans=trans)
            return np.multiply(x, scale / size, dtype=np.float64)

        return solve

    def __call__(self, r: FloatArray) -> FloatArray:
        """M^{-1} r for r (d + 1, K); without an intercept its row is 0."""
        z = np.zeros_like(r)
        np.divide(r[:-1], self.diagonal, out=z[:-1])
        parts = r[self.block]
        parts = parts.reshape(-1, 1) if self.coupled else parts
        for k, solve in enumerate(self.factors):
            parts[:, k] = solve(parts[:, k])
        z[self.block] = parts.reshape(len(self.block), -1)
        return z


def own_curvature(curvature: FloatArray, C: int) -> FloatArray:
    """The diagonal of D of every row: c of separate outputs, c (1 - c / sum c) of coupled ones."""
    if C == 1:
        return curvature
    c = curvature.reshape(len(curvature), -1, C)
    total = c.sum(axis=2, keepdims=True)
    share = np.divide(c, total, out=np.zeros_like(c), where=total > 0)
    own: FloatArray = (c * (1.0 - share)).reshape(curvature.shape)
    return own
