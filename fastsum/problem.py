"""The problem: rows, loss, penalty and columns, and the objective they define."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_array

from fastsum._core import _kernels
from fastsum.columns import Columns
from fastsum.data import Rows, as_rows, checksum
from fastsum.losses import Loss, get_loss
from fastsum.penalties import Penalty, make_penalty

FloatArray = npt.NDArray[np.float64]


class Problem:
    """A regularised finite sum (docs/maths.md eq. 1).

        min over w, b   (1/S) sum_i s_i loss(y_i, x_i . w + b)
                        + alpha [l1_ratio ||w||_1 + (1 - l1_ratio)/2 ||w||_2^2],   S = sum_i s_i

    Immutable: solvers read it and keep their state elsewhere. Problems side by side may have
    weights of their own, (n, B): see `beside`.

    Parameters
    ----------
    X : array-like, sparse matrix or array, or Rows of shape (n, d)
        float32 is kept; a sparse X whose stored values are all 1 is held without them.
    y : array-like of shape (n,) or (n, B)
        Targets; two columns or more (real targets only) are B problems side by side.
    loss : str, default="logistic"
        A name of `fastsum.losses.LOSSES`.
    loss_param : float, default=None
        The parameter of the losses that have one: delta of "huber", in units of y (None: 1.35),
        gamma of "smoothed_hinge" (None: 1).
    alpha : float or (B,) array, default=1e-4
        Strength of the penalty, >= 0.
    l1_ratio : float or (B,) array, default=0.0
        Share of the l1 norm, in [0, 1].
    sample_weight : array-like of shape (n,), default=None
        s_i >= 0, not all 0; integer weights equal repeated rows. None means all ones.
    fit_intercept : bool, default=True
        Whether the unpenalised intercept b is free; it is 0 otherwise.
    columns : Columns, default=None
        Meaning of the K axis; made from y and the loss if None.

    Raises
    ------
    ValueError
        If an argument is out of range, of the wrong length, or does not fit the loss.
    """

    rows: Rows
    loss: Loss
    penalty: Penalty
    columns: Columns
    y: FloatArray
    sample_weight: FloatArray | None
    total_weight: float
    fit_intercept: bool

    def __init__(
        self,
        X: Any,
        y: npt.ArrayLike,
        *,
        loss: str = "logistic",
        loss_param: float | None = None,
        alpha: npt.ArrayLike = 1e-4,
        l1_ratio: npt.ArrayLike = 0.0,
        sample_weight: npt.ArrayLike | None = None,
        fit_intercept: bool = True,
        columns: Columns | None = None,
    ):
        rows, fitted_loss = as_rows(X), get_loss(loss, loss_param)
        if y is None:
            raise ValueError("y is None; a Problem needs the label of each row")
        labels = np.asarray(y)
        if columns is None:  # else an estimator made and checked them
            labels = check_array(y, ensure_2d=False, dtype=None, input_name="y")
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels.ravel()
        if labels.ndim == 2 and fitted_loss.domain != "real":
            raise ValueError(
                f"y has {labels.shape[1]} columns; loss={loss!r} takes one column of labels, only "
                "losses of real targets such as loss='squared' take several"
            )
        if labels.shape[0] != rows.n_rows:
            raise ValueError(
                f"y has {labels.shape[0]} values for the {rows.n_rows} rows of X; they must match"
            )
        weights = _check_weights(sample_weight, rows.n_rows)
        if columns is None:
            labels = fitted_loss.encode(labels)
            _check_labels(labels, weights, fitted_loss)
            columns = _columns_of(labels, fitted_loss)
        _check_columns(labels, columns, fitted_loss)
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "loss", fitted_loss)
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "penalty", make_penalty(alpha, l1_ratio, columns.n_problems))
        object.__setattr__(self, "y", np.ascontiguousarray(labels, dtype=np.float64))
        object.__setattr__(self, "sample_weight", weights)
        total = float(rows.n_rows) if weights is None else float(weights.sum())
        object.__setattr__(self, "total_weight", total)
        object.__setattr__(self, "fit_intercept", bool(fit_intercept))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Problem is immutable; make a new one")

    def on_rows(self, rows: Rows, y: FloatArray, sample_weight: FloatArray | None) -> Problem:
        """The same loss, penalty and columns on other rows."""
        total = float(rows.n_rows) if sample_weight is None else float(sample_weight.sum())
        if sample_weight is not None and sample_weight.ndim == 2:
            total /= sample_weight.shape[1]  # the same in each column
        return self._changed(
            rows=rows,
            y=np.ascontiguousarray(y),
            sample_weight=sample_weight,
            total_weight=total,
        )

    def with_weights(self, sample_weight: FloatArray) -> Problem:
        """The same problem with other weights (n,); a weight of 0 holds a row out."""
        weights = _check_weights(sample_weight, self.rows.n_rows)
        if weights is not None and self.loss.domain == "real":
            _check_labels(self.y, weights, self.loss)
        return self.on_rows(self.rows, self.y, weights)

    @staticmethod
    def beside(problems: Sequence[Problem]) -> Problem:
        """Problems over the same rows, labels and loss as one: its problem b is the b-th of them.

        Each has one problem of its own. Weights that differ become columns, each scaled to the sum
        of the first: of weights only their shares count.
        """
        first, B = problems[0], len(problems)
        S, s = first.total_weight, first.sample_weight
        if any(p.sample_weight is not s for p in problems):
            own = [
                np.full(p.rows.n_rows, S / p.total_weight)
                if p.sample_weight is None
                else p.sample_weight * (S / p.total_weight)
                for p in problems
            ]
            s = np.ascontiguousarray(np.stack(own, axis=1))
        alpha = np.concatenate([p.penalty.alpha for p in problems])
        l1_ratio = np.concatenate([p.penalty.l1_ratio for p in problems])
        return first._changed(
            columns=Columns(n_problems=B, n_outputs=first.columns.n_outputs),
            penalty=make_penalty(alpha, l1_ratio, B),
            sample_weight=s,
        )

    def with_penalty(self, alpha: npt.ArrayLike, l1_ratio: npt.ArrayLike = 0.0) -> Problem:
        """The same problem with another penalty."""
        return self._changed(penalty=make_penalty(alpha, l1_ratio, self.columns.n_problems))

    def with_penalty_of(self, other: Problem) -> Problem:
        """The same problem with the penalty of another."""
        return self._changed(penalty=other.penalty)

    def standing_for(self, sample_weight: FloatArray | None, total_weight: float) -> Problem:
        """The same with bounds on the weights, and on their sum, of several problems."""
        return self._changed(sample_weight=sample_weight, total_weight=total_weight)

    def smoothed(self, gamma: float, u: FloatArray) -> Problem:
        """The same problem with its loss smoothed around the dual points u (n, K)."""
        B = self.columns.n_problems
        y = np.column_stack([self.labels_of(b) for b in range(B)])
        loss, labels = self.loss.smoothed(gamma, y, u)
        columns = Columns() if B == 1 else Columns.multi_target(B)
        labels = np.ascontiguousarray(labels[:, 0] if B == 1 else labels)
        return self._changed(loss=loss, y=labels, columns=columns)

    def _changed(self, **changed: Any) -> Problem:
        other = object.__new__(Problem)
        for name in Problem.__annotations__:
            object.__setattr__(other, name, changed.get(name, getattr(self, name)))
        return other

    def on_weighted_rows(self) -> Problem:
        """The same on a copy of the rows with a weight; equal weights are none."""
        s = self.sample_weight
        if s is None or s.all():
            return self if s is None or (s != s[0]).any() else self.on_rows(self.rows, self.y, None)
        ids = np.flatnonzero(s if s.ndim == 1 else s.any(axis=1))
        part = s[ids] if (s[ids] != s[ids[0]]).any() else None
        if s.ndim == 2 and len(ids) == len(s):
            return self
        return self.on_rows(self.rows.take(ids), self.y[ids], part)

    def every_row(self, step: int) -> Problem | None:
        """The problem on rows 0, step, 2 step, ...; None if these lack a class or all weight."""
        ids = self.rows.every_id(step)
        y, s = self.y[ids], None if self.sample_weight is None else self.sample_weight[ids]
        present = y if s is None else y[s > 0]
        if not len(present) or self.loss.lacking(present):
            return None
        if self.loss.domain != "real" and len(np.unique(present)) < len(np.unique(self.y)):
            return None
        return self.on_rows(self.rows.every(step), y, s)

    @property
    def own_weights(self) -> bool:
        """Whether each problem has weights of its own."""
        return self.sample_weight is not None and self.sample_weight.ndim == 2

    @cached_property
    def weight_columns(self) -> FloatArray | None:
        """s_i as it meets arrays (n, K): (n, 1), or (n, K) of own weights; None for ones."""
        s = self.sample_weight
        if s is None or s.ndim == 1:
            return None if s is None else s[:, None]
        return np.repeat(s, self.columns.n_outputs, axis=1) if self.columns.n_outputs > 1 else s

    @property
    def largest_weight(self) -> FloatArray | None:
        """The largest s_i of any problem, (n,); None for ones."""
        s = self.sample_weight
        return s.max(axis=1) if s is not None and s.ndim == 2 else s

    def weighted_sum(self, u: npt.NDArray[Any]) -> FloatArray:
        """sum_i s_i u_i of each column of u (n, K), (K,)."""
        s, own = self.sample_weight, self.weight_columns
        if s is None or own is None or s.ndim == 1:
            total: FloatArray = u.sum(axis=0) if s is None else s @ u
            return total
        return np.einsum("nk,nk->k", own, u)

    def labels_of(self, b: int) -> FloatArray:
        """Labels of problem b as its loss sees them, (n,)."""
        if self.columns.targets == "one_vs_rest":
            return np.where(self.y == b, 1.0, -1.0)
        return np.ascontiguousarray(self.y[:, b]) if self.columns.targets == "multi" else self.y

    @property
    def K(self) -> int:
        """Columns of the weights: problems times coupled outputs."""
        return self.columns.width

    @property
    def dtype(self) -> np.dtype[Any]:
        """dtype of X and of the weights: float32 or float64."""
        return self.rows.dtype

    @cached_property
    def task(self) -> _kernels.Task:
        """Loss, labels and weights as the kernels take them."""
        return _kernels.Task(
            self.loss.core_id,
            self.loss.core_param,
            self.columns.n_problems,
            self.columns.n_outputs,
            self.columns.targets,
            self.y,
            self.sample_weight,
        )

    @cached_property
    def l1(self) -> FloatArray:
        """alpha l1_ratio of each column, (K,)."""
        return np.repeat(self.penalty.l1, self.columns.n_outputs)

    @cached_property
    def l2(self) -> FloatArray:
        """alpha (1 - l1_ratio) of each column, (K,)."""
        return np.repeat(self.penalty.l2, self.columns.n_outputs)

    def data_fingerprint(self) -> int:
        """Checksum of all but the penalty: equal for equal X, y, weights, loss and intercept."""
        crc = checksum(self.y, self.rows.checksum())
        if self.sample_weight is not None:
            crc = checksum(self.sample_weight, crc)
        settings = repr(
            (self.loss.name, self.loss.param, self.columns, self.fit_intercept)
        ).encode()
        return checksum(np.frombuffer(settings, dtype=np.uint8), crc)

    def __repr__(self) -> str:
        alpha, ratio = self.penalty.alpha, self.penalty.l1_ratio
        shown = f"alpha={alpha[0]:.4g}" + (f", l1_ratio={ratio[0]:.4g}" if ratio.any() else "")
        axis = "" if self.K == 1 else f", {self.columns}"
        weights = "" if self.sample_weight is None else ", weighted"
        param = "" if self.loss.param is None else f", loss_param={self.loss.param:.4g}"
        return (
            f"Problem({self.rows!r}, loss={self.loss.name}{param}, penalty={self.penalty.name} "
            f"({shown}), fit_intercept={self.fit_intercept}{weights}{axis})"
        )


def _columns_of(labels: FloatArray, loss: Loss) -> Columns:
    if labels.ndim == 2:
        return Columns.multi_target(labels.shape[1])
    if loss.coupled:
        return Columns.coupled(int(labels.max()) + 1)
    return Columns()


def _check_columns(labels: npt.NDArray[Any], columns: Columns, loss: Loss) -> None:
    """What the kernels read through the columns must be there."""
    shape = (len(labels), columns.n_problems) if columns.targets == "multi" else (len(labels),)
    if labels.shape != shape:
        raise ValueError(f"y has shape {labels.shape}; {columns} needs {shape}")
    if not np.isfinite(labels).all():
        raise ValueError("y holds NaN or infinity")
    if loss.coupled and not ((labels >= 0) & (labels < columns.n_outputs)).all():
        raise ValueError(f"y must hold class codes in [0, {columns.n_outputs}) for {columns}")


def _check_labels(labels: FloatArray, weights: FloatArray | None, loss: Loss) -> None:
    """Without rows of every class, or without a count, an intercept would run to infinity."""
    present = labels if weights is None else labels[weights > 0]
    if lacking := loss.lacking(present):
        raise ValueError(lacking)
    found = np.unique(present) if loss.domain == "class" else present
    if loss.domain == "class" and found.size <= labels.max():
        absent = np.setdiff1d(np.arange(min(labels.max(), found.size + 5)), found)[:5]
        raise ValueError(
            f"classes {absent.astype(int).tolist()} of y have no row with a positive weight (its "
            f"labels go up to {labels.max():g}); renumber the classes without gaps, for example "
            "with numpy.unique(y, return_inverse=True)"
        )


def _check_weights(sample_weight: npt.ArrayLike | None, n_rows: int) -> FloatArray | None:
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
