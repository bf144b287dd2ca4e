"""Whether the index arrays of a sparse matrix describe one; asked before anything reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from fastsum._core import _kernels

STAMPED = 1 << 16  # columns that always may have a stamp


def check_sparse_structure(X: Any) -> None:
    """Raises ValueError if the index arrays of a sparse X do not describe a matrix.

    scipy trusts them and so would every conversion, so this comes before anything else.
    """
    if not sp.issparse(X):
        return
    if X.format in ("csr", "csc", "bsr"):
        _check_compressed(X)
    elif X.format == "lil":
        _check_lil(X)
    elif X.format == "dia" and len(X.offsets) != len(X.data):
        raise ValueError(
            f"X has {len(X.offsets)} offsets for {len(X.data)} diagonals; they must match"
        )
    elif X.format == "coo":
        for axis, ids in enumerate(X.coords):
            _check_integer(ids, "coordinates")
            if ids.size and (ids.min() < 0 or ids.max() >= X.shape[axis]):
                raise ValueError(
                    f"the coordinates of X along axis {axis} leave the range [0, {X.shape[axis]})"
                )


def _check_lil(X: Any) -> None:
    if len(X.rows) != X.shape[0] or len(X.data) != X.shape[0]:
        raise ValueError(f"X has {len(X.rows)} row lists for {X.shape[0]} rows; they must match")
    for i, (ids, values) in enumerate(zip(X.rows, X.data, strict=True)):
        if len(ids) != len(values):
            raise ValueError(f"row {i} of X has {len(ids)} indices for {len(values)} values")
        if ids and (min(ids) < 0 or max(ids) >= X.shape[1]):
            raise ValueError(f"row {i} of X has column indices outside [0, {X.shape[1]})")


def _check_integer(array: npt.NDArray[Any], name: str) -> None:
    if array.dtype.kind not in "iu":
        raise ValueError(
            f"the {name} of X must be integers, got {array.dtype}: build the matrix with "
            "int32 or int64 index arrays"
        )


def _check_compressed(X: Any) -> None:
    rows, cols = X.shape if X.format != "csc" else X.shape[::-1]
    if X.format == "bsr":
        rows, cols = rows // X.blocksize[0], cols // X.blocksize[1]
    what = {"csr": "row", "csc": "column", "bsr": "block row"}[X.format]
    for name, array in (("indptr", X.indptr), ("indices", X.indices)):
        _check_integer(array, name)
        if array.ndim != 1:
            raise ValueError(f"the {name} of X must be one-dimensional, got shape {array.shape}")
    if X.indptr.shape[0] != rows + 1:
        raise ValueError(
            f"indptr of X has {X.indptr.shape[0]} entries for {rows} {what}s; it needs {rows + 1}"
        )
    if X.data.shape[0] < X.indices.shape[0]:
        raise ValueError(
            f"X has {X.data.shape[0]} values for {X.indices.shape[0]} indices; they must match"
        )
    indptr = np.ascontiguousarray(X.indptr, dtype=np.int64)
    indices = np.ascontiguousarray(X.indices)
    if indices.dtype.itemsize not in (4, 8) or indices.dtype.kind == "u":
        indices = indices.astype(np.int64)
    kind, where = _kernels.csr_fault(indptr, indices, rows, cols)
    if kind == 1:
        raise ValueError(
            f"indptr of X (its {what} pointers) must start at 0 and never decrease; it does at "
            f"{what} {where}: rebuild the matrix, for example from coordinates"
        )
    if kind == 2:
        raise ValueError(
            f"indptr of X (its {what} pointers) reaches past the {X.indices.shape[0]} stored "
            f"indices at {what} {where}: the arrays of the matrix do not belong together"
        )
    if kind == 3:
        raise ValueError(
            f"indices of X out of range: {int(indices[where])} at position {where}, but X has "
            f"{cols} {'rows' if X.format == 'csc' else 'columns'}"
        )


def columns_differ(indptr: npt.NDArray[np.int64], indices: npt.NDArray[Any], n_cols: int) -> bool:
    """Whether no row holds a column twice, told cheaply: then its order does not matter.

    To sort text of 1.5 M values takes as long as an epoch and a half.
    """
    if _kernels.rows_increase(indptr, indices):
        return True
    if n_cols > max(STAMPED, 4 * len(indices)) or len(indptr) >= 1 << 32:
        return False  # a stamp a column is more than the data
    return _kernels.columns_differ(indptr, indices, np.zeros(n_cols, dtype=np.uint32))
