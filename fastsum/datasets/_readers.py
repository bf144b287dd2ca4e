"""Read data files: svmlight text (plain or compressed) and npz."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.datasets import load_svmlight_file

from ._svmlight import first_fault

_OPENERS: Mapping[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}

# What a cut or foreign compressed file raises while it is read.
_BROKEN_STREAM = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, zipfile.BadZipFile)


@dataclass(frozen=True)
class DataInfo:
    """What `read_data` found in a file.

    Attributes
    ----------
    path : str
        The file as it was named.
    format : {"svmlight", "npz-csr", "npz-dense"}
        How it was read.
    n_samples, n_features : int
        Shape of X.
    n_stored : int
        Stored values of X: non-zeros of a sparse matrix, all entries of a dense one.
    extras : mapping of str to ndarray
        The other arrays of an npz file, by name; empty for svmlight.
    """

    path: str
    format: str
    n_samples: int
    n_features: int
    n_stored: int
    extras: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict, repr=False)


def read_data(
    path: str | PathLike[str],
    *,
    n_features: int | None = None,
    zero_based: bool = False,
    dtype: npt.DTypeLike | None = None,
    require_y: bool = True,
) -> tuple[Any, npt.NDArray[Any] | None, DataInfo]:
    """Read samples and labels from a file.

    Two formats are known. A name that ends in ``.npz`` is read as numpy arrays, never with
    pickle: either a CSR matrix as ``data``, ``indices``, ``indptr`` and ``shape`` (also as
    `scipy.sparse.save_npz` writes it; no ``data`` means that all stored values are 1) or a
    dense ``X``, with the labels in ``y``. Any other name is read as svmlight text,
    ``label index:value index:value ...`` a line, after undoing ``.gz``, ``.bz2`` or ``.xz``.

    Parameters
    ----------
    path : str or path-like
        The file.
    n_features : int or None, default=None
        Number of columns. A sparse file that uses fewer is widened, one that uses more is an
        error. None takes what the file says, for svmlight the largest index.
    zero_based : bool, default=False
        Whether the first column of an svmlight file has index 0 rather than 1.
    dtype : {numpy.float32, numpy.float64} or None, default=None
        Type of the values of X. None keeps float32 and float64 and makes float64 of the rest.
    require_y : bool, default=True
        Whether an npz file without ``y`` is an error. If not, y is None.

    Returns
    -------
    X : scipy.sparse.csr_matrix or ndarray of shape (n_samples, n_features)
        The samples; dense only for an npz file with a dense ``X``.
    y : ndarray of shape (n_samples,), or None
        The labels as the file has them: float64 from svmlight, the file's type from npz.
    info : DataInfo
        Format, sizes and any other arrays of the file.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If its contents are malformed, cut off or of another kind. The message names the
        file, for svmlight also the line, and what to do.
    """
    name = fspath(path)
    if dtype is not None and np.dtype(dtype) not in (np.dtype("f4"), np.dtype("f8")):
        raise ValueError(f"dtype must be float32, float64 or None, got {np.dtype(dtype)}.")
    if n_features is not None and n_features < 1:
        raise ValueError(f"n_features must be at least 1, got {n_features}.")

    extras: dict[str, npt.NDArray[Any]] = {}
    if name.endswith(".npz"):
        arrays = _load_arrays(name)
        y = _take_labels(name, arrays, require_y)
        X, kind = _take_matrix(name, arrays, dtype)
        extras = arrays
    else:
        X, y = _read_svmlight(name, zero_based, dtype)
        kind = "svmlight"

    X = _widen(name, X, n_features)
    _check_shape(name, X, y)
    stored = int(X.nnz) if sp.issparse(X) else int(X.size)
    return X, y, DataInfo(name, kind, X.shape[0], X.shape[1], stored, extras)


# ---------------------------------------------------------------------------------- svmlight


def _open(path: str) -> IO[bytes]:
    """Open `path` for reading bytes, through the decompressor its name asks for."""
    stream: IO[bytes] = _OPENERS.get(Path(path).suffix, open)(path, "rb")
    return stream


def _read_svmlight(
    path: str, zero_based: bool, dtype: npt.DTypeLike | None
) -> tuple[sp.csr_matrix, npt.NDArray[np.float64]]:
    """Parse svmlight text; on any failure look for the line that is at fault."""
    try:
        with _open(path) as stream:
            X, y = load_svmlight_file(
                stream, dtype=np.float64 if dtype is None else dtype, zero_based=zero_based
            )
    except _BROKEN_STREAM as error:
        raise _broken(path, error) from error
    except (ValueError, OverflowError, IndexError, TypeError) as error:
        raise _malformed_text(path, zero_based, error) from error
    except OSError as error:
        if error.errno is not None:  # missing, a directory, not permitted: says it itself
            raise
        raise _broken(path, error) from error  # bz2 reports foreign data as a bare OSError
    if not (np.isfinite(X.data).all() and np.isfinite(y).all()):
        raise _malformed_text(path, zero_based, "a value is not finite")
    d = X.shape[1] if X.nnz else 0  # without a single pair the parser makes up a column
    X = sp.csr_matrix((X.data, X.indices, X.indptr), shape=(X.shape[0], d))  # narrows the indices
    return X, y


def _malformed_text(path: str, zero_based: bool, error: object) -> ValueError:
    """Return the error for text that did not parse, with the first line at fault."""
    try:
        with _open(path) as stream:
            fault = first_fault(stream, zero_based=zero_based)
    except (*_BROKEN_STREAM, OSError) as broken:
        return _broken(path, broken)
    if fault is None:
        return ValueError(f"{path}: cannot be read as svmlight text: {error}.")
    return ValueError(f"{path}, line {fault.line}: {fault.reason}.")


def _broken(path: str, error: Exception) -> ValueError:
    """Return the error for a container that is cut off or not what its name says."""
    return ValueError(
        f"{path}: not a complete {Path(path).suffix} file ({error}). It was cut off, damaged or "
        "has the wrong ending: fetch or write it again, or rename it to what it is."
    )


# --------------------------------------------------------------------------------------- npz


def _load_arrays(path: str) -> dict[str, npt.NDArray[Any]]:
    """Return all arrays of an npz file, never unpickling."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it holds one array, not an archive")
            return {key: archive[key] for key in archive.files}
    except _BROKEN_STREAM as error:
        raise _broken(path, error) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _broken(path, error) from error
    except (
        ValueError,
        TypeError,
        KeyError,
        NotImplementedError,
        SyntaxError,
        tokenize.TokenError,
    ) as error:
        raise ValueError(
            f"{path}: not a usable .npz file ({error}). Write it with "
            "numpy.savez(path, X=X, y=y), or with data, indices, indptr, shape and y of a CSR "
            "matrix; arrays of Python objects are not read."
        ) from error


