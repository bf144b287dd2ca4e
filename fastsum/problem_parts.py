"""What a problem is made of, checked: columns, labels, weights, offsets."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_array

from fastsum.columns import Columns
from fastsum.losses import Loss, distinct

FloatArray = npt.NDArray[np.float64]


def read_labels(
    y: npt.ArrayLike | None, loss: Loss, n_rows: int, *, checked: bool
) -> npt.NDArray[Any]:
    """y as an array, (n,) or, of losses of real targets, (n, B); `checked` if an estimator did."""
    if y is None:
        raise ValueError("y is None; a Problem needs the label of each row")
    labels: npt.NDArray[Any] = np.asarray(y)
    if not checked:
        labels = check_array(y, ensure_2d=False, dtype=None, input_name="y")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels.ravel()
    if labels.ndim == 2 and loss.domain != "real":
        raise ValueError(
            f"y has {labels.shape[1]} columns; loss={loss.name!r} takes one column of labels, only "
            "losses of real targets such as loss='squared' take several"
        )
    if labels.shape[0] != n_rows:
        raise ValueError(
            f"y has {labels.shape[0]} values for the {n_rows} rows of X; they must match"
        )
    return labels


def columns_of(labels: FloatArray, loss: Loss) -> Columns:
    """The columns that labels have under a loss."""
    if labels.ndim == 2:
        return Columns.multi_target(labels.shape[1])
    if loss.coupled:
        return Columns.coupled(int(labels.max()) + 1)
    return Columns()


def check_columns(labels: npt.NDArray[Any], columns: Columns, loss: Loss) -> None:
    """What the kernels read through the columns must be there."""
    shape = (len(labels), columns.n_problems) if columns.targets == "multi" else (len(labels),)
    if labels.shape != shape:
        raise ValueError(f"y has shape {labels.shape}; {columns} needs {shape}")
    if not np.isfinite(labels).all():
        raise ValueError("y holds NaN or infinity")
    if loss.coupled and not ((labels >= 0) & (labels < columns.n_outputs)).all():
        raise ValueError(f"y must hold class codes in [0, {columns.n_outputs}) for {columns}")


def check_labels(labels: FloatArray, weights: FloatArray | None, loss: Loss) -> None:
    """Without rows of every class, or without a count, an intercept would run to infinity."""
    present = labels if weights is None else labels[weights > 0]
    if lacking := loss.lacking(present):
        raise ValueError(lacking)
    found = distinct(present) if loss.domain == "class" else present
    if loss.domain == "class" and found.size <= labels.max():
        absent = np.setdiff1d(np.arange(min(labels.max(), found.size + 5)), found)[:5]
        raise ValueError(
            f"classes {absent.astype(int).tolist()} of y have no row with a positive weight (its "
            f"labels go up to {labels.max():g}); renumber the classes without gaps, for example "
            "with numpy.unique(y, return_inverse=True)"
        )


def check_group(group: str | None, loss: Loss) -> bool:
    """Whether the penalty is of rows; a ValueError where there are no outputs for it."""
    if group not in (None, "rows"):
        raise ValueError(f"group={group!r} is unknown; choose 'rows' or None")
    if group is not None and not (loss.coupled or loss.name == "squared"):
        raise ValueError(
            f"group='rows' needs coupled outputs, and those of loss={loss.name!r} are problems of "
            "their own; use loss='multinomial' or 'squared'"
        )
    return group is not None


def check_offset(offset: npt.ArrayLike | None, n_rows: int, width: int) -> FloatArray | None:
    """The offset as (n, K) float64; None for one that is None or 0."""
    if offset is None:
        return None
    try:
        given = np.asarray(offset, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError("offset must hold numbers, one a row or one a row and column") from None
    if given.shape not in ((n_rows,), (n_rows, 1), (n_rows, width)):
        raise ValueError(
            f"offset has shape {given.shape} for {n_rows} rows and {width} columns of margins; it "
            f"must be ({n_rows},) or ({n_rows}, {width})"
        )
    if not np.isfinite(given).all():
        raise ValueError("offset holds NaN or infinity")
    if not given.any():
        return None
    return np.ascontiguousarray(np.broadcast_to(given.reshape(n_rows, -1), (n_rows, width)))


def check_weights(sample_weight: npt.ArrayLike | None, n_rows: int) -> FloatArray | None:
    """sample_weight as (n,) float64; None stays None."""
    if sample_weight is None:
        return None
    weights = np.ascontiguousarray(sample_weight, dtype=np.float64)
    if weights.ndim == 0:
        weights = np.full(n_rows, float(weights))
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight has shape {weights.shape} for {n_rows} rows; give one weight a row"
        )
    if not np.isfinite(weights).all():
        raise ValueError("sample_weight holds NaN or infinity; weights must be finite")
    if (weights < 0).any():
        raise ValueError("sample_weight holds negative values; weights must be >= 0")
    if not np.isfinite(weights.sum()):
        raise ValueError("sample_weight sums to infinity; divide the weights by their mean")
    if not weights.any():
        raise ValueError("sample_weight is zero for all rows; give at least one row a weight")
    return weights
