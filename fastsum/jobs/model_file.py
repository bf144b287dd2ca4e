"""Model files: a fitted linear model as an npz archive with a JSON header, no pickle.

The archive holds ``header`` (UTF-8 JSON as bytes), the coefficients (``coef``, or
``coef_values``, ``coef_indices`` and ``coef_indptr`` in CSR form when most are zero; of very many
columns they stay sparse in memory),
``intercept`` and, for classifiers, ``classes``. The header states the shapes; whatever does
not fit it is refused before any large allocation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from fastsum.losses import LOSSES
from fastsum.wide import in_order, is_wide

from ._archive import Archive, write_archive
from .fitted_model import FittedModel

FORMAT = "fastsum-model"
FORMAT_VERSION = 1

# A header is a few hundred bytes; more than this is not one.
MAX_HEADER_BYTES = 1 << 20

# Below this share of non-zeros the CSR form is the smaller one, with room to spare.
_SPARSE_BELOW = 0.25


def save_model(path: str | PathLike[str], model: Any) -> None:
    """Write a fitted model to a file that can be read without pickle.

    The file is written beside its destination, flushed to the disk and then renamed, so
    `path` holds either what it held before or the whole new model. The name is used as it
    is given; no ending is added.

    Parameters
    ----------
    path : str or path-like
        Where to write.
    model : FittedModel or fitted estimator of fastsum
        What to write.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If an estimator is not fitted.
    TypeError
        If `model` is something else, or its labels are neither numbers nor strings.
    OSError
        If the file cannot be written.
    """
    if not isinstance(model, FittedModel):
        from ._from_estimator import model_from_estimator

        model = model_from_estimator(model)
    header = _own_header(model)
    arrays = _coefficient_arrays(model, np.dtype(header["dtype"]))
    if model.classes is not None:
        arrays["classes"], header["classes_kind"] = _plain_labels(model.classes)
    if model.feature_names is not None:
        arrays["feature_names"] = model.feature_names.astype(np.str_)
    text = json.dumps(header, indent=1, default=_plain_number).encode()
    if len(text) > MAX_HEADER_BYTES:
        raise ValueError(
            f"the header of the model takes {len(text)} bytes, more than {MAX_HEADER_BYTES}: "
            "leave large values out of it."
        )
    write_archive(path, {"header": np.frombuffer(text, dtype=np.uint8), **arrays})


def load_model(path: str | PathLike[str], *, max_bytes: int = 1 << 32) -> FittedModel:
    """Read a model written by `save_model`.

    Nothing in the file is executed, and nothing larger than `max_bytes` is allocated for it,
    so files from others may be read.

    Parameters
    ----------
    path : str or path-like
        The model file.
    max_bytes : int, default=2**32
        The most memory an array of the model may take.

    Returns
    -------
    model : FittedModel
        With `predict`, `decision_function`, `predict_proba` and `to_sklearn`.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is not a whole, well-formed model file; the message says what is wrong.
    """
    with Archive(path, max_bytes=max_bytes) as archive:
        header = _read_header(archive)
        n_outputs, n_features = header["n_outputs"], header["n_features"]
        dtype = np.dtype(header["dtype"])
        coef = None if "coef" in archive.names else _read_sparse(archive, header)
        wide = coef is not None and is_wide(n_features, -(-coef.nnz // n_outputs))
        if not wide and n_outputs * n_features * dtype.itemsize > max_bytes:
            raise archive.error(
                f"its {n_outputs} x {n_features} coefficients take more than "
                f"max_bytes={max_bytes}; raise max_bytes if you trust the file"
            )
        if coef is None:
            coef = archive.read("coef", (n_outputs, n_features), (dtype,))
        elif not wide:
            coef = coef.toarray()
        intercept = archive.read("intercept", (n_outputs,), (dtype,))
        classes = _read_classes(archive, header)
        names = None
        if "feature_names" in archive.names:
            names = archive.read("feature_names", (n_features,), None)
        try:
            model = FittedModel(coef, intercept, classes, header["loss"], header, names)
        except ValueError as error:
            raise archive.error(str(error)) from None
    return model


# -------------------------------------------------------------------------------------- header


def _own_header(model: FittedModel) -> dict[str, Any]:
    """Return the header to write: what is known of the fit, then what reading relies on."""
    from fastsum import __version__

    n_outputs, n_features = model.coef.shape
    return {
        **model.header,
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "fastsum_version": __version__,
        "loss": model.loss,
        "n_outputs": n_outputs,
        "n_features": n_features,
        "n_classes": None if model.classes is None else len(model.classes),
        "dtype": np.result_type(model.coef, model.intercept).name,
    }


def _read_header(archive: Archive) -> dict[str, Any]:
    """Return the checked header of a model file."""
    if "header" not in archive.names:
        raise archive.error("not a fastsum model: it has no header")
    raw = archive.read("header", (None,), (np.dtype(np.uint8),), max_bytes=MAX_HEADER_BYTES)
    try:
        header = json.loads(raw.tobytes())
    except (ValueError, RecursionError):
        raise archive.error("its header is not JSON") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise archive.error("not a fastsum model: its header does not say so")
    version = header.get("format_version")
    if version != FORMAT_VERSION:
        raise archive.error(
            f"it has format version {version!r}, this fastsum reads {FORMAT_VERSION} "
            f"(written by fastsum {header.get('fastsum_version')!r}); install a fitting version"
        )
    if header.get("loss") not in LOSSES:
        raise archive.error(f"its header names the unknown loss {header.get('loss')!r}")
    if header.get("dtype") not in ("float32", "float64"):
        raise archive.error(f"its header names the dtype {header.get('dtype')!r}, not a float")
    for key in ("n_outputs", "n_features"):
        if not _is_count(header.get(key)):
            raise archive.error(f"its header gives {key} as {header.get(key)!r}, not a count")
    for key in ("alpha", "total_penalty", "l1_ratio", "loss_param", "n_samples", "n_iter"):
        if not isinstance(header.get(key, 0), (int, float, type(None))):
            raise archive.error(f"its header gives {key} as {header[key]!r}, not a number")
    return header


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**62


def _plain_number(value: Any) -> Any:
    """Turn numpy scalars, small arrays and enums into what JSON knows."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"the header of a model holds JSON values only, got {type(value).__name__}.")


