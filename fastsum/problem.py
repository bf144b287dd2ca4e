"""The problem: rows, loss, penalty and columns, and the objective they define."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum._core import _kernels
from fastsum.columns import Columns
from fastsum.data import Rows, as_rows
from fastsum.device import DeviceRows, to_host
from fastsum.files import checksum
from fastsum.losses import Loss, SquaredRows, distinct, get_loss
from fastsum.penalties import Penalty, make_own, make_penalty, row_norms, shrink, shrink_rows
from fastsum.problem_parts import (
    check_columns,
    check_group,
    check_labels,
    check_offset,
    check_weights,
    columns_of,
    read_labels,
)
from fastsum.row_source import labels_with

FloatArray = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64] | slice
# Unpenalised features whose columns a certificate takes out as dense ones: how many, and values.
MOST_FREE, FREE_VALUES = 200, 1 << 24


class Problem:
    """A regularised finite sum (docs/maths.md eq. 1).

        min over w, b   (1/S) sum_i s_i loss(y_i, x_i . w + b + o_i)
                        + alpha [l1_ratio ||w||_1 + (1 - l1_ratio)/2 ||w||_2^2],   S = sum_i s_i

    Immutable. Problems side by side may have weights of their own, (n, B): `fastsum/beside.py`.

    Parameters
    ----------
    X : array-like, sparse matrix or array, fastsum.store.Dataset or Rows of shape (n, d)
        float32 is kept; a sparse X whose stored values are all 1 is held without them.
    y : array-like of shape (n,) or (n, B)
        Targets; two columns or more (real targets only) are B problems side by side. May be left
        out for a Dataset, which has its own.
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
    penalty_factor : array-like of shape (d,), default=None
        f_j >= 0, which multiplies the penalty of feature j (docs/maths.md eq. 65); 0 leaves it
        unpenalised. They are taken as they are, without the scaling to a mean of 1 of glmnet.
        None means all ones.
    lower, upper : float or array-like of shape (d,), default=None
        Bounds of the coefficients of each feature, lower <= 0 <= upper; the intercept has none.
        None means -inf and inf.
    group : {"rows"}, default=None
        "rows": the l1 norm is sum_j ||w_j||_2, w_j the coefficients of feature j in the coupled
        outputs of a problem, so that features are in use for all outputs or for none (eq. 77). The
        outputs are those of "multinomial", or the columns of y under "squared", which are one
        problem then. None is a norm of each coefficient.
    columns : Columns, default=None
        Meaning of the K axis; made from y and the loss if None.
    offset : array-like of shape (n,) or (n, K), default=None
        o_i, a known part of the margins in their units (eq. 73): (n,) is that of all K columns.
        None means 0. Where a target less its offset is the same, y holds that and offset is None.

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
    offset: FloatArray | None

    def __init__(
        self,
        X: Any,
        y: npt.ArrayLike | None = None,
        *,
        loss: str = "logistic",
        loss_param: float | None = None,
        alpha: npt.ArrayLike = 1e-4,
        l1_ratio: npt.ArrayLike = 0.0,
        sample_weight: npt.ArrayLike | None = None,
        fit_intercept: bool = True,
        penalty_factor: npt.ArrayLike | None = None,
        lower: npt.ArrayLike | None = None,
        upper: npt.ArrayLike | None = None,
        group: str | None = None,
        columns: Columns | None = None,
        offset: npt.ArrayLike | None = None,
    ):
        rows, fitted_loss = as_rows(X), get_loss(loss, loss_param)
        y, sample_weight = to_host(labels_with(X, y)), to_host(sample_weight)
        offset = to_host(offset)
        labels = read_labels(y, fitted_loss, rows.n_rows, checked=columns is not None)
        weights = check_weights(sample_weight, rows.n_rows)
        if columns is None:
            labels = fitted_loss.encode(labels)
            check_labels(labels, weights, fitted_loss)
            columns = columns_of(labels, fitted_loss)
        labels = np.ascontiguousarray(labels, dtype=np.float64)
        check_columns(labels, columns, fitted_loss)
        offsets = check_offset(offset, rows.n_rows, columns.width)
        if offsets is not None and fitted_loss.of_residual:
            labels, offsets = labels - offsets.reshape(labels.shape), None
        if check_group(group, fitted_loss) and columns.targets == "multi":
            # eq. (78): targets are offsets of the outputs of one problem
            fitted_loss, offsets = SquaredRows(), -labels
            columns, labels = Columns.coupled(columns.n_problems), np.zeros(rows.n_rows)
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "loss", fitted_loss)
        object.__setattr__(self, "columns", columns)
        held = None if rows.user_cols is None else rows.column_order
        own = make_own(penalty_factor, lower, upper, rows.n_features, held)
        of_rows = group is not None and columns.n_outputs > 1
        if of_rows and own is not None:
            raise ValueError("penalty_factor and bounds cannot be combined with group='rows'")
        penalty = make_penalty(alpha, l1_ratio, columns.n_problems)
        object.__setattr__(self, "penalty", replace(penalty, own=own, rows=of_rows))
        object.__setattr__(self, "y", labels)
        object.__setattr__(self, "offset", offsets)
        object.__setattr__(self, "sample_weight", weights)
        total = float(rows.n_rows) if weights is None else float(weights.sum())
        object.__setattr__(self, "total_weight", total)
        object.__setattr__(self, "fit_intercept", bool(fit_intercept))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Problem is immutable; make a new one")

    def on_rows(self, rows: Rows, ids: Ids | None, sample_weight: FloatArray | None) -> Problem:
        """The same loss, penalty and columns on other rows: `ids` of these, None for all."""
        y, offset = self.y, self.offset
        if ids is not None:
            y, offset = y[ids], None if offset is None else np.ascontiguousarray(offset[ids])
        total = float(rows.n_rows) if sample_weight is None else float(sample_weight.sum())
        if sample_weight is not None and sample_weight.ndim == 2:
            total /= sample_weight.shape[1]  # the same in each column
        return self._changed(
            rows=rows,
            y=np.ascontiguousarray(y),
            offset=offset,
            sample_weight=sample_weight,
            total_weight=total,
        )

    def with_weights(self, sample_weight: FloatArray) -> Problem:
        """The same problem with other weights (n,); a weight of 0 holds a row out."""
        weights = check_weights(sample_weight, self.rows.n_rows)
        if weights is not None and self.loss.domain == "real":
            check_labels(self.y, weights, self.loss)
        return self.on_rows(self.rows, None, weights)

    def with_penalty(self, alpha: npt.ArrayLike, l1_ratio: npt.ArrayLike = 0.0) -> Problem:
        """The same problem with other strengths; factors and bounds stay."""
        penalty = make_penalty(alpha, l1_ratio, self.columns.n_problems)
        own, rows = self.penalty.own, self.penalty.rows
        return self._changed(penalty=replace(penalty, own=own, rows=rows))

    def with_ridge(self, kappa: FloatArray) -> Problem:
        """The same problem with kappa / 2 ||w||^2 added, kappa (B,)."""
        penalty = self.penalty
        if penalty.own is not None:
            return self._changed(penalty=replace(penalty, ridge=kappa))
        alpha = penalty.alpha + kappa
        ratio = np.divide(penalty.l1, alpha, out=np.zeros_like(alpha), where=alpha > 0)
        return self.with_penalty(alpha, ratio)

    def with_penalty_of(self, other: Problem) -> Problem:
        """The same problem with the strengths of another, whose features may be in other order."""
        return self._changed(penalty=other.penalty.with_own(self.penalty.own))

    def on_columns(self, rows: Rows, columns: npt.NDArray[np.int64]) -> Problem:
        """The same problem on rows that hold some of the columns, in another order perhaps."""
        own = self.penalty.own
        penalty = self.penalty.with_own(None if own is None else own.take(columns))
        return self._changed(rows=rows, penalty=penalty)

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
            return self if s is None or (s != s[0]).any() else self.on_rows(self.rows, None, None)
        ids = np.flatnonzero(s if s.ndim == 1 else s.any(axis=1))
        if len(ids) == len(s):
            return self
        part = s[ids] if (s[ids] != s[ids[0]]).any() else None
        return self.on_rows(self.rows.take(ids), ids, part)

    def every_row(self, step: int) -> Problem | None:
        """The problem on rows 0, step, 2 step, ...; None if these lack a class or all weight."""
        ids = self.rows.every_id(step)
        y, s = self.y[ids], None if self.sample_weight is None else self.sample_weight[ids]
        present = y if s is None else y[s > 0]
        if not len(present) or self.loss.lacking(present):
            return None
        if self.loss.domain != "real" and len(distinct(present)) < len(distinct(self.y)):
            return None
        return self.on_rows(self.rows.every(step), ids, s)

    def offset_of(self, b: int) -> FloatArray | None:
        """Offset of problem b, of one output each: (n, 1)."""
        return None if self.offset is None else np.ascontiguousarray(self.offset[:, b : b + 1])

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
        return None if (s := self.weight_columns) is None else s.max(axis=1)

    def weighted_sum(self, u: npt.NDArray[Any]) -> FloatArray:
        """sum_i s_i u_i of each column of u (n, K), (K,)."""
        s, own = self.sample_weight, self.weight_columns
        if s is None or own is None:
            return np.asarray(u.sum(axis=0))
        return s @ u if s.ndim == 1 else np.einsum("nk,nk->k", own, u)

    def labels_of(self, b: int) -> FloatArray:
        """Labels of problem b as its loss sees them, (n,)."""
        if self.columns.targets == "one_vs_rest":
            return np.where(self.y == b, 1.0, -1.0)
        return np.ascontiguousarray(self.y[:, b]) if self.columns.targets == "multi" else self.y

    def penalty_value(self, W: npt.NDArray[Any]) -> FloatArray:
        """h of weights W (d + 1, K), whose last row is the intercept: (B,)."""
        if self.penalty.rows:
            norms = row_norms(W[:-1], self.columns.n_outputs)
            of_rows: FloatArray = self.penalty.l1 * norms.sum(axis=0)
            return of_rows + 0.5 * self.penalty.l2 * (norms**2).sum(axis=0)
        h = (self.l1_each * np.abs(W[:-1]) + 0.5 * self.l2_each * W[:-1] ** 2).sum(axis=0)
        value: FloatArray = h.reshape(self.columns.n_problems, -1).sum(axis=1)
        return value

    @property
    def K(self) -> int:
        """Columns of the weights: problems times coupled outputs."""
        return self.columns.width

    @property
    def on_device(self) -> bool:
        """Whether X lies on a CUDA device, or is streamed to one."""
        return isinstance(self.rows, DeviceRows)

    @property
    def device_rows(self) -> DeviceRows:
        """X where it lies on a device."""
        assert isinstance(self.rows, DeviceRows)
        return self.rows

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
            self.offset,
        )

    @cached_property
    def l1(self) -> FloatArray:
        """alpha l1_ratio of each column, (K,)."""
        return np.repeat(self.penalty.l1, self.columns.n_outputs)

    @cached_property
    def l2(self) -> FloatArray:
        """alpha (1 - l1_ratio) of each column, (K,)."""
        return np.repeat(self.penalty.l2, self.columns.n_outputs)

    @cached_property
    def l1_each(self) -> FloatArray:
        """f_j alpha l1_ratio: (d, K), or (K,) where all features have the same."""
        own = self.penalty.own
        return self.l1 if own is None else own.factor[:, None] * self.l1

    @cached_property
    def l2_each(self) -> FloatArray:
        """f_j alpha (1 - l1_ratio): (d, K), or (K,) where all features have the same."""
        own = self.penalty.own
        return self.l2 if own is None else own.factor[:, None] * self.l2

    @cached_property
    def mu(self) -> FloatArray:
        """Strong convexity of the penalty of each column, (K,)."""
        return np.repeat(self.penalty.mu, self.columns.n_outputs)

    def shrink(self, v: npt.NDArray[Any], tau: npt.NDArray[Any] | float) -> npt.NDArray[Any]:
        """prox_{tau h}(v) of coefficients v (d, K), eq. (4) and (66)."""
        if self.penalty.rows:
            return shrink_rows(v, tau, self.l1, self.l2, self.columns.n_outputs)
        return self.within(shrink(v, tau, self.l1_each, self.l2_each))

    def within(self, W: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Coefficients (d, K) moved into their bounds."""
        own = self.penalty.own
        return W if own is None else own.clip(W)

    @cached_property
    def certified(self) -> npt.NDArray[np.bool_]:
        """Problems whose gap can be known, (B,): a dual point makes every h_j* finite."""
        own, alpha = self.penalty.own, self.penalty.alpha
        if own is None:
            return alpha > 0
        boxed = np.isfinite(own.lower) & np.isfinite(own.upper)
        n_free = int(np.count_nonzero(own.loose))
        few = n_free <= MOST_FREE and n_free * self.rows.n_rows <= FREE_VALUES
        separate = self.columns.n_outputs == 1 and not self.loss.kinked
        held = n_free == 0 or (few and separate)
        return np.asarray(((alpha > 0) & held) | boxed.all())

    def data_fingerprint(self) -> int:
        """Checksum of all but the penalty: equal for equal X, y, weights, loss and intercept."""
        crc = checksum(self.y, self.rows.checksum())
        if self.sample_weight is not None:
            crc = checksum(self.sample_weight, crc)
        if self.offset is not None:
            crc = checksum(self.offset, crc)
        settings = repr(
            (self.loss.name, self.loss.param, self.columns, self.fit_intercept)
        ).encode()
        return checksum(np.frombuffer(settings, dtype=np.uint8), crc)

    def __repr__(self) -> str:
        alpha, ratio = self.penalty.alpha, self.penalty.l1_ratio
        shown = f"alpha={alpha[0]:.4g}" + (f", l1_ratio={ratio[0]:.4g}" if ratio.any() else "")
        axis = "" if self.K == 1 else f", {self.columns}"
        weights = "" if self.sample_weight is None else ", weighted"
        weights += "" if self.offset is None else ", offset"
        own = self.penalty.own
        shown += ", penalty_factor" if own is not None and own.scaled else ""
        shown += ", bounds" if self.penalty.bounded else ""
        shown += ", group=rows" if self.penalty.rows else ""
        param = "" if self.loss.param is None else f", loss_param={self.loss.param:.4g}"
        return (
            f"Problem({self.rows!r}, loss={self.loss.name}{param}, penalty={self.penalty.name} "
            f"({shown}), fit_intercept={self.fit_intercept}{weights}{axis})"
        )
