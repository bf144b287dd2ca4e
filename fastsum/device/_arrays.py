"""Arrays (n, K) of float64 on the device, with what the shared Python of the solvers asks of them.

Python never looks into them: it adds them, scales their columns, and hands them to passes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.backend import cuda

FloatArray = npt.NDArray[np.float64]


def memory(n_bytes: int, purpose: str) -> Any:
    """Memory of the device, all zeros.

    Raises
    ------
    MemoryError
        If the device has not that much; says how much it has and what to do.
    """
    module = cuda()
    try:
        return module.Memory(n_bytes)
    except MemoryError:
        free, total = module.memory()
        raise MemoryError(
            f"{purpose} takes {n_bytes / 1e9:,.2f} GB of the device, which has {free / 1e9:,.2f} "
            f"of {total / 1e9:,.2f} GB free: use float32, fewer rows, device='cpu', or give X as a "
            "numpy array, whose rows are streamed through the device where they do not fit"
        ) from None


class DeviceArray:
    """(n, K) float64 on the device.

    Parameters
    ----------
    shape : (int, int)
        n and K; the values are 0.
    """

    __array_ufunc__ = None  # numpy leaves `vector * array` to this class

    def __init__(self, shape: tuple[int, int]):
        self.shape = shape
        self._memory = memory(8 * shape[0] * shape[1], "an array of a value a row")

    @property
    def address(self) -> int:
        """Where it begins, on the device."""
        return int(self._memory.address)

    def __len__(self) -> int:
        return self.shape[0]

    def numpy(self) -> FloatArray:
        """A copy on the host."""
        out = np.empty(self.shape)
        self._memory.copy_out(out)
        return out

    def fill(self, values: npt.ArrayLike) -> DeviceArray:
        """Copies values of the host in; returns itself."""
        host = np.ascontiguousarray(values, dtype=np.float64).reshape(self.shape)
        self._memory.copy_in(host)
        return self

    def copy(self) -> DeviceArray:
        """Another one with the same values."""
        return self._combined(1.0, self, 0.0)

    def put(self, values: DeviceArray, columns: npt.NDArray[np.bool_]) -> None:
        """Takes over the columns (K,) of another array."""
        if columns.all():
            self._combine(1.0, values, 0.0, values)
        elif columns.any():
            self._combine(np.where(columns, 1.0, 0.0), values, np.where(columns, 0.0, 1.0), self)

    def __setitem__(self, key: object, values: DeviceArray) -> None:
        assert key is Ellipsis, "a device array is set as a whole"
        self._combine(1.0, values, 0.0, values)

    def __add__(self, other: DeviceArray) -> DeviceArray:
        return self._combined(1.0, other, 1.0)

    def __sub__(self, other: DeviceArray) -> DeviceArray:
        return self._combined(1.0, other, -1.0)

    def __rmul__(self, factors: npt.ArrayLike) -> DeviceArray:
        return self._combined(factors, self, 0.0)

    __mul__ = __rmul__

    def __iadd__(self, other: DeviceArray) -> DeviceArray:
        self._combine(1.0, self, 1.0, other)
        return self

    def _combined(self, a: npt.ArrayLike, other: DeviceArray, b: npt.ArrayLike) -> DeviceArray:
        out = DeviceArray(self.shape)
        out._combine(a, self, b, other)
        return out

    def _combine(self, a: Any, x: DeviceArray, b: Any, y: DeviceArray) -> None:
        """a x + b y of numbers, or of one a column."""
        n, K = self.shape
        factors = (np.ascontiguousarray(np.broadcast_to(c, (K,)), dtype=np.float64) for c in (a, b))
        first, second = factors
        cuda().combine(n, K, first, x.address, second, y.address, self.address)
