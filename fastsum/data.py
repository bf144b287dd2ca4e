"""X -> Rows: with containers.py the only module that looks inside numpy and scipy containers.

Rows is a sequence of row blocks; a matrix in memory is one block. The storages are dense
(row-major), CSR, and CSR of ones (no values array). Inside, column ids are int32 and row pointers
int64; nothing is copied that is already so.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.utils import check_array

from fastsum._core import _kernels, _phases
from fastsum.containers import dense_block, sparse_block
from fastsum.device import DeviceRows, as_device_rows, is_on_device
from fastsum.files import checksum
from fastsum.row_source import RowSource
from fastsum.sparse_structure import check_sparse_structure
from fastsum.threads import blas_threads
from fastsum.wide import gathered, spread

FloatArray = npt.NDArray[np.float64]
FEW_USED = 32  # columns for each in use: these alone are read, a cache line for each
PART_VALUES = 1 << 18  # of rows that BLAS sees at a time
CACHED_COLUMNS = 1 << 15  # whose float64 weights are within the second cache level
MAX_COLUMNS = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False, repr=False)
class Rows:
    """The rows of X as a sequence of blocks in the kernels' storage.

    Attributes
    ----------
    blocks : tuple of _core.Block
        Consecutive row blocks of one dtype and one number of columns.
    row_order, column_order : array of int64 or None
        Place in X of each stored row and column; None is the identity.
    copied : str
        What was copied on the way in; empty if nothing was.
    user_cols : int or None
        d of the data that the rows were stored from, whose columns `column_order` names.
    fingerprint : int or None
        The checksum, if it is known.
    ahead : callable or None
        Told the number of the block that is read next.
    """

    blocks: tuple[_kernels.Block, ...]
    dtype: np.dtype[Any]
    row_order: npt.NDArray[np.int64] | None = None
    column_order: npt.NDArray[np.int64] | None = None
    copied: str = ""
    user_cols: int | None = None
    fingerprint: int | None = None
    ahead: Callable[[int], None] | None = None

    @property
    def n_rows(self) -> int:
        """n."""
        return sum(block.n_rows for block in self.blocks)

    @property
    def n_cols(self) -> int:
        """d."""
        return int(self.blocks[0].n_cols)

    @property
    def n_features(self) -> int:
        """d of the user's coefficients."""
        return self.n_cols if self.user_cols is None else self.user_cols

    def stored(self, coef: Any) -> npt.NDArray[Any]:
        """The user's coefficients (n_features, K), sparse perhaps, of the stored columns."""
        return gathered(coef, None if self.user_cols is None else self.column_order)

    def spread(self, coef: npt.NDArray[Any]) -> Any:
        """The way back from (n_cols, K); a csc_array where the user has far more columns."""
        return coef if self.user_cols is None else spread(coef, self.column_order, self.user_cols)

    @property
    def nnz(self) -> int:
        """Stored values of all blocks."""
        return sum(block.nnz for block in self.blocks)

    @property
    def storage(self) -> str:
        """Storage of the blocks: dense, csr or ones."""
        return "+".join(sorted({block.storage for block in self.blocks}))

    @property
    def sparse(self) -> bool:
        """True if a row may hold fewer than d columns."""
        return any(block.storage != "dense" for block in self.blocks)

    @property
    def few_rows(self) -> bool:
        """Whether rows are dense and fewer than columns, so that copies of columns are small."""
        return not self.sparse and self.n_rows < self.n_cols

    @cached_property
    def starts(self) -> list[int]:
        """First row of each block."""
        return [0, *np.cumsum([block.n_rows for block in self.blocks]).tolist()][:-1]

    def in_turn(self) -> Iterator[tuple[int, _kernels.Block]]:
        """(first row, block) of each block."""
        for b, block in enumerate(self.blocks):
            if self.ahead is not None and b + 1 < len(self.blocks):
                self.ahead(b + 1)
            yield self.starts[b], block

    def __repr__(self) -> str:
        copied = f"copied: {self.copied}" if self.copied else "no copy"
        return (
            f"Rows({self.n_rows:,} x {self.n_cols:,} {self.dtype.name}, {self.storage}, "
            f"{self.nnz:,} stored, {len(self.blocks)} block(s), {copied})"
        )

    # ---- order-free passes over all blocks

    def margins(self, W: npt.NDArray[Any], n_threads: int, out: FloatArray) -> FloatArray:
        """X W + b for W (d + 1, K); fills and returns out, (n, K)."""
        if W.shape[1] > 1 and not self.sparse:
            transposed, b = np.ascontiguousarray(W[:-1].T, dtype=np.float64), W[-1]
            with blas_threads(n_threads, out.size):
                for start, X in self._dense_parts(np.dtype(np.float64), W.shape[1]):
                    np.add((transposed @ X.T).T, b, out=out[start : start + len(X)])
            return out
        if self.few_rows and FEW_USED * np.count_nonzero(W[:-1]) < self.n_cols:
            return self._margins_of_few(W, out)
        for start, block in self.in_turn():
            _kernels.margins(block, W, W.shape[1], out, start, n_threads)
        return out

    def _margins_of_few(self, W: npt.NDArray[Any], out: FloatArray) -> FloatArray:
        """`margins` of dense rows for W (d + 1, 1) with few columns in use."""
        used = np.flatnonzero(W[:-1, 0])
        w = W[used, 0].astype(np.float64)
        for start, block in self.in_turn():
            assert block.values is not None
            A = np.take(block.values, used, axis=1)
            np.add(A @ w, W[-1, 0], out=out[start : start + len(A), 0])
        return out

    def transposed(
        self, r: FloatArray, n_threads: int, work: npt.NDArray[Any] | None = None
    ) -> FloatArray:
        """X' r for r (n, K): (d, K) float64.

        work: (n_threads - 1) d K values of float64 scratch, for those who call often.
        """
        K = r.shape[1]
        if K > 1 and not self.sparse:
            sums = np.zeros((K, self.n_cols))
            with blas_threads(n_threads, r.size):
                for start, X in self._dense_parts(np.dtype(np.float64), K):
                    sums += r[start : start + len(X)].T @ X
            return np.ascontiguousarray(sums.T)
        out = np.zeros((self.n_cols, K))
        # Private sums of each thread pay only while they are small beside the data.
        if n_threads * self.n_cols * K > 4 * self.nnz * K + 4096:
            n_threads = 1
        if work is None and n_threads > 1:
            work = np.empty((n_threads - 1) * self.n_cols * K)
        for start, block in self.in_turn():
            _kernels.add_transposed(block, r, K, out, work, start, n_threads)
        return out

    def hessian_product(
        self,
        V: npt.NDArray[Any],
        curvature: FloatArray,
        n_problems: int,
        n_threads: int,
        work: npt.NDArray[Any],
    ) -> npt.NDArray[Any]:
        """A' D A V for A = [X, 1] and V (d + 1, K), in the dtype of V; D from curvature (n, K).

        work: n_threads (d + 2) K values of scratch in that dtype.
        """
        K, out = V.shape[1], np.zeros_like(V)
        if K > 1 and not self.sparse:
            return self._dense_product(V, curvature, n_problems, n_threads)
        if K == 1 and self.n_cols > CACHED_COLUMNS and V.dtype == np.float64:
            # V and the sums in turns: together they do not fit a cache and take 1.5 times as long
            z = self.margins(V, n_threads, np.empty((self.n_rows, 1)))
            z *= curvature
            out[:-1], out[-1] = self.transposed(z, n_threads, work), z.sum()
            return out
        for start, block in self.in_turn():
            _phases.hessian_product(
                block, V, n_problems, K // n_problems, curvature, out, work, start, n_threads
            )
        return out

    def _dense_product(
        self, V: npt.NDArray[Any], c: FloatArray, n_problems: int, n_threads: int
    ) -> npt.NDArray[Any]:
        """`hessian_product` of dense rows by BLAS, a part of the rows at a time."""
        K, out = c.shape[1], np.zeros_like(V)
        transposed = np.ascontiguousarray(V[:-1].T)
        sums = np.zeros_like(transposed)
        with blas_threads(n_threads, c.size):
            for start, X in self._dense_parts(V.dtype, K):
                ci = c[start : start + len(X)].reshape(len(X), n_problems, -1)
                z = ((transposed @ X.T).T + V[-1]).reshape(ci.shape)
                if K > n_problems:  # D = diag(c) - c c' / sum(c), see the kernel
                    total = ci.sum(axis=2, keepdims=True)
                    mean = (ci * z).sum(axis=2, keepdims=True)
                    z -= np.divide(mean, total, out=np.zeros_like(mean), where=total > 0)
                z = (ci * z).reshape(len(X), K)
                sums += z.T @ X
                out[-1] += z.sum(axis=0)
        out[:-1] = sums.T
        return out

    def _dense_parts(self, dtype: np.dtype[Any], K: int) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Runs of dense rows as BLAS takes them, and where each begins.

        For passes with several columns: BLAS is four times as fast there as a loop over rows, and
        twice as fast again with the few columns as rows.
        """
        part = max(64, PART_VALUES // (self.n_cols + K))
        for start, block in self.in_turn():
            assert block.values is not None
            for begin in range(0, block.n_rows, part):
                X = block.values[begin : begin + part]
                yield start + begin, X.astype(dtype, copy=False)

    def weighted_squares(self, curvature: FloatArray, n_threads: int) -> FloatArray:
        """sum_i c_ik x_ij^2 for c (n, K): (d, K)."""
        if self.storage == "ones":  # x = x^2
            return self.transposed(curvature, n_threads)
        K = curvature.shape[1]
        out = np.zeros((self.n_cols, K))
        work = np.empty((n_threads, self.n_cols, K)) if n_threads > 1 else None
        for start, block in self.in_turn():
            _phases.add_squares(block, curvature, K, out, work, start, n_threads)
        return out

    def squared_norms(self, n_threads: int, P: FloatArray | None = None) -> FloatArray:
        """sum_j P_j x_ij^2, (n,), for a metric P (d,) or ones."""
        out = np.empty(self.n_rows)
        for start, block in self.in_turn():
            _kernels.row_norms(block, P, out, start, n_threads)
        return out

    def every_id(self, step: int) -> npt.NDArray[np.int64]:
        """The numbers of the rows of `every`."""
        return np.arange(0, self.n_rows, step)

    def every(self, step: int) -> Rows:
        """A copy of rows 0, step, 2 step, ...: a pass over a view takes as long as one over X."""
        return self if step <= 1 else self.take(self.every_id(step))

    def take(self, ids: npt.NDArray[np.int64]) -> Rows:
        """A copy of the rows `ids`, ascending."""
        blocks, ends = [], np.searchsorted(ids, [*self.starts, self.n_rows])
        for b, (start, block) in enumerate(self.in_turn()):
            wide, order = self.dtype.itemsize == 8, ids[ends[b] : ends[b + 1]] - start
            if not order.size:
                continue
            if block.storage == "dense":
                assert block.values is not None
                copy: dict[str, Any] = {"values": block.values[order], "stride": block.n_cols}
            else:
                assert block.indptr is not None
                indptr = np.append(0, np.cumsum(np.diff(block.indptr)[order]))
                copy = {"indptr": indptr, "indices": np.empty(indptr[-1], dtype=np.int32)}
                values = None if block.values is None else np.empty(indptr[-1], dtype=self.dtype)
                copy["values"], same = values, np.arange(block.n_cols, dtype=np.int32)
                _phases.gather_rows(block, order, same, indptr, copy["indices"], values, 1)
            blocks.append(_kernels.Block(block.storage, len(order), block.n_cols, wide, **copy))
        return Rows(tuple(blocks), self.dtype)

    def column_mass(self, p: FloatArray | None) -> FloatArray:
        """Sum of p_i over the rows that hold each column, (d,); p None counts rows."""
        out = np.zeros(self.n_cols)
        for start, block in self.in_turn():
            _kernels.column_mass(block, p, out, start)
        return out

    def matrix(self) -> Any:
        """X as one float64 matrix: numpy if dense, else scipy CSR."""
        parts = [self.part(block, 0, block.n_rows) for block in self.blocks]
        if len(parts) == 1:
            return parts[0].astype(np.float64, copy=False)
        return (sp.vstack(parts) if self.sparse else np.vstack(parts)).astype(np.float64)

    def columns(self, ids: npt.NDArray[np.int64]) -> FloatArray:
        """The columns `ids` of X as a dense array, (n, len(ids)) float64."""
        parts = [self.part(block, 0, block.n_rows)[:, ids] for block in self.blocks]
        dense = [part.toarray() if sp.issparse(part) else part for part in parts]
        return np.concatenate(dense).astype(np.float64, copy=False)

    @staticmethod
    def part(block: _kernels.Block, begin: int, end: int) -> Any:
        """Rows [begin, end) of a block as a numpy or scipy matrix over the same memory."""
        if block.storage == "dense":
            assert block.values is not None
            return block.values[begin:end]
        assert block.indices is not None and block.indptr is not None
        first, last = block.indptr[[begin, end]].tolist()
        values = np.ones(last - first) if block.values is None else block.values[first:last]
        held = values, block.indices[first:last], block.indptr[begin : end + 1] - first
        part = sp.csr_array(held, shape=(end - begin, block.n_cols))
        # or scipy sorts them in place, which is the user's memory, when it likes
        return part if part.has_sorted_indices else part.sorted_indices()

    def checksum(self) -> int:
        """CRC-32 of shape and contents, if no other fingerprint is known."""
        if self.fingerprint is not None:
            return self.fingerprint
        crc = zlib.crc32(repr((self.n_rows, self.n_cols, self.dtype.str, self.storage)).encode())
        for block in self.blocks:
            for array in (block.values, block.indices, block.indptr):
                crc = crc if array is None else checksum(array, crc)
        return crc


def as_rows(X: Any, *, validated: bool = False) -> Rows:
    """Rows of a matrix.

    Parameters
    ----------
    X : Rows, Dataset, array-like, sparse matrix or array, or DataFrame of shape (n, d)
        Or an array on a CUDA device, which stays there.
        float32 is kept; integers, booleans and other floats become float64.
    validated : bool, default=False
        True if scikit-learn's validation has seen X already.

    Returns
    -------
    Rows

    Raises
    ------
    ValueError
        If X is malformed, holds NaN or infinity, or has more columns than an int32 can number.
    """
    if isinstance(X, Rows | DeviceRows):
        return X  # type: ignore[return-value]  # DeviceRows stands where Rows do
    if is_on_device(X):
        return as_device_rows(X)  # type: ignore[return-value]
    if isinstance(X, RowSource):
        return X.rows
    check_sparse_structure(X)
    if not validated:
        X = check_array(
            X, accept_sparse="csr", dtype="numeric", accept_large_sparse=True, input_name="X"
        )
    if X.shape[1] > MAX_COLUMNS:
        raise ValueError(
            f"X has {X.shape[1]:,} columns; column ids are int32, so at most {MAX_COLUMNS:,} are "
            "supported: hash them to fewer, or make a store, where only columns in use count"
        )
    block, copied = sparse_block(X) if sp.issparse(X) else dense_block(X)
    dtype = np.dtype(np.float32 if X.dtype == np.float32 else np.float64)
    return Rows((block,), dtype, copied=", ".join(copied))
