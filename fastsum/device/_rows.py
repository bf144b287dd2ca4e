"""The rows of a dense X on a CUDA device: what `fastsum.data.Rows` is on the host.

Weights and sums over the rows, (d, K), are numpy arrays; arrays of a value a row are `DeviceArray`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.backend import cuda
from fastsum.device._arrays import DeviceArray, memory
from fastsum.device._inputs import Layout, layout_of
from fastsum.files import checksum

FloatArray = npt.NDArray[np.float64]
CHUNK = 1 << 26  # bytes of one copy to the device
ROOM = 0.8  # of the free memory of a device that X may take; else its rows are streamed
SAMPLED = 1 << 12  # rows at most that are looked at on the host


class DeviceRows:
    """Dense rows in the memory of a device, or streamed to it.

    Parameters
    ----------
    layout : Layout
        Where the values lie.
    on_host : bool, default=False
        True if that is pinned memory of the host, from which blocks of rows are sent in turn.

    Attributes
    ----------
    dtype : dtype
        Of the weights: float32 for X in float16, bfloat16 and float32.
    """

    sparse, storage = False, "dense"
    row_order = column_order = user_cols = None
    copied = ""

    def __init__(self, layout: Layout, *, on_host: bool = False):
        self.layout, self.on_host = layout, on_host
        self.dtype = np.dtype(np.float64 if layout.kind == "float64" else np.float32)
        self.n_rows, self.n_cols = layout.shape
        self._module = cuda()
        self.raw = self._module.Matrix(
            layout.address, layout.kind, self.n_rows, self.n_cols, layout.stride, on_host
        )

    @property
    def n_features(self) -> int:
        """d."""
        return self.n_cols

    @property
    def nnz(self) -> int:
        """n d."""
        return self.n_rows * self.n_cols

    def stored(self, coef: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The coefficients as they are."""
        return coef

    spread = stored

    def __repr__(self) -> str:
        where = "pinned on the host" if self.on_host else "on the device"
        return f"DeviceRows({self.n_rows:,} x {self.n_cols:,} {self.layout.kind}, dense, {where})"

    # ---- passes

    def check_finite(self) -> None:
        """Raises ValueError if a row holds NaN or infinity."""
        row = self._module.first_not_finite(self.raw)
        if row >= 0:
            raise ValueError(f"X contains NaN or infinity (first in row {row}, on the device)")

    def margins(
        self, W: npt.NDArray[Any], n_threads: int, out: DeviceArray | FloatArray
    ) -> DeviceArray | FloatArray:
        """X W + b for W (d + 1, K); fills and returns out, (n, K), on the device or the host."""
        z = out if isinstance(out, DeviceArray) else DeviceArray(out.shape)
        weights = np.ascontiguousarray(W, dtype=np.float64)
        self._module.margins(self.raw, W.shape[1], weights, z.address)
        if isinstance(out, DeviceArray):
            return out
        out[...] = z.numpy()
        return out

    def transposed(self, r: DeviceArray, s: DeviceArray | None = None) -> FloatArray:
        """X' (s r) for r (n, K) and weights s (n, 1): (d, K)."""
        return self._transposed(r, s, squares=False)

    def weighted_squares(self, curvature: DeviceArray) -> FloatArray:
        """sum_i c_ik x_ij^2 for c (n, K): (d, K)."""
        return self._transposed(curvature, None, squares=True)

    def _transposed(self, r: DeviceArray, s: DeviceArray | None, *, squares: bool) -> FloatArray:
        out = np.empty((self.n_cols, r.shape[1]))
        weights = 0 if s is None else s.address
        self._module.transposed(self.raw, r.shape[1], r.address, weights, squares, out)
        return out

    def loss_gradient(
        self, task: Any, W: npt.NDArray[Any], B: int
    ) -> tuple[FloatArray, FloatArray]:
        """sum_i s_i l_i (B,) and sum_i s_i l_i' (x_i, 1), (d + 1, K), in one read of X."""
        value, out = np.empty(B), np.empty(W.shape)
        weights = np.ascontiguousarray(W, dtype=np.float64)
        self._module.gradient(self.raw, task, weights, value, out)
        return value, out

    def hessian_product(
        self, V: npt.NDArray[Any], curvature: DeviceArray, n_problems: int
    ) -> FloatArray:
        """A' D A V for A = [X, 1] and V (d + 1, K); D from curvature (n, K)."""
        out, weights = np.empty(V.shape), np.ascontiguousarray(V, dtype=np.float64)
        C = V.shape[1] // n_problems
        self._module.hessian_product(self.raw, n_problems, C, curvature.address, weights, out)
        return out

    def gram(self, curvature: DeviceArray, k: int) -> FloatArray:
        """A' diag(c_k) A for A = [X, 1] and column k of c (n, K): (d + 1, d + 1)."""
        H = np.empty((self.n_cols + 1, self.n_cols + 1))
        self._module.gram(self.raw, curvature.address, k, curvature.shape[1], H)
        return H

    # ---- on the host

    def every_id(self, step: int) -> npt.NDArray[np.int64]:
        """The numbers of the rows of `every`."""
        return np.arange(0, self.n_rows, step)

    def every(self, step: int) -> DeviceRows:
        """Rows 0, step, 2 step, ...: the same memory with a longer stride."""
        if step <= 1:
            return self
        at = self.layout
        shape = (-(-self.n_rows // step), self.n_cols)
        strided = Layout(at.address, at.kind, shape, step * at.stride, at.keep)
        return DeviceRows(strided, on_host=self.on_host)

    def matrix(self) -> FloatArray:
        """X as float64 on the host; for a few rows."""
        if self.n_rows > SAMPLED:
            raise ValueError(f"{self.n_rows} rows of the device are too many to copy to the host")
        # X' of the columns of the identity
        out = np.empty((self.n_rows, self.n_cols))
        r = DeviceArray((self.n_rows, 1))
        for i in range(self.n_rows):
            unit = np.zeros(self.n_rows)
            unit[i] = 1.0
            out[i] = self.transposed(r.fill(unit))[:, 0]
        return out

    @cached_property
    def _checksum(self) -> int:
        # of sums that any change of a value changes, but for those that cancel
        ones = DeviceArray((self.n_rows, 1)).fill(np.linspace(1.0, 2.0, self.n_rows))
        sums = np.concatenate([self.transposed(ones), self.weighted_squares(ones)])
        shape = np.array(self.layout.shape, dtype=np.float64)
        return checksum(sums, checksum(shape))

    def checksum(self) -> int:
        """A number that tells these rows from others."""
        return self._checksum


def as_device_rows(X: Any) -> DeviceRows:
    """Rows of X on the device.

    Parameters
    ----------
    X : array on a device, or numpy array of shape (n, d)
        An array on the device is used where it lies; float32 or float64 of the host is copied there
        once, or, where the device has no room for it, into pinned memory whose rows are streamed in
        each pass.

    Raises
    ------
    ValueError
        If X holds NaN or infinity.
    MemoryError
        If neither the device nor pinned memory has room.
    """
    rows = _copied(X) if isinstance(X, np.ndarray) else DeviceRows(layout_of(X))
    rows.check_finite()
    return rows


def _copied(X: npt.NDArray[Any]) -> DeviceRows:
    module, kind = cuda(), str(X.dtype)
    n_bytes, (free, _) = X.size * X.itemsize, module.memory()
    pinned = n_bytes > ROOM * free
    place = module.Pinned(n_bytes) if pinned else memory(n_bytes, "X")
    layout = Layout(place.address, kind, X.shape, X.shape[1], place)
    part = max(1, CHUNK // max(1, X.shape[1] * X.itemsize))
    if pinned:
        np.frombuffer(place, dtype=X.dtype, count=X.size).reshape(X.shape)[...] = X
        return DeviceRows(layout, on_host=True)
    # in chunks through pinned memory, so that no second copy of X is made on the host
    staging = np.frombuffer(module.Pinned(part * X.shape[1] * X.itemsize), dtype=X.dtype)
    for begin in range(0, len(X), part):
        rows = X[begin : begin + part]
        staged = staging[: rows.size].reshape(rows.shape)
        staged[...] = rows
        place.copy_in(staged, begin * X.shape[1] * X.itemsize)
    return DeviceRows(layout)
