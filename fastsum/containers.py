"""Matrices as users hold them -> blocks in the kernels' storage, copied only where they must be."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum._core import _kernels
from fastsum.sparse_structure import check_sparse_structure, columns_differ


def dense_block(X: npt.NDArray[Any]) -> tuple[_kernels.Block, list[str]]:
    """A validated dense X (n, d) as one block, and what was copied for it."""
    dtype = np.dtype(np.float32 if X.dtype == np.float32 else np.float64)
    copied = []
    if X.dtype != dtype:
        copied.append(f"{X.dtype} to {dtype}")
    row_stride, item_stride = X.strides
    whole_rows = item_stride == dtype.itemsize and row_stride % dtype.itemsize == 0
    if copied or not whole_rows or row_stride < X.shape[1] * dtype.itemsize:
        if not X.flags.c_contiguous:
            copied.append("to row-major")
        X = np.ascontiguousarray(X, dtype=dtype)
    (n, d), stride = X.shape, X.strides[0] // dtype.itemsize
    block = _kernels.Block("dense", n, d, dtype.itemsize == 8, values=X, stride=stride)
    return block, copied


def sparse_block(X: Any) -> tuple[_kernels.Block, list[str]]:
    """A validated sparse X (n, d) as one block, and what was copied for it."""
    copied = []
    if X.format != "csr":
        copied.append(f"{X.format} to csr")
        X = X.tocsr()
        check_sparse_structure(X)
    dtype = np.dtype(np.float32 if X.dtype == np.float32 else np.float64)
    indptr = np.ascontiguousarray(X.indptr, dtype=np.int64)
    indices, values = np.ascontiguousarray(X.indices), np.ascontiguousarray(X.data)
    if not columns_differ(indptr, indices, X.shape[1]):
        X = X.copy()  # the user's matrix stays as it is
        X.has_canonical_format = False
        X.sum_duplicates()
        copied.append("sorted, duplicates summed")
        indptr, indices, values = X.indptr.astype(np.int64), X.indices, X.data
        if not np.isfinite(values).all():
            raise ValueError("the sum of duplicate entries of X overflows; scale the column")
    nnz = int(indptr[-1])
    if indices.dtype != np.int32:
        copied.append("column ids to int32")
        indices = indices.astype(np.int32)
    ones = bool((values[:nnz] == 1).all())
    if not ones and values.dtype != dtype:
        copied.append(f"{values.dtype} to {dtype}")
        values = values.astype(dtype)
    block = _kernels.Block(
        "ones" if ones else "csr",
        X.shape[0],
        X.shape[1],
        dtype.itemsize == 8,
        values=None if ones else values,
        indices=indices,
        indptr=indptr,
    )
    return block, copied