def _take_labels(
    path: str, arrays: dict[str, npt.NDArray[Any]], required: bool
) -> npt.NDArray[Any] | None:
    """Remove and return the labels."""
    if "y" not in arrays:
        if required:
            raise ValueError(f"{path}: no array named y. Store the labels as y beside the samples.")
        return None
    y = arrays.pop("y")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or y.dtype.kind not in "biufUS":
        raise ValueError(
            f"{path}: y must be one number or string per sample, "
            f"got shape {y.shape} and dtype {y.dtype}."
        )
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        row = int(np.flatnonzero(~np.isfinite(y))[0])
        raise ValueError(f"{path}: y[{row}] is {y[row]}: drop or fill labels that are not finite.")
    return y


def _take_matrix(
    path: str, arrays: dict[str, npt.NDArray[Any]], dtype: npt.DTypeLike | None
) -> tuple[Any, str]:
    """Remove the arrays of the matrix and return it with the name of its format."""
    if "indptr" in arrays:
        return _take_csr(path, arrays, dtype), "npz-csr"
    if "X" in arrays:
        X = _numbers(path, "X", arrays.pop("X"), dtype)
        if X.ndim != 2:
            raise ValueError(f"{path}: X must have 2 axes, got shape {X.shape}.")
        return X, "npz-dense"
    raise ValueError(
        f"{path}: no samples found among the arrays {sorted(arrays)}. Expected X, or the CSR "
        "arrays data, indices, indptr and shape."
    )


