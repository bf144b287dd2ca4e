"""Files that are there whole or not at all, and checksums of what is in them."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy.typing as npt


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], None]) -> None:
    """Makes a file by `write`: a crash leaves the old file or the new one, both whole.

    The bytes go to a file beside it, which is flushed to the disk and then renamed.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        with open(temporary, "xb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Makes a rename in `folder` durable where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems refuse; the data themselves are flushed
        pass
    finally:
        os.close(descriptor)


def checksum(array: npt.NDArray[Any], start: int = 0) -> int:
    """CRC-32 of an array's bytes, without a copy of more than one row of a strided array."""
    if array.flags.c_contiguous:
        return zlib.crc32(array.data.cast("B") if array.size else b"", start)
    for row in array:
        start = checksum(row.copy(), start)
    return start
