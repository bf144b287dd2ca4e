"""Arrays of other libraries that lie on a device: CuPy, torch, anything that speaks DLPack.

Their memory is used where it is, through `__cuda_array_interface__`; what has only `__dlpack__` is
taken as a torch tensor or a CuPy array by whichever of these is installed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

KINDS = {"<f4": "float32", "<f8": "float64", "<f2": "float16"}
ON_CUDA = (2, 13)  # kDLCUDA, kDLCUDAManaged


def is_on_device(X: Any) -> bool:
    """Whether X is an array on a CUDA device."""
    if isinstance(X, np.ndarray | list | tuple):
        return False
    if type(X).__module__.partition(".")[0] == "torch":  # its tensors all have the attributes
        return bool(X.is_cuda)
    if hasattr(type(X), "__cuda_array_interface__"):
        return True
    try:
        return hasattr(X, "__dlpack_device__") and int(X.__dlpack_device__()[0]) in ON_CUDA
    except (TypeError, ValueError, RuntimeError, BufferError):
        return False


@dataclass(frozen=True)
class Layout:
    """A matrix on the device: address, type, shape and the values from one row to the next."""

    address: int
    kind: str
    shape: tuple[int, ...]
    stride: int
    keep: Any  # what owns the memory


def layout_of(X: Any) -> Layout:
    """Where a matrix on a device lies.

    Raises
    ------
    TypeError
        If its dtype or its order has no passes.
    """
    if type(X).__module__.partition(".")[0] == "torch":
        return _layout_of_tensor(X.detach())
    if not hasattr(X, "__cuda_array_interface__"):
        X = _from_dlpack(X)
        return layout_of(X)
    interface = X.__cuda_array_interface__
    kind, shape = KINDS.get(interface["typestr"]), tuple(int(n) for n in interface["shape"])
    if kind is None:
        raise TypeError(
            f"X on the device is of type {interface['typestr']!r}: give float32, float64, float16 "
            "or bfloat16"
        )
    size, strides = np.dtype(kind).itemsize, interface.get("strides")
    if strides is None:
        strides = tuple(size * int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
    return Layout(int(interface["data"][0]), kind, shape, _row_stride(shape, strides, size), X)


def _layout_of_tensor(X: Any) -> Layout:
    kind = str(X.dtype).removeprefix("torch.")
    if kind not in ("float32", "float64", "float16", "bfloat16"):
        raise TypeError(f"X is a tensor of {kind}: give float32, float64, float16 or bfloat16")
    size = X.element_size()
    strides = tuple(size * step for step in X.stride())
    shape = tuple(X.shape)
    return Layout(int(X.data_ptr()), kind, shape, _row_stride(shape, strides, size), X)


def _row_stride(shape: tuple[int, ...], strides: tuple[int, ...], size: int) -> int:
    if len(shape) != 2:
        raise ValueError(f"X on the device must have 2 dimensions, got {len(shape)}: use reshape")
    in_rows = shape[1] <= 1 or strides[1] == size
    if not in_rows or strides[0] % size or (shape[0] > 1 and strides[0] < size * shape[1]):
        raise TypeError("X on the device must be in row-major (C) order: make it contiguous first")
    return max(strides[0] // size, shape[1])


def _from_dlpack(X: Any) -> Any:
    for library in ("torch", "cupy"):
        try:
            module = import_module(library)
        except ImportError:
            continue
        return module.utils.dlpack.from_dlpack(X) if library == "torch" else module.from_dlpack(X)
    raise TypeError(
        f"{type(X).__name__} offers its device memory by DLPack alone: install torch or CuPy, or "
        "give an array with __cuda_array_interface__"
    )


def to_host(values: Any) -> npt.NDArray[Any]:
    """Labels, weights or offsets on a device as a numpy array; others as they are."""
    if not is_on_device(values):
        return values
    if hasattr(values, "detach"):
        return np.asarray(values.detach().cpu())
    if hasattr(values, "get"):
        return np.asarray(values.get())
    host = _from_dlpack(values)
    return to_host(host)


def like(values: npt.NDArray[Any], X: Any) -> Any:
    """Values of the host in the kind of X: a tensor or an array on its device, or themselves.

    Names of classes, which no device holds, stay on the host.
    """
    if values.dtype.kind not in "biuf" or not is_on_device(X):
        return values
    if hasattr(X, "detach"):
        return sys.modules["torch"].as_tensor(values, device=X.device)
    library = sys.modules.get(type(X).__module__.partition(".")[0])
    if library is not None and hasattr(library, "asarray"):
        return library.asarray(values)
    return values