def _take_csr(
    path: str, arrays: dict[str, npt.NDArray[Any]], dtype: npt.DTypeLike | None
) -> sp.csr_matrix:
    """Remove the CSR arrays and return the matrix, after checking every one of them."""

    def fail(reason: str) -> ValueError:
        return ValueError(f"{path}: {reason}. Write the matrix again from scipy's CSR form.")

    layout = np.asarray(arrays.pop("format", b"csr")).item()
    if layout not in (b"csr", "csr"):
        raise fail(f"the sparse matrix is stored as {layout!r}, only csr is read")
    arrays.pop("_is_array", None)  # scipy's note whether this was a csr_array
    missing = [key for key in ("indices", "shape") if key not in arrays]
    if missing:
        raise fail(f"the CSR matrix lacks the arrays {missing}")
    indptr, indices, shape = (arrays.pop(key) for key in ("indptr", "indices", "shape"))
    for key, array in (("indptr", indptr), ("indices", indices), ("shape", shape)):
        if array.dtype.kind not in "iu" or array.ndim != 1:
            raise fail(
                f"{key} must be a vector of integers, got {array.dtype} of shape {array.shape}"
            )
    if shape.size != 2 or min(shape.tolist()) < 0:
        raise fail(f"shape must be two counts, got {shape.tolist()}")
    n, d = (int(s) for s in shape)
    if indptr.size != n + 1:
        raise fail(f"indptr has {indptr.size} entries, {n} rows need {n + 1}")
    indptr = indptr.astype(np.int64)
    if indptr[0] != 0 or (np.diff(indptr) < 0).any() or indptr[-1] != indices.size:
        raise fail(f"indptr must rise from 0 to the {indices.size} stored values")
    if indices.size and (int(indices.min()) < 0 or int(indices.max()) >= d):
        raise fail(f"indices run from {indices.min()} to {indices.max()}, outside the {d} columns")
    data = arrays.pop("data", None)
    if data is None:
        data = np.ones(indices.size, dtype=np.int8)
    data = _numbers(path, "data", data, dtype)
    if data.shape != indices.shape:
        raise fail(f"data has shape {data.shape}, indices have {indices.shape}")
    return sp.csr_matrix((data, indices.astype(np.int64, copy=False), indptr), shape=(n, d))


def _numbers(
    path: str, key: str, array: npt.NDArray[Any], dtype: npt.DTypeLike | None
) -> npt.NDArray[Any]:
    """Return `array` as finite floats."""
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{path}: {key} must hold real numbers, got dtype {array.dtype}.")
    if dtype is None:
        dtype = array.dtype if array.dtype in (np.dtype("f4"), np.dtype("f8")) else np.float64
    with np.errstate(over="ignore"):  # values too large for float32 are reported below
        array = array.astype(dtype, copy=False)
    finite = np.isfinite(array)
    if not finite.all():
        where = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{path}: {key}{list(where)} is {array[where]}: drop or fill values that are not "
            f"finite{' in ' + str(array.dtype) if array.dtype == np.float32 else ''}."
        )
    return array


# ------------------------------------------------------------------------------------ shapes


def _widen(path: str, X: Any, n_features: int | None) -> Any:
    """Return X with `n_features` columns."""
    if n_features is None or X.shape[1] == n_features:
        return X
    if X.shape[1] > n_features:
        raise ValueError(
            f"{path}: it has {X.shape[1]} features, {n_features} are expected. Fit with n_features "
            "(--n-features) at least as large, or leave the new features out."
        )
    if not sp.issparse(X):
        raise ValueError(f"{path}: X has {X.shape[1]} columns, {n_features} are expected.")
    return sp.csr_matrix((X.data, X.indices, X.indptr), shape=(X.shape[0], n_features))


def _check_shape(path: str, X: Any, y: npt.NDArray[Any] | None) -> None:
    """Raise if there is nothing to learn from, or the labels do not fit the samples."""
    if X.shape[0] == 0 or X.shape[1] == 0:
        raise ValueError(f"{path}: no data, {X.shape[0]} samples and {X.shape[1]} features.")
    if y is not None and y.shape[0] != X.shape[0]:
        raise ValueError(f"{path}: y has {y.shape[0]} labels for {X.shape[0]} samples.")
