"""Columns of X copied out once, so that what follows does not read the rest."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from fastsum._core import _kernels, _working_set
from fastsum.data import Rows

FloatArray = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
# A sparse copy of at least this density is stored dense: BLAS then makes its Gram matrix faster.
DENSE_FROM = 0.25
CHUNK_BYTES = 1 << 24  # of the float64 copy of rows that BLAS sees at a time


class Submatrix:
    """The columns `ids` of X in their order, over all rows.

    Attributes
    ----------
    rows : Rows
        The copy, one block; X itself where `ids` are all its columns, and ascend in every row as
        Gram matrices need them (columns renumbered by frequency do not).
    """

    def __init__(self, rows: Rows, ids: Ids, n_threads: int):
        self.n_threads = n_threads
        everything = len(ids) == rows.n_cols and bool((ids == np.arange(len(ids))).all())
        if everything and (not rows.sparse or _ascend(rows)):
            self.rows = rows
        elif all(block.storage == "dense" for block in rows.blocks):
            self.rows = _dense_columns(rows, ids)
        else:
            self.rows = _sparse_columns(rows, ids, n_threads)

    @property
    def dense(self) -> bool:
        """Whether the copy is stored dense."""
        return not self.rows.sparse

    def margins(self, x: FloatArray, b: float) -> FloatArray:
        """A x + b, (n,)."""
        W = np.append(x, b)[:, None]
        return self.rows.margins(W, self.n_threads, np.empty((self.rows.n_rows, 1)))[:, 0]

    def transposed(self, r: FloatArray) -> FloatArray:
        """A' r, (p,)."""
        return self.rows.transposed(r[:, None], self.n_threads)[:, 0]

    def gram(self, weight: FloatArray, H: FloatArray, first: int, mean: FloatArray | None) -> None:
        """Rows and columns from `first` on of H (p, p) <- (A - 1 m')' diag(weight) (A - 1 m').

        m is `mean` (p,), the weighted mean of each column, or 0.
        """
        if not self.dense:
            sparse_gram(self.rows, None, weight, H, first, mean, self.n_threads)
            return
        H[first:] = 0.0
        root = np.sqrt(weight)[:, None]
        for start, A in self.dense_chunks(self.rows.n_cols):
            part = (A - mean if mean is not None else A) * root[start : start + len(A)]
            H[first:] += part[:, first:].T @ part
        H[:first, first:] = H[first:, :first].T

    def squares(self, weight: FloatArray) -> FloatArray:
        """sum_i weight_i x_ij^2, (p,)."""
        return self.rows.weighted_squares(weight[:, None], self.n_threads)[:, 0]

    @cached_property
    def by_columns(self) -> _kernels.Block:
        """A' as a block of rows: its row j is column j of A."""
        n, p, float64 = self.rows.n_rows, self.rows.n_cols, self.rows.dtype.itemsize == 8
        if self.dense:
            A = np.concatenate([values_of(block) for block in self.rows.blocks])
            values = np.ascontiguousarray(A.T)
            return _kernels.Block("dense", p, n, float64, values=values, stride=n)
        (block,) = self.rows.blocks
        stored = np.ones(block.nnz, dtype=np.int8) if block.values is None else block.values
        by_columns = sp.csr_array((stored, block.indices, block.indptr), shape=(n, p)).tocsc()
        return _kernels.Block(
            block.storage,
            p,
            n,
            float64,
            values=None if block.storage == "ones" else by_columns.data,
            indices=by_columns.indices.astype(np.int32, copy=False),
            indptr=by_columns.indptr.astype(np.int64, copy=False),
        )

    def dense_chunks(self, width: int) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """First row and values of runs of rows, for work of `width` numbers a row."""
        size = max(1, CHUNK_BYTES // (8 * max(1, width)))
        for start, block in zip(self.rows.starts, self.rows.blocks, strict=True):
            for begin in range(0, block.n_rows, size):
                part: Any = Rows.part(block, begin, min(begin + size, block.n_rows))
                yield start + begin, part.toarray() if sp.issparse(part) else part


def _ascend(rows: Rows) -> bool:
    """Whether sparse rows are one block with ascending column ids."""
    if len(rows.blocks) > 1:
        return False
    (block,) = rows.blocks
    assert block.indptr is not None and block.indices is not None
    return bool(_kernels.rows_increase(block.indptr, block.indices))


def sparse_gram(
    rows: Rows,
    ids: Ids | None,
    weight: FloatArray,
    H: FloatArray,
    first: int,
    mean: FloatArray | None,
    n_threads: int,
) -> None:
    """`Submatrix.gram` of the columns `ids` of sparse rows (None: all), without a copy of them."""
    place, work = None, None
    if ids is not None:
        place, work = _places(rows, ids), np.empty((n_threads, len(H), 2))
    H[first:] = 0.0
    for start, block in zip(rows.starts, rows.blocks, strict=True):
        part = weight[start : start + block.n_rows]
        _working_set.add_gram(block, place, part, first, H, work, n_threads)
    if mean is not None:
        H[first:] -= np.outer(mean[first:] * weight.sum(), mean)
        H[:first, first:] = H[first:, :first].T


def scaled_columns(rows: Rows, ids: Ids, weight: FloatArray, mean: FloatArray | None) -> FloatArray:
    """diag(sqrt(weight)) (A - 1 m') of the columns `ids` of dense rows, m their `mean` or 0."""
    A = np.empty((rows.n_rows, len(ids)))
    for start, block in rows.in_turn():
        out = A[start : start + block.n_rows]
        if rows.dtype == A.dtype:
            np.take(values_of(block), ids, axis=1, out=out, mode="clip")  # "raise" makes a copy
        else:
            out[:] = np.take(values_of(block), ids, axis=1)
    if mean is not None:
        A -= mean
    A *= np.sqrt(weight)[:, None]
    return A


def _places(rows: Rows, ids: Ids) -> npt.NDArray[np.int32]:
    """The place of each column of X among `ids`, -1 if it is none of them, (d,)."""
    place = np.full(rows.n_cols, -1, dtype=np.int32)
    place[ids] = np.arange(len(ids), dtype=np.int32)
    return place


def values_of(block: _kernels.Block) -> npt.NDArray[Any]:
    """The values of a block that holds some."""
    assert block.values is not None
    return block.values


def _dense_columns(rows: Rows, ids: Ids) -> Rows:
    values = np.concatenate([np.take(values_of(block), ids, axis=1) for block in rows.blocks])
    return _dense(values)


def _dense(values: npt.NDArray[Any]) -> Rows:
    n, p = values.shape
    float64 = values.dtype.itemsize == 8
    return Rows((_kernels.Block("dense", n, p, float64, values=values, stride=p),), values.dtype)


def _sparse_columns(rows: Rows, ids: Ids, n_threads: int) -> Rows:
    n, p, dtype = rows.n_rows, len(ids), rows.dtype
    place = _places(rows, ids)
    counts = np.empty(n, dtype=np.int64)
    parts = list(zip(rows.starts, rows.blocks, strict=True))
    for start, block in parts:
        _working_set.count_selected(block, place, counts[start:], n_threads)
    indptr = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(counts, out=indptr[1:])
    ones = all(block.storage == "ones" for block in rows.blocks)
    indices = np.empty(indptr[-1], dtype=np.int32)
    values = None if ones else np.ones(indptr[-1], dtype=dtype)
    for start, block in parts:
        pointers = indptr[start : start + block.n_rows + 1]
        own = None if block.storage == "ones" else values
        _working_set.gather_columns(block, place, pointers, indices, own, n_threads)
    if indptr[-1] >= DENSE_FROM * n * p:
        data = np.ones(indptr[-1], dtype=dtype) if values is None else values
        return _dense(sp.csr_array((data, indices, indptr), shape=(n, p)).toarray())
    block = _kernels.Block(
        "ones" if ones else "csr",
        n,
        p,
        dtype.itemsize == 8,
        values=values,
        indices=indices,
        indptr=indptr,
    )
    return Rows((block,), dtype)
