"""Dense rows, and arrays of a value a row, that lie on a CUDA device."""

from fastsum.device._arrays import DeviceArray
from fastsum.device._inputs import is_on_device, like, to_host
from fastsum.device._rows import DeviceRows, as_device_rows

__all__ = ["DeviceArray", "DeviceRows", "as_device_rows", "is_on_device", "like", "to_host"]