# ------------------------------------------------------------------------- coefficients, labels


def _coefficient_arrays(model: FittedModel, dtype: np.dtype[Any]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays that store coefficients and intercept, in the smaller of two forms."""
    intercept = model.intercept.astype(dtype, copy=False)
    dense = not sp.issparse(model.coef)
    if dense and model.n_nonzero >= _SPARSE_BELOW * model.coef.size:
        return {"coef": np.ascontiguousarray(model.coef, dtype=dtype), "intercept": intercept}
    compact = in_order(sp.csr_array(model.coef, dtype=dtype))
    return {
        "coef_values": compact.data,
        "coef_indices": compact.indices,
        "coef_indptr": compact.indptr.astype(np.int64),
        "intercept": intercept,
    }


def _read_sparse(archive: Archive, header: Mapping[str, Any]) -> Any:
    """Return the coefficients of a file that stores them in CSR form, as a csr_array."""
    n_outputs, n_features = header["n_outputs"], header["n_features"]
    integers = (np.dtype(np.int32), np.dtype(np.int64))
    indptr = archive.read("coef_indptr", (n_outputs + 1,), integers)
    indices = archive.read("coef_indices", (None,), integers)
    values = archive.read("coef_values", (indices.size,), (np.dtype(header["dtype"]),))
    if indptr[0] != 0 or indptr[-1] != indices.size or (np.diff(indptr) < 0).any():
        raise archive.error("the row pointers of its coefficients are not in order")
    if indices.size and (indices.min() < 0 or indices.max() >= n_features):
        raise archive.error(f"its coefficients name features outside the {n_features} there are")
    rises = np.diff(indices) > 0
    rises[indptr[(indptr > 0) & (indptr < indices.size)] - 1] = True  # where a row begins
    if not rises.all():
        raise archive.error("its coefficients name a feature twice, or not in order")
    return sp.csr_array((values, indices, indptr), shape=(n_outputs, n_features))


def _plain_labels(classes: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], str]:
    """Return the labels in a dtype that needs no pickle, and the name of the kind they had."""
    if classes.dtype.kind in "biufU":
        return classes, "array"
    if classes.dtype.kind in "OT" and all(isinstance(label, str) for label in classes):
        return classes.astype(np.str_), "object"
    raise TypeError(
        f"class labels must be numbers or strings to be saved, got dtype {classes.dtype}: "
        "encode them before fitting, for example with LabelEncoder."
    )


def _read_classes(archive: Archive, header: Mapping[str, Any]) -> npt.NDArray[Any] | None:
    """Return the labels, or None for a regression."""
    if header.get("n_classes") is None:
        return None
    if not _is_count(header["n_classes"]):
        raise archive.error(f"its header gives n_classes as {header['n_classes']!r}, not a count")
    classes = archive.read("classes", (header["n_classes"],), None)
    if classes.dtype.kind not in "biufU":
        raise archive.error(f"its class labels have dtype {classes.dtype}")
    return classes.astype(object) if header.get("classes_kind") == "object" else classes
