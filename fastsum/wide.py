"""Coefficients of far more columns than are in use: sparse arrays of those that are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Array = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]
# Coefficients are sparse where there are more columns than this (128 MB of float64), of which at
# most 1 / SHARE is in use.
WIDE, SHARE = 1 << 24, 4


def is_wide(n_features: int, n_used: int) -> bool:
    """Whether coefficients of so many columns are a sparse array."""
    return n_features > WIDE and SHARE * n_used <= n_features


def spread(coef: Array, columns: Any, n_features: int) -> Any:
    """Coefficients (d', K) of the columns (d',) of d, as (d, K): a csc_array if that is wide.

    By column, for the pointers of 2^32 rows would take 34 GB.
    """
    if not is_wide(n_features, len(columns)):
        out = np.zeros((n_features, coef.shape[1]), dtype=coef.dtype)
        out[columns] = coef
        return out
    order = np.argsort(columns)
    held = coef[order].T != 0
    ids = np.int32 if n_features <= np.iinfo(np.int32).max else np.int64
    indices = np.concatenate([columns[order][used] for used in held]).astype(ids)
    indptr = np.append(0, np.cumsum(held.sum(axis=1))).astype(ids)
    shape = n_features, coef.shape[1]
    return sp.csc_array((coef[order].T[held], indices, indptr), shape=shape)


def gathered(coef: Any, columns: Ids | None) -> Array:
    """Of coefficients (d, K), sparse or not, those of the columns (d',); None is all of them."""
    if not sp.issparse(coef):
        return np.asarray(coef if columns is None else coef[columns])
    coef = in_order(sp.csc_array(coef))
    columns = np.arange(coef.shape[0]) if columns is None else columns
    out = np.zeros((len(columns), coef.shape[1]), dtype=coef.dtype)
    for k in range(coef.shape[1]):
        part = slice(coef.indptr[k], coef.indptr[k + 1])
        at, found = _places(columns, coef.indices[part])
        out[found, k] = coef.data[part][at[found]]
    return out


def in_order(coef: Any) -> Any:
    """Compressed coefficients with their ids ascending and distinct; a copy if they are not."""
    if not coef.has_canonical_format:
        coef = coef.copy()
        coef.sum_duplicates()
    return coef


def narrowed(X: Any, coef: Any) -> tuple[Any, Array]:
    """X (n, d) and coefficients (d, K), sparse, on the columns that have a coefficient alone.

    Returns
    -------
    X : csr_array of shape (n, d')
    coef : ndarray of shape (d', K)
        d' is at least 1.
    """
    coef = sp.csc_array(coef)
    used = np.unique(coef.indices) if coef.nnz else np.zeros(1, dtype=np.int64)
    X = sp.csr_array(X)
    place, found = _places(X.indices, used)
    indptr = np.append(0, np.cumsum(found))[X.indptr]
    parts = X.data[: len(found)][found], place[found], indptr
    return sp.csr_array(parts, shape=(X.shape[0], len(used))), gathered(coef, used)


def as_rows_of(coef: Any) -> Any:
    """Coefficients (d,) or (d, K) as an estimator has them: (K, d), a csr_array if sparse."""
    if sp.issparse(coef):
        return sp.csr_array(coef.T)
    return np.ascontiguousarray(np.atleast_2d(coef.T))


def _places(ids: Array, of: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Where each of `ids` stands in the ascending `of`, and whether it does."""
    if not len(of):
        return np.zeros(len(ids), dtype=np.int64), np.zeros(len(ids), dtype=bool)
    at = np.minimum(np.searchsorted(of, ids), len(of) - 1)
    return at, of[at] == ids
